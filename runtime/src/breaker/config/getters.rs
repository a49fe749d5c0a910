//! The getters of a configuration, each named after its setter.

use std::time::Duration;

use super::{BreakerConfig, Size, Window};

impl BreakerConfig {
    /// Returns the number of failures in a row that open the circuit; `None` if only the rates of a [`window`](Self::get_window) do.
    #[must_use]
    pub const fn get_failure_threshold(&self) -> Option<u32> {
        self.failure_threshold
    }

    /// Returns the sliding window; `None` if only failures in a row open the circuit.
    #[must_use]
    pub const fn get_window(&self) -> Option<Window> {
        self.window
    }

    /// Returns the failure rate at which the circuit opens, above 0 and at most 1.
    #[must_use]
    pub const fn get_failure_rate(&self) -> f64 {
        self.failure_rate
    }

    /// Returns the number of calls that the window must hold before its rates are evaluated.
    #[must_use]
    pub const fn get_min_calls(&self) -> u32 {
        self.min_calls
    }

    /// Returns the minimum duration of a slow call; `None` if no call is slow.
    #[must_use]
    pub const fn get_slow_call(&self) -> Option<Duration> {
        self.slow_call
    }

    /// Returns the slow-call rate at which the circuit opens, above 0 and at most 1.
    #[must_use]
    pub const fn get_slow_call_rate(&self) -> f64 {
        self.slow_call_rate
    }

    /// Returns the recovery timeout of a circuit that opens from closed, without its jitter.
    #[must_use]
    pub const fn get_recovery_timeout(&self) -> Duration {
        self.recovery_timeout.base
    }

    /// Returns the factor by which each failed recovery multiplies the recovery timeout; 1 for a fixed one.
    #[must_use]
    pub const fn get_recovery_factor(&self) -> f64 {
        self.recovery_timeout.factor
    }

    /// Returns the longest recovery timeout, without its jitter.
    #[must_use]
    pub const fn get_max_recovery_timeout(&self) -> Duration {
        self.recovery_timeout.max
    }

    /// Returns the largest share of the recovery timeout that is added at random, from 0 to 1.
    #[must_use]
    pub const fn get_recovery_jitter(&self) -> f64 {
        self.recovery_jitter
    }

    /// Returns the number of trial calls of a half-open circuit.
    #[must_use]
    pub const fn get_half_open_max_calls(&self) -> u32 {
        self.half_open_max_calls as u32
    }

    /// Returns the number of trial calls that have to succeed to close a half-open circuit: at most all of them.
    #[must_use]
    pub const fn get_half_open_successes(&self) -> u32 {
        match self.half_open_successes {
            Some(successes) if successes < self.half_open_max_calls => successes as u32,
            _ => self.get_half_open_max_calls(),
        }
    }

    /// Returns the duration of the ramp-up after a recovery; zero if all calls are admitted at once.
    #[must_use]
    pub const fn get_ramp_up(&self) -> Duration {
        self.ramp_up
    }

    /// Returns the age at which a call in flight counts as a failure; `None` if only calls that end are counted.
    #[must_use]
    pub const fn get_hung_call(&self) -> Option<Duration> {
        self.hung_call
    }

    /// Returns the age at which a cancelled call counts as a failure; `None` if the default rule decides.
    #[must_use]
    pub const fn get_cancelled_call(&self) -> Option<Duration> {
        self.cancelled_call
    }

    /// Returns true if the durations of calls are recorded: by this option, or because of `slow_call` or `hung_call`.
    #[must_use]
    pub const fn get_durations(&self) -> bool {
        self.durations || self.slow_call.is_some() || self.hung_call.is_some()
    }

    /// Returns true if the breaker only observes, and rejects no calls.
    #[must_use]
    pub const fn get_observe_only(&self) -> bool {
        self.observe_only
    }
}

impl Window {
    /// Returns the number of calls of a count-based window; `None` for a time-based one.
    #[must_use]
    pub const fn as_calls(&self) -> Option<u32> {
        match self.0 {
            Size::Calls(calls) => Some(calls),
            Size::Time(_) => None,
        }
    }

    /// Returns the length of a time-based window; `None` for a count-based one.
    #[must_use]
    pub const fn as_time(&self) -> Option<Duration> {
        match self.0 {
            Size::Calls(_) => None,
            Size::Time(time) => Some(time),
        }
    }
}
