//! What a rate limit remembers: values, with no clock. Times are microseconds of any origin.

use std::collections::VecDeque;

/// The limit as a meter sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) calls: u32,
    per: u64,
    /// How long a call takes to leak out of a bucket, in parts of a microsecond.
    interval: u128,
}

impl Limit {
    /// At most so many calls in so many microseconds; both are above 0.
    pub(super) const fn new(calls: u32, per: u64) -> Self {
        // Rounded up, so that no more than the limit comes of it; and above 0, so that it can be divided by.
        let interval = ((per as u128) << PARTS).div_ceil(calls as u128);
        Self { calls, per, interval: if interval == 0 { 1 } else { interval } }
    }
}

/// The calls of the last window, each with its moment; and those that are to come, which wait for theirs.
///
/// **Invariant:** in any window, however it lies, there are at most `calls` of these moments. A call is entered at the moment at
/// which all but `calls - 1` of the others have left its window, so there is room whatever comes before or after it.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// In order.
    moments: VecDeque<u64>,
    /// No moment before this one is looked at any more.
    latest: u64,
}

impl Log {
    /// The moment that it is.
    pub(super) fn latest(&self, now: u64) -> u64 {
        self.latest.max(now)
    }

    /// When there is room for a call: `now`, or later.
    pub(super) fn next(&mut self, now: u64, limit: Limit) -> u64 {
        let now = self.forget(now, limit);
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
    pub(super) fn load(&mut self, now: u64, limit: Limit) -> (usize, usize) {
        let now = self.forget(now, limit);
        let come = self.moments.partition_point(|moment| *moment <= now);
        (come, self.moments.len() - come)
    }

    /// Forgets what has left the window. A clock that another thread has read later, and been here before, holds for all.
    fn forget(&mut self, now: u64, limit: Limit) -> u64 {
        self.latest = self.latest(now);
        while self.moments.front().is_some_and(|moment| moment.saturating_add(limit.per) <= self.latest) {
            self.moments.pop_front();
        }
        self.latest
    }
}

/// The generic cell rate algorithm: one moment, at which a bucket that leaks evenly would be empty (ITU-T I.371).
#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// In parts of a microsecond.
    empty_at: u128,
}

/// A microsecond has two to the power of this parts, so that a limit of a million calls in a second is kept to a thousandth.
const PARTS: u32 = 10;

impl Bucket {
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

    /// What a caller does next.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// Lets time pass, or, by a clock that was read early, asks from a little before.
        Pass(u64),
        /// Calls if that can be done within so long.
        Call { late: u64, wait: u64 },
        /// Gives back one of those to come.
        GiveBack(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            2 => (0_u64..15).prop_map(Step::Pass),
            5 => (0_u64..4, 0_u64..40).prop_map(|(late, wait)| Step::Call { late, wait }),
            5 => (0_u64..4).prop_map(|late| Step::Call { late, wait: 0 }),
            2 => (0_usize..10).prop_map(Step::GiveBack),
        ];
        prop::collection::vec(step, 0..150)
    }

    /// Most of the moments that any window of that length has, its end not included.
    fn most_in_a_window(moments: &[u64], per: u64) -> usize {
        let ends = |start: u64| moments.iter().filter(|moment| (start..start + per).contains(moment)).count();
        moments.iter().map(|start| ends(*start)).max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn no_window_has_more_calls_than_the_limit(calls in 1_u32..6, per in 1_u64..25, steps in steps()) {
            let limit = Limit::new(calls, per);
            let (mut log, mut now) = (Log::default(), 100_u64);
            let mut made: Vec<u64> = Vec::new();
            for step in steps {
                match step {
                    Step::Pass(time) => now += time,
                    Step::Call { late, wait } => {
                        let at = log.next(now - late, limit);
                        let is_free = most_in_a_window(&[made.as_slice(), &[now]].concat(), per) <= calls as usize;
                        if at <= now + wait {
                            log.enter(at);
                            made.push(at);
                        } else {
                            prop_assert!(!is_free || made.iter().any(|moment| *moment > now), "it was free at {now}");
                        }
                    }
                    Step::GiveBack(index) => {
                        let mut to_come: Vec<_> = made.iter().copied().filter(|moment| *moment > now).collect();
                        to_come.sort_unstable();
                        if let Some(at) = to_come.get(index) {
                            log.take_back(*at);
                            let index = made.iter().position(|moment| moment == at).unwrap();
                            made.remove(index);
                        }
                    }
                }
                prop_assert!(most_in_a_window(&made, per) <= calls as usize, "{made:?}");
            }
        }

        #[test]
        fn a_log_forgets_what_has_left(calls in 1_u32..6, per in 1_u64..25, times in prop::collection::vec(0_u64..9, 0..100)) {
            let limit = Limit::new(calls, per);
            let (mut log, mut now) = (Log::default(), 0);
            for time in times {
                now += time;
                if log.next(now, limit) == now {
                    log.enter(now);
                }
                prop_assert!(log.moments.len() <= calls as usize);
            }
            prop_assert_eq!(log.load(now + per, limit), (0, 0));
        }

        /// Over any time `t` it lets through at most `calls` and what leaks away in `t`.
        #[test]
        fn a_bucket_holds_its_rate(calls in 1_u32..50, per in 1_u64..10_000, times in prop::collection::vec(0_u64..300, 1..300)) {
            let limit = Limit::new(calls, per);
            let (mut bucket, mut now, mut made) = (Bucket::default(), 1_000_000, Vec::new());
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
    fn places_come_free_one_by_one() {
        let limit = Limit::new(2, 10);
        let mut log = Log::default();
        for (now, at) in [(0, 0), (4, 4), (5, 10), (5, 14), (9, 20), (24, 24), (29, 30)] {
            assert_eq!(log.next(now, limit), at, "at {now}");
            log.enter(at);
        }
        assert_eq!(log.load(29, limit), (2, 1));
    }

    #[test]
    fn a_bucket_takes_all_at_once_and_then_one_by_one() {
        let limit = Limit::new(4, 1_000);
        let mut bucket = Bucket::default();
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
    fn the_ends_of_the_range_saturate() {
        for limit in [Limit::new(1, u64::MAX), Limit::new(u32::MAX, 1)] {
            for now in [0, u64::MAX - 1, u64::MAX] {
                let (mut log, mut bucket) = (Log::default(), Bucket::default());
                for _ in 0..3 {
                    let at = log.next(now, limit);
                    assert!(at >= now);
                    log.enter(at);
                    let at = bucket.next(now, limit);
                    assert!(at >= now);
                    bucket.enter(at, limit);
                }
            }
        }
    }
}
