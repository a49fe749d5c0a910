//! The value of a rejected call with the option `rejection`.

use std::marker::PhantomData;

/// A probe for the return type `R` of a function, by autoref-based specialization: `(&&RejectedCall::<R>::NEW).value(made)`.
///
/// | return type | `made` | method of |
/// | --- | --- | --- |
/// | `Result<T, E>` | the error `E` | [`RejectedResult`], implemented for `&RejectedCall` |
/// | any other | the whole value | [`RejectedValue`], implemented for `RejectedCall` |
#[derive(Debug)]
pub struct RejectedCall<R>(PhantomData<fn() -> R>);

impl<R> RejectedCall<R> {
    /// The probe.
    pub const NEW: Self = Self(PhantomData);
}

/// First choice: the function returns a `Result`.
pub trait RejectedResult {
    /// The error type.
    type Error;
    /// The return type.
    type Output;

    /// Returns the error as the result of the call.
    fn value(&self, made: Self::Error) -> Self::Output;
}

impl<T, E> RejectedResult for &RejectedCall<Result<T, E>> {
    type Error = E;
    type Output = Result<T, E>;

    #[inline]
    fn value(&self, made: E) -> Result<T, E> {
        Err(made)
    }
}

/// Last choice: the function returns any other type.
pub trait RejectedValue {
    /// The return type.
    type Output;

    /// Returns the value unchanged.
    fn value(&self, made: Self::Output) -> Self::Output;
}

impl<R> RejectedValue for RejectedCall<R> {
    type Output = R;

    #[inline]
    fn value(&self, made: R) -> R {
        made
    }
}
