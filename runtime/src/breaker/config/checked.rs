//! The validation of the settings, shared by the setters and by the settings from files and the environment.

use std::time::Duration;

use super::{BreakerConfig, RecoveryTimeout, Size, Window};
use crate::{breaker::window::MAX_CALLS, checked::Checked};

impl Window {
    pub(crate) const fn try_calls(calls: u32) -> Checked<Self> {
        if calls == 0 {
            return Err("a window must hold at least 1 call");
        }
        if calls > MAX_CALLS {
            return Err("a window holds at most 1048576 calls: every failure scans all of them");
        }
        Ok(Self(Size::Calls(calls)))
    }

    pub(crate) const fn try_time(time: Duration) -> Checked<Self> {
        if time.as_micros() < 1_000 {
            return Err("a window must be at least a millisecond long");
        }
        Ok(Self(Size::Time(time)))
    }
}

impl BreakerConfig {
    pub(crate) const fn try_failure_threshold(mut self, failures: u32) -> Checked<Self> {
        if failures == 0 {
            return Err("`failure_threshold` must be at least 1: with 0 the circuit would open before any call");
        }
        self.failure_threshold = failures;
        Ok(self)
    }

    pub(crate) const fn try_failure_rate(mut self, rate: f64) -> Checked<Self> {
        if !(rate > 0.0 && rate <= 1.0) {
            return Err("`failure_rate` must be above 0.0 and at most 1.0; 0.5 is half of the calls");
        }
        self.failure_rate = rate;
        Ok(self)
    }

    pub(crate) const fn try_min_calls(mut self, calls: u32) -> Checked<Self> {
        if calls == 0 {
            return Err("`min_calls` must be at least 1: without calls there is no rate");
        }
        self.min_calls = calls;
        Ok(self)
    }

    pub(crate) const fn try_slow_call(mut self, duration: Duration) -> Checked<Self> {
        if duration.is_zero() {
            return Err("`slow_call` must be longer than zero: every call would be slow");
        }
        self.slow_call = Some(duration);
        Ok(self)
    }

    pub(crate) const fn try_hung_call(mut self, duration: Duration) -> Checked<Self> {
        if duration.is_zero() {
            return Err("`hung_call` must be longer than zero: every call would be hung");
        }
        self.hung_call = Some(duration);
        Ok(self)
    }

    pub(crate) const fn try_cancelled_call(mut self, duration: Duration) -> Checked<Self> {
        if duration.is_zero() {
            return Err("`cancelled_call` must be longer than zero: every cancelled call would be a failure");
        }
        self.cancelled_call = Some(duration);
        Ok(self)
    }

    pub(crate) const fn try_slow_call_rate(mut self, rate: f64) -> Checked<Self> {
        if !(rate > 0.0 && rate <= 1.0) {
            return Err("`slow_call_rate` must be above 0.0 and at most 1.0; 0.5 is half of the calls");
        }
        self.slow_call_rate = rate;
        Ok(self)
    }

    pub(crate) const fn try_recovery_timeout(mut self, timeout: Duration) -> Checked<Self> {
        if timeout.is_zero() {
            return Err("`recovery_timeout` must be longer than zero: the circuit would never stay open");
        }
        self.recovery_timeout = RecoveryTimeout::fixed(timeout);
        Ok(self)
    }

    pub(crate) const fn try_exponential_recovery(
        mut self,
        base: Duration,
        factor: f64,
        max: Duration,
    ) -> Checked<Self> {
        if base.is_zero() {
            return Err("`base` must be longer than zero: the circuit would never stay open");
        }
        if max.as_nanos() < base.as_nanos() {
            return Err("`max` must not be below `base`");
        }
        if !(factor >= 1.0 && factor.is_finite()) {
            return Err("`factor` must be finite and at least 1: with less the timeout would shrink");
        }
        self.recovery_timeout = RecoveryTimeout { base, factor, max };
        Ok(self)
    }

    pub(crate) const fn try_recovery_jitter(mut self, share: f64) -> Checked<Self> {
        if !(share >= 0.0 && share <= 1.0) {
            return Err("`recovery_jitter` must be in 0.0..=1.0; 0.1 adds up to 10 %");
        }
        self.recovery_jitter = share;
        Ok(self)
    }

    #[allow(clippy::cast_possible_truncation, reason = "checked")]
    pub(crate) const fn try_half_open_max_calls(mut self, calls: u32) -> Checked<Self> {
        if calls == 0 {
            return Err("`half_open_max_calls` must be at least 1: with 0 the circuit could never close again");
        }
        if calls > u8::MAX as u32 {
            return Err("`half_open_max_calls` must be at most 255: more calls would be load, not trial calls");
        }
        self.half_open_max_calls = calls as u8;
        Ok(self)
    }

    /// Removes the window, so that failures in a row open the circuit.
    #[cfg(feature = "config")]
    pub(crate) const fn without_window(mut self) -> Self {
        self.window = None;
        self
    }

    /// The number of calls in a count-based window; `None` without one.
    #[cfg(feature = "config")]
    pub(crate) const fn window_calls(&self) -> Option<u32> {
        match self.window {
            Some(Window(Size::Calls(calls))) => Some(calls),
            _ => None,
        }
    }

    /// Returns true if the breaker has a window.
    #[cfg(feature = "config")]
    pub(crate) const fn has_window(&self) -> bool {
        self.window.is_some()
    }

    /// Returns true if calls can be slow.
    #[cfg(feature = "config")]
    pub(crate) const fn has_slow_calls(&self) -> bool {
        self.slow_call.is_some()
    }
}
