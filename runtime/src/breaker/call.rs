//! Calls through a breaker with conditions: the calls that are failures, and the error of a rejected call.

use std::{fmt, hint, marker::PhantomData, pin::pin};

use super::{CircuitBreaker, InPlace, PanicGuard, Permit, Polled};
use crate::{
    CircuitOpen,
    keying::{Keying, Unkeyed},
};

/// A [`CircuitBreaker`] with conditions for its calls, as the options `failure_if`, `failure_if_result` and `rejection` of the attribute.
///
/// Returned by [`CircuitBreaker::failure_if`], [`failure_if_result`](CircuitBreaker::failure_if_result) and
/// [`rejection`](CircuitBreaker::rejection), which can be combined:
///
/// ```
/// use std::io;
/// use steadfast::{BreakerConfig, CircuitBreaker};
///
/// static STORE: CircuitBreaker = CircuitBreaker::new("store", BreakerConfig::new().failure_threshold(1));
///
/// let load = || {
///     STORE
///         .failure_if(|error: &String| error.contains("timed out"))
///         .rejection(|open| open.to_string())
///         .call(|| Err::<(), _>("the request timed out".to_owned()))
/// };
/// assert_eq!(load().unwrap_err(), "the request timed out");
/// assert!(load().unwrap_err().starts_with("circuit `store` is open after a failure"));
/// ```
pub struct BreakerCall<'b, F = EveryError, R = ConvertedRejection, K: Keying = Unkeyed> {
    breaker: &'b CircuitBreaker<K>,
    failures: F,
    rejection: R,
}

/// The selection of all errors as failures.
#[derive(Clone, Copy, Debug)]
pub struct EveryError;

/// The selection of the errors for which a predicate returns true. Other errors are ignored.
pub struct SelectedErrors<E, P> {
    predicate: P,
    error: PhantomData<fn(&E)>,
}

/// The selection of the results for which a predicate returns true. Other results are successes.
pub struct SelectedResults<T, E, P> {
    predicate: P,
    result: PhantomData<fn(&Result<T, E>)>,
}

/// The conversion of a rejection by `From`.
#[derive(Clone, Copy, Debug)]
pub struct ConvertedRejection;

/// The conversion of a rejection by a function.
pub struct MappedRejection<M>(M);

/// A selection of the results of calls that are failures. The trait is sealed.
pub trait FailureSelection<T, E>: sealed::Judge<T, E> {}

/// A conversion of rejections into errors of the caller. The trait is sealed.
pub trait RejectionConversion<E>: sealed::Convert<E> {}

impl<T, E> FailureSelection<T, E> for EveryError {}
impl<T, E, P: FnMut(&E) -> bool> FailureSelection<T, E> for SelectedErrors<E, P> {}
impl<T, E, P: FnMut(&Result<T, E>) -> bool> FailureSelection<T, E> for SelectedResults<T, E, P> {}
impl<E: From<CircuitOpen>> RejectionConversion<E> for ConvertedRejection {}
impl<E, M: FnMut(CircuitOpen) -> E> RejectionConversion<E> for MappedRejection<M> {}

/// The private parts of the traits, which seal them.
mod sealed {
    use super::{CircuitOpen, ConvertedRejection, EveryError, MappedRejection, SelectedErrors, SelectedResults};
    use crate::errors::convert_by;

    /// The meaning of a result for the breaker.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Judgement {
        Success,
        Failure,
        Ignored,
    }

    pub trait Judge<T, E> {
        fn judge(&mut self, result: &Result<T, E>) -> Judgement;
    }

    pub trait Convert<E> {
        fn convert(&mut self, open: CircuitOpen) -> E;
    }

    impl<T, E> Judge<T, E> for EveryError {
        #[inline]
        fn judge(&mut self, result: &Result<T, E>) -> Judgement {
            if result.is_ok() { Judgement::Success } else { Judgement::Failure }
        }
    }

    impl<T, E, P: FnMut(&E) -> bool> Judge<T, E> for SelectedErrors<E, P> {
        #[inline]
        fn judge(&mut self, result: &Result<T, E>) -> Judgement {
            match result {
                Ok(_) => Judgement::Success,
                Err(error) if (self.predicate)(error) => Judgement::Failure,
                Err(_) => Judgement::Ignored,
            }
        }
    }

    impl<T, E, P: FnMut(&Result<T, E>) -> bool> Judge<T, E> for SelectedResults<T, E, P> {
        #[inline]
        fn judge(&mut self, result: &Result<T, E>) -> Judgement {
            if (self.predicate)(result) { Judgement::Failure } else { Judgement::Success }
        }
    }

    impl<E: From<CircuitOpen>> Convert<E> for ConvertedRejection {
        #[inline]
        fn convert(&mut self, open: CircuitOpen) -> E {
            open.into_error()
        }
    }

    impl<E, M: FnMut(CircuitOpen) -> E> Convert<E> for MappedRejection<M> {
        #[inline]
        fn convert(&mut self, open: CircuitOpen) -> E {
            convert_by(open, &mut self.0)
        }
    }
}

use self::sealed::Judgement;

impl<K: Keying> CircuitBreaker<K> {
    /// Selects the errors that are failures. Other errors are ignored: they count as neither failure nor success.
    ///
    /// ```
    /// use std::io;
    /// use steadfast::{BreakerConfig, CircuitBreaker};
    ///
    /// static FILES: CircuitBreaker = CircuitBreaker::new("files", BreakerConfig::new());
    ///
    /// let read = || FILES.failure_if(|error: &io::Error| error.kind() != io::ErrorKind::NotFound).call(|| std::fs::read("absent"));
    /// assert!(read().is_err());
    /// assert_eq!(FILES.snapshot().ignored, 1);
    /// ```
    #[inline]
    pub const fn failure_if<E, P: FnMut(&E) -> bool>(
        &self,
        predicate: P,
    ) -> BreakerCall<'_, SelectedErrors<E, P>, ConvertedRejection, K> {
        let failures = SelectedErrors { predicate, error: PhantomData };
        BreakerCall { breaker: self, failures, rejection: ConvertedRejection }
    }

    /// Selects the results that are failures, `Ok` or `Err`. Other results are successes.
    ///
    /// ```
    /// use std::io;
    /// use steadfast::{BreakerConfig, CircuitBreaker};
    ///
    /// static API: CircuitBreaker = CircuitBreaker::new("api", BreakerConfig::new());
    ///
    /// let status = API
    ///     .failure_if_result(|result: &io::Result<u16>| !matches!(result, Ok(..500)))
    ///     .call(|| Ok(503))?;
    /// assert_eq!((status, API.snapshot().failures), (503, 1));
    /// # Ok::<(), io::Error>(())
    /// ```
    #[inline]
    pub const fn failure_if_result<T, E, P: FnMut(&Result<T, E>) -> bool>(
        &self,
        predicate: P,
    ) -> BreakerCall<'_, SelectedResults<T, E, P>, ConvertedRejection, K> {
        let failures = SelectedResults { predicate, result: PhantomData };
        BreakerCall { breaker: self, failures, rejection: ConvertedRejection }
    }

    /// Sets the conversion of a rejection into the error of the call, for error types without `From<CircuitOpen>`.
    ///
    /// ```
    /// use steadfast::{BreakerConfig, CircuitBreaker};
    ///
    /// static FEED: CircuitBreaker = CircuitBreaker::new("feed", BreakerConfig::new());
    ///
    /// FEED.force_open();
    /// let result = FEED.rejection(|open| format!("no feed: {}", open.reason())).call(|| Ok(()));
    /// assert_eq!(result.unwrap_err(), "no feed: forced open");
    /// ```
    #[inline]
    pub const fn rejection<E, M: FnMut(CircuitOpen) -> E>(
        &self,
        rejection: M,
    ) -> BreakerCall<'_, EveryError, MappedRejection<M>, K> {
        BreakerCall { breaker: self, failures: EveryError, rejection: MappedRejection(rejection) }
    }
}

impl<'b, R, K: Keying> BreakerCall<'b, EveryError, R, K> {
    /// Like [`CircuitBreaker::failure_if`].
    #[inline]
    pub fn failure_if<E, P: FnMut(&E) -> bool>(self, predicate: P) -> BreakerCall<'b, SelectedErrors<E, P>, R, K> {
        let failures = SelectedErrors { predicate, error: PhantomData };
        BreakerCall { breaker: self.breaker, failures, rejection: self.rejection }
    }

    /// Like [`CircuitBreaker::failure_if_result`].
    #[inline]
    pub fn failure_if_result<T, E, P: FnMut(&Result<T, E>) -> bool>(
        self,
        predicate: P,
    ) -> BreakerCall<'b, SelectedResults<T, E, P>, R, K> {
        let failures = SelectedResults { predicate, result: PhantomData };
        BreakerCall { breaker: self.breaker, failures, rejection: self.rejection }
    }
}

impl<'b, F, K: Keying> BreakerCall<'b, F, ConvertedRejection, K> {
    /// Like [`CircuitBreaker::rejection`].
    #[inline]
    pub fn rejection<E, M: FnMut(CircuitOpen) -> E>(self, rejection: M) -> BreakerCall<'b, F, MappedRejection<M>, K> {
        BreakerCall { breaker: self.breaker, failures: self.failures, rejection: MappedRejection(rejection) }
    }
}

impl<F, R, K: Keying> BreakerCall<'_, F, R, K> {
    /// Makes a call if the circuit admits it. A panic of the call, or of the predicate, counts as a failure.
    ///
    /// # Errors
    ///
    /// Returns the error of `work`, or the rejection.
    #[inline]
    pub fn call<T, E>(&mut self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E>
    where
        F: FailureSelection<T, E>,
        R: RejectionConversion<E>,
    {
        let mut permit = self.breaker.try_acquire().map_err(|open| self.rejection.convert(open))?;
        let guard = PanicGuard::new(&mut permit);
        let result = work();
        guard.disarm();
        self.record(permit, &result);
        result
    }

    /// Makes an async call if the circuit admits it. A panic of the call, or of the predicate, counts as a failure.
    ///
    /// # Cancellation
    ///
    /// As for [`CircuitBreaker::call_async`].
    ///
    /// # Errors
    ///
    /// Returns the error of `work`, or the rejection.
    pub async fn call_async<T, E>(&mut self, work: impl AsyncFnOnce() -> Result<T, E>) -> Result<T, E>
    where
        F: FailureSelection<T, E>,
        R: RejectionConversion<E>,
    {
        let mut permit = self.breaker.try_acquire().map_err(|open| self.rejection.convert(open))?;
        // As in `CircuitBreaker::call_async`.
        let result = Polled::new(&mut permit, InPlace(pin!(async { work().await }))).await;
        self.record(permit, &result);
        result
    }

    #[inline]
    fn record<T, E>(&mut self, mut permit: Permit<'_, K>, result: &Result<T, E>)
    where
        F: FailureSelection<T, E>,
    {
        let guard = PanicGuard::new(&mut permit);
        let judgement = self.failures.judge(result);
        guard.disarm();
        if judgement == Judgement::Success {
            return permit.success();
        }
        hint::cold_path();
        if judgement == Judgement::Ignored { permit.ignore() } else { permit.failure() }
    }
}

impl<F, R, K: Keying> fmt::Debug for BreakerCall<'_, F, R, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerCall").field("breaker", self.breaker).finish_non_exhaustive()
    }
}

impl<E, P> fmt::Debug for SelectedErrors<E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelectedErrors").finish_non_exhaustive()
    }
}

impl<T, E, P> fmt::Debug for SelectedResults<T, E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelectedResults").finish_non_exhaustive()
    }
}

impl<M> fmt::Debug for MappedRejection<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MappedRejection").finish_non_exhaustive()
    }
}
