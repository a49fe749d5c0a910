use std::time::Duration;

use crate::Transient;

/// A field from which a variant with `#[transient(inherit)]` inherits its classification: any `T: Transient`.
#[diagnostic::on_unimplemented(
    message = "`inherit` needs a field that implements `Transient`, and `{Self}` does not",
    label = "the type of this field is not `Transient`",
    note = "for errors of `reqwest`, `sqlx`, `redis`, `tonic`, `anyhow` and other libraries, enable steadfast's feature of that name",
    note = "on a type of your own: `#[derive(steadfast::Transient)]`, and `#[transient]` on the variants to retry",
    note = "otherwise decide it for the whole variant: `#[transient]` if its values are worth another attempt, no attribute if they are not"
)]
pub trait InheritTransient {
    /// Returns true if the field is transient.
    fn is_transient(field: &Self) -> bool;

    /// Returns the time to wait that the field specifies.
    fn retry_after(field: &Self) -> Option<Duration>;
}

#[diagnostic::do_not_recommend]
impl<T: Transient + ?Sized> InheritTransient for T {
    fn is_transient(field: &Self) -> bool {
        Transient::is_transient(field)
    }

    fn retry_after(field: &Self) -> Option<Duration> {
        Transient::retry_after(field)
    }
}

/// An error type of a client library, for which this crate implements [`Transient`] with a feature: any `T: Transient`.
///
/// `Feature` is a type of the module [`feature`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` implements `Transient` only with steadfast's feature `{Feature}`, which is not enabled",
    label = "this error type is not `Transient`",
    note = "enable the feature in Cargo.toml: `steadfast = {{ version = \"...\", features = [\"{Feature}\"] }}`",
    note = "or decide which errors are retried: `retry_if = |error| ...` or `retry_if = any`"
)]
pub trait TransientWithFeature<Feature> {
    /// Returns true if the error is transient.
    fn is_transient(error: &Self) -> bool;

    /// Returns the time to wait before the next attempt.
    fn retry_after(error: &Self) -> Option<Duration>;

    /// Returns true if the error is a rejection of this crate.
    fn is_rejection(error: &Self) -> bool;
}

// Without `do_not_recommend`, so that the compiler points at the attribute.
impl<T: Transient + ?Sized, Feature> TransientWithFeature<Feature> for T {
    fn is_transient(error: &Self) -> bool {
        Transient::is_transient(error)
    }

    fn retry_after(error: &Self) -> Option<Duration> {
        Transient::retry_after(error)
    }

    fn is_rejection(error: &Self) -> bool {
        Transient::is_rejection(error)
    }
}

/// The features of this crate for client libraries, as types that have their names.
#[allow(non_camel_case_types, reason = "a compile error shows these names as those of the features")]
pub mod feature {
    /// `Transient` for `http::StatusCode`.
    #[derive(Clone, Copy, Debug)]
    pub struct http;

    /// `Transient` for `redis::RedisError`.
    #[derive(Clone, Copy, Debug)]
    pub struct redis;

    /// `Transient` for `reqwest::Error`.
    #[derive(Clone, Copy, Debug)]
    pub struct reqwest;

    /// `Transient` for `sqlx::Error`.
    #[derive(Clone, Copy, Debug)]
    pub struct sqlx;

    /// `Transient` for `tonic::Status`.
    #[derive(Clone, Copy, Debug)]
    pub struct tonic;
}

/// A field that `#[transient(retry_after = field)]` reads: a `Duration` or an `Option<Duration>`.
#[diagnostic::on_unimplemented(
    message = "`retry_after` takes a `Duration` or an `Option<Duration>`, and this field is a `{Self}`",
    label = "neither a `Duration` nor an `Option<Duration>`"
)]
pub trait RetryAfterField: Copy {
    /// Returns the time to wait; `None` if the field contains none.
    fn retry_after(field: Self) -> Option<Duration>;
}

#[diagnostic::do_not_recommend]
impl RetryAfterField for Duration {
    fn retry_after(field: Self) -> Option<Duration> {
        Some(field)
    }
}

#[diagnostic::do_not_recommend]
impl RetryAfterField for Option<Duration> {
    fn retry_after(field: Self) -> Self {
        field
    }
}
