//! Whether a message was missed: Redis counts the changes, and so does who listens.

use std::{collections::HashMap, mem, time::Duration};

use super::members::Id;

/// Changes of the application's breakers.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Redis's count when it was looked at last.
    counted: u64,
    /// Changes of which a message has come since.
    heard: u64,
    /// Changes made here that Redis has yet to count.
    made: u64,
    /// What Redis is yet to list, and for how long.
    listed: HashMap<Id, Duration>,
}

/// Breakers that one heartbeat lists: Redis does so in one step, and does nothing else meanwhile.
const MOST_LISTED: usize = 500;

impl Changes {
    /// Everything is looked at now, so nothing before it matters.
    pub(super) const fn begin(&mut self, counted: u64) {
        (self.counted, self.heard) = (counted, 0);
    }

    pub(super) const fn heard(&mut self) {
        self.heard += 1;
    }

    pub(super) const fn made(&mut self) {
        self.made += 1;
    }

    /// The breaker of a key is to be listed for so long.
    pub(super) fn list(&mut self, id: Id, lasts: Duration) {
        self.listed.insert(id, lasts);
    }

    /// Takes what Redis is to count, and to list with the next heartbeat.
    pub(super) fn take_made(&mut self) -> (u64, Vec<(Id, Duration)>) {
        let ids: Vec<Id> = self.listed.keys().take(MOST_LISTED).cloned().collect();
        (mem::take(&mut self.made), ids.iter().filter_map(|id| self.listed.remove_entry(id)).collect())
    }

    /// Returns whether something is left for another heartbeat.
    pub(super) fn has_more(&self) -> bool {
        !self.listed.is_empty()
    }

    /// Compares with Redis's count. A message may come a little before its change is counted, which is no reason to look.
    pub(super) const fn has_missed(&mut self, counted: u64) -> bool {
        let changed = counted.wrapping_sub(self.counted);
        let has_missed = changed > self.heard;
        self.counted = counted;
        self.heard = if has_missed { 0 } else { self.heard - changed };
        has_missed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Changes, MOST_LISTED};

    #[test]
    fn what_no_message_has_told_is_missed() {
        let mut changes = Changes::default();
        changes.begin(10);
        assert!(!changes.has_missed(10));
        changes.heard();
        changes.heard();
        assert!(!changes.has_missed(11), "the second is not counted yet");
        assert!(!changes.has_missed(12));
        assert!(changes.has_missed(13));
        assert!(!changes.has_missed(13), "looked at");
        assert!(changes.has_missed(0), "the count is lost");
        assert!(!changes.has_missed(0));
        changes.made();
        changes.made();
        assert_eq!((changes.take_made().0, changes.take_made().0), (2, 0));
    }

    #[test]
    fn a_heartbeat_lists_so_many_at_most_and_each_as_it_is_now() {
        let mut changes = Changes::default();
        for lasts in [Duration::from_secs(1), Duration::ZERO] {
            (0..MOST_LISTED + 10).for_each(|number| changes.list(number.to_string().into(), lasts));
        }
        let (_, mut listed) = changes.take_made();
        assert_eq!((listed.len(), changes.has_more()), (MOST_LISTED, true));
        listed.append(&mut changes.take_made().1);
        assert_eq!((listed.len(), changes.has_more()), (MOST_LISTED + 10, false));
        assert!(listed.iter().all(|(_, lasts)| lasts.is_zero()));
    }
}
