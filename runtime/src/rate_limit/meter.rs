//! What a rate limit remembers: values, with no clock. Times are microseconds of any origin.

mod bucket;
mod log;

use self::{bucket::Bucket, log::Log};
use super::Algorithm;
use crate::clock;

/// The limit as a meter sees it: at most so many calls in so many microseconds; both are above 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) calls: u32,
    pub(super) per: u64,
}

/// What a limit has counted, by one clock.
#[derive(Debug)]
pub(super) struct Meter {
    counts: Counts,
    /// The latest that the clock has said, to whoever has called.
    latest: u64,
    /// How often the counts have begun anew: a place of those before is none of these.
    era: u32,
}

#[derive(Debug)]
enum Counts {
    Log(Log),
    Bucket(Bucket),
}

impl Meter {
    pub(super) const fn new() -> Self {
        Self { counts: Counts::Log(Log::new()), latest: 0, era: 0 }
    }

    /// Counts by that algorithm from now on. What another has counted is of no use to it.
    pub(super) fn count_by(&mut self, algorithm: Algorithm) {
        match (algorithm, &self.counts) {
            (Algorithm::SlidingWindow, Counts::Log(_)) | (Algorithm::Gcra, Counts::Bucket(_)) => {}
            (Algorithm::SlidingWindow, Counts::Bucket(_)) => self.begin(Counts::Log(Log::new())),
            (Algorithm::Gcra, Counts::Log(_)) => self.begin(Counts::Bucket(Bucket::new())),
        }
    }

    /// Forgets everything.
    pub(super) fn reset(&mut self) {
        self.begin(match self.counts {
            Counts::Log(_) => Counts::Log(Log::new()),
            Counts::Bucket(_) => Counts::Bucket(Bucket::new()),
        });
    }

    /// The moment that it is: now, or by the clock of a thread that has read it later and been here before; that one is no reason to
    /// wait. With another clock everything begins anew.
    pub(super) fn moment(&mut self, now: u64, again: impl FnOnce() -> u64) -> u64 {
        if clock::is_another(now, self.latest, again) {
            self.reset();
        }
        self.latest = self.latest.max(now);
        self.latest
    }

    /// When there is room for a call: `now`, or later.
    pub(super) fn next(&mut self, now: u64, limit: Limit) -> u64 {
        match &mut self.counts {
            Counts::Log(log) => log.next(now, limit),
            Counts::Bucket(bucket) => bucket.next(now, limit),
        }
    }

    /// Enters a call.
    pub(super) fn enter(&mut self, at: u64, limit: Limit) {
        match &mut self.counts {
            Counts::Log(log) => log.enter(at),
            Counts::Bucket(bucket) => bucket.enter(at, limit),
        }
    }

    /// What a place belongs to that is entered now.
    pub(super) const fn era(&self) -> u32 {
        self.era
    }

    /// Takes a call out that was not made.
    pub(super) fn take_back(&mut self, at: u64, era: u32, limit: Limit) {
        if era != self.era {
            return;
        }
        match &mut self.counts {
            Counts::Log(log) => log.take_back(at),
            Counts::Bucket(bucket) => bucket.take_back(limit),
        }
    }

    /// Calls that count, and those that are to come. Looking changes nothing, by whatever clock.
    pub(super) fn load(&self, now: u64, again: impl FnOnce() -> u64, limit: Limit) -> (usize, usize) {
        if clock::is_another(now, self.latest, again) {
            return (0, 0);
        }
        let now = self.latest.max(now);
        match &self.counts {
            Counts::Log(log) => log.load(now, limit),
            Counts::Bucket(bucket) => bucket.load(now, limit),
        }
    }

    fn begin(&mut self, counts: Counts) {
        *self = Self { counts, latest: 0, era: self.era.wrapping_add(1) };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALGORITHMS: [Algorithm; 2] = [Algorithm::SlidingWindow, Algorithm::Gcra];

    fn meter(algorithm: Algorithm) -> Meter {
        let mut meter = Meter::new();
        meter.count_by(algorithm);
        meter
    }

    /// By a clock that says `now` however often it is read.
    fn next(meter: &mut Meter, now: u64, limit: Limit) -> u64 {
        let now = meter.moment(now, || now);
        meter.next(now, limit)
    }

    /// What a caller does next.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// Lets time pass.
        Pass(u64),
        /// Calls if that can be done within so long; by a clock that was read so long ago.
        Call { late: u64, wait: u64 },
        /// Gives back one of those to come.
        GiveBack(usize),
    }

    /// Threads that were stopped for a moment, and some for long.
    fn late() -> impl Strategy<Value = u64> {
        prop_oneof![9 => 0_u64..4, 1 => 0_u64..900_000]
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            2 => (0_u64..15).prop_map(Step::Pass),
            5 => (late(), 0_u64..40).prop_map(|(late, wait)| Step::Call { late, wait }),
            5 => late().prop_map(|late| Step::Call { late, wait: 0 }),
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
            let limit = Limit { calls, per };
            let (mut meter, mut now) = (Meter::new(), 1_000_000_u64);
            let mut made: Vec<u64> = Vec::new();
            for step in steps {
                match step {
                    Step::Pass(time) => now += time,
                    Step::Call { late, wait } => {
                        let then = meter.moment(now - late, || now);
                        let at = meter.next(then, limit);
                        let is_free = most_in_a_window(&[made.as_slice(), &[now]].concat(), per) <= calls as usize;
                        if at <= now + wait {
                            meter.enter(at, limit);
                            made.push(at);
                        } else {
                            prop_assert!(!is_free || made.iter().any(|moment| *moment > now), "it was free at {now}");
                        }
                    }
                    Step::GiveBack(index) => {
                        let mut to_come: Vec<_> = made.iter().copied().filter(|moment| *moment > now).collect();
                        to_come.sort_unstable();
                        if let Some(at) = to_come.get(index) {
                            meter.take_back(*at, meter.era(), limit);
                            let index = made.iter().position(|moment| moment == at).unwrap();
                            made.remove(index);
                        }
                    }
                }
                prop_assert!(most_in_a_window(&made, per) <= calls as usize, "{made:?}");
            }
        }
    }

    #[test]
    fn the_ends_of_the_range_saturate() {
        for algorithm in ALGORITHMS {
            for limit in [Limit { calls: 1, per: u64::MAX }, Limit { calls: u32::MAX, per: 1 }] {
                for now in [0, u64::MAX - 1, u64::MAX] {
                    let mut meter = meter(algorithm);
                    for _ in 0..3 {
                        let at = next(&mut meter, now, limit);
                        assert!(at >= now);
                        meter.enter(at, limit);
                    }
                    _ = meter.load(0, || 0, limit);
                }
            }
        }
    }

    #[test]
    fn by_another_clock_everything_begins_anew() {
        let (limit, early, late) = (Limit { calls: 2, per: 1_000 }, 5_000_000, 9_000_000);
        for algorithm in ALGORITHMS {
            let mut meter = meter(algorithm);
            for _ in 0..2 {
                let at = next(&mut meter, late, limit);
                meter.enter(at, limit);
            }
            let (to_come, era) = (next(&mut meter, late, limit), meter.era());
            assert!(to_come > late, "it is full");
            meter.enter(to_come, limit);
            // Looking, and a thread that is late, change nothing.
            assert_eq!(meter.load(early, || early, limit), (0, 0), "what a call would find");
            assert_eq!(meter.load(2 * late, || 2 * late, limit), (0, 0));
            assert_eq!(meter.load(early, || late, limit), (2, 1));
            assert_eq!(meter.moment(early, || late), late);
            for at in [early, early] {
                assert_eq!(next(&mut meter, early, limit), at);
                meter.enter(at, limit);
            }
            let then = next(&mut meter, early, limit);
            assert!(then > early && then <= early + 1_000, "{algorithm:?}: full by its own counts at {then}");
            // A place that was taken by the other clock is none of these.
            meter.take_back(early, era, limit);
            assert_eq!(meter.load(early, || early, limit), (2, 0));
        }
    }

    #[test]
    fn what_was_reset_is_as_new() {
        let limit = Limit { calls: 1, per: 1_000 };
        for algorithm in ALGORITHMS {
            let mut meter = meter(algorithm);
            meter.enter(5_000, limit);
            let era = meter.era();
            meter.reset();
            assert_eq!(next(&mut meter, 5_000, limit), 5_000);
            meter.enter(5_000, limit);
            meter.take_back(5_000, era, limit);
            assert_eq!(next(&mut meter, 5_000, limit), 6_000, "{algorithm:?}");
        }
    }
}
