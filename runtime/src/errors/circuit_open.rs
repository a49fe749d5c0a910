use std::{
    error::Error,
    fmt::{self, Display},
    io,
    sync::Arc,
    time::Duration,
};

use super::{FailureText, OpenReason, PackedReason};
use crate::{
    Transient,
    clock::OptMicros,
    escape::escaped,
    keyed_store::key::{self, Key},
    stack::RejectionTrace,
};

/// The error of a call that a circuit breaker has rejected.
///
/// The caller's error type must implement `From<CircuitOpen>`. thiserror generates the implementation for a variant
/// `Open(#[from] CircuitOpen)`; [`std::io::Error`], `anyhow::Error` and boxed errors have one.
///
/// The error is never [`Transient`]: a retry does not repeat a call that an open circuit has rejected, unless its `retry_if` selects the
/// error, as `retry_if(CircuitOpen)` does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircuitOpen {
    pub(crate) name: &'static str,
    pub(crate) key: OptText<Key>,
    pub(crate) reason: PackedReason,
    /// The operator's reason for a manual override.
    pub(crate) note: OptText<Arc<str>>,
    pub(crate) failure: FailureText,
    pub(crate) elapsed: OptMicros,
    pub(crate) retry_after: OptMicros,
    pub(crate) trace: RejectionTrace,
}

/// An optional part of an error that is almost always absent.
///
/// The value is dropped in an out-of-line function that takes it by value, so that a discarded rejection can stay in registers.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct OptText<T>(pub(crate) Option<T>);

/// A placeholder rejection, for checks of its type.
pub(crate) static EXAMPLE: CircuitOpen = CircuitOpen {
    name: "",
    key: OptText(None),
    reason: PackedReason::FORCED,
    note: OptText(None),
    failure: FailureText::none(),
    elapsed: OptMicros::new(None),
    retry_after: OptMicros::new(None),
    trace: RejectionTrace::NONE,
};

impl CircuitOpen {
    /// Returns the name of the breaker.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the key of the breaker; `None` for a breaker without keys, and for the [overflow breaker](Self::is_overflow).
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.0.as_ref()?.text().map(AsRef::as_ref)
    }

    /// Returns true for the overflow breaker, which is shared by all keys without a breaker of their own.
    #[must_use]
    pub fn is_overflow(&self) -> bool {
        self.key.0.as_ref().is_some_and(Key::is_overflow)
    }

    /// Returns the reason for the rejection, with the counts that opened the circuit.
    #[must_use]
    pub const fn reason(&self) -> OpenReason {
        self.reason.reason()
    }

    /// Returns the operator's reason for the manual override that opened the circuit; `None` without an override or a reason for it.
    #[must_use]
    pub fn operator_reason(&self) -> Option<&str> {
        self.note.0.as_deref()
    }

    /// Returns the text of the failure that opened the circuit, at most 256 characters.
    ///
    /// `None` if the circuit was not opened by a failed call, or by one without a text: its error type does not implement `Display`, the
    /// failure was reported by [`Permit::failure`](crate::Permit::failure), or [`set_error_texts`](crate::set_error_texts) leaves texts
    /// out. The text is looked up by the first call of this method, and is not found if the circuit has opened again since the rejection.
    ///
    /// ```
    /// use std::io;
    /// use steadfast::{CircuitOpen, circuit_breaker};
    ///
    /// #[circuit_breaker(name = "books", failure_threshold = 1)]
    /// fn book() -> io::Result<()> {
    ///     Err(io::Error::other("the shelf is empty"))
    /// }
    ///
    /// assert!(book().is_err());
    /// let rejected = book().unwrap_err().downcast::<CircuitOpen>()?;
    /// assert_eq!(rejected.last_failure(), Some("the shelf is empty"));
    /// # Ok::<(), io::Error>(())
    /// ```
    #[must_use]
    pub fn last_failure(&self) -> Option<&str> {
        self.failure.get()
    }

    /// Returns the time from the last change of state to the rejection; `None` if the state has never changed. It can be too short by a timer
    /// tick, at most 10 ms.
    #[must_use]
    pub const fn elapsed(&self) -> Option<Duration> {
        self.elapsed.get()
    }

    /// Returns the time from the rejection until a call can be admitted; `None` for a circuit that is forced open without an expiry.
    ///
    /// The time can be too long by a timer tick, at most 10 ms. While all trial calls are in flight, it ends when unfinished trial calls lose
    /// their permits, and during a ramp-up when all calls are admitted; a call can be admitted before.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after.get()
    }
}

impl CircuitOpen {
    /// Converts the rejection into the caller's error type, and records it for an enclosing retry, because the error may not contain it.
    ///
    /// Inlined, so that a conversion reads only the fields that it needs: out of line, two copies of the rejection took 9 ns.
    #[inline]
    pub(crate) fn into_error<E: From<Self>>(self) -> E {
        convert_by(self, E::from)
    }
}

/// Converts a rejection with `from`, and records it for an enclosing retry, as `CircuitOpen::into_error` does. Generated code passes
/// `From::from`, so that the compiler does not mention this function if the implementation is missing.
#[inline]
pub fn convert_by<E>(open: CircuitOpen, from: impl FnOnce(CircuitOpen) -> E) -> E {
    let record = open.trace.to_record(open.retry_after);
    let error = from(open);
    record.record_again();
    error
}

impl<T> Drop for OptText<T> {
    #[inline]
    fn drop(&mut self) {
        /// The ABI `"C"`, by which it does not unwind, makes the drop of a rejection short enough to be inlined: 3 ns.
        #[allow(improper_ctypes_definitions, reason = "only Rust code calls this function")]
        #[cold]
        #[inline(never)]
        extern "C" fn drop_by_value<T>(_: T) {}

        if let Some(text) = self.0.take() {
            drop_by_value(text);
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for OptText<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Display for CircuitOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_key = key::in_sentence(self.key(), self.is_overflow());
        write!(f, "circuit `{}`{of_key} is {}", escaped(self.name), self.reason())?;
        if let Some(note) = self.operator_reason() {
            write!(f, " ({})", escaped(note))?;
        }
        match self.retry_after() {
            Some(wait) => write!(f, "; retry after {wait:.3?}"),
            None => Ok(()),
        }
    }
}

impl Error for CircuitOpen {}

/// Never transient. `retry_after` returns the time from the breaker.
#[diagnostic::do_not_recommend]
impl Transient for CircuitOpen {
    fn is_transient(&self) -> bool {
        false
    }

    fn retry_after(&self) -> Option<Duration> {
        Self::retry_after(self)
    }

    fn is_rejection(&self) -> bool {
        true
    }

    fn as_dyn_display(&self) -> Option<&dyn Display> {
        Some(self)
    }

    fn as_dyn_std_error(&self) -> Option<&(dyn Error + 'static)> {
        Some(self)
    }
}

/// Converts to an [`io::Error`] of kind [`ResourceBusy`](io::ErrorKind::ResourceBusy) that contains the `CircuitOpen`.
impl From<CircuitOpen> for io::Error {
    fn from(open: CircuitOpen) -> Self {
        Self::new(io::ErrorKind::ResourceBusy, open)
    }
}
