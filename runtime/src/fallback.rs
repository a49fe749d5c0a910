//! What to do instead when a call has failed.

use std::{error::Error, fmt, marker::PhantomData};

use crate::{
    events::{self, Event},
    panics::contain,
};

/// Calls something else when a call has failed.
///
/// ```
/// use std::io;
/// use steadfast::Fallback;
///
/// static RATES: Fallback = Fallback::new("exchange rates");
///
/// # fn fetch() -> io::Result<f64> { Err(io::ErrorKind::TimedOut.into()) }
/// # fn yesterdays() -> io::Result<f64> { Ok(1.08) }
/// let rate = RATES.run(fetch, |_error| yesterdays())?;
/// assert_eq!(rate, 1.08);
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fallback {
    name: &'static str,
}

impl Fallback {
    /// A fallback; events call it by this name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name }
    }

    /// The same for those errors alone that `predicate` is true for. The others come back as they are.
    #[must_use]
    pub const fn only_if<E, P: Fn(&E) -> bool>(&self, predicate: P) -> FallbackIf<E, P> {
        FallbackIf { fallback: *self, predicate, error: PhantomData }
    }

    /// Calls `work`, and `fallback` with the error if there is one.
    ///
    /// # Errors
    ///
    /// That of `fallback`.
    #[inline]
    pub fn run<T, E: Error + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
        fallback: impl FnOnce(E) -> Result<T, E>,
    ) -> Result<T, E> {
        self.only_if(|_: &E| true).run(work, fallback)
    }

    /// Calls `work`, and `fallback` with the error if there is one.
    ///
    /// # Errors
    ///
    /// That of `fallback`.
    pub async fn run_async<T, E: Error + 'static>(
        &self,
        work: impl AsyncFnOnce() -> Result<T, E>,
        fallback: impl AsyncFnOnce(E) -> Result<T, E>,
    ) -> Result<T, E> {
        self.only_if(|_: &E| true).run_async(work, fallback).await
    }
}

/// A [`Fallback`] for some errors: see [`Fallback::only_if`].
pub struct FallbackIf<E, P> {
    fallback: Fallback,
    predicate: P,
    error: PhantomData<fn(&E)>,
}

impl<E: Error + 'static, P: Fn(&E) -> bool> FallbackIf<E, P> {
    /// As [`Fallback::run`].
    ///
    /// # Errors
    ///
    /// That of `work` if it is none of those errors, else that of `fallback`.
    #[inline]
    pub fn run<T>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
        fallback: impl FnOnce(E) -> Result<T, E>,
    ) -> Result<T, E> {
        work().or_else(|error| fallback(self.accept(error)?))
    }

    /// As [`Fallback::run_async`].
    ///
    /// # Errors
    ///
    /// That of `work` if it is none of those errors, else that of `fallback`.
    pub async fn run_async<T>(
        &self,
        work: impl AsyncFnOnce() -> Result<T, E>,
        fallback: impl AsyncFnOnce(E) -> Result<T, E>,
    ) -> Result<T, E> {
        match work().await {
            Ok(value) => Ok(value),
            Err(error) => fallback(self.accept(error)?).await,
        }
    }

    /// The error, if it is one that the fallback is for.
    #[cold]
    fn accept(&self, error: E) -> Result<E, E> {
        if !(self.predicate)(&error) {
            return Err(error);
        }
        tell(self.fallback.name, "a closure", Some(&error));
        Ok(error)
    }
}

impl<E, P> fmt::Debug for FallbackIf<E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackIf").field("fallback", &self.fallback).finish_non_exhaustive()
    }
}

/// Tells that a fallback is called.
pub(crate) fn tell(function: &'static str, fallback: &'static str, error: Option<&(dyn Error + 'static)>) {
    // A `Display` that panics would end a call that has a fallback only because somebody listens.
    let text = |error: &dyn Error| {
        let mut text = None;
        contain(|| text = Some(error.to_string().into()));
        text
    };
    events::emit(|| Event::FallbackUsed { function, fallback, error: error.and_then(text) });
}
