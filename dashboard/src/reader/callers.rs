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

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use steadfast::{BreakerConfig, CircuitBreaker, Error, KeyedBreakers, circuit_breaker, fallback};

    use super::*;
    use crate::{
        entry::breaker::{BreakerEntry, Context},
        entry::group::BreakerGroupEntry,
        history::{Minute, Totals},
    };

    #[fallback(|_error| Ok(7))]
    #[circuit_breaker(name = "outer of two", failure_threshold = 9)]
    #[circuit_breaker(name = "inner of two", failure_threshold = 9)]
    fn through_two() -> Result<u32, Error<Error<std::fmt::Error>>> {
        Ok(1)
    }

    fn minute(counts: Totals) -> Minute {
        Minute { seconds: 60, counts, p99: None }
    }

    fn breaker(breaker: &CircuitBreaker, counts: Totals) -> Entry {
        let last_minute = Some(BreakerMinute::new(&minute(counts), None));
        let context = Context { last_minute, ..Context::default() };
        let (id, snapshot) = (breaker.name().into(), breaker.snapshot());
        Entry::Breaker(BreakerEntry::new(id, snapshot, context, SystemTime::now(), None))
    }

    #[test]
    fn over_all_each_call_is_counted_once() {
        const CONFIG: BreakerConfig = BreakerConfig::new().failure_threshold(1);
        assert!(through_two().is_ok());
        let around_two = steadfast::fallbacks().into_iter().find(|fallback| fallback.name.ends_with("through_two"));
        let around_two = around_two.expect("the function was called");
        assert_eq!(around_two.breakers, ["inner of two", "outer of two"]);
        let mut callers = CallersByBreaker::default();
        callers.add(&around_two, None);
        let of_group = KeyedBreakers::new("keyed", CONFIG).snapshot();
        let of_group_minute = BreakerMinute::new(&minute([200, 0, 0, 0, 0]), None);
        let last_minute = Some(minute([10, 20, 5, 3, 1]).into());
        let entries = [
            // Four errors and a panic.
            Entry::Fallback(FallbackEntry::new("fallback".into(), around_two, last_minute)),
            breaker(&CircuitBreaker::new("inner of two", CONFIG), [10, 25, 0, 0, 0]),
            breaker(&CircuitBreaker::new("outer of two", CONFIG), [10, 25, 0, 0, 0]),
            breaker(&CircuitBreaker::new("alone", CONFIG), [100, 7, 6, 4, 2]),
            Entry::Group(BreakerGroupEntry::new("group keyed".into(), of_group, None, Some(of_group_minute), None)),
        ];
        let rows: Vec<_> = entries.into_iter().zip(0..).map(|(entry, i)| Arc::new(Row { i, entry })).collect();
        assert_eq!(
            serde_json::json!(callers.over_all(&rows)),
            serde_json::json!({
                "seconds": 60, "answered": 310, "fallback": 20, "failed": 12, "rejected": 6, "ignored": 4, "cancelled": 5,
            })
        );
        assert_eq!(callers.over_all(&[]), None);
    }
}
