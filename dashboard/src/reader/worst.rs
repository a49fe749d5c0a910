//! The worst of many breakers.

use std::{cmp::Reverse, sync::Arc};

use steadfast::Snapshot;

use crate::entry::condition::Condition;

/// The worst breakers of those that were ranked, at most a number of them.
pub(crate) struct Worst<T> {
    limit: usize,
    /// Sorted, the worst first.
    items: Vec<(Rank, T)>,
}

/// The order of breakers: the condition, the troubles, the text of the key.
pub(crate) type Rank = (Condition, Reverse<u64>, Option<Arc<str>>);

impl<T> Worst<T> {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, items: Vec::new() }
    }

    /// Returns the rank of a breaker, if it is one of the worst so far.
    pub(crate) fn rank(&self, condition: Condition, snapshot: &Snapshot) -> Option<Rank> {
        let troubles =
            snapshot.failures.saturating_add(snapshot.rejections).saturating_add(snapshot.observed_rejections);
        let rank = (condition, Reverse(troubles), snapshot.key.clone());
        let is_better = self.items.len() == self.limit && self.items.last().is_none_or(|(last, _)| *last <= rank);
        (!is_better).then_some(rank)
    }

    pub(crate) fn add(&mut self, rank: Rank, item: T) {
        let index = self.items.partition_point(|(other, _)| *other <= rank);
        self.items.insert(index, (rank, item));
        self.items.truncate(self.limit);
    }

    /// Returns the items, the worst first.
    pub(crate) fn into_items(self) -> impl Iterator<Item = T> {
        self.items.into_iter().map(|(_, item)| item)
    }
}

#[cfg(test)]
mod tests {
    use steadfast::{BreakerConfig, KeyedBreakers};

    use super::*;

    #[test]
    fn the_worst_are_kept_in_order() {
        let keys = KeyedBreakers::new("keys", BreakerConfig::new().failure_threshold(1));
        for key in ["a", "b", "c", "d"] {
            keys.breaker(key);
        }
        keys.breaker("c").force_open();
        _ = keys.breaker("c").try_acquire();
        keys.breaker("d").force_open();
        for limit in 0..=4 {
            let mut worst = Worst::new(limit);
            for breaker in keys.iter() {
                let snapshot = breaker.snapshot();
                if let Some(rank) = worst.rank(Condition::new(&snapshot, 1.0, None), &snapshot) {
                    worst.add(rank, snapshot.key);
                }
            }
            let found: Vec<_> = worst.into_items().flatten().collect();
            let found: Vec<&str> = found.iter().map(|key| &**key).collect();
            assert_eq!(found, ["c", "d", "a", "b"][..limit]);
        }
    }
}
