use std::time::Duration;

use crate::Transient;

/// A field from which a variant with `#[transient(inherit)]` inherits its classification: any `T: Transient`.
#[diagnostic::on_unimplemented(
    message = "`inherit` needs a field that implements `Transient`, and `{Self}` does not",
    label = "the type of this field is not `Transient`",
    note = "for errors of reqwest 0.13, sqlx 0.9, redis 1, tonic 0.14, tokio-postgres 0.7, http 1, anyhow 1 and others, enable steadfast's feature of that name; it concerns this version of the library",
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

/// Declares the requirement on the error type of a client library whose feature is off. Each feature has a trait of its own, because the
/// text of a message is fixed.
macro_rules! with_feature {
    ($(#[doc = $doc:literal])* $name:ident, $message:literal, $note:literal) => {
        $(#[doc = $doc])*
        #[diagnostic::on_unimplemented(
            message = $message,
            label = "this error type is not `Transient`",
            note = $note,
            note = "or decide which errors are retried: `retry_if = |error| ...` or `retry_if = any`"
        )]
        pub trait $name {
            /// Returns true if the error is transient.
            fn is_transient(error: &Self) -> bool;

            /// Returns the time to wait before the next attempt.
            fn retry_after(error: &Self) -> Option<Duration>;

            /// Returns true if the error is a rejection of this crate.
            fn is_rejection(error: &Self) -> bool;
        }

        // Without `do_not_recommend`, so that the compiler points at the attribute.
        impl<T: Transient + ?Sized> $name for T {
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
    };
}

with_feature! {
    /// An error type of the crate `h2`, which implements [`Transient`] with the feature of that name.
    WithH2,
    "`{Self}` implements `Transient` only with steadfast's feature `h2`, which is not enabled",
    "enable the feature in Cargo.toml: `steadfast = {{ version = \"...\", features = [\"h2\"] }}`"
}

with_feature! {
    /// An error type of the crate `http`, which implements [`Transient`] with the feature of that name.
    WithHttp,
    "`{Self}` implements `Transient` only with steadfast's feature `http`, which is not enabled",
    "enable the feature in Cargo.toml: `steadfast = {{ version = \"...\", features = [\"http\"] }}`"
}

with_feature! {
    /// An error type of the crate `hyper`, which implements [`Transient`] with the feature of that name.
    WithHyper,
    "`{Self}` implements `Transient` only with steadfast's feature `hyper`, which is not enabled",
    "enable the feature in Cargo.toml: `steadfast = {{ version = \"...\", features = [\"hyper\"] }}`"
}

with_feature! {
    /// An error type of the crate `hyper-util`, which implements [`Transient`] with the feature of that name.
    WithHyperUtil,
    "`{Self}` implements `Transient` only with steadfast's feature `hyper-util`, which is not enabled",
    "enable the feature in Cargo.toml: `steadfast = {{ version = \"...\", features = [\"hyper-util\"] }}`"
}

with_feature! {
    /// An error type of the crate `redis`, which implements [`Transient`] with the feature of that name.
    WithRedis,
    "`{Self}` implements `Transient` only with steadfast's feature `redis`, which is not enabled",
    "enable the feature in Cargo.toml: `steadfast = {{ version = \"...\", features = [\"redis\"] }}`"
}

with_feature! {
    /// An error type of the crate `reqwest`, which implements [`Transient`] with the feature of that name.
    WithReqwest,
    "`{Self}` implements `Transient` only with steadfast's feature `reqwest`, which is not enabled",
    "enable the feature in Cargo.toml: `steadfast = {{ version = \"...\", features = [\"reqwest\"] }}`"
}

with_feature! {
    /// An error type of the crate `sqlx`, which implements [`Transient`] with the feature of that name.
    WithSqlx,
    "`{Self}` implements `Transient` only with steadfast's feature `sqlx`, which is not enabled",
    "enable the feature in Cargo.toml: `steadfast = {{ version = \"...\", features = [\"sqlx\"] }}`"
}

with_feature! {
    /// An error type of the crate `tokio-postgres`, which implements [`Transient`] with the feature of that name.
    WithTokioPostgres,
    "`{Self}` implements `Transient` only with steadfast's feature `tokio-postgres`, which is not enabled",
    "enable the feature in Cargo.toml: `steadfast = {{ version = \"...\", features = [\"tokio-postgres\"] }}`"
}

with_feature! {
    /// An error type of the crate `tonic`, which implements [`Transient`] with the feature of that name.
    WithTonic,
    "`{Self}` implements `Transient` only with steadfast's feature `tonic`, which is not enabled",
    "enable the feature in Cargo.toml: `steadfast = {{ version = \"...\", features = [\"tonic\"] }}`"
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
