use std::{fmt, time::Duration};

use super::word::{MAX_RECOVERY, Rules};
use crate::clock;

/// When a breaker opens, for how long, and how it closes again.
///
/// Built in a `const` or `static`, where a value that makes no sense does not compile:
///
/// ```
/// use std::time::Duration;
/// use steadfast::BreakerConfig;
///
/// const PAYMENTS: BreakerConfig = BreakerConfig::new()
///     .failure_threshold(3)
///     .recovery_timeout(Duration::from_secs(60))
///     .half_open_max_calls(1);
/// ```
///
/// ```compile_fail
/// # use steadfast::BreakerConfig;
/// const NEVER: BreakerConfig = BreakerConfig::new().failure_threshold(0); // does not compile
/// ```
///
/// **Invariant:** a `BreakerConfig` that exists is valid.
///
/// # Panics
///
/// At run time, outside of a `const`, the same mistakes panic. Check a value that comes from outside before it gets
/// here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    failure_threshold: u32,
    recovery_timeout: Duration,
    half_open_max_calls: u8,
}

impl BreakerConfig {
    /// The defaults: opens after 5 failures in a row, for 30 s; 3 trial calls decide whether it closes.
    ///
    /// Five in a row is what gobreaker trips at and rarely a coincidence; 30 s is long enough for a process to restart
    /// and short enough that nobody pages anyone; more than one trial call, because the first answer of a service that
    /// comes up is often a lucky one.
    #[must_use]
    pub const fn new() -> Self {
        Self { failure_threshold: 5, recovery_timeout: Duration::from_secs(30), half_open_max_calls: 3 }
    }

    /// How many failures in a row open the circuit. A success in between starts the count again; a call that is
    /// neither (see [`Permit`](crate::Permit)) does not.
    ///
    /// # Panics
    ///
    /// If `failures` is 0. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn failure_threshold(mut self, failures: u32) -> Self {
        assert!(failures > 0, "`failure_threshold` must be at least 1: with 0 the circuit would open before any call");
        self.failure_threshold = failures;
        self
    }

    /// How long the circuit stays open before trial calls are let through.
    ///
    /// Kept in whole microseconds, rounded up. More than 101 days is held as 101 days. Trial calls that have not ended
    /// after a further `recovery_timeout` are given up, and their places given out again.
    ///
    /// # Panics
    ///
    /// If `timeout` is zero. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn recovery_timeout(mut self, timeout: Duration) -> Self {
        assert!(!timeout.is_zero(), "`recovery_timeout` must be longer than zero: an open circuit has to rest");
        self.recovery_timeout = timeout;
        self
    }

    /// How many trial calls a half-open circuit lets through, and how many of them must succeed to close it.
    ///
    /// A trial call that fails opens the circuit again at once; one that is dropped frees its place.
    ///
    /// # Panics
    ///
    /// If `calls` is 0, or more than 255. In a `const` or `static` that is a compile error.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "asserted")]
    pub const fn half_open_max_calls(mut self, calls: u32) -> Self {
        assert!(calls > 0, "`half_open_max_calls` must be at least 1: with 0 the circuit could never close again");
        assert!(calls <= u8::MAX as u32, "`half_open_max_calls` must be at most 255: more is load, not a trial");
        self.half_open_max_calls = calls as u8;
        self
    }

    pub(crate) const fn rules(&self) -> Rules {
        let recovery = clock::micros(self.recovery_timeout);
        Rules {
            failure_threshold: self.failure_threshold,
            recovery: if recovery > MAX_RECOVERY { MAX_RECOVERY } else { recovery },
            trials: self.half_open_max_calls,
        }
    }
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// The settings in the words of the attribute: `failure_threshold = 5, recovery_timeout = 30s, half_open_max_calls = 3`.
impl fmt::Display for BreakerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "failure_threshold = {}, recovery_timeout = {:?}, half_open_max_calls = {}",
            self.failure_threshold, self.recovery_timeout, self.half_open_max_calls
        )
    }
}
