mod checked;
mod getters;
#[cfg(feature = "config")]
mod merge;

use std::{fmt, time::Duration};

#[cfg(feature = "config")]
pub(super) use self::merge::OPTIONS;
use super::parameters::{Parameters, Rates, Recovery, Span, TripPolicy};
use crate::{
    checked::valid,
    clock::micros,
    errors::{PolicyConfig, PolicyTerms},
};

/// When a breaker opens, for how long, and how it closes again.
///
/// By failures in a row, or, with a [`Window`], by the share of calls that fail or are slow.
///
/// Built in a `const` or `static`, where a value that makes no sense does not compile:
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
/// At run time, outside of a `const`, the same mistakes panic. Check a value that comes from outside before it gets
/// here, or take it in through `configure_from_toml` (feature `config`), which does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerConfig {
    failure_threshold: u32,
    window: Option<Window>,
    failure_rate: f64,
    min_calls: u32,
    slow_call: Option<Duration>,
    slow_call_rate: f64,
    recovery: RecoveryTimeout,
    recovery_jitter: f64,
    half_open_max_calls: u8,
    ramp_up: Duration,
    observe_only: bool,
}

/// No rate is a NaN.
impl Eq for BreakerConfig {}

/// The calls of late, by which a breaker judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window(Extent);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Calls(u32),
    Time(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct RecoveryTimeout {
    base: Duration,
    factor: f64,
    max: Duration,
}

impl Window {
    /// The last so many calls, exactly: the oldest leaves as a new one enters. Takes 8 bytes for each, rounded up to a
    /// power of two, once a call has failed; and every failure looks at all of them, so a hundred is better than
    /// a hundred thousand.
    ///
    /// # Panics
    ///
    /// If `calls` is 0, or more than 1,048,576. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn calls(calls: u32) -> Self {
        valid!(Self::try_calls(calls))
    }

    /// The calls of the last so many seconds. Kept in at least 16 parts: nothing older counts, and what is up to a
    /// sixteenth younger may have left. Takes up to 1 KiB once calls have been made.
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
    /// The defaults: opens after 5 failures in a row, for 30 s; 3 trial calls decide whether it closes.
    ///
    /// Five in a row is what gobreaker trips at and rarely a coincidence; 30 s is long enough for a process to restart
    /// and short enough that nobody pages anyone; more than one trial call, because the first answer of a service that
    /// comes up is often a lucky one.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            failure_threshold: 5,
            window: None,
            failure_rate: 0.5,
            min_calls: 10,
            slow_call: None,
            slow_call_rate: 0.5,
            recovery: RecoveryTimeout::fixed(Duration::from_secs(30)),
            recovery_jitter: 0.0,
            half_open_max_calls: 3,
            ramp_up: Duration::ZERO,
            observe_only: false,
        }
    }

    /// What must not be called while it is down, and must be back soon: 3 failures in a row, 15 s.
    ///
    /// For the payment or login without which a request is worth nothing. Opens early, since every call that is made in
    /// vain keeps a user waiting; asks again early, since every second that it stays open turns users away.
    #[must_use]
    pub const fn critical() -> Self {
        Self::new().failure_threshold(3).recovery_timeout(Duration::from_secs(15))
    }

    /// What is missed little: 10 failures in a row, 60 s.
    ///
    /// For recommendations, avatars, tracking: there is a page without them. Opens late, so that a hiccup takes nothing off
    /// the page, and leaves a service alone for long that nobody hurries to bring back.
    #[must_use]
    pub const fn non_critical() -> Self {
        Self::new().failure_threshold(10).recovery_timeout(Duration::from_mins(1))
    }

    /// Somebody else's service, which limits rates and has bad minutes: 3 failures in a row, 30 s.
    ///
    /// Opens early, since calls that are made in vain are counted against you by the other side; what single calls suffer
    /// is the retry's business.
    #[must_use]
    pub const fn flaky_api() -> Self {
        Self::new().failure_threshold(3).recovery_timeout(Duration::from_secs(30))
    }

    /// A database: 5 failures in a row, 30 s.
    ///
    /// A failover or restart takes 10 to 30 s, and during one every call fails; a deadlock or a time-out under load now and
    /// then does not make five in a row.
    #[must_use]
    pub const fn database() -> Self {
        Self::new().failure_threshold(5).recovery_timeout(Duration::from_secs(30))
    }

    /// How many failures in a row open the circuit, where there is no [`window`](Self::window). A success in between
    /// starts the count again; a call that is neither (see [`Permit`](crate::Permit)) does not.
    ///
    /// # Panics
    ///
    /// If `failures` is 0. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn failure_threshold(self, failures: u32) -> Self {
        valid!(self.try_failure_threshold(failures))
    }

    /// Judges by the share of failed (and of slow) calls in a window, and no longer by failures in a row.
    ///
    /// The share is looked at when a call fails or was slow, and never on a success: what only becomes true as old
    /// successes leave the window opens nothing before the next failure. A circuit that closes begins with an empty window.
    #[must_use]
    pub const fn window(mut self, window: Window) -> Self {
        self.window = Some(window);
        self
    }

    /// The share of failed calls in the [`window`](Self::window) that opens the circuit: this much or more. 0.5 if nothing
    /// is said.
    ///
    /// # Panics
    ///
    /// If it is not in `0.0..=1.0`, or 0. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn failure_rate(self, rate: f64) -> Self {
        valid!(self.try_failure_rate(rate))
    }

    /// How many calls the [`window`](Self::window) must hold before anything is judged; 10 if nothing is said. A window
    /// of fewer calls is judged once it is full.
    ///
    /// # Panics
    ///
    /// If `calls` is 0. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn min_calls(self, calls: u32) -> Self {
        valid!(self.try_min_calls(calls))
    }

    /// A call that takes this long or longer is slow, whether it succeeds or not; the [`window`](Self::window) counts them.
    ///
    /// A trial call that is slow counts as failed: what is still slow has not recovered. A call that is neither success nor
    /// failure is not counted however long it took.
    ///
    /// # Panics
    ///
    /// If `duration` is zero. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn slow_call(self, duration: Duration) -> Self {
        valid!(self.try_slow_call(duration))
    }

    /// The share of slow calls in the [`window`](Self::window) that opens the circuit: this much or more. 0.5 if nothing
    /// is said; without a [`slow_call`](Self::slow_call) there are none.
    ///
    /// # Panics
    ///
    /// If it is not in `0.0..=1.0`, or 0. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn slow_call_rate(self, rate: f64) -> Self {
        valid!(self.try_slow_call_rate(rate))
    }

    /// How long the circuit stays open before trial calls are let through.
    ///
    /// Kept in whole microseconds, rounded up.
    ///
    /// A trial call that never ends keeps its permit for at most a further `recovery_timeout`. A call that comes that long after the
    /// oldest open trial call started begins a new round: the permits of all trial calls that are still open are given out again.
    /// Their results still count.
    ///
    /// # Panics
    ///
    /// If `timeout` is zero. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn recovery_timeout(self, timeout: Duration) -> Self {
        valid!(self.try_recovery_timeout(timeout))
    }

    /// A recovery timeout that grows: `base` at first, `factor` times as long after each failed recovery, at most `max`. A
    /// circuit that closes begins with `base` again.
    ///
    /// # Panics
    ///
    /// If `base` is zero, `max` is below it, or `factor` below 1. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn exponential_recovery(self, base: Duration, factor: f64, max: Duration) -> Self {
        valid!(self.try_exponential_recovery(base, factor, max))
    }

    /// Adds up to this share of the recovery timeout to it at random, so that a fleet of machines that opened together does
    /// not come back together: 0.1 adds up to 10 %. Also to its `max`.
    ///
    /// # Panics
    ///
    /// If it is not in `0.0..=1.0`. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn recovery_jitter(self, share: f64) -> Self {
        valid!(self.try_recovery_jitter(share))
    }

    /// How many trial calls a half-open circuit lets through, and how many of them must succeed to close it.
    ///
    /// A trial call that fails opens the circuit again at once; one that is dropped frees its place. No more than this are open at once,
    /// except for those whose permits were given out again, as [`recovery_timeout`](Self::recovery_timeout) says.
    ///
    /// # Panics
    ///
    /// If `calls` is 0, or more than 255. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn half_open_max_calls(self, calls: u32) -> Self {
        valid!(self.try_half_open_max_calls(calls))
    }

    /// After a recovery, lets through a tenth of the calls at first, and all of them only after this long; the share grows
    /// evenly. Zero, which is the default, lets all of them through at once.
    ///
    /// For a service that needs its caches filled, or that the whole load at once would bring down again. A call that is
    /// not among the share is rejected with [`OpenReason::RampingUp`](crate::OpenReason::RampingUp), although the circuit
    /// is closed.
    #[must_use]
    pub const fn ramp_up(mut self, duration: Duration) -> Self {
        self.ramp_up = duration;
        self
    }

    /// Decides and counts as ever, but lets every call through: to see what a breaker would do before it does it.
    ///
    /// What would have been rejected is counted as a rejection, and its result moves nothing.
    #[must_use]
    pub const fn observe_only(mut self, observe_only: bool) -> Self {
        self.observe_only = observe_only;
        self
    }

    pub(crate) const fn rules(&self, seed: u64) -> Parameters {
        let recovery = Recovery {
            base: micros(self.recovery.base),
            factor: self.recovery.factor,
            max: micros(self.recovery.max),
            jitter: self.recovery_jitter,
            seed,
        };
        let policy = match self.window {
            None => TripPolicy::Consecutive { threshold: self.failure_threshold },
            Some(Window(extent)) => {
                let (span, most_calls) = match extent {
                    Extent::Calls(calls) => (Span::Calls(calls), calls),
                    Extent::Time(time) => (Span::Time(micros(time)), u32::MAX),
                };
                let min_calls = at_most(self.min_calls as u64, most_calls as u64);
                let slow_call = match self.slow_call {
                    Some(slow_call) => Some(micros(slow_call)),
                    None => None,
                };
                let (failure_rate, slow_call_rate) = (self.failure_rate, self.slow_call_rate);
                TripPolicy::Rates(Rates { span, failure_rate, min_calls, slow_call, slow_call_rate })
            }
        };
        Parameters {
            policy,
            recovery,
            trials: self.half_open_max_calls,
            // So that ten times as much is a number: 58,000 years.
            ramp: at_most(micros(self.ramp_up), u64::MAX / 10),
            observe_only: self.observe_only,
        }
    }
}

impl RecoveryTimeout {
    const fn fixed(timeout: Duration) -> Self {
        Self { base: timeout, factor: 1.0, max: timeout }
    }
}

impl PolicyConfig for BreakerConfig {
    const TERMS: &'static PolicyTerms =
        &PolicyTerms { kind: "circuit breaker", table: "breaker", example: "failure_threshold = 5" };
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// The settings in the words of the attribute: `failure_threshold = 5, recovery_timeout = 30s, half_open_max_calls = 3`.
/// What is off is left out.
impl fmt::Display for BreakerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.window {
            None => write!(f, "failure_threshold = {}", self.failure_threshold)?,
            Some(Window(extent)) => {
                match extent {
                    Extent::Calls(calls) => write!(f, "window = calls({calls})")?,
                    Extent::Time(time) => write!(f, "window = time({time:?})")?,
                }
                write!(f, ", failure_rate = {}, min_calls = {}", self.failure_rate, self.min_calls)?;
                if let Some(slow_call) = self.slow_call {
                    write!(f, ", slow_call = {slow_call:?}, slow_call_rate = {}", self.slow_call_rate)?;
                }
            }
        }
        let RecoveryTimeout { base, factor, max } = self.recovery;
        if base == max {
            write!(f, ", recovery_timeout = {base:?}")?;
        } else {
            write!(f, ", recovery_timeout = exponential(base = {base:?}, factor = {factor}, max = {max:?})")?;
        }
        if self.recovery_jitter > 0.0 {
            write!(f, ", recovery_jitter = {}", self.recovery_jitter)?;
        }
        write!(f, ", half_open_max_calls = {}", self.half_open_max_calls)?;
        if !self.ramp_up.is_zero() {
            write!(f, ", ramp_up = {:?}", self.ramp_up)?;
        }
        f.write_str(if self.observe_only { ", observe_only" } else { "" })
    }
}

const fn at_most(value: u64, most: u64) -> u64 {
    if value > most { most } else { value }
}
