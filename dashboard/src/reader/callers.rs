//! Outcomes from the point of view of callers: the sums of the fallbacks around each breaker.

use std::{collections::HashMap, sync::Arc};

use steadfast::{FallbackSnapshot, Snapshot};

use crate::{
    entry::{
        Entry,
        calls::FallbackEntry,
        minute::{AllCallers, BreakerMinute, Callers},
    },
    reading::Row,
};

/// The outcomes of the functions with a fallback around each breaker, by the name of the breaker: since the start, and in the last minute.
#[derive(Debug, Default)]
pub(crate) struct CallersByBreaker(HashMap<&'static str, (Callers, Option<Callers>)>);

impl CallersByBreaker {
    /// Adds the counts of one fallback to each breaker in its stack. A sum of the last minute is unknown if one of its parts is.
    pub(crate) fn add(&mut self, fallback: &FallbackSnapshot, last_minute: Option<Callers>) {
        let total = Callers::of(&FallbackEntry::totals(fallback));
        for breaker in &fallback.breakers {
            let (sum, minute) = self.0.entry(breaker).or_insert_with(|| (Callers::default(), Some(Callers::default())));
            sum.add(total);
            *minute = minute.zip(last_minute).map(|(mut minute, last)| {
                minute.add(last);
                minute
            });
        }
    }

    /// Returns the sums for a breaker: since the start, and in the last minute. `None` if no fallback is around it.
    pub(crate) fn of(&self, breaker: &str) -> (Option<Callers>, Option<Callers>) {
        self.0.get(breaker).map_or((None, None), |(sum, minute)| (Some(*sum), *minute))
    }

    /// Returns the sums for a breaker as [`of`](Self::of) does; nothing for the breaker of a key, because calls with a fallback are not counted
    /// by key.
    pub(crate) fn of_breaker(&self, snapshot: &Snapshot) -> (Option<Callers>, Option<Callers>) {
        if snapshot.key.is_some() || snapshot.overflow { (None, None) } else { self.of(snapshot.name) }
    }

    /// Returns the outcomes of the last minute over all rows; `None` if no part of them is known.
    pub(crate) fn over_all(&self, rows: &[Arc<Row>]) -> Option<AllCallers> {
        let mut sum = None;
        for row in rows {
            match &row.entry {
                Entry::Fallback(fallback) => {
                    if let Some(minute) = &fallback.last_minute {
                        sum.get_or_insert_with(AllCallers::default).add_fallback(minute);
                    }
                }
                entry => {
                    if let Some(minute) = self.own_minute(entry) {
                        sum.get_or_insert_with(AllCallers::default).add_breaker(minute);
                    }
                }
            }
        }
        sum
    }

    /// Returns the last minute of a breaker without a key, or of a group, that no fallback is around.
    fn own_minute<'e>(&self, entry: &'e Entry) -> Option<&'e BreakerMinute> {
        let (name, minute) = match entry {
            Entry::Breaker(breaker) if !breaker.is_keyed() => (breaker.name, &breaker.last_minute),
            Entry::Group(group) => (group.counts.name, &group.last_minute),
            _ => return None,
        };
        minute.as_ref().filter(|_| !self.0.contains_key(name))
    }
}
