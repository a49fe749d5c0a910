//! Circuit breakers.
//!
//! [`word`] is the state machine as a value, [`shared`] shares it between threads, [`totals`] counts beside it.

mod config;
#[cfg(test)]
mod models;
mod permit;
mod rejection;
mod shared;
mod snapshot;
#[cfg(test)]
mod tests;
mod totals;
mod word;

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

pub(crate) use self::word::Outcome;
pub use self::{
    config::BreakerConfig,
    permit::Permit,
    rejection::{CircuitOpen, OpenReason},
    snapshot::Snapshot,
};
use self::{
    shared::{SharedWord, Transition},
    totals::{Count, Totals},
    word::{Refusal, Rules, Ticket},
};
use crate::clock;

/// Stops calling what is down, and tries again carefully.
///
/// Closed, every call goes through and failures in a row are counted. Enough of them open the circuit: calls are
/// rejected at once with [`CircuitOpen`], until the recovery timeout has passed. Then it is half-open: a few trial
/// calls go through; enough successes close it, one failure opens it again.
///
/// There is no timer and no thread behind it. An open circuit becomes half-open with the first call after its recovery
/// timeout; until that call its state reads `open`.
///
/// A call through a closed breaker with no failures counted takes no lock, reads no clock and writes no memory that
/// another thread writes. The first call of a breaker takes 4 KiB for its totals, and a thread's first call a lock.
///
/// ```
/// use std::io;
/// use steadfast::{BreakerConfig, BreakerState, CircuitBreaker};
///
/// static DISK: CircuitBreaker = CircuitBreaker::new("disk", BreakerConfig::new().failure_threshold(2));
///
/// fn read() -> io::Result<u8> {
///     Err(io::ErrorKind::TimedOut.into())
/// }
///
/// assert!(DISK.call(read).is_err());
/// assert!(DISK.call(read).is_err());
/// assert_eq!(DISK.state(), BreakerState::Open);
/// let rejected = DISK.call(read).unwrap_err(); // `read` is not run
/// assert_eq!(rejected.kind(), io::ErrorKind::ResourceBusy);
/// ```
pub struct CircuitBreaker {
    word: SharedWord,
    totals: Totals,
    name: &'static str,
    config: BreakerConfig,
    transitions: AtomicU64,
    /// The moment of the last transition, in microseconds; 0 before the first.
    changed_at: AtomicU64,
}

/// What a breaker does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakerState {
    /// Calls go through.
    Closed,
    /// Calls are rejected, until the recovery timeout has passed.
    Open,
    /// A few trial calls go through.
    HalfOpen,
    /// Calls are rejected, until an operator says otherwise.
    ForcedOpen,
    /// Calls go through and nothing opens the circuit, until an operator says otherwise.
    Disabled,
}

impl CircuitBreaker {
    /// A closed breaker. Declare it as a `static`, and list it with [`register!`](crate::register) or with
    /// `#[circuit_breaker(breaker = PATH)]`.
    #[must_use]
    pub const fn new(name: &'static str, config: BreakerConfig) -> Self {
        Self {
            word: SharedWord::new(),
            totals: Totals::new(),
            name,
            config,
            transitions: AtomicU64::new(0),
            changed_at: AtomicU64::new(0),
        }
    }

    /// Asks to make a call.
    ///
    /// # Errors
    ///
    /// The circuit does not admit it.
    #[inline]
    pub fn try_acquire(&self) -> Result<Permit<'_>, CircuitOpen> {
        let word = self.word.load();
        if word.admits_freely() {
            return Ok(Permit::new(self, word.ticket()));
        }
        self.try_acquire_guarded()
    }

    /// Makes a call if the circuit admits it. An `Err` counts as a failure, and so does a panic.
    ///
    /// # Errors
    ///
    /// What `work` returns, or the rejection as the caller's own error type.
    #[inline]
    pub fn call<T, E: From<CircuitOpen>>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let permit = self.try_acquire()?;
        let result = work();
        permit.end(Outcome::of(&result));
        result
    }

    /// Makes a call if the circuit admits it. An `Err` counts as a failure, and so does a panic; dropping the future
    /// before its end counts as neither and frees its place.
    ///
    /// # Errors
    ///
    /// What `work` returns, or the rejection as the caller's own error type.
    ///
    /// ```
    /// # use steadfast::{BreakerConfig, CircuitBreaker};
    /// static MAIL: CircuitBreaker = CircuitBreaker::new("mail", BreakerConfig::new());
    /// # async fn deliver(to: &str) -> std::io::Result<()> { Ok(()) }
    ///
    /// # async fn example() -> std::io::Result<()> {
    /// MAIL.call_async(async || deliver("ada@example.org").await).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn call_async<T, E: From<CircuitOpen>>(&self, work: impl AsyncFnOnce() -> Result<T, E>) -> Result<T, E> {
        let permit = self.try_acquire()?;
        let result = work().await;
        permit.end(Outcome::of(&result));
        result
    }

    /// The name it was declared with.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What it does with calls now. Looking takes no trial call's place and moves nothing.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.word.load().state()
    }

    /// The settings in force.
    #[must_use]
    pub const fn config(&self) -> BreakerConfig {
        self.config
    }

    /// State, counts and times in one reading.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let (word, now) = (self.word.load(), clock::now());
        // ORDERING: Acquire pairs with the Release in `report`: who sees the number of a transition sees its moment.
        let transitions = self.transitions.load(Ordering::Acquire);
        let changed_at = self.changed_at.load(Ordering::Acquire);
        let age = (changed_at != 0).then(|| Duration::from_micros(now.as_micros().saturating_sub(changed_at)));
        let sums = self.totals.sums();
        Snapshot {
            name: self.name,
            state: word.state(),
            consecutive_failures: word.failures(),
            successes: sums.get(Count::Success),
            failures: sums.get(Count::Failure),
            neutral: sums.get(Count::Neutral),
            rejections: sums.get(Count::Rejection),
            transitions,
            last_transition: age.and_then(|age| SystemTime::now().checked_sub(age)),
            open_for: word.time_left(&self.rules(), now).map(Duration::from_micros),
        }
    }

    /// Rejects every call from now on, whatever the clock says, until [`reset`](Self::reset) or
    /// [`disable`](Self::disable).
    pub fn force_open(&self) {
        let transition = self.word.force_open();
        self.report(transition);
    }

    /// Lets every call through from now on and opens for nothing, until [`reset`](Self::reset) or
    /// [`force_open`](Self::force_open). Totals are still counted.
    pub fn disable(&self) {
        let transition = self.word.disable();
        self.report(transition);
    }

    /// Closes the circuit with no failures counted, from any state. Totals stay. Results of calls that are under way
    /// move nothing any more.
    pub fn reset(&self) {
        let transition = self.word.reset();
        self.report(transition);
    }

    /// How much longer the circuit stays open; `None` unless it is.
    fn time_left(&self) -> Option<Duration> {
        let word = self.word.load();
        if word.admits_freely() {
            return None;
        }
        word.time_left(&self.rules(), clock::now()).map(Duration::from_micros)
    }

    #[cold]
    fn try_acquire_guarded(&self) -> Result<Permit<'_>, CircuitOpen> {
        match self.word.acquire(&self.rules(), clock::now) {
            Ok((ticket, transition)) => {
                self.report(transition);
                Ok(Permit::new(self, ticket))
            }
            Err(refusal) => Err(self.reject(refusal)),
        }
    }

    fn reject(&self, refusal: Refusal) -> CircuitOpen {
        self.totals.add(Count::Rejection);
        CircuitOpen::new(self.name, self.rules().failure_threshold, refusal)
    }

    #[inline]
    fn settle(&self, ticket: Ticket, outcome: Outcome) {
        self.totals.add(match outcome {
            Outcome::Success => Count::Success,
            Outcome::Failure => Count::Failure,
            Outcome::Neutral => Count::Neutral,
        });
        if outcome != Outcome::Success || !self.word.load().is_calm() {
            self.settle_counted(ticket, outcome);
        }
    }

    #[cold]
    fn settle_counted(&self, ticket: Ticket, outcome: Outcome) {
        let transition = self.word.settle(ticket, outcome, &self.rules(), clock::now);
        self.report(transition);
    }

    fn report(&self, transition: Option<Transition>) {
        let Some(_) = transition else { return };
        // ORDERING: Release pairs with the Acquire in `snapshot`. The later of two transitions that report out of order
        // wins.
        self.changed_at.fetch_max(clock::now().as_micros(), Ordering::Release);
        self.transitions.fetch_add(1, Ordering::Release);
    }

    const fn rules(&self) -> Rules {
        self.config.rules()
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("name", &self.name)
            .field("state", &self.state())
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// One of `closed`, `open`, `half-open`, `forced-open`, `disabled`.
impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
            Self::ForcedOpen => "forced-open",
            Self::Disabled => "disabled",
        })
    }
}

impl Outcome {
    const fn of<T, E>(result: &Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::Success,
            Err(_) => Self::Failure,
        }
    }
}
