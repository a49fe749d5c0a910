//! The getters of a configuration, each named after its setter.

use std::time::Duration;

use super::{BreakerConfig, Size, Window};

impl BreakerConfig {
    /// The number of failures in a row that open the circuit, unless there is a [`window`](Self::get_window).
    #[must_use]
    pub const fn get_failure_threshold(&self) -> u32 {
        self.failure_threshold
    }

    /// The sliding window; `None` if failures in a row are counted instead.
    #[must_use]
    pub const fn get_window(&self) -> Option<Window> {
        self.window
    }

    /// The share of failed calls in the window that opens the circuit, above 0 and at most 1.
    #[must_use]
    pub const fn get_failure_rate(&self) -> f64 {
        self.failure_rate
    }

    /// The number of calls in the window below which no rate is judged.
    #[must_use]
    pub const fn get_min_calls(&self) -> u32 {
        self.min_calls
    }

    /// The duration from which on a call is slow; `None` if no call is.
    #[must_use]
    pub const fn get_slow_call(&self) -> Option<Duration> {
        self.slow_call
    }

    /// The share of slow calls in the window that opens the circuit, above 0 and at most 1.
    #[must_use]
    pub const fn get_slow_call_rate(&self) -> f64 {
        self.slow_call_rate
    }

    /// The time for which the circuit stays open after it opens from closed.
    #[must_use]
    pub const fn get_recovery_timeout(&self) -> Duration {
        self.recovery_timeout.base
    }

    /// The factor by which each failed recovery multiplies the recovery timeout; 1 for a fixed one.
    #[must_use]
    pub const fn get_recovery_factor(&self) -> f64 {
        self.recovery_timeout.factor
    }

    /// The longest recovery timeout, without its jitter.
    #[must_use]
    pub const fn get_max_recovery_timeout(&self) -> Duration {
        self.recovery_timeout.max
    }

    /// The largest share of the recovery timeout that is added at random, from 0 to 1.
    #[must_use]
    pub const fn get_recovery_jitter(&self) -> f64 {
        self.recovery_jitter
    }

    /// The number of trial calls of a half-open circuit.
    #[must_use]
    pub const fn get_half_open_max_calls(&self) -> u32 {
        self.half_open_max_calls as u32
    }

    /// The time after a recovery until all calls are admitted; zero for all at once.
    #[must_use]
    pub const fn get_ramp_up(&self) -> Duration {
        self.ramp_up
    }

    /// Returns true if the breaker rejects no calls.
    #[must_use]
    pub const fn get_observe_only(&self) -> bool {
        self.observe_only
    }
}

impl Window {
    /// The number of calls in a window of calls; `None` for a window of time.
    #[must_use]
    pub const fn as_calls(&self) -> Option<u32> {
        match self.0 {
            Size::Calls(calls) => Some(calls),
            Size::Time(_) => None,
        }
    }

    /// The length of a window of time; `None` for a window of calls.
    #[must_use]
    pub const fn as_time(&self) -> Option<Duration> {
        match self.0 {
            Size::Calls(_) => None,
            Size::Time(time) => Some(time),
        }
    }
}
