use std::{cell::RefCell, fmt, marker::PhantomData};

use fastrand::Rng;

thread_local! {
    static RNG: RefCell<Option<Rng>> = const { RefCell::new(None) };
}

/// Seeds the random numbers of this thread, such as those for jitter, so that they are the same in every run.
///
/// Dropping the returned guard restores the previous source.
///
/// ```
/// use std::time::Duration;
/// use steadfast::{RetryPolicy, Schedule, testing};
///
/// static POLICY: RetryPolicy = RetryPolicy::new().backoff(Schedule::fixed(Duration::from_secs(10))); // with full jitter
///
/// let slept = |seed| {
///     let (_seeded, clock) = (testing::seed_jitter(seed), testing::FakeClock::new());
///     let _entered = clock.enter();
///     let failure = std::io::ErrorKind::TimedOut;
///     _ = POLICY.run(|| Err::<(), _>(std::io::Error::from(failure)));
///     clock.slept()
/// };
/// assert_eq!(slept(7), slept(7));
/// assert_ne!(slept(7), slept(8));
/// ```
#[must_use = "dropped, it has no effect"]
pub fn seed_jitter(seed: u64) -> Seeded {
    Seeded { previous: RNG.replace(Some(Rng::with_seed(seed))), _thread: PhantomData }
}

/// A guard that seeds the random numbers of its thread until it is dropped. Returned by [`seed_jitter`].
pub struct Seeded {
    previous: Option<Rng>,
    /// Makes the guard `!Send`, since it must be dropped on its own thread.
    _thread: PhantomData<*const ()>,
}

impl Drop for Seeded {
    fn drop(&mut self) {
        RNG.set(self.previous.take());
    }
}

impl fmt::Debug for Seeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seeded").finish_non_exhaustive()
    }
}

/// Returns a number in `0..=max` from the seeded generator of this thread; `None` if the thread has no seed.
pub(crate) fn random(max: u64) -> Option<u64> {
    RNG.with_borrow_mut(|rng| rng.as_mut().map(|rng| rng.u64(..=max)))
}
