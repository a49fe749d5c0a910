use std::{fmt, sync::Arc, time::Duration};

use crate::{escape::escaped, key};

/// What a rate limit was doing at one moment.
///
/// The totals are added up beside the rest, and count since the program started. Its `Display` is one line:
///
/// ```
/// # use std::time::Duration;
/// # use steadfast::{RateLimit, RateLimitConfig};
/// static SEARCH: RateLimit = RateLimit::new("search", RateLimitConfig::new(100, Duration::from_secs(60)));
/// SEARCH.try_acquire()?;
/// assert_eq!(SEARCH.snapshot().to_string(), "search: 1 of 100 in 60s, 0 waiting; 1 admitted, 0 rejected");
/// # Ok::<(), steadfast::RateLimited>(())
/// ```
///
/// With the feature `serde` it is `Serialize`; `per` is a number of seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RateLimitSnapshot {
    /// The limit's name.
    pub name: &'static str,
    /// Which of the limits of that name, where there is one for each key.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::text_if_any"))]
    pub key: Option<Arc<str>>,
    /// True for the limit that all keys share that have none of their own. Its `key` is `None`.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub overflow: bool,
    /// How many calls there may be; 0 if no place has declared a limit.
    pub limit: u32,
    /// In how long.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::seconds"))]
    pub per: Duration,
    /// Calls that count at this moment; not those that a store counts elsewhere.
    pub in_window: usize,
    /// Calls that wait for their place.
    pub waiting: usize,
    /// Calls that got a place.
    pub admitted: u64,
    /// Calls that got none.
    pub rejected: u64,
}

impl fmt::Display for RateLimitSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, key, overflow, limit, per, in_window, waiting, admitted, rejected } = self;
        write!(f, "{}{}", escaped(name), key::suffix(key.as_deref(), *overflow))?;
        write!(f, ": {in_window} of {limit} in {per:?}, {waiting} waiting; {admitted} admitted, {rejected} rejected")
    }
}

/// What the rate limits of all keys were doing, in numbers.
///
/// Its `Display` is one line. With the feature `serde` it is `Serialize`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
#[cfg(feature = "keyed")]
pub struct KeyedRateLimitSnapshot {
    /// The name of the limits.
    pub name: &'static str,
    /// How many calls there may be of each key; 0 if no place has declared a limit.
    pub limit: u32,
    /// In how long.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::seconds"))]
    pub per: Duration,
    /// Keys with a limit of their own.
    pub keys: usize,
    /// Keys that there are at most.
    pub max_keys: usize,
    /// Keys whose limit is reached at this moment.
    pub reached: usize,
    /// Calls that got a place, of all keys that there ever were.
    pub admitted: u64,
    /// Calls that got none.
    pub rejected: u64,
}

#[cfg(feature = "keyed")]
impl fmt::Display for KeyedRateLimitSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, keys, max_keys, reached, admitted, rejected, .. } = self;
        write!(
            f,
            "{}: {keys} of {max_keys} keys, {reached} at their limit; {admitted} admitted, {rejected} rejected",
            escaped(name)
        )
    }
}

#[cfg(feature = "serde")]
#[allow(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "what serde calls")]
mod serialize {
    use std::{sync::Arc, time::Duration};

    use serde::Serializer;

    pub(super) fn text_if_any<S: Serializer>(text: &Option<Arc<str>>, serializer: S) -> Result<S::Ok, S::Error> {
        match text {
            Some(text) => serializer.serialize_str(text),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(duration.as_secs_f64())
    }
}
