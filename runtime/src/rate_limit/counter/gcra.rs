use super::Limit;

/// The generic cell rate algorithm: one moment, at which a bucket that leaks evenly would be empty (ITU-T I.371).
#[derive(Clone, Debug)]
pub(super) struct Gcra {
    /// In parts of a microsecond, which has as many as the limit has calls. So a call leaks out in a whole number of them, `per`.
    tat: u128,
    limit: Limit,
}

impl Gcra {
    pub(super) const fn new() -> Self {
        Self { tat: 0, limit: Limit { calls: 1, per: 1 } }
    }

    /// The first moment at which there is room for a call behind so many others, each of which is made as early as it can be.
    pub(super) fn earliest(&mut self, now: u64, limit: Limit, ahead: usize) -> u64 {
        self.keep_to(limit, now);
        let (start, per) = (self.parts_of(now), u128::from(limit.per));
        let room = per * u128::from(limit.calls.saturating_sub(1));
        let others = per.saturating_mul(u128::try_from(ahead).unwrap_or(u128::MAX));
        let at = self.tat.max(start).saturating_add(others).saturating_sub(room);
        if at <= start {
            return now;
        }
        // Rounded up to whole microseconds.
        u64::try_from(at.div_ceil(limit.calls.into())).unwrap_or(u64::MAX)
    }

    /// Enters a call.
    pub(super) fn enter(&mut self, now: u64, limit: Limit) {
        self.keep_to(limit, now);
        self.tat = self.tat.max(self.parts_of(now)) + u128::from(limit.per);
    }

    /// Calls that have not leaked away yet.
    pub(super) fn load(&self, now: u64, limit: Limit) -> usize {
        let left = if self.limit == limit { self.left(now) } else { self.left_under(limit, now) };
        usize::try_from(left.div_ceil(limit.per.into())).unwrap_or(usize::MAX).min(limit.calls as usize)
    }

    /// Under another limit the calls that are in the bucket stay in it, at most as many as it holds.
    fn keep_to(&mut self, limit: Limit, now: u64) {
        if self.limit != limit {
            let left = self.left_under(limit, now);
            self.limit = limit;
            self.tat = self.parts_of(now) + left;
        }
    }

    fn left_under(&self, limit: Limit, now: u64) -> u128 {
        let [before, per] = [self.limit.per, limit.per].map(u128::from);
        let left = self.left(now);
        // Whole calls and the rest of one, so that nothing overflows; rounded up.
        let calls = (left / before).min(limit.calls.into());
        (calls * per + (left % before * per).div_ceil(before)).min(per * u128::from(limit.calls))
    }

    fn left(&self, now: u64) -> u128 {
        self.tat.saturating_sub(self.parts_of(now))
    }

    fn parts_of(&self, moment: u64) -> u128 {
        u128::from(moment) * u128::from(self.limit.calls)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Over any time `t` it lets through at most `calls` and what leaks away in `t`.
        #[test]
        fn it_holds_its_rate(calls in 1_u32..50, per in 1_u64..10_000, times in prop::collection::vec(0_u64..300, 1..300)) {
            let limit = Limit { calls, per };
            let (mut gcra, mut now, mut made) = (Gcra::new(), 1_000_000, Vec::new());
            for time in times {
                now += time;
                if gcra.earliest(now, limit, 0) == now {
                    gcra.enter(now, limit);
                    made.push(now);
                }
            }
            for (index, start) in made.iter().enumerate() {
                let end = made[made.len() - 1];
                let most = u64::from(calls) + (end - start) * u64::from(calls) / per;
                prop_assert!((made.len() - index) as u64 <= most, "{made:?}");
            }
        }
    }

    #[test]
    fn it_takes_as_many_at_once_as_the_limit_says() {
        for calls in 1..1_000 {
            let limit = Limit { calls, per: 1_000_000 };
            let mut gcra = Gcra::new();
            for now in [5_000, 1_005_000] {
                for _ in 0..calls {
                    assert_eq!(gcra.earliest(now, limit, 0), now, "of {calls}");
                    gcra.enter(now, limit);
                }
                assert!(gcra.earliest(now, limit, 0) > now, "{calls} and one more");
            }
        }
    }

    #[test]
    fn it_takes_all_at_once_and_then_one_by_one() {
        let limit = Limit { calls: 4, per: 1_000 };
        let mut gcra = Gcra::new();
        for (now, at) in
            [(5_000, 5_000), (5_000, 5_000), (5_000, 5_000), (5_000, 5_000), (5_250, 5_250), (5_500, 5_500)]
        {
            assert_eq!(gcra.earliest(now, limit, 0), at, "at {now}");
            gcra.enter(at, limit);
        }
        assert_eq!(gcra.load(5_500, limit), 4);
        assert_eq!([0, 1, 4].map(|ahead| gcra.earliest(5_600, limit, ahead)), [5_750, 6_000, 6_750]);
        assert_eq!([0, 3, 4, 5].map(|ahead| gcra.earliest(9_000, limit, ahead)), [9_000, 9_000, 9_250, 9_500]);
    }

    #[test]
    fn calls_stay_in_the_bucket_under_another_limit() {
        const HOUR: u64 = 3_600_000_000;
        for (before, calls, after, left, at) in [
            // One of one is one of a thousand.
            ((1, 60_000), 1, (1_000, 60_000), 1, 5_000),
            ((1, 60_000), 1, (1, 1_000), 1, 6_000),
            ((3, 3_000), 3, (6, 3_000), 3, 5_000),
            ((3, 3_000), 3, (4, 4_000), 3, 5_000),
            // Not more than it holds.
            ((100, 1_000), 100, (1, 1_000), 1, 6_000),
            ((4, 1_000), 2, (2, 5_000), 2, 7_500),
            ((1_048_576, HOUR), 9, (1, u64::MAX), 1, u64::MAX),
        ] {
            let [before, after] = [before, after].map(|(calls, per)| Limit { calls, per });
            let mut gcra = Gcra::new();
            for _ in 0..calls {
                gcra.enter(5_000, before);
            }
            assert_eq!(gcra.load(5_000, after), left, "{before:?}, {after:?}");
            assert_eq!(gcra.earliest(5_000, after, 0), at, "{before:?}, {after:?}");
        }
    }
}
