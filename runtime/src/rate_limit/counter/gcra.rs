use std::hint;

use super::{Limit, Start};

/// The generic cell rate algorithm (ITU-T I.371): one number, the theoretical arrival time of the next call at a steady rate.
///
/// A tick is a microsecond divided by the number of calls of the limit. So the interval between calls, `per / calls` microseconds, is `per`
/// ticks, a whole number.
#[derive(Clone, Debug)]
pub(super) struct Gcra {
    /// The theoretical arrival time, in ticks.
    tat: u128,
    /// The latest moment at which the current backlog can have begun, in microseconds. The time since then is not negative, although an
    /// earlier moment may still be read.
    backlog_since: u64,
    /// The limit whose ticks `tat` counts.
    limit: Limit,
}

impl Gcra {
    pub(super) const fn new() -> Self {
        Self { tat: 0, backlog_since: 0, limit: Limit { calls: 1, per: 1, burst: 1 } }
    }

    /// Returns the first moment at which there is capacity for a call behind others that take `ahead` permits, each of which starts as early
    /// as it can. A call of several permits is several cells that arrive at the same moment.
    pub(super) fn earliest_start(&mut self, now: u64, limit: Limit, permits: u32, ahead: u64) -> u64 {
        self.rescale(limit, now);
        let (start, interval) = (self.ticks(now), u128::from(limit.per));
        let capacity = interval * u128::from(limit.burst);
        let taken = interval.saturating_mul(u128::from(ahead) + u128::from(permits));
        let at = self.tat.max(start).saturating_add(taken).saturating_sub(capacity);
        if at <= start {
            return now;
        }
        // Rounded up to whole microseconds.
        u64::try_from(at.div_ceil(limit.calls.into())).unwrap_or(u64::MAX)
    }

    /// Records a call for one permit if the backlog is then at most half of the burst, and if it is certain whether there is a backlog
    /// before: otherwise, the start could not be [bounded](Self::bound) later. Returns true if it is recorded.
    #[inline]
    pub(super) fn try_record_coarse(&mut self, start: Start, limit: Limit) -> bool {
        self.rescale(limit, start.earliest);
        let [interval, half] = [limit.per, (limit.burst / 2).into()].map(u128::from);
        let [earliest, latest] = [start.earliest, start.latest].map(|moment| self.ticks(moment));
        let is_certain = self.tat <= earliest || self.tat >= latest;
        let is_recorded = is_certain && self.tat + interval <= earliest + interval * half;
        if is_recorded {
            self.record(start, limit, 1);
        }
        is_recorded
    }

    #[inline]
    pub(super) fn record(&mut self, start: Start, limit: Limit, permits: u32) {
        self.rescale(limit, start.earliest);
        if self.tat <= self.ticks(start.earliest) {
            self.backlog_since = start.latest;
        }
        self.tat = self.tat.max(self.ticks(start.latest)) + u128::from(limit.per) * u128::from(permits);
    }

    /// Moves starts that are counted after `now` to `now`: the calls have started by then.
    pub(super) fn bound(&mut self, now: u64) {
        if let Some(early @ 1..) = self.backlog_since.checked_sub(now) {
            self.tat = self.tat.saturating_sub(u128::from(early) * u128::from(self.limit.calls));
            self.backlog_since = now;
        }
    }

    /// Returns the backlog in permits, rounded up.
    pub(super) fn in_window(&self, now: u64, limit: Limit) -> usize {
        let backlog = if self.limit == limit { self.backlog(now) } else { self.backlog_under(limit, now) };
        usize::try_from(backlog.div_ceil(limit.per.into())).unwrap_or(usize::MAX).min(limit.burst as usize)
    }

    /// Changes the limit. The backlog is kept, with at most as many permits as the new limit allows at once.
    #[inline]
    fn rescale(&mut self, limit: Limit, now: u64) {
        if self.limit != limit {
            // Keeps the conversion out of the path of each call, which takes 2 ns less.
            hint::cold_path();
            let backlog = self.backlog_under(limit, now);
            self.limit = limit;
            self.tat = self.ticks(now) + backlog;
        }
    }

    /// Returns the backlog in ticks of another limit.
    fn backlog_under(&self, limit: Limit, now: u64) -> u128 {
        let [before, per] = [self.limit.per, limit.per].map(u128::from);
        let backlog = self.backlog(now);
        // Whole calls and a fraction of one are converted separately, so that nothing overflows. The result is rounded up.
        let calls = (backlog / before).min(limit.burst.into());
        (calls * per + (backlog % before * per).div_ceil(before)).min(per * u128::from(limit.burst))
    }

    /// Returns the backlog in ticks, from `now` to the theoretical arrival time: `per` for each call.
    fn backlog(&self, now: u64) -> u128 {
        self.tat.saturating_sub(self.ticks(now))
    }

    /// Converts a moment to ticks. A moment before the current backlog stands for its beginning.
    fn ticks(&self, moment: u64) -> u128 {
        u128::from(moment.max(self.backlog_since)) * u128::from(self.limit.calls)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Checks that at most `burst + t * calls / per` permits are taken over any time `t`.
        #[test]
        fn the_rate_is_never_exceeded(
            calls in 1_u32..50,
            burst in 1_u32..80,
            per in 1_u64..10_000,
            times in prop::collection::vec((0_u64..300, 0_u32..80), 1..300),
            is_weighted in any::<bool>(),
        ) {
            let limit = Limit { burst, ..Limit::new(calls, per) };
            let (mut gcra, mut now, mut made) = (Gcra::new(), 1_000_000, Vec::new());
            for (time, weight) in times {
                now += time;
                let permits = if is_weighted { weight % burst + 1 } else { 1 };
                if gcra.earliest_start(now, limit, permits, 0) == now {
                    gcra.record(Start::exact(now), limit, permits);
                    made.extend(vec![now; permits as usize]);
                }
            }
            for (index, start) in made.iter().enumerate() {
                let end = made[made.len() - 1];
                let most = u64::from(burst) + (end - start) * u64::from(calls) / per;
                prop_assert!((made.len() - index) as u64 <= most, "{made:?}");
            }
        }
    }

    #[test]
    fn a_burst_has_as_many_calls_as_the_limit() {
        for calls in 1..1_000 {
            let limit = Limit::new(calls, 1_000_000);
            let mut gcra = Gcra::new();
            for now in [5_000, 1_005_000] {
                for _ in 0..calls {
                    assert_eq!(gcra.earliest_start(now, limit, 1, 0), now, "of {calls}");
                    gcra.record(Start::exact(now), limit, 1);
                }
                assert!(gcra.earliest_start(now, limit, 1, 0) > now, "{calls} and one more");
            }
        }
    }

    #[test]
    fn after_idle_time_as_many_calls_as_the_burst_start_at_once() {
        for (burst, expected) in [(1, [1, 0, 1]), (3, [3, 0, 2]), (25, [25, 0, 2])] {
            // One call per 100 microseconds.
            let limit = Limit { burst, ..Limit::new(10, 1_000) };
            let mut gcra = Gcra::new();
            for (now, expected) in [1_000_000, 1_000_099, 1_000_200].into_iter().zip(expected) {
                let mut admitted = 0;
                while gcra.earliest_start(now, limit, 1, 0) == now {
                    gcra.record(Start::exact(now), limit, 1);
                    admitted += 1;
                }
                assert_eq!(admitted, expected, "burst {burst} at {now}");
            }
            assert_eq!(gcra.in_window(1_000_200, limit), burst as usize);
        }
    }

    #[test]
    fn after_a_burst_calls_are_admitted_one_by_one() {
        let limit = Limit::new(4, 1_000);
        let mut gcra = Gcra::new();
        for (now, at) in
            [(5_000, 5_000), (5_000, 5_000), (5_000, 5_000), (5_000, 5_000), (5_250, 5_250), (5_500, 5_500)]
        {
            assert_eq!(gcra.earliest_start(now, limit, 1, 0), at, "at {now}");
            gcra.record(Start::exact(at), limit, 1);
        }
        assert_eq!(gcra.in_window(5_500, limit), 4);
        assert_eq!([0, 1, 4].map(|ahead| gcra.earliest_start(5_600, limit, 1, ahead)), [5_750, 6_000, 6_750]);
        assert_eq!([0, 3, 4, 5].map(|ahead| gcra.earliest_start(9_000, limit, 1, ahead)), [9_000, 9_000, 9_250, 9_500]);
    }

    #[test]
    fn calls_keep_counting_under_another_limit() {
        const HOUR: u64 = 3_600_000_000;
        for (before, calls, after, left, at) in [
            // One call of one is one call of a thousand.
            ((1, 60_000), 1, (1_000, 60_000), 1, 5_000),
            ((1, 60_000), 1, (1, 1_000), 1, 6_000),
            ((3, 3_000), 3, (6, 3_000), 3, 5_000),
            ((3, 3_000), 3, (4, 4_000), 3, 5_000),
            // At most as many as the new limit allows.
            ((100, 1_000), 100, (1, 1_000), 1, 6_000),
            ((4, 1_000), 2, (2, 5_000), 2, 7_500),
            ((1_048_576, HOUR), 9, (1, u64::MAX), 1, u64::MAX),
        ] {
            let [before, after] = [before, after].map(|(calls, per)| Limit::new(calls, per));
            let mut gcra = Gcra::new();
            for _ in 0..calls {
                gcra.record(Start::exact(5_000), before, 1);
            }
            assert_eq!(gcra.in_window(5_000, after), left, "{before:?}, {after:?}");
            assert_eq!(gcra.earliest_start(5_000, after, 1, 0), at, "{before:?}, {after:?}");
        }
    }
}
