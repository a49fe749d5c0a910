//! The value of a rejected call with the option `rejection`.

use std::marker::PhantomData;

/// A probe for the return type `R` of a function, by autoref-based specialization: `(&&RejectedCall::<R>::NEW).value(made)`. The method
/// `expected` determines the type of `made`, so that the compiler reports a wrong one in the user's expression.
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

    /// Returns the type of the error.
    fn expected(&self) -> PhantomData<Self::Error>;

    /// Returns the error as the result of the call.
    fn value(&self, made: Self::Error) -> Self::Output;
}

impl<T, E> RejectedResult for &RejectedCall<Result<T, E>> {
    type Error = E;
    type Output = Result<T, E>;

    #[inline]
    fn expected(&self) -> PhantomData<E> {
        PhantomData
    }

    #[inline]
    fn value(&self, made: E) -> Result<T, E> {
        Err(made)
    }
}

/// Last choice: the function returns any other type.
pub trait RejectedValue {
    /// The return type.
    type Output;

    /// Returns the type of the value.
    fn expected(&self) -> PhantomData<Self::Output>;

    /// Returns the value unchanged.
    fn value(&self, made: Self::Output) -> Self::Output;
}

impl<R> RejectedValue for RejectedCall<R> {
    type Output = R;

    #[inline]
    fn expected(&self) -> PhantomData<R> {
        PhantomData
    }

    #[inline]
    fn value(&self, made: R) -> R {
        made
    }
}
