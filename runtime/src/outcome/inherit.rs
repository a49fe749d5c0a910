//! What `#[transient(inherit)]` asks of a field.

use std::time::Duration;

use crate::Transient;

/// [`Transient`], where it is the field of an error that has to be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which of its values are worth another attempt, and `inherit` asks it",
    label = "the type of this field is not `Transient`",
    note = "on a type of your own: `#[derive(steadfast::Transient)]`, and `#[transient]` on the variants to retry",
    note = "or say it here, of all its values: `#[transient]` if they are worth another attempt, no attribute if they are not"
)]
pub trait Inherited {
    /// What the field says.
    fn is_transient(&self) -> bool;

    /// The wait that it asks for.
    fn retry_after(&self) -> Option<Duration>;
}

#[diagnostic::do_not_recommend]
impl<T: Transient + ?Sized> Inherited for T {
    fn is_transient(&self) -> bool {
        Transient::is_transient(self)
    }

    fn retry_after(&self) -> Option<Duration> {
        Transient::retry_after(self)
    }
}
