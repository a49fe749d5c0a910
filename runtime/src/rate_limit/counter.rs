//! What a rate limit counts: values, with no clock. Times are microseconds of any origin.
//!
//! **Invariant:** only calls that start are counted, each at the moment at which it starts.

mod gcra;
mod sliding_log;
#[cfg(test)]
mod tests;

use self::{gcra::Gcra, sliding_log::SlidingLog};
use super::Algorithm;
use crate::clock;

/// The limit as a meter sees it: at most so many calls in so many microseconds; both are above 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) calls: u32,
    pub(super) per: u64,
}

/// What a limit has counted, by one clock.
#[derive(Clone, Debug)]
pub(super) struct Counter {
    counts: Counts,
    /// The latest that the clock has said, to whoever has called.
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

    /// Counts by that algorithm from now on. What another has counted is of no use to it.
    pub(super) fn count_by(&mut self, algorithm: Algorithm) {
        match (algorithm, &self.counts) {
            (Algorithm::SlidingWindow, Counts::SlidingLog(_)) | (Algorithm::Gcra, Counts::Gcra(_)) => {}
            (Algorithm::SlidingWindow, Counts::Gcra(_)) => self.begin(Counts::SlidingLog(SlidingLog::new())),
            (Algorithm::Gcra, Counts::SlidingLog(_)) => self.begin(Counts::Gcra(Gcra::new())),
        }
    }

    /// Forgets everything.
    pub(super) fn reset(&mut self) {
        self.begin(match self.counts {
            Counts::SlidingLog(_) => Counts::SlidingLog(SlidingLog::new()),
            Counts::Gcra(_) => Counts::Gcra(Gcra::new()),
        });
    }

    /// Takes in a reading of the clock. By another clock the counts begin anew; true if they do.
    ///
    /// The clock is read under the lock that guards the meter, so that no reading is late.
    pub(super) fn clock(&mut self, now: u64) -> bool {
        let begins = clock::is_different_clock(now, self.latest, || now);
        if begins {
            self.reset();
        }
        self.latest = self.latest.max(now);
        begins
    }

    /// The latest reading of the clock, by whatever core.
    pub(super) const fn now(&self) -> u64 {
        self.latest
    }

    /// Counts a call that starts now, if there is room for it and for so many others that come before it.
    ///
    /// # Errors
    ///
    /// There is no room; the error is the first moment at which there is, if each of the others starts as early as it can.
    pub(super) fn try_take(&mut self, now: u64, limit: Limit, ahead: usize) -> Result<(), u64> {
        match self.earliest(now, limit, ahead) {
            at if at > now => Err(at),
            _ => {
                match &mut self.counts {
                    Counts::SlidingLog(sliding_log) => sliding_log.enter(now, limit),
                    Counts::Gcra(gcra) => gcra.enter(now, limit),
                }
                Ok(())
            }
        }
    }

    /// The first moment at which there is room for a call behind so many others, each of which starts as early as it can: `now`, or later.
    pub(super) fn earliest(&mut self, now: u64, limit: Limit, ahead: usize) -> u64 {
        match &mut self.counts {
            Counts::SlidingLog(sliding_log) => sliding_log.earliest(now, limit, ahead),
            Counts::Gcra(gcra) => gcra.earliest(now, limit, ahead),
        }
    }

    /// Calls that count. Looking changes nothing, by whatever clock.
    pub(super) fn load(&self, now: u64, limit: Limit) -> usize {
        if clock::is_different_clock(now, self.latest, || now) {
            return 0;
        }
        let now = self.latest.max(now);
        match &self.counts {
            Counts::SlidingLog(sliding_log) => sliding_log.load(now, limit),
            Counts::Gcra(gcra) => gcra.load(now, limit),
        }
    }

    fn begin(&mut self, counts: Counts) {
        *self = Self { counts, latest: 0 };
    }
}
