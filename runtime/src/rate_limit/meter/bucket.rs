use super::{Limit, PARTS};

/// The generic cell rate algorithm: one moment, at which a bucket that leaks evenly would be empty (ITU-T I.371).
#[derive(Debug)]
pub(super) struct Bucket {
    /// In parts of a microsecond.
    empty_at: u128,
}

impl Bucket {
    pub(super) const fn new() -> Self {
        Self { empty_at: 0 }
    }

    /// When there is room for a call: `now`, or later.
    pub(super) fn next(&self, now: u64, limit: Limit) -> u64 {
        let room = (u128::from(limit.per) << PARTS).saturating_sub(limit.interval);
        // Rounded up to whole microseconds.
        let at = (self.empty_at.saturating_sub(room) + (1 << PARTS) - 1) >> PARTS;
        u64::try_from(at).unwrap_or(u64::MAX).max(now)
    }

    /// Enters a call.
    pub(super) fn enter(&mut self, at: u64, limit: Limit) {
        self.empty_at = self.empty_at.max(u128::from(at) << PARTS) + limit.interval;
    }

    /// Takes a call out that was not made.
    pub(super) const fn take_back(&mut self, limit: Limit) {
        self.empty_at = self.empty_at.saturating_sub(limit.interval);
    }

    /// Calls that have not leaked away yet, and those among them that are to come.
    pub(super) fn load(&self, now: u64, limit: Limit) -> (usize, usize) {
        let left = self.empty_at.saturating_sub(u128::from(now) << PARTS).div_ceil(limit.interval);
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let come = left.min(limit.calls as usize);
        (come, left - come)
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
            let limit = Limit::new(calls, per);
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
    fn it_takes_all_at_once_and_then_one_by_one() {
        let limit = Limit::new(4, 1_000);
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
}
