use std::{
    error::Error,
    fmt::{self, Display},
    sync::Arc,
};

use crate::{Transient, error_text::error_text};

/// The error of a failed attempt as far as its type is known: its text for events, and the error itself for a
/// [`Backoff`](super::Backoff).
#[derive(Clone, Copy)]
pub struct ErrorView<'e> {
    display: Option<&'e dyn Display>,
    error: Option<&'e (dyn Error + 'static)>,
}

impl<'e> ErrorView<'e> {
    /// The view of an error whose type is not known.
    pub const NONE: Self = Self { display: None, error: None };

    /// Creates the view of an error that implements [`Display`]; `None` is an error whose type is not known to.
    #[must_use]
    pub const fn of_display(display: Option<&'e dyn Display>) -> Self {
        Self { display, error: None }
    }

    /// Adds the error, if its type implements [`Error`].
    #[must_use]
    pub const fn with_error(self, error: Option<&'e (dyn Error + 'static)>) -> Self {
        Self { error, ..self }
    }

    /// The text for events; `None` if it is not known, or if texts are left out.
    pub(super) fn text(self) -> Option<Arc<str>> {
        self.display.and_then(error_text)
    }

    pub(super) const fn error(self) -> Option<&'e (dyn Error + 'static)> {
        self.error
    }
}

/// Returns the view of an error, as its implementation of [`Transient`] defines it.
pub(super) fn view_of<E: Transient>(error: &E) -> ErrorView<'_> {
    ErrorView::of_display(error.as_dyn_display()).with_error(error.as_dyn_std_error())
}

impl fmt::Debug for ErrorView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorView").field("error", &self.error).finish_non_exhaustive()
    }
}
