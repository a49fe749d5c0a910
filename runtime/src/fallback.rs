//! Fallbacks for failed calls.

use std::{
    fmt::{self, Display},
    marker::PhantomData,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fallback {
    name: &'static str,
}

impl Fallback {
    /// Creates a fallback. `name` appears in events.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name }
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
    pub const fn only_if<E, P: FnOnce(&E) -> bool>(&self, predicate: P) -> FallbackIf<E, P> {
        FallbackIf { fallback: *self, predicate, error: PhantomData }
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
}

/// A [`Fallback`] with a predicate, returned by [`Fallback::only_if`].
pub struct FallbackIf<E, P> {
    fallback: Fallback,
    predicate: P,
    error: PhantomData<fn(&E)>,
}

impl<E: Display, P: FnOnce(&E) -> bool> FallbackIf<E, P> {
    /// Like [`Fallback::run`].
    ///
    /// # Errors
    ///
    /// The error of `work` if the predicate returns false, else the error of `fallback`.
    #[inline]
    pub fn run<T>(self, work: impl FnOnce() -> Result<T, E>, fallback: impl FnOnce(E) -> Result<T, E>) -> Result<T, E> {
        work().or_else(|error| fallback(self.select(error)?))
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
        match work().await {
            Ok(value) => Ok(value),
            Err(error) => fallback(self.select(error)?).await,
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

impl<E, P: Clone> Clone for FallbackIf<E, P> {
    fn clone(&self) -> Self {
        Self { fallback: self.fallback, predicate: self.predicate.clone(), error: PhantomData }
    }
}

impl<E, P: Copy> Copy for FallbackIf<E, P> {}

impl<E, P> fmt::Debug for FallbackIf<E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackIf").field("fallback", &self.fallback).finish_non_exhaustive()
    }
}

/// Emits [`Event::FallbackUsed`] before a fallback is called.
pub(crate) fn emit(function: &'static str, fallback: &'static str, error: Option<&dyn Display>) {
    events::emit(|| Event::FallbackUsed { function, fallback, error: error.and_then(error_text) });
}
