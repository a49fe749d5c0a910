//! Detection of missed broadcasts: Redis counts the changes, and each instance counts the broadcasts that it received.

use std::{collections::HashMap, mem, time::Duration};

use super::members::BreakerId;

/// The counts of changes and broadcasts, and the updates to send with the next heartbeat.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// The number of changes that Redis had counted at the last comparison.
    count: u64,
    /// The number of broadcasts received since then.
    broadcasts: u64,
    /// The number of changes made by this instance that Redis has not counted yet.
    uncounted: u64,
    /// Pending updates of the index of open keyed breakers.
    index_updates: HashMap<BreakerId, Duration>,
}

/// The number of index updates in one heartbeat. Redis applies them in one script, which blocks all other requests.
const MAX_INDEX_UPDATES: usize = 500;

impl Changes {
    /// Restarts the comparison at a count of Redis. Earlier changes no longer matter, since the caller reads all breakers.
    pub(super) const fn restart(&mut self, count: u64) {
        (self.count, self.broadcasts) = (count, 0);
    }

    pub(super) const fn on_broadcast(&mut self) {
        self.broadcasts += 1;
    }

    /// Records a change made by this instance.
    pub(super) const fn record(&mut self) {
        self.uncounted += 1;
    }

    /// Sets the time for which a keyed breaker stays in the index; zero removes it.
    pub(super) fn index(&mut self, id: BreakerId, ttl: Duration) {
        self.index_updates.insert(id, ttl);
    }

    /// Takes the number of uncounted changes and the index updates for the next heartbeat.
    pub(super) fn take_pending(&mut self) -> (u64, Vec<(BreakerId, Duration)>) {
        let ids: Vec<BreakerId> = self.index_updates.keys().take(MAX_INDEX_UPDATES).cloned().collect();
        let updates = ids.iter().filter_map(|id| self.index_updates.remove_entry(id)).collect();
        (mem::take(&mut self.uncounted), updates)
    }

    /// Returns true if index updates are left for another heartbeat.
    pub(super) fn has_index_updates(&self) -> bool {
        !self.index_updates.is_empty()
    }

    /// Compares the broadcasts with the count of Redis. Returns true if there were more changes than broadcasts.
    ///
    /// A broadcast may arrive shortly before its change is counted, so surplus broadcasts are carried over to the next comparison.
    pub(super) const fn detect_missed(&mut self, count: u64) -> bool {
        let changes = count.wrapping_sub(self.count);
        let has_missed = changes > self.broadcasts;
        self.count = count;
        self.broadcasts = if has_missed { 0 } else { self.broadcasts - changes };
        has_missed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Changes, MAX_INDEX_UPDATES};

    #[test]
    fn a_change_without_a_broadcast_is_detected() {
        let mut changes = Changes::default();
        changes.restart(10);
        assert!(!changes.detect_missed(10));
        changes.on_broadcast();
        changes.on_broadcast();
        assert!(!changes.detect_missed(11), "the second is not counted yet");
        assert!(!changes.detect_missed(12));
        assert!(changes.detect_missed(13));
        assert!(!changes.detect_missed(13), "reported once");
        assert!(changes.detect_missed(0), "Redis has lost the count");
        assert!(!changes.detect_missed(0));
        changes.record();
        changes.record();
        assert_eq!((changes.take_pending().0, changes.take_pending().0), (2, 0));
    }

    #[test]
    fn index_updates_are_batched_and_the_last_one_per_breaker_wins() {
        let mut changes = Changes::default();
        for ttl in [Duration::from_secs(1), Duration::ZERO] {
            (0..MAX_INDEX_UPDATES + 10).for_each(|number| changes.index(number.to_string().into(), ttl));
        }
        let (_, mut updates) = changes.take_pending();
        assert_eq!((updates.len(), changes.has_index_updates()), (MAX_INDEX_UPDATES, true));
        updates.append(&mut changes.take_pending().1);
        assert_eq!((updates.len(), changes.has_index_updates()), (MAX_INDEX_UPDATES + 10, false));
        assert!(updates.iter().all(|(_, ttl)| ttl.is_zero()));
    }
}
