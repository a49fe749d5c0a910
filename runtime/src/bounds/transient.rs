use std::time::Duration;

use crate::Transient;

/// A field from which a variant with `#[transient(inherit)]` inherits its classification: any `T: Transient`.
#[diagnostic::on_unimplemented(
    message = "`inherit` needs a field that implements `Transient`, and `{Self}` does not",
    label = "the type of this field is not `Transient`",
    note = "for errors of `reqwest`, `sqlx`, `redis`, `tonic` and other clients, enable steadfast's feature with the name of the client",
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
