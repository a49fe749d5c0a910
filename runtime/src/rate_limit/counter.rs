//! The counts of a rate limit: plain values without a clock. Times are microseconds since any fixed origin.
//!
//! **Invariant:** only calls that start are counted, each at the moment at which it starts.

mod gcra;
mod sliding_log;
#[cfg(test)]
mod tests;

use self::{gcra::Gcra, sliding_log::SlidingLog};
use super::Algorithm;
use crate::clock;

/// The limit: at most `calls` calls in `per` microseconds; both are above 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) calls: u32,
    pub(super) per: u64,
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
        is_different
    }

    /// Returns the latest reading of the clock by any thread.
    pub(super) const fn now(&self) -> u64 {
        self.latest
    }

    /// Counts a call that starts now, if there is capacity for it and for `ahead` calls before it.
    ///
    /// # Errors
    ///
    /// The first moment at which there is capacity, if each of the calls before it starts as early as it can.
    pub(super) fn try_acquire(&mut self, now: u64, limit: Limit, ahead: usize) -> Result<(), u64> {
        match self.earliest_start(now, limit, ahead) {
            at if at > now => Err(at),
            _ => {
                match &mut self.counts {
                    Counts::SlidingLog(sliding_log) => sliding_log.record(now, limit),
                    Counts::Gcra(gcra) => gcra.record(now, limit),
                }
                Ok(())
            }
        }
    }

    /// Returns the first moment, `now` or later, at which there is capacity for a call behind `ahead` others, if each of these starts as
    /// early as it can.
    pub(super) fn earliest_start(&mut self, now: u64, limit: Limit, ahead: usize) -> u64 {
        match &mut self.counts {
            Counts::SlidingLog(sliding_log) => sliding_log.earliest_start(now, limit, ahead),
            Counts::Gcra(gcra) => gcra.earliest_start(now, limit, ahead),
        }
    }

    /// Returns the number of calls that count against the limit at `now`. Does not change the counter, even if the clock is a different
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
