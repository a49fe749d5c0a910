//! The value of a rejected call of a function that may return neither a `Result` nor an `Option`.

use std::marker::PhantomData;

use crate::bounds::CallResult;

/// A probe for a return type: `(&&RejectedProbe::<R>::NEW).converter()` resolves to the first of the traits below that the type implements, by
/// autoref-based specialization.
#[derive(Debug)]
pub struct RejectedProbe<R>(PhantomData<fn() -> R>);

impl<R> RejectedProbe<R> {
    /// The probe.
    pub const NEW: Self = Self(PhantomData);
}

/// First choice: the type is a `Result` or an `Option`.
pub trait ConvertedError<R> {
    /// The error type.
    type Error;

    /// Returns the function that makes the returned value of an error.
    fn converter(&self) -> fn(Self::Error) -> R;
}

impl<R: CallResult> ConvertedError<R> for &RejectedProbe<R> {
    type Error = R::Error;

    fn converter(&self) -> fn(R::Error) -> R {
        R::from_error
    }
}

/// Last choice: the returned value itself is made of the rejection.
pub trait ConvertedValue<R> {
    /// Returns the identity.
    fn converter(&self) -> fn(R) -> R;
}

impl<R> ConvertedValue<R> for RejectedProbe<R> {
    fn converter(&self) -> fn(R) -> R {
        |value| value
    }
}
