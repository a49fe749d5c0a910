use std::{collections::VecDeque, iter};

use super::{Ahead, Limit, Start};

/// The start times of recent calls, one for each permit.
///
/// **Invariant:** any sliding window contains at most `calls` of these times: a permit is recorded only when all but `calls - 1` of the
/// others have left its window.
///
/// **Invariant:** when an earlier limit is restored, all the calls in its window are still in the log: calls are discarded by the longest
/// window and the largest number of calls of all limits so far.
#[derive(Clone, Debug)]
pub(super) struct SlidingLog {
    /// In ascending order.
    starts: VecDeque<u64>,
    /// The largest number of calls and the longest window so far.
    widest: Limit,
}

impl SlidingLog {
    pub(super) const fn new() -> Self {
        Self { starts: VecDeque::new(), widest: Limit { calls: 1, per: 1, burst: 1 } }
    }

    /// Returns the first moment at which there is capacity for a call behind others, each of which starts as early as it can.
    pub(super) fn earliest_start(&self, now: u64, limit: Limit, permits: u32, ahead: &Ahead) -> u64 {
        if !ahead.each.is_empty() {
            return self.earliest_start_behind(now, limit, permits, &ahead.each);
        }
        let calls = limit.calls as usize;
        // The last permit of the call is behind its other ones.
        let ahead =
            usize::try_from(ahead.permits).unwrap_or(usize::MAX).saturating_add(permits.saturating_sub(1) as usize);
        // Every `calls` permits ahead take a whole window.
        let (windows, others) = (ahead / calls, ahead % calls);
        // There is capacity when all but `calls - 1` have left the window.
        let last_to_leave = (self.starts.len() + others).checked_sub(calls).and_then(|index| self.starts.get(index));
        let first = last_to_leave.map_or(now, |start| start.saturating_add(limit.per).max(now));
        first.saturating_add(limit.per.saturating_mul(u64::try_from(windows).unwrap_or(u64::MAX)))
    }

    /// Like [`earliest_start`](Self::earliest_start), behind calls that take different numbers of permits.
    fn earliest_start_behind(&self, now: u64, limit: Limit, permits: u32, ahead: &[u32]) -> u64 {
        let calls = limit.calls as usize;
        // The predicted starts: the number of permits that have started before the next call, and the start of the last of them.
        let mut predicted: Vec<(usize, u64)> = Vec::with_capacity(ahead.len());
        let (mut taken, mut at, mut oldest) = (self.starts.len(), now, 0);
        for permits in ahead.iter().chain([&permits]) {
            let permits = *permits as usize;
            // All but the last `calls - permits` have to leave the window.
            if let Some(index) = (taken + permits).checked_sub(calls + 1) {
                let last_to_leave = self.starts.get(index).copied().or_else(|| {
                    oldest += predicted[oldest..].iter().take_while(|(end, _)| *end <= index).count();
                    predicted.get(oldest).map(|(_, start)| *start)
                });
                at = last_to_leave.map_or(at, |start| at.max(start.saturating_add(limit.per)));
            }
            taken += permits;
            predicted.push((taken, at));
        }
        at
    }

    /// Records a call for one permit if at most half of the limit is in use then. Returns true if it is recorded.
    #[inline]
    pub(super) fn try_record_coarse(&mut self, start: Start, limit: Limit) -> bool {
        let has_capacity = self.starts.len() < limit.calls as usize / 2;
        if has_capacity {
            self.record(start, limit, 1);
        }
        has_capacity
    }

    /// Records a call, and discards those that no limit counts any more.
    #[inline]
    pub(super) fn record(&mut self, start: Start, limit: Limit, permits: u32) {
        self.widest.calls = self.widest.calls.max(limit.calls);
        self.widest.per = self.widest.per.max(limit.per);
        while self.starts.front().is_some_and(|first| {
            self.starts.len() + permits as usize > self.widest.calls as usize
                || has_left(*first, start.earliest, self.widest)
        }) {
            self.starts.pop_front();
        }
        // A later call may have been given an earlier reading.
        let start = self.starts.back().copied().unwrap_or(start.latest).max(start.latest);
        if permits == 1 {
            self.starts.push_back(start);
        } else {
            self.starts.extend(iter::repeat_n(start, permits as usize));
        }
    }

    /// Moves starts that are counted after `now` to `now`: the calls have started by then.
    pub(super) fn bound(&mut self, now: u64) {
        self.starts.iter_mut().rev().take_while(|start| **start > now).for_each(|start| *start = now);
    }

    /// Returns the number of permits in the window that ends at `now`.
    pub(super) fn in_window(&self, now: u64, limit: Limit) -> usize {
        self.starts.len() - self.starts.partition_point(|start| has_left(*start, now, limit))
    }
}

const fn has_left(start: u64, now: u64, limit: Limit) -> bool {
    start.saturating_add(limit.per) <= now
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn behind(calls: u64) -> Ahead {
        Ahead { permits: calls, each: Vec::new() }
    }

    proptest! {
        #[test]
        fn calls_that_have_left_the_window_are_discarded(calls in 1_u32..6, per in 1_u64..25, times in prop::collection::vec(0_u64..9, 0..100)) {
            let limit = Limit::new(calls, per);
            let (mut sliding_log, mut now) = (SlidingLog::new(), 0);
            for time in times {
                now += time;
                if sliding_log.earliest_start(now, limit, 1, &Ahead::NONE) == now {
                    sliding_log.record(Start::exact(now), limit, 1);
                }
                prop_assert!(sliding_log.starts.len() <= calls as usize);
            }
            let kept = sliding_log.starts.len();
            prop_assert_eq!(sliding_log.in_window(now + per, limit), 0);
            prop_assert_eq!(sliding_log.starts.len(), kept, "reading changes nothing");
        }
    }

    #[test]
    fn capacity_is_regained_call_by_call() {
        let limit = Limit::new(2, 10);
        let mut sliding_log = SlidingLog::new();
        for (now, at) in [(0, 0), (4, 4), (5, 10), (10, 10), (11, 14), (24, 24), (29, 29)] {
            assert_eq!(sliding_log.earliest_start(now, limit, 1, &Ahead::NONE), at, "at {now}");
            if at == now {
                sliding_log.record(Start::exact(now), limit, 1);
            }
        }
        assert_eq!(sliding_log.in_window(29, limit), 2);
        assert_eq!(
            [0, 1, 2, 3, 4].map(|ahead| sliding_log.earliest_start(30, limit, 1, &behind(ahead))),
            [34, 39, 44, 49, 54]
        );
        assert_eq!(
            [0, 1, 2, 3].map(|ahead| sliding_log.earliest_start(36, limit, 1, &behind(ahead))),
            [36, 39, 46, 49]
        );
        // Under a lower limit, more calls have to leave.
        assert_eq!(sliding_log.earliest_start(36, Limit::new(1, 20), 1, &behind(1)), 69);
    }

    #[test]
    fn a_call_of_several_permits_starts_when_there_is_capacity_for_all() {
        let limit = Limit::new(10, 10);
        let mut sliding_log = SlidingLog::new();
        for now in [0, 5] {
            assert_eq!(sliding_log.earliest_start(now, limit, 5, &Ahead::NONE), now);
            sliding_log.record(Start::exact(now), limit, 5);
        }
        assert_eq!(
            [1, 5, 6, 10].map(|permits| sliding_log.earliest_start(6, limit, permits, &Ahead::NONE)),
            [10, 10, 15, 15]
        );
        // Behind a call that takes the whole limit at 15, a lighter one cannot start before 25.
        let behind = Ahead { permits: 10, each: vec![10] };
        assert_eq!(sliding_log.earliest_start(6, limit, 5, &behind), 25);
        assert_eq!(sliding_log.in_window(10, limit), 5);
    }

    #[test]
    fn a_coarse_start_discards_no_call_that_may_be_in_the_window() {
        let limit = Limit::new(4, 1_000);
        let mut sliding_log = SlidingLog::new();
        sliding_log.record(Start::exact(5_000), limit, 1);
        assert!(sliding_log.try_record_coarse(Start { earliest: 5_999, latest: 6_009 }, limit));
        assert_eq!(sliding_log.starts, [5_000, 6_009]);
        sliding_log.record(Start { earliest: 6_000, latest: 6_010 }, limit, 1);
        assert_eq!(sliding_log.starts, [6_009, 6_010]);
    }

    #[test]
    fn a_restored_limit_finds_its_calls() {
        let usual = Limit::new(2, 3_600);
        for other in [Limit::new(2, 60), Limit::new(1, 60)] {
            let (mut sliding_log, mut made) = (SlidingLog::new(), vec![1_000, 1_001]);
            for now in &made {
                sliding_log.record(Start::exact(*now), usual, 1);
            }
            for now in (1_100..2_000).step_by(100) {
                assert_eq!(sliding_log.earliest_start(now, other, 1, &Ahead::NONE), now);
                assert_eq!(sliding_log.earliest_start(now, usual, 1, &Ahead::NONE), made[made.len() - 2] + 3_600);
                sliding_log.record(Start::exact(now), other, 1);
                made.push(now);
                assert_eq!((sliding_log.in_window(now, usual), sliding_log.starts.len()), (2, 2));
            }
        }
    }
}
