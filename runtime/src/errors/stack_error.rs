use std::{
    error,
    fmt::{self, Display},
    io,
    net::AddrParseError,
    num::{ParseFloatError, ParseIntError},
    str::Utf8Error,
    string::FromUtf8Error,
    time::{Duration, SystemTimeError},
};

use super::{BulkheadFull, CircuitOpen, RateLimited, TimedOut, Transient};

/// A ready error type for annotated functions: the error `E` of the call itself, or a rejection or a timeout of an attribute.
///
/// All attributes accept it, in any combination, and `?` converts an `E` into it:
///
/// ```
/// use std::io;
/// use steadfast::{bulkhead, circuit_breaker, rate_limit, retry};
///
/// #[retry(max_attempts = 5)]
/// #[circuit_breaker(name = "archive", failure_threshold = 3)]
/// #[rate_limit(name = "archive", limit = 100, per = 1s)]
/// #[bulkhead(name = "archive", max_concurrent = 25)]
/// fn read(path: &str) -> Result<String, steadfast::Error<io::Error>> {
///     Ok(std::fs::read_to_string(path)?)
/// }
///
/// match read("no such file") {
///     Err(steadfast::Error::Inner(error)) => assert_eq!(error.kind(), io::ErrorKind::NotFound),
///     other => panic!("{other:?}"),
/// }
/// ```
///
/// `?` works for each `E` that is an [`InnerError`]: the types that derive [`Transient`](macro@crate::Transient), and the foreign types listed
/// there. Any other error is wrapped by `map_err(steadfast::Error::Inner)`, and one that converts into `E` by `map_err(MyError::from)?`.
///
/// The error is [`Transient`] if `E` is: timeouts and rejections by a rate limit or a bulkhead are transient, a rejection by an open circuit
/// is not, and the inner error decides for itself. [`Display`] writes the text of the variant's value. The value is also the
/// [`source`](error::Error::source), so that `retry_if(io::Error)`, `failure_if(io::Error)`, `anyhow` and boxed errors find it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error<E> {
    /// A `#[timeout]` ended the call.
    TimedOut(TimedOut),
    /// A `#[rate_limit]` rejected the call.
    RateLimited(RateLimited),
    /// A `#[bulkhead]` rejected the call.
    BulkheadFull(BulkheadFull),
    /// A `#[circuit_breaker]` rejected the call.
    CircuitOpen(CircuitOpen),
    /// The function returned an error.
    Inner(E),
}

impl<E> Error<E> {
    /// Returns the error of the function, or `self` if an attribute rejected or ended the call.
    ///
    /// ```
    /// use steadfast::Error;
    ///
    /// assert_eq!(Error::Inner("declined").into_inner(), Ok("declined"));
    /// ```
    ///
    /// # Errors
    ///
    /// The error itself, if it is not [`Inner`](Self::Inner).
    pub fn into_inner(self) -> Result<E, Self> {
        match self {
            Self::Inner(error) => Ok(error),
            other => Err(other),
        }
    }

    /// Returns the error of the function; `None` if an attribute rejected or ended the call.
    #[must_use]
    pub const fn inner(&self) -> Option<&E> {
        match self {
            Self::Inner(error) => Some(error),
            _ => None,
        }
    }

    /// Returns true if a circuit breaker, a rate limit or a bulkhead rejected the call, so that the function was not called.
    ///
    /// An inner error that is itself a rejection, of a function further inside, is not examined.
    #[must_use]
    pub const fn is_rejection(&self) -> bool {
        matches!(self, Self::CircuitOpen(_) | Self::RateLimited(_) | Self::BulkheadFull(_))
    }
}

impl<E: Display> Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(error) => error.fmt(f),
            Self::RateLimited(error) => error.fmt(f),
            Self::BulkheadFull(error) => error.fmt(f),
            Self::CircuitOpen(error) => error.fmt(f),
            Self::Inner(error) => error.fmt(f),
        }
    }
}

impl<E: error::Error + 'static> error::Error for Error<E> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(match self {
            Self::TimedOut(error) => error,
            Self::RateLimited(error) => error,
            Self::BulkheadFull(error) => error,
            Self::CircuitOpen(error) => error,
            Self::Inner(error) => error,
        })
    }
}

impl<E: Transient> Error<E> {
    /// Returns the value of the variant as a [`Transient`] error.
    fn value(&self) -> &dyn Transient {
        match self {
            Self::TimedOut(error) => error,
            Self::RateLimited(error) => error,
            Self::BulkheadFull(error) => error,
            Self::CircuitOpen(error) => error,
            Self::Inner(error) => error,
        }
    }
}

/// Delegates to the value of the variant.
#[diagnostic::do_not_recommend]
impl<E: Transient> Transient for Error<E> {
    fn is_transient(&self) -> bool {
        self.value().is_transient()
    }

    fn retry_after(&self) -> Option<Duration> {
        self.value().retry_after()
    }

    fn is_rejection(&self) -> bool {
        self.value().is_rejection()
    }

    fn may_have_taken_effect(&self) -> bool {
        self.value().may_have_taken_effect()
    }

    fn as_dyn_display(&self) -> Option<&dyn Display> {
        self.value().as_dyn_display()
    }

    fn as_dyn_std_error(&self) -> Option<&(dyn error::Error + 'static)> {
        self.value().as_dyn_std_error()
    }
}

impl<E> From<TimedOut> for Error<E> {
    fn from(error: TimedOut) -> Self {
        Self::TimedOut(error)
    }
}

impl<E> From<RateLimited> for Error<E> {
    fn from(error: RateLimited) -> Self {
        Self::RateLimited(error)
    }
}

impl<E> From<BulkheadFull> for Error<E> {
    fn from(error: BulkheadFull) -> Self {
        Self::BulkheadFull(error)
    }
}

impl<E> From<CircuitOpen> for Error<E> {
    fn from(error: CircuitOpen) -> Self {
        Self::CircuitOpen(error)
    }
}

/// Creates [`Error::Inner`].
impl<E: InnerError> From<E> for Error<E> {
    fn from(error: E) -> Self {
        Self::Inner(error)
    }
}

/// An error type that `?` converts into [`Error::Inner`].
///
/// The derive of [`Transient`](macro@crate::Transient) implements the trait. This crate implements it for [`std::io::Error`] and other errors
/// of the standard library, `String`, `&'static str`, `()`, boxed errors and `tokio::time::error::Elapsed`, and behind their features for
/// `http::StatusCode` and the errors of `anyhow`, `redis`, `reqwest`, `sqlx` and `tonic`. For any other type of your own, one line suffices:
///
/// ```
/// #[derive(Debug)]
/// struct Declined;
///
/// impl steadfast::InnerError for Declined {}
///
/// fn charge() -> Result<(), steadfast::Error<Declined>> {
///     Err(Declined)?
/// }
/// # assert!(charge().is_err());
/// ```
///
/// The trait has no methods. It exists because a conversion from every type would contradict the conversions from [`CircuitOpen`],
/// [`TimedOut`], [`RateLimited`] and [`BulkheadFull`], which do not implement it.
// For a `?`, the compiler shows its own message and notes, but this label.
#[diagnostic::on_unimplemented(
    message = "`?` cannot convert `{Self}` into a `steadfast::Error<{Self}>`",
    label = "`{Self}` is no `InnerError`: write `.map_err(steadfast::Error::Inner)?`, or derive `Transient` for it if it is a type of your own",
    note = "without the derive: `impl steadfast::InnerError for {Self} {{}}`"
)]
pub trait InnerError {}

/// Implements [`InnerError`] for types of the standard library.
macro_rules! inner_errors {
    ($($error:ty),* $(,)?) => { $(impl InnerError for $error {})* };
}

inner_errors!(
    (),
    &'static str,
    AddrParseError,
    Box<dyn error::Error + Send + Sync>,
    Box<dyn error::Error + Send>,
    Box<dyn error::Error>,
    FromUtf8Error,
    ParseFloatError,
    ParseIntError,
    String,
    SystemTimeError,
    Utf8Error,
    fmt::Error,
    io::Error,
);
#[cfg(feature = "tokio")]
inner_errors!(tokio::time::error::Elapsed);
