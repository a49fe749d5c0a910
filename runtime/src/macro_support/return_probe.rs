//! The value of a rejected call of a function that may return neither a `Result` nor an `Option`.

use std::marker::PhantomData;

use crate::bounds::CallResult;

/// A probe for a return type: `(&&ReturnProbe::<R>::NEW).converter()` resolves to the first of the traits below that the type implements, by
/// autoref-based specialization.
#[derive(Debug)]
pub struct ReturnProbe<R>(PhantomData<fn() -> R>);

impl<R> ReturnProbe<R> {
    /// The probe.
    pub const NEW: Self = Self(PhantomData);
}

/// First choice: the type is a `Result` or an `Option`.
pub trait ErrorReturn<R> {
    /// The error type.
    type Error;

    /// Returns the function that makes the returned value of an error.
    fn converter(&self) -> fn(Self::Error) -> R;
}

impl<R: CallResult> ErrorReturn<R> for &ReturnProbe<R> {
    type Error = R::Error;

    fn converter(&self) -> fn(R::Error) -> R {
        R::from_error
    }
}

/// Last choice: the returned value itself is made of the rejection.
pub trait ValueReturn<R> {
    /// Returns the identity.
    fn converter(&self) -> fn(R) -> R;
}

impl<R> ValueReturn<R> for ReturnProbe<R> {
    fn converter(&self) -> fn(R) -> R {
        |value| value
    }
}
