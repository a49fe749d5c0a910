use super::Limit;

/// The generic cell rate algorithm: one moment, at which a bucket that leaks evenly would be empty (ITU-T I.371).
#[derive(Debug)]
pub(super) struct Bucket {
    /// In parts of a microsecond.
    empty_at: u128,
    /// How many parts a microsecond has: as many as the limit has calls. So a call leaks out in a whole number of them, `per`.
    parts: u32,
}

impl Bucket {
    pub(super) const fn new() -> Self {
        Self { empty_at: 0, parts: 1 }
    }

    /// When there is room for a call: `now`, or later.
    pub(super) fn next(&mut self, now: u64, limit: Limit) -> u64 {
        self.keep_to(limit);
        let room = u128::from(limit.per) * u128::from(limit.calls.saturating_sub(1));
        let at = self.empty_at.saturating_sub(room);
        if at <= self.parts_of(now) {
            return now;
        }
        // Rounded up to whole microseconds.
        u64::try_from(at.div_ceil(self.parts.into())).unwrap_or(u64::MAX)
    }

    /// Enters a call.
    pub(super) fn enter(&mut self, at: u64, limit: Limit) {
        self.keep_to(limit);
        self.empty_at = self.empty_at.max(self.parts_of(at)) + u128::from(limit.per);
    }

    /// Takes a call out that was not made.
    pub(super) fn take_back(&mut self, limit: Limit) {
        self.keep_to(limit);
        self.empty_at = self.empty_at.saturating_sub(limit.per.into());
    }

    /// Calls that have not leaked away yet, and those among them that are to come.
    pub(super) fn load(&self, now: u64, limit: Limit) -> (usize, usize) {
        let Self { empty_at, parts } = self.kept_to(limit);
        let left = empty_at.saturating_sub(u128::from(now) * u128::from(parts)).div_ceil(limit.per.into());
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let come = left.min(limit.calls as usize);
        (come, left - come)
    }

    /// Other limits have other parts.
    fn keep_to(&mut self, limit: Limit) {
        if self.parts != limit.calls {
            *self = self.kept_to(limit);
        }
    }

    fn kept_to(&self, limit: Limit) -> Self {
        let Self { empty_at, parts } = *self;
        let (parts, calls) = (u128::from(parts), u128::from(limit.calls));
        // Of the whole microseconds and of the rest, so that nothing overflows; rounded up.
        let empty_at = empty_at / parts * calls + (empty_at % parts * calls).div_ceil(parts);
        Self { empty_at, parts: limit.calls }
    }

    fn parts_of(&self, moment: u64) -> u128 {
        u128::from(moment) * u128::from(self.parts)
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
            let (mut bucket, mut now, mut made) = (Bucket::new(), 1_000_000, Vec::new());
            for time in times {
                now += time;
                if bucket.next(now, limit) == now {
                    bucket.enter(now, limit);
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
            let mut bucket = Bucket::new();
            for now in [5_000, 1_005_000] {
                for _ in 0..calls {
                    assert_eq!(bucket.next(now, limit), now, "of {calls}");
                    bucket.enter(now, limit);
                }
                assert!(bucket.next(now, limit) > now, "{calls} and one more");
            }
        }
    }

    #[test]
    fn it_takes_all_at_once_and_then_one_by_one() {
        let limit = Limit { calls: 4, per: 1_000 };
        let mut bucket = Bucket::new();
        for (now, at) in
            [(5_000, 5_000), (5_000, 5_000), (5_000, 5_000), (5_000, 5_000), (5_100, 5_250), (5_500, 5_500)]
        {
            assert_eq!(bucket.next(now, limit), at, "at {now}");
            bucket.enter(at, limit);
        }
        assert_eq!(bucket.load(5_500, limit), (4, 0));
        bucket.take_back(limit);
        assert_eq!(bucket.next(5_500, limit), 5_500);
    }

    #[test]
    fn another_limit_lets_what_is_there_leak_as_evenly() {
        let mut bucket = Bucket::new();
        for _ in 0..3 {
            bucket.enter(5_000, Limit { calls: 3, per: 1_000 });
        }
        // It would be empty at 6,000.
        for (calls, at) in [(1, 6_000), (2, 5_500), (5, 5_200), (3, 5_334)] {
            assert_eq!(bucket.next(5_000, Limit { calls, per: 1_000 }), at, "{calls}");
        }
        assert_eq!(bucket.load(5_000, Limit { calls: 4, per: 1_000 }), (4, 0));
    }
}
