use std::marker::PhantomData;

use crate::{BulkheadFull, CircuitOpen, RateLimited, TimedOut};

// The implementations have no `do_not_recommend`: with it, the compiler would not point at the attribute, and would suggest these traits
// instead of `From` as the bound of a type parameter.
//
// Each rejection has a trait of its own, so that the message can suggest a variant that compiles as written and that `#[retry]`
// classifies correctly.

/// An error type that a [`CircuitOpen`] converts into: any `E: From<CircuitOpen>`.
#[diagnostic::on_unimplemented(
    message = "the error type `{Self}` cannot carry the `CircuitOpen` of `#[circuit_breaker]`: it does not implement `From<CircuitOpen>`",
    label = "`From<CircuitOpen>` is missing for this error type",
    note = "if `{Self}` is a type of your own: with thiserror, add a variant `#[error(transparent)] Open(#[from] steadfast::CircuitOpen)`; it takes no `#[transient]`: an open circuit ends a retry; without thiserror, write `impl From<steadfast::CircuitOpen> for {Self}`",
    note = "if it is a type of another crate: `#[circuit_breaker(..., rejection = |open| ...)]` makes the error, or return `steadfast::Error<{Self}>`, which has a variant for each attribute",
    note = "if it is an error of `redis`, `sqlx` or `tonic`, enable steadfast's feature of that name"
)]
pub trait FromCircuitOpen: Sized {
    /// Converts the rejection.
    fn from_rejection(open: CircuitOpen, error_type: PhantomData<Self>) -> Self;
}

impl<E: From<CircuitOpen>> FromCircuitOpen for E {
    #[inline]
    fn from_rejection(open: CircuitOpen, _: PhantomData<Self>) -> Self {
        open.into_error()
    }
}

/// An error type that a [`RateLimited`] converts into: any `E: From<RateLimited>`.
#[diagnostic::on_unimplemented(
    message = "the error type `{Self}` cannot carry the `RateLimited` of `#[rate_limit]`: it does not implement `From<RateLimited>`",
    label = "`From<RateLimited>` is missing for this error type",
    note = "if `{Self}` is a type of your own: with thiserror, add a variant `#[error(transparent)] #[transient(inherit)] Limited(#[from] steadfast::RateLimited)`; without `derive(Transient)`, leave out `#[transient(inherit)]`, by which a retry waits until the limit allows another call; without thiserror, write `impl From<steadfast::RateLimited> for {Self}`",
    note = "if it is a type of another crate: `#[rate_limit(..., rejection = |limited| ...)]` makes the error, or return `steadfast::Error<{Self}>`, which has a variant for each attribute",
    note = "if it is an error of `redis`, `sqlx` or `tonic`, enable steadfast's feature of that name"
)]
pub trait FromRateLimited: Sized {
    /// Converts the rejection.
    fn from_rejection(limited: RateLimited, error_type: PhantomData<Self>) -> Self;
}

impl<E: From<RateLimited>> FromRateLimited for E {
    #[inline]
    fn from_rejection(limited: RateLimited, _: PhantomData<Self>) -> Self {
        limited.into()
    }
}

/// An error type that a [`BulkheadFull`] converts into: any `E: From<BulkheadFull>`.
#[diagnostic::on_unimplemented(
    message = "the error type `{Self}` cannot carry the `BulkheadFull` of `#[bulkhead]`: it does not implement `From<BulkheadFull>`",
    label = "`From<BulkheadFull>` is missing for this error type",
    note = "if `{Self}` is a type of your own: with thiserror, add a variant `#[error(transparent)] #[transient(inherit)] Full(#[from] steadfast::BulkheadFull)`; without `derive(Transient)`, leave out `#[transient(inherit)]`, by which a retry makes another attempt; without thiserror, write `impl From<steadfast::BulkheadFull> for {Self}`",
    note = "if it is a type of another crate: `#[bulkhead(..., rejection = |full| ...)]` makes the error, or return `steadfast::Error<{Self}>`, which has a variant for each attribute",
    note = "if it is an error of `redis`, `sqlx` or `tonic`, enable steadfast's feature of that name"
)]
pub trait FromBulkheadFull: Sized {
    /// Converts the rejection.
    fn from_rejection(full: BulkheadFull, error_type: PhantomData<Self>) -> Self;
}

impl<E: From<BulkheadFull>> FromBulkheadFull for E {
    #[inline]
    fn from_rejection(full: BulkheadFull, _: PhantomData<Self>) -> Self {
        full.into()
    }
}

/// An error type that a [`TimedOut`] converts into: any `E: From<TimedOut>`.
#[diagnostic::on_unimplemented(
    message = "the error type `{Self}` cannot carry the `TimedOut` of `#[timeout]`: it does not implement `From<TimedOut>`",
    label = "`From<TimedOut>` is missing for this error type",
    note = "if `{Self}` is a type of your own: with thiserror, add a variant `#[error(transparent)] #[transient(inherit)] TimedOut(#[from] steadfast::TimedOut)`; without `derive(Transient)`, leave out `#[transient(inherit)]`, by which a retry makes another attempt; without thiserror, write `impl From<steadfast::TimedOut> for {Self}`",
    note = "if it is a type of another crate: `#[timeout(..., rejection = |timed_out| ...)]` makes the error, or return `steadfast::Error<{Self}>`, which has a variant for each attribute",
    note = "if it is an error of `redis`, `sqlx` or `tonic`, enable steadfast's feature of that name"
)]
pub trait FromTimedOut: Sized {
    /// Converts the timeout.
    fn from_rejection(timed_out: TimedOut, error_type: PhantomData<Self>) -> Self;
}

impl<E: From<TimedOut>> FromTimedOut for E {
    #[inline]
    fn from_rejection(timed_out: TimedOut, _: PhantomData<Self>) -> Self {
        timed_out.into()
    }
}

/// Defines the trait of a client's error type that can carry the rejection `R` with a feature of this crate that is off. Generated code calls
/// it in the place of [`FromCircuitOpen`] and the others, because a blanket `From` of the client would determine the compiler's message.
macro_rules! carries_with_feature {
    ($(#[$documentation:meta])* $name:ident, $message:literal, $note:literal) => {
        $(#[$documentation])*
        #[diagnostic::on_unimplemented(
            message = $message,
            label = "this error type cannot carry the rejection",
            note = $note,
            note = "or make the error of a rejected call: `rejection = |rejection| ...`, or return `steadfast::Error<{Self}>`"
        )]
        pub trait $name<R>: Sized {
            /// Converts the rejection.
            fn from_rejection(rejection: R, error_type: PhantomData<Self>) -> Self;
        }

        carries_with_feature!($name: FromCircuitOpen CircuitOpen, FromRateLimited RateLimited, FromBulkheadFull BulkheadFull, FromTimedOut TimedOut);
    };
    ($name:ident: $($from:ident $rejection:ident),*) => {$(
        // The compiler stops at this trait, and does not look for a `From`.
        #[diagnostic::do_not_recommend]
        impl<E: From<$rejection>> $name<$rejection> for E {
            fn from_rejection(rejection: $rejection, error_type: PhantomData<Self>) -> Self {
                $from::from_rejection(rejection, error_type)
            }
        }
    )*};
}

carries_with_feature! {
    /// An error type of the crate `redis`, which can carry rejections with the feature of that name.
    CarriesWithRedis,
    "`{Self}` can carry a `{R}` only with steadfast's feature `redis`, which is not enabled",
    "enable the feature in Cargo.toml: `steadfast = {{ version = \"...\", features = [\"redis\"] }}`"
}

carries_with_feature! {
    /// An error type of the crate `sqlx`, which can carry rejections with the feature of that name.
    CarriesWithSqlx,
    "`{Self}` can carry a `{R}` only with steadfast's feature `sqlx`, which is not enabled",
    "enable the feature in Cargo.toml: `steadfast = {{ version = \"...\", features = [\"sqlx\"] }}`"
}

carries_with_feature! {
    /// An error type of the crate `tonic`, which can carry rejections with the feature of that name.
    CarriesWithTonic,
    "`{Self}` can carry a `{R}` only with steadfast's feature `tonic`, which is not enabled",
    "enable the feature in Cargo.toml: `steadfast = {{ version = \"...\", features = [\"tonic\"] }}`"
}
