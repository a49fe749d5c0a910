//! The conversions of rejections by the lower layers of a stack.
//!
//! An error type that lacks `From` for several rejections is reported once, at the innermost layer that needs one: the layers above convert
//! their rejections into [`Reported`] instead, which accepts all of them.

use std::marker::PhantomData;

use crate::{BulkheadFull, CircuitOpen, RateLimited, TimedOut};

/// A probe for the conversions of the rejections `S`, a tuple, into the error type `E`, by autoref-based specialization:
/// `(&&ConversionsBelow::<E, S>::NEW).kind().finish(converted)`.
#[derive(Debug)]
pub struct ConversionsBelow<E, S>(PhantomData<fn(S) -> E>);

impl<E, S> ConversionsBelow<E, S> {
    /// The probe.
    pub const NEW: Self = Self(PhantomData);
}

/// A tuple of rejections that all convert into `E`.
pub trait ConvertInto<E> {}

impl<E: From<A>, A> ConvertInto<E> for (A,) {}
impl<E: From<A> + From<B>, A, B> ConvertInto<E> for (A, B) {}
impl<E: From<A> + From<B> + From<C>, A, B, C> ConvertInto<E> for (A, B, C) {}

/// First choice: the lower layers can convert their rejections.
pub trait CompleteBelow {
    /// The error type.
    type Error;

    /// Returns the marker of the error type itself.
    fn kind(&self) -> Converted<Self::Error>;
}

impl<E, S: ConvertInto<E>> CompleteBelow for &ConversionsBelow<E, S> {
    type Error = E;

    #[inline]
    fn kind(&self) -> Converted<E> {
        Converted(PhantomData)
    }
}

/// Last choice: a conversion of a lower layer is missing, and its error is reported there.
pub trait MissingBelow {
    /// The error type.
    type Error;

    /// Returns the marker of the type that accepts every rejection.
    fn kind(&self) -> AlreadyReported<Self::Error>;
}

impl<E, S> MissingBelow for ConversionsBelow<E, S> {
    type Error = E;

    fn kind(&self) -> AlreadyReported<E> {
        AlreadyReported(PhantomData)
    }
}

/// The marker of a conversion into the error type.
#[derive(Debug)]
pub struct Converted<E>(PhantomData<fn() -> E>);

impl<E> Converted<E> {
    /// Returns the error unchanged.
    #[inline]
    pub fn finish(self, error: E) -> E {
        error
    }
}

/// The marker of a conversion that is not needed, because the program does not compile.
#[derive(Debug)]
pub struct AlreadyReported<E>(PhantomData<fn() -> E>);

impl<E> AlreadyReported<E> {
    /// Is never called.
    /// Never called.
    #[must_use]
    pub fn finish(self, _: Reported) -> E {
        unreachable!("the conversion of another rejection does not compile")
    }
}

/// The type into which every rejection converts.
#[derive(Debug)]
pub struct Reported;

impl From<CircuitOpen> for Reported {
    fn from(_: CircuitOpen) -> Self {
        Self
    }
}

impl From<RateLimited> for Reported {
    fn from(_: RateLimited) -> Self {
        Self
    }
}

impl From<BulkheadFull> for Reported {
    fn from(_: BulkheadFull) -> Self {
        Self
    }
}

impl From<TimedOut> for Reported {
    fn from(_: TimedOut) -> Self {
        Self
    }
}
