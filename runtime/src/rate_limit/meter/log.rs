use std::collections::VecDeque;

use super::Limit;

/// The calls of the last window, each with its moment; and those that are to come, which wait for theirs.
///
/// **Invariant:** in any window, however it lies, there are at most `calls` of these moments. A call is entered at the moment at
/// which all but `calls - 1` of the others have left its window, so there is room whatever comes before or after it.
#[derive(Debug)]
pub(super) struct Log {
    /// In order.
    moments: VecDeque<u64>,
}

impl Log {
    pub(super) const fn new() -> Self {
        Self { moments: VecDeque::new() }
    }

    /// When there is room for a call: `now`, or later. What has left the window by now is forgotten.
    pub(super) fn next(&mut self, now: u64, limit: Limit) -> u64 {
        while self.moments.front().is_some_and(|moment| has_left(*moment, now, limit)) {
            self.moments.pop_front();
        }
        // With all but `calls - 1` of them gone there is room.
        let last_to_go = self.moments.len().checked_sub(limit.calls as usize).and_then(|index| self.moments.get(index));
        last_to_go.map_or(now, |moment| moment.saturating_add(limit.per).max(now))
    }

    /// Enters a call.
    pub(super) fn enter(&mut self, at: u64) {
        if self.moments.back().is_none_or(|last| *last <= at) {
            return self.moments.push_back(at);
        }
        // Where a place was given back there may be room between others.
        let index = self.moments.partition_point(|moment| *moment <= at);
        self.moments.insert(index, at);
    }

    /// Takes a call out that was not made.
    pub(super) fn take_back(&mut self, at: u64) {
        if let Ok(index) = self.moments.binary_search(&at) {
            self.moments.remove(index);
        }
    }

    /// Calls in the window, and those that are to come.
    pub(super) fn load(&self, now: u64, limit: Limit) -> (usize, usize) {
        let left = self.moments.partition_point(|moment| has_left(*moment, now, limit));
        let come = self.moments.partition_point(|moment| *moment <= now);
        (come.saturating_sub(left), self.moments.len() - come)
    }
}

const fn has_left(moment: u64, now: u64, limit: Limit) -> bool {
    moment.saturating_add(limit.per) <= now
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_forgets_what_has_left(calls in 1_u32..6, per in 1_u64..25, times in prop::collection::vec(0_u64..9, 0..100)) {
            let limit = Limit { calls, per };
            let (mut log, mut now) = (Log::new(), 0);
            for time in times {
                now += time;
                if log.next(now, limit) == now {
                    log.enter(now);
                }
                prop_assert!(log.moments.len() <= calls as usize);
            }
            let kept = log.moments.len();
            prop_assert_eq!(log.load(now + per, limit), (0, 0));
            prop_assert_eq!(log.moments.len(), kept, "who only looks changes nothing");
        }
    }

    #[test]
    fn places_come_free_one_by_one() {
        let limit = Limit { calls: 2, per: 10 };
        let mut log = Log::new();
        for (now, at) in [(0, 0), (4, 4), (5, 10), (5, 14), (9, 20), (24, 24), (29, 30)] {
            assert_eq!(log.next(now, limit), at, "at {now}");
            log.enter(at);
        }
        assert_eq!(log.load(29, limit), (2, 1));
    }
}
