//! Fallbacks for failed calls.
//!
//! Each call is counted once, by the outcome that its caller saw: [`counts`] contains the guard that does it, and [`listed`] the counts of
//! the whole program. A call that succeeds without a fallback increments a counter of its own thread.

mod counts;
mod listed;
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
pub(crate) mod metrics;
mod snapshot;

use std::{
    fmt::{self, Display},
    marker::PhantomData,
};

use once_cell::race::OnceRef;

pub use self::{
    counts::{FallbackCall, FallbackCounts, StackBreaker},
    listed::{FALLBACKS, fallbacks},
    snapshot::FallbackSnapshot,
};
use crate::{
    error_text::error_text,
    events::{self, Event},
};

/// A fallback: calls a second function if the first one fails.
///
/// ```
/// use std::io;
/// use steadfast::Fallback;
///
/// static RATES: Fallback = Fallback::new("exchange rates");
///
/// # fn fetch() -> io::Result<f64> { Err(io::ErrorKind::TimedOut.into()) }
/// # fn yesterday() -> io::Result<f64> { Ok(1.08) }
/// let rate = RATES.run(fetch, |_error| yesterday())?;
/// assert_eq!(rate, 1.08);
/// # Ok::<(), io::Error>(())
/// ```
///
/// Calls are counted by name and outcome: see [`fallbacks`]. Declare a fallback as a `static`: it looks its counts up at its first call,
/// under a lock. With [`register!`](crate::register), it is listed before that call.
pub struct Fallback {
    name: &'static str,
    /// The counts of the name; empty before the first call.
    counts: OnceRef<'static, FallbackCounts>,
}

impl Fallback {
    /// Creates a fallback. `name` appears in events, and calls are counted under it, together with those of other fallbacks with this name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, counts: OnceRef::new() }
    }

    /// Returns the name.
    ///
    /// ```
    /// use steadfast::Fallback;
    ///
    /// assert_eq!(Fallback::new("exchange rates").name(), "exchange rates");
    /// ```
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns this fallback with a predicate. Errors for which it returns false are returned unchanged.
    ///
    /// ```
    /// use std::io;
    /// use steadfast::Fallback;
    ///
    /// static RATES: Fallback = Fallback::new("exchange rates");
    ///
    /// let result: io::Result<f64> = RATES
    ///     .only_if(|error: &io::Error| error.kind() == io::ErrorKind::TimedOut)
    ///     .run(|| Err(io::ErrorKind::NotFound.into()), |_error| Ok(1.08));
    /// assert!(result.is_err());
    /// ```
    #[must_use]
    pub const fn only_if<E, P: FnOnce(&E) -> bool>(&self, predicate: P) -> FallbackIf<'_, E, P> {
        FallbackIf { fallback: self, predicate, error: PhantomData }
    }

    /// Calls `work` and, if it fails, calls `fallback` with the error.
    ///
    /// # Errors
    ///
    /// The error of `fallback`.
    #[inline]
    pub fn run<T, E: Display>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
        fallback: impl FnOnce(E) -> Result<T, E>,
    ) -> Result<T, E> {
        self.only_if(|_: &E| true).run(work, fallback)
    }

    /// Calls `work` and, if it fails, calls `fallback` with the error.
    ///
    /// # Errors
    ///
    /// The error of `fallback`.
    pub async fn run_async<T, E: Display>(
        &self,
        work: impl AsyncFnOnce() -> Result<T, E>,
        fallback: impl AsyncFnOnce(E) -> Result<T, E>,
    ) -> Result<T, E> {
        self.only_if(|_: &E| true).run_async(work, fallback).await
    }

    /// Returns the counts of the name, which are created if necessary.
    #[inline]
    fn counts(&self) -> &'static FallbackCounts {
        self.counts.get().unwrap_or_else(|| {
            let counts = listed::counts_of(self.name);
            // Another thread may have set the same counts.
            _ = self.counts.set(counts);
            counts
        })
    }
}

impl Clone for Fallback {
    /// Returns a fallback with the same name, and so with the same counts.
    fn clone(&self) -> Self {
        Self::new(self.name)
    }
}

impl fmt::Debug for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A [`Fallback`] with a predicate, returned by [`Fallback::only_if`]. Its calls are counted as those of the fallback.
pub struct FallbackIf<'a, E, P> {
    fallback: &'a Fallback,
    predicate: P,
    error: PhantomData<fn(&E)>,
}

impl<E: Display, P: FnOnce(&E) -> bool> FallbackIf<'_, E, P> {
    /// Like [`Fallback::run`].
    ///
    /// # Errors
    ///
    /// The error of `work` if the predicate returns false, else the error of `fallback`.
    #[inline]
    pub fn run<T>(self, work: impl FnOnce() -> Result<T, E>, fallback: impl FnOnce(E) -> Result<T, E>) -> Result<T, E> {
        let call = self.fallback.counts().begin();
        match work() {
            Ok(value) => {
                call.answered();
                Ok(value)
            }
            Err(error) => match self.select(error) {
                Ok(error) => call.end_with(fallback(error)),
                Err(error) => call.end_with(Err(error)),
            },
        }
    }

    /// Like [`Fallback::run_async`].
    ///
    /// # Errors
    ///
    /// The error of `work` if the predicate returns false, else the error of `fallback`.
    pub async fn run_async<T>(
        self,
        work: impl AsyncFnOnce() -> Result<T, E>,
        fallback: impl AsyncFnOnce(E) -> Result<T, E>,
    ) -> Result<T, E> {
        let call = self.fallback.counts().begin();
        match work().await {
            Ok(value) => {
                call.answered();
                Ok(value)
            }
            Err(error) => match self.select(error) {
                Ok(error) => call.end_with(fallback(error).await),
                Err(error) => call.end_with(Err(error)),
            },
        }
    }

    /// Emits the event and returns `Ok` if the predicate returns true; otherwise returns `Err`.
    #[cold]
    fn select(self, error: E) -> Result<E, E> {
        if !(self.predicate)(&error) {
            return Err(error);
        }
        emit(self.fallback.name, "a closure", Some(&error));
        Ok(error)
    }
}

impl<E, P: Clone> Clone for FallbackIf<'_, E, P> {
    fn clone(&self) -> Self {
        Self { fallback: self.fallback, predicate: self.predicate.clone(), error: PhantomData }
    }
}

impl<E, P: Copy> Copy for FallbackIf<'_, E, P> {}

impl<E, P> fmt::Debug for FallbackIf<'_, E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackIf").field("fallback", &self.fallback).finish_non_exhaustive()
    }
}

/// Emits [`Event::FallbackUsed`] before a fallback is called.
pub(crate) fn emit(function: &'static str, fallback: &'static str, error: Option<&dyn Display>) {
    events::emit(|| Event::FallbackUsed { function, fallback, error: error.and_then(error_text) });
}
