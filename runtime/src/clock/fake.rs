use std::{
    cell::RefCell,
    fmt,
    marker::PhantomData,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{Moment, micros, task_now};

/// A clock for tests, which is advanced by the test and by the sleeps of the code under test.
///
/// The clock applies only to the threads that have [entered](Self::enter) it. On these threads, breakers, budgets, rate limits and time
/// limits read this clock, and a sleep of a function that is not `async` (a delay between two attempts, or a wait for a permit or for
/// capacity) advances it and returns at once. A clone is a handle to the same clock, for use on other threads.
///
/// ```
/// use std::{io, time::Duration};
/// use steadfast::{retry, testing::FakeClock};
///
/// #[retry(max_attempts = 4, backoff = exponential(base = 1s), jitter = none)]
/// fn load() -> io::Result<()> {
///     Err(io::ErrorKind::TimedOut.into())
/// }
///
/// let clock = FakeClock::new();
/// let _entered = clock.enter();
/// load().unwrap_err();
/// assert_eq!(clock.slept(), [1, 2, 4].map(Duration::from_secs)); // without waiting
/// assert_eq!(clock.elapsed(), Duration::from_secs(7));
/// ```
#[derive(Clone)]
pub struct FakeClock(Arc<Inner>);

struct Inner {
    base: TimeBase,
    state: Mutex<State>,
}

enum TimeBase {
    /// Advances only by [`FakeClock::advance`] and by sleeps.
    Frozen { start: Moment },
    /// Advances with tokio's clock as well.
    #[cfg(feature = "tokio")]
    BesideTokio,
}

#[derive(Default)]
struct State {
    /// The time by which the clock was advanced, in microseconds.
    advanced: u64,
    slept: Vec<Duration>,
}

thread_local! {
    static ENTERED: RefCell<Option<FakeClock>> = const { RefCell::new(None) };
}

impl FakeClock {
    /// Creates a clock that advances only by [`advance`](Self::advance) and by sleeps, for tests of functions that are not `async`.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "there are two constructors")]
    pub fn new() -> Self {
        Self::of(TimeBase::Frozen { start: task_now() })
    }

    /// Creates a clock that advances with tokio's clock, and in addition by [`advance`](Self::advance) and by the sleeps of functions that
    /// are not `async`.
    ///
    /// Use this clock under `#[tokio::test(start_paused = true)]`, for tests of both kinds of functions.
    #[cfg(feature = "tokio")]
    #[must_use]
    pub fn beside_tokio() -> Self {
        Self::of(TimeBase::BesideTokio)
    }

    fn of(base: TimeBase) -> Self {
        Self(Arc::new(Inner { base, state: Mutex::default() }))
    }

    /// Makes this the clock of the current thread until the guard is dropped, which restores the previous one.
    #[must_use = "dropped, it has no effect"]
    pub fn enter(&self) -> Entered {
        Entered { previous: ENTERED.replace(Some(self.clone())), _thread: PhantomData }
    }

    /// Advances the clock by a duration, rounded up to whole microseconds.
    pub fn advance(&self, by: Duration) {
        self.with(|state| state.advanced = state.advanced.saturating_add(micros(by)));
    }

    /// Returns the time by which the clock was advanced: by [`advance`](Self::advance) and by the sleeps of functions that are not
    /// `async`.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Duration::from_micros(self.with(|state| state.advanced))
    }

    /// Returns the sleeps on the threads that have entered the clock, in order: the delays between attempts, including those of `async`
    /// functions, and the waits of other functions for permits and capacity. Sleeps of zero are omitted.
    #[must_use]
    pub fn slept(&self) -> Vec<Duration> {
        self.with(|state| state.slept.clone())
    }

    fn now(&self) -> Moment {
        let base = match self.0.base {
            TimeBase::Frozen { start } => start,
            #[cfg(feature = "tokio")]
            TimeBase::BesideTokio => task_now(),
        };
        base.after(self.with(|state| state.advanced))
    }

    fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        act(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for FakeClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeClock").field("elapsed", &self.elapsed()).field("slept", &self.slept()).finish()
    }
}

/// A guard that makes a [`FakeClock`] the clock of its thread. Returned by [`FakeClock::enter`].
pub struct Entered {
    previous: Option<FakeClock>,
    /// Makes the guard `!Send`, since it must be dropped on its own thread.
    _thread: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        ENTERED.set(self.previous.take());
    }
}

impl fmt::Debug for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entered").finish_non_exhaustive()
    }
}

fn entered() -> Option<FakeClock> {
    ENTERED.with_borrow(Clone::clone)
}

/// Reads the fake clock of this thread; `None` if the thread has not entered one.
pub(crate) fn now() -> Option<Moment> {
    entered().map(|clock| clock.now())
}

/// Sleeps on the fake clock of this thread. Returns false if the thread has not entered one.
pub(crate) fn try_sleep(delay: Duration) -> bool {
    record_sleep(delay);
    let clock = entered();
    if let Some(clock) = &clock {
        clock.advance(delay);
    }
    clock.is_some()
}

/// Records a sleep in the fake clock of this thread, if it has entered one, without advancing the clock.
pub(crate) fn record_sleep(delay: Duration) {
    if let Some(clock) = entered().filter(|_| !delay.is_zero()) {
        clock.with(|state| state.slept.push(delay));
    }
}
