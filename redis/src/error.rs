use std::{error::Error, fmt, io, sync::Arc};

use redis::RedisError;
use steadfast::escaped;

/// The error of starting or using a [`Fleet`](crate::Fleet).
///
/// Neither its `Display` nor its `Debug` output contains the user or password of an address.
#[derive(Clone)]
#[non_exhaustive]
pub enum FleetError {
    /// The address is not a Redis URL, or requires TLS while the `tls-rustls` feature is off.
    InvalidAddress,
    /// No breaker with this name is declared in the program. The name is `None` if the result of a failed lookup was shared.
    UnknownBreaker(Option<Arc<str>>),
    /// Two different breakers with this name were given to the same fleet.
    DuplicateName(&'static str),
    /// Another fleet in this program already shares the breaker or rate limits with this name.
    AlreadyShared(Arc<str>),
    /// No instance of the application has recently shared a breaker with this name.
    NotShared {
        /// The name of the application.
        application: Arc<str>,
        /// The breaker's name.
        breaker: Arc<str>,
    },
    /// A setting is out of range. The text names the setting and its range.
    InvalidSetting(&'static str),
    /// The fleet was started outside a tokio runtime.
    NoRuntime,
    /// Redis cannot be reached or did not reply in time.
    Unavailable(Arc<str>),
    /// Redis replied with an error.
    Refused(Arc<str>),
}

impl fmt::Display for FleetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidAddress => f.write_str(
                "not a Redis address: expected redis://host:6379 or similar (rediss:// requires the feature `tls-rustls`)",
            ),
            Self::UnknownBreaker(Some(name)) => {
                write!(f, "no breaker named `{}` is declared in this program", escaped(name))
            }
            Self::UnknownBreaker(None) => f.write_str(
                "the breaker to share is not declared in this program; share it by name to get an error that names it",
            ),
            Self::DuplicateName(name) => {
                write!(f, "one fleet cannot share two different breakers named `{}`", escaped(name))
            }
            Self::AlreadyShared(name) => {
                let name = escaped(name);
                write!(f, "`{name}` is already shared by another fleet in this program, which is one instance with one vote")
            }
            Self::NotShared { application, breaker } => {
                let (application, breaker) = (escaped(application), escaped(breaker));
                write!(f, "no instance of application `{application}` shares a breaker named `{breaker}`")
            }
            Self::InvalidSetting(message) => f.write_str(message),
            Self::NoRuntime => f.write_str("a fleet must be started inside a tokio runtime"),
            Self::Unavailable(reason) => write!(f, "Redis is unavailable: {}", escaped(reason)),
            Self::Refused(reason) => write!(f, "Redis returned an error: {}", escaped(reason)),
        }
    }
}

/// Same as `Display`, since this is the text that Rust prints for an error returned from `main`.
impl fmt::Debug for FleetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for FleetError {}

impl FleetError {
    pub(crate) fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// Returns the error of a request whose reply did not arrive in time.
    pub(crate) fn timed_out() -> Self {
        Self::Unavailable(io::Error::from(io::ErrorKind::TimedOut).to_string().into())
    }

    /// Returns the error of a request that was made without a connection.
    pub(crate) fn not_connected() -> Self {
        Self::Unavailable("not connected".into())
    }
}

/// The users and passwords of the addresses, which are removed from every error text.
#[derive(Clone)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    pub(crate) fn of<'a>(nodes: impl IntoIterator<Item = &'a redis::RedisConnectionInfo>) -> Self {
        let secrets = nodes.into_iter().flat_map(|node| [node.username(), node.password()]);
        let mut secrets: Vec<_> = secrets.flatten().filter(|secret| !secret.is_empty()).map(str::to_owned).collect();
        // Longest first, since one secret may be a prefix of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets)
    }

    /// Converts an error of the client, replacing each secret in its text by `***`.
    pub(crate) fn redact(&self, error: &RedisError) -> FleetError {
        let mut text = match (error.code(), error.detail()) {
            (Some(code), Some(detail)) => format!("{code} {detail}"),
            (Some(code), None) => code.to_owned(),
            _ => error.to_string(),
        };
        for secret in &self.0 {
            text = text.replace(secret.as_str(), "***");
        }
        if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() {
            FleetError::Unavailable(text.into())
        } else {
            FleetError::Refused(text.into())
        }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use redis::{ErrorKind, RedisConnectionInfo, RedisError};

    use super::{FleetError, Secrets};

    #[test]
    fn credentials_are_redacted_from_server_errors() {
        let settings = RedisConnectionInfo::default().set_username("anna").set_password("hunter2");
        let secrets = Secrets::of([&settings]);
        let error = RedisError::from((ErrorKind::Client, "sent", "AUTH anna hunter2 is wrong".to_owned()));
        let redacted = secrets.redact(&error);
        assert!(matches!(redacted, FleetError::Refused(_)));
        let text = format!("{redacted} {redacted:?} {secrets:?}");
        assert!(text.contains("AUTH *** ***") && !text.contains("hunter2") && !text.contains("anna"), "{text}");
        let settings = RedisConnectionInfo::default().set_username("shop").set_password("shop-2024");
        let error = RedisError::from((ErrorKind::Client, "sent", "AUTH shop shop-2024 is wrong".to_owned()));
        let text = Secrets::of([&settings]).redact(&error).to_string();
        assert!(text.contains("AUTH *** *** is"), "{text}");
    }
}
