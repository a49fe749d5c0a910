use crate::{BulkheadFull, CircuitOpen, RateLimited, TimedOut, Transient};

/// The return type of an annotated function: a `Result` or an `Option`.
///
/// By default, `Err` and `None` are failures; options of the attribute can narrow this. `#[retry]` with `retry_if_result` accepts every
/// return type.
// One trait covers all requirements on the return type, so that an unsuitable type is reported once.
#[diagnostic::on_unimplemented(
    message = "the function must return a `Result` or an `Option`, and it returns `{Self}`",
    label = "neither a `Result` nor an `Option`",
    note = "with no other attribute, `#[retry(retry_if_result = |value| ...)]` accepts any return type, and so do `#[rate_limit]`, `#[bulkhead]` and `#[timeout]` with `rejection = |error| ...`, and `#[circuit_breaker]` with that and `failure_if_result = |value| ...`"
)]
pub trait CallResult {
    /// The type of the value of a successful call.
    type Value;
    /// The error type; [`NoneError`] for an `Option`.
    type Error;

    /// Returns a reference to the error of a failed call.
    fn error(result: &Self) -> Option<&Self::Error>;

    /// Converts the result of a call into its value or its error.
    ///
    /// # Errors
    ///
    /// Returns the error of a failed call.
    fn into_result(result: Self) -> Result<Self::Value, Self::Error>;

    /// Creates the result of a successful call from its value.
    fn from_value(value: Self::Value) -> Self;

    /// Creates the result of a failed call from its error.
    fn from_error(error: Self::Error) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T, E> CallResult for Result<T, E> {
    type Value = T;
    type Error = E;

    #[inline]
    fn error(result: &Self) -> Option<&E> {
        result.as_ref().err()
    }

    #[inline]
    fn into_result(result: Self) -> Self {
        result
    }

    #[inline]
    fn from_value(value: T) -> Self {
        Ok(value)
    }

    #[inline]
    fn from_error(error: E) -> Self {
        Err(error)
    }
}

#[diagnostic::do_not_recommend]
impl<T> CallResult for Option<T> {
    type Value = T;
    type Error = NoneError;

    #[inline]
    fn error(result: &Self) -> Option<&NoneError> {
        result.is_none().then_some(&NoneError)
    }

    #[inline]
    fn into_result(result: Self) -> Result<T, NoneError> {
        result.ok_or(NoneError)
    }

    #[inline]
    fn from_value(value: T) -> Self {
        Some(value)
    }

    #[inline]
    fn from_error(_: NoneError) -> Self {
        None
    }
}

/// The error of a function that returns an `Option`: the value is missing.
///
/// Predicates and the hook `on_retry` of such a function receive a reference to it. It is always [`Transient`].
#[derive(Debug)]
#[non_exhaustive]
pub struct NoneError;

impl NoneError {
    /// The error, for generated code.
    #[doc(hidden)]
    pub const NEW: Self = Self;
}

#[diagnostic::do_not_recommend]
impl Transient for NoneError {
    fn is_transient(&self) -> bool {
        true
    }
}

impl From<CircuitOpen> for NoneError {
    fn from(_: CircuitOpen) -> Self {
        Self
    }
}

impl From<RateLimited> for NoneError {
    fn from(_: RateLimited) -> Self {
        Self
    }
}

impl From<BulkheadFull> for NoneError {
    fn from(_: BulkheadFull) -> Self {
        Self
    }
}

impl From<TimedOut> for NoneError {
    fn from(_: TimedOut) -> Self {
        Self
    }
}
