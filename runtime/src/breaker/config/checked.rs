//! The validation of the settings, shared by the setters and by the settings from files and the environment.

use std::time::Duration;

use super::{BreakerConfig, RecoveryTimeout, Size, Window};
use crate::{breaker::window::MAX_CALLS, checked::InvalidSetting};

impl Window {
    /// Creates a window as [`calls`](Self::calls) does, with an error instead of a panic.
    ///
    /// # Errors
    ///
    /// If `calls` is 0, or more than 1,048,576.
    pub const fn try_calls(calls: u32) -> Result<Self, InvalidSetting> {
        if calls == 0 {
            return Err(InvalidSetting::new("a window must hold at least 1 call"));
        }
        if calls > MAX_CALLS {
            return Err(InvalidSetting::new("a window holds at most 1048576 calls: every failure scans all of them"));
        }
        Ok(Self(Size::Calls(calls)))
    }

    /// Creates a window as [`time`](Self::time) does, with an error instead of a panic.
    ///
    /// # Errors
    ///
    /// If `time` is shorter than a millisecond.
    pub const fn try_time(time: Duration) -> Result<Self, InvalidSetting> {
        if time.as_micros() < 1_000 {
            return Err(InvalidSetting::new("a window must be at least a millisecond long"));
        }
        Ok(Self(Size::Time(time)))
    }
}

impl BreakerConfig {
    /// Sets the value as [`failure_threshold`](Self::failure_threshold) does, with an error instead of a panic.
    ///
    /// # Errors
    ///
    /// If `failures` is 0.
    pub const fn try_failure_threshold(mut self, failures: u32) -> Result<Self, InvalidSetting> {
        if failures == 0 {
            return Err(InvalidSetting::new(
                "`failure_threshold` must be at least 1: with 0 the circuit would open before any call",
            ));
        }
        self.failure_threshold = failures;
        Ok(self)
    }

    /// Sets the value as [`failure_rate`](Self::failure_rate) does, with an error instead of a panic.
    ///
    /// # Errors
    ///
    /// If `rate` is not above 0 and at most 1.
    pub const fn try_failure_rate(mut self, rate: f64) -> Result<Self, InvalidSetting> {
        if !(rate > 0.0 && rate <= 1.0) {
            return Err(InvalidSetting::new(
                "`failure_rate` must be above 0.0 and at most 1.0; 0.5 is half of the calls",
            ));
        }
        self.failure_rate = rate;
        Ok(self)
    }

    /// Sets the value as [`min_calls`](Self::min_calls) does, with an error instead of a panic.
    ///
    /// # Errors
    ///
    /// If `calls` is 0.
    pub const fn try_min_calls(mut self, calls: u32) -> Result<Self, InvalidSetting> {
        if calls == 0 {
            return Err(InvalidSetting::new("`min_calls` must be at least 1: without calls there is no rate"));
        }
        self.min_calls = calls;
        Ok(self)
    }

    /// Sets the value as [`slow_call`](Self::slow_call) does, with an error instead of a panic.
    ///
    /// # Errors
    ///
    /// If `duration` is zero.
    pub const fn try_slow_call(mut self, duration: Duration) -> Result<Self, InvalidSetting> {
        if duration.is_zero() {
            return Err(InvalidSetting::new("`slow_call` must be longer than zero: every call would be slow"));
        }
        self.slow_call = Some(duration);
        Ok(self)
    }

    /// Sets the value as [`hung_call`](Self::hung_call) does, with an error instead of a panic.
    ///
    /// # Errors
    ///
    /// If `duration` is zero.
    pub const fn try_hung_call(mut self, duration: Duration) -> Result<Self, InvalidSetting> {
        if duration.is_zero() {
            return Err(InvalidSetting::new("`hung_call` must be longer than zero: every call would be hung"));
        }
        self.hung_call = Some(duration);
        Ok(self)
    }

    /// Sets the value as [`cancelled_call`](Self::cancelled_call) does, with an error instead of a panic.
    ///
    /// # Errors
    ///
    /// If `duration` is zero.
    pub const fn try_cancelled_call(mut self, duration: Duration) -> Result<Self, InvalidSetting> {
        if duration.is_zero() {
            return Err(InvalidSetting::new(
                "`cancelled_call` must be longer than zero: every cancelled call would be a failure",
            ));
        }
        self.cancelled_call = Some(duration);
        Ok(self)
    }

    /// Sets the value as [`slow_call_rate`](Self::slow_call_rate) does, with an error instead of a panic.
    ///
    /// # Errors
    ///
    /// If `rate` is not above 0 and at most 1.
    pub const fn try_slow_call_rate(mut self, rate: f64) -> Result<Self, InvalidSetting> {
        if !(rate > 0.0 && rate <= 1.0) {
            return Err(InvalidSetting::new(
                "`slow_call_rate` must be above 0.0 and at most 1.0; 0.5 is half of the calls",
            ));
        }
        self.slow_call_rate = rate;
        Ok(self)
    }

    /// Sets the value as [`recovery_timeout`](Self::recovery_timeout) does, with an error instead of a panic.
    ///
    /// # Errors
    ///
    /// If `timeout` is zero.
    pub const fn try_recovery_timeout(mut self, timeout: Duration) -> Result<Self, InvalidSetting> {
        if timeout.is_zero() {
            return Err(InvalidSetting::new(
                "`recovery_timeout` must be longer than zero: the circuit would never stay open",
            ));
        }
        self.recovery_timeout = RecoveryTimeout::fixed(timeout);
        Ok(self)
    }

    /// Sets the value as [`exponential_recovery`](Self::exponential_recovery) does, with an error instead of a panic.
    ///
    /// # Errors
    ///
    /// If `base` is zero, `max` is below `base`, or `factor` is below 1 or infinite.
    pub const fn try_exponential_recovery(
        mut self,
        base: Duration,
        factor: f64,
        max: Duration,
    ) -> Result<Self, InvalidSetting> {
        if base.is_zero() {
            return Err(InvalidSetting::new("`base` must be longer than zero: the circuit would never stay open"));
        }
        if max.as_nanos() < base.as_nanos() {
            return Err(InvalidSetting::new("`max` must not be below `base`"));
        }
        if !(factor >= 1.0 && factor.is_finite()) {
            return Err(InvalidSetting::new(
                "`factor` must be finite and at least 1: with less the timeout would shrink",
            ));
        }
        self.recovery_timeout = RecoveryTimeout { base, factor, max };
        Ok(self)
    }

    /// Sets the value as [`recovery_jitter`](Self::recovery_jitter) does, with an error instead of a panic.
    ///
    /// # Errors
    ///
    /// If `share` is not in `0.0..=1.0`.
    pub const fn try_recovery_jitter(mut self, share: f64) -> Result<Self, InvalidSetting> {
        if !(share >= 0.0 && share <= 1.0) {
            return Err(InvalidSetting::new("`recovery_jitter` must be in 0.0..=1.0; 0.1 adds up to 10 %"));
        }
        self.recovery_jitter = share;
        Ok(self)
    }

    #[allow(clippy::cast_possible_truncation, reason = "checked")]
    /// Sets the value as [`half_open_max_calls`](Self::half_open_max_calls) does, with an error instead of a panic.
    ///
    /// # Errors
    ///
    /// If `calls` is 0, or more than 255.
    pub const fn try_half_open_max_calls(mut self, calls: u32) -> Result<Self, InvalidSetting> {
        if calls == 0 {
            return Err(InvalidSetting::new(
                "`half_open_max_calls` must be at least 1: with 0 the circuit could never close again",
            ));
        }
        if calls > u8::MAX as u32 {
            return Err(InvalidSetting::new(
                "`half_open_max_calls` must be at most 255: more calls would be load, not trial calls",
            ));
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
