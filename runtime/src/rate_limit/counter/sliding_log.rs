use std::collections::VecDeque;

use super::Limit;

/// The latest calls, each with the moment at which it started.
///
/// **Invariant:** in any window, however it lies, there are at most `calls` of these moments: a call is entered when all but
/// `calls - 1` of the others have left its window.
///
/// **Invariant:** a limit that was in force before finds all that it counts: calls are forgotten by the longest window and the most calls
/// of all limits.
#[derive(Clone, Debug)]
pub(super) struct SlidingLog {
    /// In order.
    moments: VecDeque<u64>,
    /// The most calls and the longest window until now.
    widest: Limit,
}

impl SlidingLog {
    pub(super) const fn new() -> Self {
        Self { moments: VecDeque::new(), widest: Limit { calls: 1, per: 1 } }
    }

    /// The first moment at which there is room for a call behind so many others, each of which is made as early as it can be.
    pub(super) fn earliest(&self, now: u64, limit: Limit, ahead: usize) -> u64 {
        let calls = limit.calls as usize;
        // After each `calls` others a whole window passes.
        let (windows, others) = (ahead / calls, ahead % calls);
        // With all but `calls - 1` of them gone there is room.
        let last_to_go = (self.moments.len() + others).checked_sub(calls).and_then(|index| self.moments.get(index));
        let first = last_to_go.map_or(now, |moment| moment.saturating_add(limit.per).max(now));
        first.saturating_add(limit.per.saturating_mul(u64::try_from(windows).unwrap_or(u64::MAX)))
    }

    /// Enters a call, and forgets those that no limit counts any more.
    pub(super) fn enter(&mut self, now: u64, limit: Limit) {
        self.widest.calls = self.widest.calls.max(limit.calls);
        self.widest.per = self.widest.per.max(limit.per);
        while self.moments.len() >= self.widest.calls as usize
            || self.moments.front().is_some_and(|moment| has_left(*moment, now, self.widest))
        {
            self.moments.pop_front();
        }
        // A thread's clock may be ahead of one that a test has stopped.
        let last = self.moments.back().copied().unwrap_or(now);
        self.moments.push_back(last.max(now));
    }

    /// Calls in the window.
    pub(super) fn load(&self, now: u64, limit: Limit) -> usize {
        self.moments.len() - self.moments.partition_point(|moment| has_left(*moment, now, limit))
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
            let (mut sliding_log, mut now) = (SlidingLog::new(), 0);
            for time in times {
                now += time;
                if sliding_log.earliest(now, limit, 0) == now {
                    sliding_log.enter(now, limit);
                }
                prop_assert!(sliding_log.moments.len() <= calls as usize);
            }
            let kept = sliding_log.moments.len();
            prop_assert_eq!(sliding_log.load(now + per, limit), 0);
            prop_assert_eq!(sliding_log.moments.len(), kept, "who only looks changes nothing");
        }
    }

    #[test]
    fn room_comes_free_call_by_call() {
        let limit = Limit { calls: 2, per: 10 };
        let mut sliding_log = SlidingLog::new();
        for (now, at) in [(0, 0), (4, 4), (5, 10), (10, 10), (11, 14), (24, 24), (29, 29)] {
            assert_eq!(sliding_log.earliest(now, limit, 0), at, "at {now}");
            if at == now {
                sliding_log.enter(now, limit);
            }
        }
        assert_eq!(sliding_log.load(29, limit), 2);
        assert_eq!([0, 1, 2, 3, 4].map(|ahead| sliding_log.earliest(30, limit, ahead)), [34, 39, 44, 49, 54]);
        assert_eq!([0, 1, 2, 3].map(|ahead| sliding_log.earliest(36, limit, ahead)), [36, 39, 46, 49]);
        // Under a lower limit more have to leave.
        assert_eq!(sliding_log.earliest(36, Limit { calls: 1, per: 20 }, 1), 69);
    }

    #[test]
    fn a_limit_that_is_restored_finds_its_calls() {
        let usual = Limit { calls: 2, per: 3_600 };
        for other in [Limit { calls: 2, per: 60 }, Limit { calls: 1, per: 60 }] {
            let (mut sliding_log, mut made) = (SlidingLog::new(), vec![1_000, 1_001]);
            for now in &made {
                sliding_log.enter(*now, usual);
            }
            for now in (1_100..2_000).step_by(100) {
                assert_eq!(sliding_log.earliest(now, other, 0), now);
                assert_eq!(sliding_log.earliest(now, usual, 0), made[made.len() - 2] + 3_600);
                sliding_log.enter(now, other);
                made.push(now);
                assert_eq!((sliding_log.load(now, usual), sliding_log.moments.len()), (2, 2));
            }
        }
    }
}
