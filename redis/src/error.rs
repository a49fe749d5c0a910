use std::{error::Error, fmt, io, sync::Arc};

use redis::RedisError;
use steadfast::escaped;

/// What a fleet could not do.
///
/// No text of it, nor any `Debug`, contains an address' user or password.
#[derive(Clone)]
#[non_exhaustive]
pub enum FleetError {
    /// The address is none of a Redis, or asks for TLS without the feature for it.
    Address,
    /// No breaker of the program has this name, which was to be shared.
    UnknownBreaker(Option<Arc<str>>),
    /// Two breakers that were to be shared have this name.
    SharedTwice(&'static str),
    /// Another fleet of this program shares it.
    AlreadyShared(Arc<str>),
    /// No instance of the application has shared this breaker of late.
    NobodyShares {
        /// The application that was asked.
        application: Arc<str>,
        /// The breaker's name.
        breaker: Arc<str>,
    },
    /// A number that makes no sense: which, and why.
    Setting(&'static str),
    /// It was not started on a tokio runtime.
    NoRuntime,
    /// Redis can't be reached, or does not answer in time.
    Unavailable(Arc<str>),
    /// Redis has answered with an error.
    Refused(Arc<str>),
}

impl fmt::Display for FleetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str(
                "not the address of a Redis, such as redis://host:6379 (rediss:// needs the feature tls-rustls)",
            ),
            Self::UnknownBreaker(Some(name)) => {
                write!(f, "no breaker `{}` to be shared is declared in the program", escaped(name))
            }
            Self::UnknownBreaker(None) => {
                f.write_str("a breaker to be shared is not declared in the program; given by its name, this says which")
            }
            Self::SharedTwice(name) => write!(f, "two breakers named `{}` are to be shared", escaped(name)),
            Self::AlreadyShared(name) => {
                let name = escaped(name);
                write!(f, "`{name}` is shared by another fleet of this program, which is one instance and counts once")
            }
            Self::NobodyShares { application, breaker } => {
                write!(f, "no instance of `{}` shares a breaker `{}`", escaped(application), escaped(breaker))
            }
            Self::Setting(what) => f.write_str(what),
            Self::NoRuntime => f.write_str("a fleet has to be started on a tokio runtime"),
            Self::Unavailable(why) => write!(f, "Redis is not available: {}", escaped(why)),
            Self::Refused(why) => write!(f, "Redis has refused: {}", escaped(why)),
        }
    }
}

/// As its `Display`: this is what a `main` shows that returns it.
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
}

/// What goes into no text.
#[derive(Clone)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    pub(crate) fn of<'a>(nodes: impl IntoIterator<Item = &'a redis::RedisConnectionInfo>) -> Self {
        let secrets = nodes.into_iter().flat_map(|node| [node.username(), node.password()]);
        let mut secrets: Vec<_> = secrets.flatten().filter(|secret| !secret.is_empty()).map(str::to_owned).collect();
        // One may begin with the other.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets)
    }

    /// The error in our words: what the client says of it, without secrets.
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

/// Waited in vain.
pub(crate) fn timed_out() -> FleetError {
    FleetError::Unavailable(io::Error::from(io::ErrorKind::TimedOut).to_string().into())
}

#[cfg(test)]
mod tests {
    use redis::{ErrorKind, RedisConnectionInfo, RedisError};

    use super::{FleetError, Secrets};

    #[test]
    fn whatever_a_server_repeats_is_not_repeated() {
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
