//! The counts of a rate limit: plain values without a clock. Times are microseconds since any fixed origin.
//!
//! **Invariant:** only calls that start are counted, each at the moment at which it starts, or at the latest possible one if the clock is
//! coarse.

mod gcra;
mod sliding_log;
#[cfg(test)]
mod tests;

use self::{gcra::Gcra, sliding_log::SlidingLog};
use super::Algorithm;
use crate::clock;

/// The limit: at most `calls` permits in `per` microseconds; all numbers are above 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) calls: u32,
    pub(super) per: u64,
    /// The number of permits that GCRA admits at once. For a sliding window, the same as `calls`.
    pub(super) burst: u32,
}

#[cfg(test)]
impl Limit {
    /// Creates the limit of a sliding window, or of GCRA with the default burst.
    pub(super) const fn new(calls: u32, per: u64) -> Self {
        Self { calls, per, burst: calls }
    }
}

/// The calls that start before another one: the waiting calls before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ahead {
    /// The number of permits that these calls take together.
    pub(super) permits: u64,
    /// The permits of each call in order; empty if each takes one.
    pub(super) each: Vec<u32>,
}

impl Ahead {
    pub(super) const NONE: Self = Self { permits: 0, each: Vec::new() };
}

/// The start of a call, known up to the resolution of a clock.
///
/// A call is admitted at the earliest and counted at the latest moment. So it never leaves a window before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) earliest: u64,
    pub(super) latest: u64,
}

impl Start {
    pub(super) const fn exact(now: u64) -> Self {
        Self { earliest: now, latest: now }
    }
}

/// The calls counted by one algorithm and one clock.
#[derive(Clone, Debug)]
pub(super) struct Counter {
    counts: Counts,
    /// The latest reading of the clock by any caller.
    latest: u64,
}

#[derive(Clone, Debug)]
enum Counts {
    SlidingLog(SlidingLog),
    Gcra(Gcra),
}

impl Counter {
    pub(super) const fn new() -> Self {
        Self { counts: Counts::SlidingLog(SlidingLog::new()), latest: 0 }
    }

    /// Selects the algorithm. A change of the algorithm discards the counts, since one cannot use those of the other.
    pub(super) fn set_algorithm(&mut self, algorithm: Algorithm) {
        match (algorithm, &self.counts) {
            (Algorithm::SlidingWindow, Counts::SlidingLog(_)) | (Algorithm::Gcra, Counts::Gcra(_)) => {}
            (Algorithm::SlidingWindow, Counts::Gcra(_)) => self.restart(Counts::SlidingLog(SlidingLog::new())),
            (Algorithm::Gcra, Counts::SlidingLog(_)) => self.restart(Counts::Gcra(Gcra::new())),
        }
    }

    /// Discards all counts.
    pub(super) fn reset(&mut self) {
        self.restart(match self.counts {
            Counts::SlidingLog(_) => Counts::SlidingLog(SlidingLog::new()),
            Counts::Gcra(_) => Counts::Gcra(Gcra::new()),
        });
    }

    /// Records a reading of the clock. A different clock discards the counts; returns true in that case.
    ///
    /// The clock is read under the lock that guards the counter, so that readings arrive in order.
    pub(super) fn sync_clock(&mut self, now: u64) -> bool {
        let is_different = clock::is_different_clock(now, self.latest, || now);
        if is_different {
            self.reset();
        }
        self.latest = self.latest.max(now);
        // All calls have started by now, so that coarse starts are known better: a batch of calls does not wait for the resolution.
        match &mut self.counts {
            Counts::SlidingLog(sliding_log) => sliding_log.bound(self.latest),
            Counts::Gcra(gcra) => gcra.bound(self.latest),
        }
        is_different
    }

    /// Returns the latest reading of the clock by any thread.
    pub(super) const fn now(&self) -> u64 {
        self.latest
    }

    /// Counts a call for one permit that starts at a coarse `reading`, which is at most `resolution` late, unless more than half of the limit is in use
    /// then. Returns true if the call is counted. Calls beyond are timed exactly, so that a limit in full use has its full rate.
    #[inline]
    pub(super) fn try_acquire_coarse(&mut self, reading: u64, resolution: u64, limit: Limit) -> bool {
        let start = Start { earliest: reading, latest: reading.saturating_add(resolution) };
        if clock::is_different_clock(start.latest, self.latest, || start.latest) {
            return false;
        }
        match &mut self.counts {
            Counts::SlidingLog(sliding_log) => sliding_log.try_record_coarse(start, limit),
            Counts::Gcra(gcra) => gcra.try_record_coarse(start, limit),
        }
    }

    /// Counts a call of `permits` that starts now, if there is capacity for it and for the calls before it. `permits` is not above
    /// [`burst`](Limit::burst).
    ///
    /// # Errors
    ///
    /// The first moment at which there is capacity, if each of the calls before it starts as early as it can.
    pub(super) fn try_acquire(&mut self, now: u64, limit: Limit, permits: u32, ahead: &Ahead) -> Result<(), u64> {
        match self.earliest_start(now, limit, permits, ahead) {
            at if at > now => Err(at),
            _ => {
                match &mut self.counts {
                    Counts::SlidingLog(sliding_log) => sliding_log.record(Start::exact(now), limit, permits),
                    Counts::Gcra(gcra) => gcra.record(Start::exact(now), limit, permits),
                }
                Ok(())
            }
        }
    }

    /// Returns the first moment, `now` or later, at which there is capacity for a call of `permits` behind others, if each of these
    /// starts as early as it can.
    pub(super) fn earliest_start(&mut self, now: u64, limit: Limit, permits: u32, ahead: &Ahead) -> u64 {
        match &mut self.counts {
            Counts::SlidingLog(sliding_log) => sliding_log.earliest_start(now, limit, permits, ahead),
            Counts::Gcra(gcra) => gcra.earliest_start(now, limit, permits, ahead.permits),
        }
    }

    /// Returns the number of permits that count against the limit at `now`. Does not change the counter, even if the clock is a different
    /// one.
    pub(super) fn in_window(&self, now: u64, limit: Limit) -> usize {
        if clock::is_different_clock(now, self.latest, || now) {
            return 0;
        }
        let now = self.latest.max(now);
        match &self.counts {
            Counts::SlidingLog(sliding_log) => sliding_log.in_window(now, limit),
            Counts::Gcra(gcra) => gcra.in_window(now, limit),
        }
    }

    fn restart(&mut self, counts: Counts) {
        *self = Self { counts, latest: 0 };
    }
}
