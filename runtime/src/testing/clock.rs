use std::{
    cell::RefCell,
    fmt,
    marker::PhantomData,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::clock::{self, Moment, micros};

/// A clock that moves when the test says so, or when a retry sleeps.
///
/// It holds for the threads that have [entered](Self::enter) it, and for them alone. There, a sleep between two attempts moves it on
/// and takes no time; breakers, budgets and limits of time go by it. It can be cloned, and given to other threads.
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
/// assert_eq!(clock.slept(), [1, 2, 4].map(Duration::from_secs)); // and nobody waited
/// assert_eq!(clock.elapsed(), Duration::from_secs(7));
/// ```
#[derive(Clone)]
pub struct FakeClock(Arc<Inner>);

struct Inner {
    kind: Kind,
    state: Mutex<State>,
}

enum Kind {
    /// Stands still.
    Frozen { start: Moment },
    /// Goes as tokio's does.
    #[cfg(feature = "tokio")]
    BesideTokio,
}

#[derive(Default)]
struct State {
    /// By how much it was moved, in microseconds.
    moved: u64,
    slept: Vec<Duration>,
}

thread_local! {
    static ENTERED: RefCell<Option<FakeClock>> = const { RefCell::new(None) };
}

impl FakeClock {
    /// A clock that stands still. For code that is not `async`.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "there are two kinds")]
    pub fn new() -> Self {
        Self::of(Kind::Frozen { start: clock::task_now() })
    }

    /// A clock that goes as tokio's does, which a test pauses, and that moves on as well when a function that is not `async` sleeps. For
    /// tests of both, under `#[tokio::test(start_paused = true)]`.
    #[cfg(feature = "tokio")]
    #[must_use]
    pub fn beside_tokio() -> Self {
        Self::of(Kind::BesideTokio)
    }

    fn of(kind: Kind) -> Self {
        Self(Arc::new(Inner { kind, state: Mutex::default() }))
    }

    /// Makes it the clock of this thread, as long as the guard lives. The one before is back after that.
    #[must_use = "dropped, it has no effect"]
    pub fn enter(&self) -> Entered {
        Entered { before: ENTERED.replace(Some(self.clone())), _thread: PhantomData }
    }

    /// Moves it on.
    pub fn advance(&self, by: Duration) {
        self.with(|state| state.moved = state.moved.saturating_add(micros(by)));
    }

    /// By how much it was moved: by hand, and by the sleeps of functions that are not `async`.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Duration::from_micros(self.with(|state| state.moved))
    }

    /// The sleeps between attempts on the threads that have entered it, in order, `async` ones as well. A retry that is not delayed
    /// does not sleep.
    #[must_use]
    pub fn slept(&self) -> Vec<Duration> {
        self.with(|state| state.slept.clone())
    }

    fn now(&self) -> Moment {
        let base = match self.0.kind {
            Kind::Frozen { start } => start,
            #[cfg(feature = "tokio")]
            Kind::BesideTokio => clock::task_now(),
        };
        base.after(self.with(|state| state.moved))
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

/// As long as it lives, its thread goes by a [`FakeClock`].
pub struct Entered {
    before: Option<FakeClock>,
    /// It belongs to a thread.
    _thread: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        ENTERED.set(self.before.take());
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

/// The time of the thread's fake clock, if it has one.
pub(crate) fn now() -> Option<Moment> {
    entered().map(|clock| clock.now())
}

/// Sleeps by the thread's fake clock; whether it has one.
pub(crate) fn sleeps(delay: Duration) -> bool {
    note_sleep(delay);
    let clock = entered();
    if let Some(clock) = &clock {
        clock.advance(delay);
    }
    clock.is_some()
}

/// Notes a sleep, which another clock measures.
pub(crate) fn note_sleep(delay: Duration) {
    if let Some(clock) = entered().filter(|_| !delay.is_zero()) {
        clock.with(|state| state.slept.push(delay));
    }
}
