//! The settings of a circuit breaker.

mod checked;
mod getters;
#[cfg(feature = "config")]
mod merge;
mod options;

use std::{fmt, time::Duration};

#[cfg(feature = "config")]
pub(super) use self::merge::OPTIONS;
use super::parameters::{Parameters, RatePolicy, Recovery, TripPolicy, WindowSize};
use crate::{
    checked::valid,
    clock::micros,
    errors::{PolicyConfig, PolicyTerms},
    layers::write_options,
};

/// The settings of a circuit breaker: the rule that opens it, the recovery timeout, and the number of trial calls.
///
/// A breaker opens after a number of failures in a row or, with a [`Window`], at a rate of failed or slow calls. With a window and a
/// [`failure_threshold`](Self::failure_threshold), either of the two opens it.
///
/// In a `const` or `static` an invalid value is a compile error:
///
/// ```
/// use std::time::Duration;
/// use steadfast::{BreakerConfig, Window};
///
/// const PAYMENTS: BreakerConfig = BreakerConfig::new()
///     .failure_threshold(3)
///     .recovery_timeout(Duration::from_secs(60))
///     .half_open_max_calls(1);
///
/// const SEARCH: BreakerConfig = BreakerConfig::new()
///     .window(Window::time(Duration::from_secs(60)))
///     .failure_rate(0.2)
///     .slow_call(Duration::from_secs(2));
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
/// Outside of a `const`, the setters panic on invalid values. For values from outside of the program, each has a variant with the prefix
/// `try_` that returns [`InvalidSetting`](crate::InvalidSetting) instead; `configure_from_toml` (feature `config`) returns errors, too.
///
/// # Serialization
///
/// With the feature `serde`, `BreakerConfig` implements `Serialize`. The fields are named after the options, and durations are in seconds.
/// A window is `{"calls": 100}` or `{"time": 60.0}`; an exponential `recovery_timeout` is an object with `base`, `factor` and `max`. An option
/// that is off is `null`: `failure_threshold` if the window alone opens the circuit, `half_open_successes` if all trial calls have to succeed.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct BreakerConfig {
    /// The threshold in force; `None` if the window alone opens the circuit.
    failure_threshold: Option<u32>,
    #[cfg_attr(feature = "serde", serde(skip))]
    threshold: Threshold,
    window: Option<Window>,
    failure_rate: f64,
    min_calls: u32,
    #[cfg_attr(feature = "serde", serde(serialize_with = "super::snapshot::serialize::seconds"))]
    slow_call: Option<Duration>,
    slow_call_rate: f64,
    recovery_timeout: RecoveryTimeout,
    recovery_jitter: f64,
    half_open_max_calls: u8,
    half_open_successes: Option<u8>,
    #[cfg_attr(feature = "serde", serde(serialize_with = "super::snapshot::serialize::duration"))]
    ramp_up: Duration,
    observe_only: bool,
    #[cfg_attr(feature = "serde", serde(serialize_with = "super::snapshot::serialize::seconds"))]
    hung_call: Option<Duration>,
    #[cfg_attr(feature = "serde", serde(serialize_with = "super::snapshot::serialize::seconds"))]
    cancelled_call: Option<Duration>,
    durations: bool,
}

/// Settings are equal if they have the same effect: a default is equal to the same value that was set.
impl PartialEq for BreakerConfig {
    fn eq(&self, other: &Self) -> bool {
        self.effects() == other.effects()
    }
}

/// Equality is total, because no rate is a NaN.
impl Eq for BreakerConfig {}

/// The failure threshold without a window. With a window, it applies only if it was set.
#[derive(Clone, Copy, Debug)]
struct Threshold {
    failures: u32,
    is_set: bool,
}

/// The sliding window of a rate-based breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Window(Size);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
enum Size {
    Calls(u32),
    #[cfg_attr(feature = "serde", serde(serialize_with = "super::snapshot::serialize::duration"))]
    Time(Duration),
}

/// A recovery timeout, which is fixed if `max` equals `base`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct RecoveryTimeout {
    base: Duration,
    factor: f64,
    max: Duration,
}

impl Window {
    /// Creates a count-based window of exactly the last `calls` calls: each new call replaces the oldest.
    ///
    /// The window takes 16 bytes for each failed or slow call in it, and 64 bytes for each thread. A success that another thread records at
    /// the same moment as a failure may be counted after it.
    ///
    /// # Panics
    ///
    /// If `calls` is 0, or more than 1,048,576. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn calls(calls: u32) -> Self {
        valid!(Self::try_calls(calls))
    }

    /// Creates a time-based window of the calls within the last `time`.
    ///
    /// The window consists of 16 buckets. A call older than `time` is never counted; a call in the oldest sixteenth of `time` may already
    /// be excluded. If `time` is at least a second, successes read a coarse clock, so that a call that is younger by another 10 ms may be
    /// excluded, too. From the first call on, the window takes up to 2 KiB, and 64 bytes for each thread.
    ///
    /// # Panics
    ///
    /// If `time` is shorter than a millisecond. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn time(time: Duration) -> Self {
        valid!(Self::try_time(time))
    }
}

impl BreakerConfig {
    /// Returns the default settings: the circuit opens after 5 failures in a row, for 30 s, and closes after 3 successful trial calls.
    ///
    /// Five failures in a row are rarely a coincidence; gobreaker opens after more than five by default. 30 s is enough for a process to
    /// restart, and too short to page anyone. There is more than one trial call, because the first response of a restarting service is a
    /// poor predictor.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            failure_threshold: Some(DEFAULT_THRESHOLD),
            threshold: Threshold { failures: DEFAULT_THRESHOLD, is_set: false },
            window: None,
            failure_rate: 0.5,
            min_calls: 10,
            slow_call: None,
            slow_call_rate: 0.5,
            recovery_timeout: RecoveryTimeout::fixed(Duration::from_secs(30)),
            recovery_jitter: 0.0,
            half_open_max_calls: 3,
            half_open_successes: None,
            ramp_up: Duration::ZERO,
            observe_only: false,
            hung_call: None,
            cancelled_call: None,
            durations: false,
        }
    }

    /// Returns settings for a dependency that every request needs, such as payment or login: 3 failures in a row, 15 s.
    ///
    /// The circuit opens early, because each failing call keeps a user waiting, and admits trial calls early, because each second in the
    /// open state rejects users.
    #[must_use]
    pub const fn critical() -> Self {
        Self::preset(3, Duration::from_secs(15))
    }

    /// Returns settings for a nice-to-have dependency, such as recommendations, avatars or tracking: 10 failures in a row, 60 s.
    ///
    /// The circuit opens late, so that a short disturbance does not remove the content, and stays open longer, since recovery is not
    /// urgent.
    #[must_use]
    pub const fn non_critical() -> Self {
        Self::preset(10, Duration::from_mins(1))
    }

    /// Returns settings for a third-party service with rate limits and short outages: 3 failures in a row, 30 s.
    ///
    /// The circuit opens early, because failing calls count towards the rate limit of the service. Combine it with a retry, which handles
    /// single failures.
    #[must_use]
    pub const fn flaky_api() -> Self {
        Self::preset(3, Duration::from_secs(30))
    }

    /// Returns settings for a database: 5 failures in a row, 30 s.
    ///
    /// A failover or restart takes 10 to 30 s, and every call fails during that time. Occasional deadlocks and timeouts under load do not
    /// reach five failures in a row.
    #[must_use]
    pub const fn database() -> Self {
        Self::preset(5, Duration::from_secs(30))
    }

    /// The settings of a preset. A window replaces its threshold, as it replaces the default.
    const fn preset(failures: u32, recovery_timeout: Duration) -> Self {
        let config = Self::new().recovery_timeout(recovery_timeout);
        Self { failure_threshold: Some(failures), threshold: Threshold { failures, is_set: false }, ..config }
    }

    /// Sets the number of failures in a row that open the circuit.
    ///
    /// Without a [`window`](Self::window), the default is 5, or the number of the preset. With a window, there is no default: the circuit opens
    /// at the rates of the window, and also after this number of failures in a row if it is set.
    ///
    /// A success resets the count. Ignored and cancelled calls (see [`Permit`](crate::Permit)) do not.
    ///
    /// # Panics
    ///
    /// If `failures` is 0. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn failure_threshold(self, failures: u32) -> Self {
        valid!(self.try_failure_threshold(failures))
    }

    /// Sets a sliding window: the circuit opens at a rate of failed or slow calls. None by default.
    ///
    /// The window replaces the default [`failure_threshold`](Self::failure_threshold) and that of a preset. A threshold that is set, before
    /// or after the window, remains: either of the two rules opens the circuit. Use it to open at once when a dependency is down, and by
    /// the rate when some of its calls fail.
    ///
    /// The rates are evaluated when a call has failed or was slow, never when it succeeded in time. If a rate rises because old successes
    /// leave the window, the circuit opens only with the next failed or slow call. A circuit that closes starts with an empty window.
    #[must_use]
    pub const fn window(mut self, window: Window) -> Self {
        self.window = Some(window);
        if !self.threshold.is_set {
            self.failure_threshold = None;
        }
        self
    }

    /// Sets the failure rate at which the circuit opens, in the [`window`](Self::window); above 0 and at most 1, 0.5 by default.
    ///
    /// # Panics
    ///
    /// If `rate` is not above 0 and at most 1. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn failure_rate(self, rate: f64) -> Self {
        valid!(self.try_failure_rate(rate))
    }

    /// Sets the number of calls that the [`window`](Self::window) must hold before its rates can open the circuit; 10 by default. A smaller
    /// count-based window must be full.
    ///
    /// # Panics
    ///
    /// If `calls` is 0. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn min_calls(self, calls: u32) -> Self {
        valid!(self.try_min_calls(calls))
    }

    /// Sets the minimum duration of a slow call, for the slow-call rate in the [`window`](Self::window); by default no call is slow.
    /// Successes and failures can both be slow.
    ///
    /// A slow trial call counts as failed, because the service has not recovered. Ignored and cancelled calls are never slow.
    ///
    /// A limit of half a second or more is measured by a clock with a resolution of a few milliseconds where the system has one; no shorter
    /// call counts as slow.
    ///
    /// # Panics
    ///
    /// If `duration` is zero. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn slow_call(self, duration: Duration) -> Self {
        valid!(self.try_slow_call(duration))
    }

    /// Sets the slow-call rate at which the circuit opens, in the [`window`](Self::window); above 0 and at most 1, 0.5 by default. Without
    /// [`slow_call`](Self::slow_call) no call is slow.
    ///
    /// # Panics
    ///
    /// If `rate` is not above 0 and at most 1. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn slow_call_rate(self, rate: f64) -> Self {
        valid!(self.try_slow_call_rate(rate))
    }

    /// Sets a fixed recovery timeout: the time for which the circuit stays open before it admits trial calls. 30 s by default. Rounded up
    /// to whole microseconds.
    ///
    /// A trial call that never ends holds its permit for at most one more recovery timeout. The first call that arrives so long after the
    /// start of the oldest trial call in flight begins a new round, in which the permits of all trial calls in flight are available again.
    /// Their outcomes still count.
    ///
    /// # Panics
    ///
    /// If `timeout` is zero. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn recovery_timeout(self, timeout: Duration) -> Self {
        valid!(self.try_recovery_timeout(timeout))
    }

    /// Sets a recovery timeout that grows: `base` at first, multiplied by `factor` after each failed recovery, at most `max`. A circuit
    /// that closes starts with `base` again.
    ///
    /// # Panics
    ///
    /// If `base` is zero, `max` is below `base`, or `factor` is below 1 or infinite. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn exponential_recovery(self, base: Duration, factor: f64, max: Duration) -> Self {
        valid!(self.try_exponential_recovery(base, factor, max))
    }

    /// Sets the jitter of the recovery timeout: a random addition of up to this share, so that instances whose circuits opened together do
    /// not send their trial calls together. 0.1 adds up to 10 %, even beyond the `max` of an exponential timeout. 0 by default.
    ///
    /// # Panics
    ///
    /// If `share` is not in `0.0..=1.0`. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn recovery_jitter(self, share: f64) -> Self {
        valid!(self.try_recovery_jitter(share))
    }

    /// Sets the number of trial calls that a half-open circuit admits in all; 3 by default. They may be in flight at once.
    ///
    /// All of them have to succeed to close the circuit, so that a failed one opens it again at once, unless
    /// [`half_open_successes`](Self::half_open_successes) requires fewer. A trial call that succeeds or fails keeps its permit; an ignored or
    /// cancelled one releases it. At most this number of trial calls is in flight, apart from those of earlier rounds: see
    /// [`recovery_timeout`](Self::recovery_timeout).
    ///
    /// # Panics
    ///
    /// If `calls` is 0, or more than 255. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn half_open_max_calls(self, calls: u32) -> Self {
        valid!(self.try_half_open_max_calls(calls))
    }

    /// Sets the number of trial calls that have to succeed to close a half-open circuit; by default, all of
    /// [`half_open_max_calls`](Self::half_open_max_calls). A larger number than that means all, too.
    ///
    /// The circuit opens again as soon as this number is out of reach. With 5 trial calls of which 3 have to succeed, 2 failures are
    /// tolerated, and the third one opens the circuit. Use it for a dependency that always fails some of its calls.
    ///
    /// ```
    /// use std::{io, time::Duration};
    /// use steadfast::{BreakerConfig, BreakerState, CircuitBreaker};
    ///
    /// static ROUTES: CircuitBreaker = CircuitBreaker::new(
    ///     "routes",
    ///     BreakerConfig::new().half_open_max_calls(5).half_open_successes(3),
    /// );
    ///
    /// ROUTES.force_open_for(Duration::ZERO); // half-open
    /// for _ in 0..2 {
    ///     assert!(ROUTES.call(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut))).is_err());
    /// }
    /// for _ in 0..3 {
    ///     ROUTES.call(|| Ok::<(), io::Error>(()))?;
    /// }
    /// assert_eq!(ROUTES.state(), BreakerState::Closed);
    /// # Ok::<(), io::Error>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If `calls` is 0, or more than 255. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn half_open_successes(self, calls: u32) -> Self {
        valid!(self.try_half_open_successes(calls))
    }

    /// Sets the duration of the ramp-up after a recovery, in which the admitted share of the calls grows linearly from a tenth to all of
    /// them. Zero, the default, admits all calls at once.
    ///
    /// Use a ramp-up for a service that has to fill its caches, or that the full load would overload again. The other calls are rejected
    /// with [`OpenReason::RampingUp`](crate::OpenReason::RampingUp), although the circuit is closed.
    #[must_use]
    pub const fn ramp_up(mut self, duration: Duration) -> Self {
        self.ramp_up = duration;
        self
    }

    /// Sets whether the breaker admits every call but decides and counts as usual, to try settings before they take effect. False by
    /// default.
    ///
    /// A call that would have been rejected is counted as [observed](crate::Snapshot::observed_rejections), not as a rejection. Its outcome changes
    /// only the totals.
    #[must_use]
    pub const fn observe_only(mut self, observe_only: bool) -> Self {
        self.observe_only = observe_only;
        self
    }

    /// Sets the age at which a call in flight counts as a failure, without waiting for its end. By default there is none: only calls that
    /// end are counted.
    ///
    /// A hung call counts once, at the moment at which the next call requests admission: there is no timer and no thread. That is at most
    /// an eighth of `duration` after the call has reached this age. Its later end, or its cancellation, changes only the totals. A call
    /// that ends or is cancelled at a greater age before it has been counted counts as hung as well. A hung trial call opens the circuit
    /// again. A hung call is not stopped, and holds what it holds until it ends.
    ///
    /// A suspended program cannot be distinguished from an idle one. Therefore, the calls in flight do not count as hung if the breaker was
    /// not called for 16 times `duration` and for at least a minute. Calls in flight when this setting changes do not count either.
    ///
    /// The age is read from a clock with a resolution of a few milliseconds where the system has one; no call counts as hung too early.
    ///
    /// # Panics
    ///
    /// If `duration` is zero. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn hung_call(self, duration: Duration) -> Self {
        valid!(self.try_hung_call(duration))
    }

    /// Sets the age at which a cancelled call counts as a failure. A call that is cancelled sooner is ignored.
    ///
    /// By default a rule decides: cancelled calls count as failures if no call is answered at all while calls that have waited for a
    /// while are cancelled again and again. See [`OpenReason::Cancelled`](crate::OpenReason::Cancelled).
    ///
    /// # Panics
    ///
    /// If `duration` is zero. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn cancelled_call(self, duration: Duration) -> Self {
        valid!(self.try_cancelled_call(duration))
    }

    /// Sets whether the durations of calls are recorded, for [`Snapshot::durations`](crate::Snapshot::durations) and metrics. False by
    /// default.
    ///
    /// [`slow_call`](Self::slow_call) and [`hung_call`](Self::hung_call) also record durations. If their limits are half a second or more,
    /// durations are measured by a coarse clock to within 10 ms; with `durations`, by an exact one, whose two readings take about 34 ns.
    ///
    /// The durations of keyed breakers are recorded for all keys together.
    #[must_use]
    pub const fn durations(mut self, durations: bool) -> Self {
        self.durations = durations;
        self
    }

    /// All that decides about the effect of the settings.
    fn effects(&self) -> impl PartialEq + use<> {
        let Self {
            failure_threshold, threshold: _, window, failure_rate, min_calls, slow_call, slow_call_rate, ..
        } = *self;
        let rules = (failure_threshold, window, failure_rate, min_calls, slow_call, slow_call_rate);
        let Self { recovery_timeout, recovery_jitter, half_open_max_calls, half_open_successes: _, ramp_up, .. } =
            *self;
        let recovery =
            (recovery_timeout, recovery_jitter, half_open_max_calls, self.get_half_open_successes(), ramp_up);
        let Self { observe_only, hung_call, cancelled_call, durations, .. } = *self;
        (rules, recovery, observe_only, hung_call, cancelled_call, durations)
    }

    /// The settings as parameters of the state machine, with the seed of the jitter.
    pub(crate) const fn parameters(&self, seed: u64) -> Parameters {
        let recovery = Recovery {
            base: micros(self.recovery_timeout.base),
            factor: self.recovery_timeout.factor,
            max: micros(self.recovery_timeout.max),
            jitter: self.recovery_jitter,
            seed,
        };
        let policy = match self.window {
            None => TripPolicy::Consecutive { threshold: self.threshold.failures },
            Some(Window(size)) => {
                let (window, max_calls) = match size {
                    Size::Calls(calls) => (WindowSize::Calls(calls), calls),
                    Size::Time(time) => (WindowSize::Time(micros(time)), u32::MAX),
                };
                let min_calls = min(self.min_calls as u64, max_calls as u64);
                let slow_call = optional_micros(self.slow_call);
                let (failure_rate, slow_call_rate) = (self.failure_rate, self.slow_call_rate);
                let rates = RatePolicy { window, failure_rate, min_calls, slow_call, slow_call_rate };
                match self.failure_threshold {
                    Some(threshold) => TripPolicy::Either { threshold, rates },
                    None => TripPolicy::Rates(rates),
                }
            }
        };
        Parameters {
            policy,
            recovery,
            half_open_max_calls: self.half_open_max_calls,
            half_open_successes: match self.half_open_successes {
                Some(successes) => successes,
                None => u8::MAX,
            },
            // Capped at 58,000 years, so that ten times as much fits into 64 bits.
            ramp_up: min(micros(self.ramp_up), u64::MAX / 10),
            observe_only: self.observe_only,
            hung_call: optional_micros(self.hung_call),
            cancelled_call: optional_micros(self.cancelled_call),
            tracks_calls: self.hung_call.is_some(),
            durations: self.durations,
        }
    }
}

/// The failure threshold without a window.
const DEFAULT_THRESHOLD: u32 = 5;

impl RecoveryTimeout {
    const fn fixed(timeout: Duration) -> Self {
        Self { base: timeout, factor: 1.0, max: timeout }
    }
}

impl PolicyConfig for BreakerConfig {
    const TERMS: &'static PolicyTerms =
        &PolicyTerms { kind: "circuit breaker", table: "breaker", example: "failure_threshold = 5" };
}

#[cfg(feature = "serde")]
impl serde::Serialize for RecoveryTimeout {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;

        let Self { base, factor, max } = self;
        if base == max {
            return serializer.serialize_f64(base.as_secs_f64());
        }
        let mut fields = serializer.serialize_struct("RecoveryTimeout", 3)?;
        fields.serialize_field("base", &base.as_secs_f64())?;
        fields.serialize_field("factor", factor)?;
        fields.serialize_field("max", &max.as_secs_f64())?;
        fields.end()
    }
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// Displays the settings in the syntax of the attribute: `failure_threshold = 5, recovery_timeout = 30s, half_open_max_calls = 3`. Options
/// that are off are omitted.
impl fmt::Display for BreakerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_options(self, f)
    }
}

const fn optional_micros(duration: Option<Duration>) -> Option<u64> {
    match duration {
        Some(duration) => Some(micros(duration)),
        None => None,
    }
}

const fn min(a: u64, b: u64) -> u64 {
    if a < b { a } else { b }
}
