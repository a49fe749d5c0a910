//! Outcomes from the point of view of callers: the sums of the fallbacks around each breaker.

use std::collections::HashMap;

use steadfast::FallbackSnapshot;

use crate::entry::{calls::FallbackEntry, minute::Callers};

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
}
