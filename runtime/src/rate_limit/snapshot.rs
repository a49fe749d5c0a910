use std::{fmt, sync::Arc, time::Duration};

use crate::{escape::escaped, keyed_store::key};

/// The state and the totals of a rate limit at one moment.
///
/// The totals are counts since the start of the program. They are read one after another, not all at the same instant. `Display` writes one
/// line:
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
/// Implements `Serialize` with the feature `serde`; `per` is a number of seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RateLimitSnapshot {
    /// The name of the limit.
    pub name: &'static str,
    /// The key of the limit; `None` for a limit without keys and for the overflow limit.
    #[cfg_attr(feature = "serde", serde(serialize_with = "key::serialize_text"))]
    pub key: Option<Arc<str>>,
    /// True for the overflow limit, which all keys without a limit of their own share. Its `key` is `None`.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub overflow: bool,
    /// The largest number of calls per period; 0 if no limit is set.
    pub limit: u32,
    /// The length of the period.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::seconds"))]
    pub per: Duration,
    /// The number of calls that GCRA admits at once; `None` if it is the `limit`.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub burst: Option<u32>,
    /// Permits that count against the limit at this moment, without those that an external store counts. A call takes one, unless it has
    /// `permits`. For GCRA, the permits that have not been regained yet.
    pub in_window: usize,
    /// Calls that wait for capacity.
    pub waiting: usize,
    /// Calls that were admitted.
    pub admitted: u64,
    /// Calls that were rejected.
    pub rejected: u64,
}

impl fmt::Display for RateLimitSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, key, overflow, limit, per, burst, in_window, waiting, admitted, rejected } = self;
        write!(f, "{}{}: ", escaped(name), key::suffix(key.as_deref(), *overflow))?;
        match burst {
            Some(burst) => write!(f, "{in_window} of a burst of {burst}, {limit} in {per:?}")?,
            None => write!(f, "{in_window} of {limit} in {per:?}")?,
        }
        write!(f, ", {waiting} waiting; {admitted} admitted, {rejected} rejected")
    }
}

/// The state and the totals of the rate limits of all keys of one name at one moment.
///
/// `Display` writes one line. Implements `Serialize` with the feature `serde`; `per` is a number of seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
#[cfg(feature = "keyed")]
pub struct KeyedRateLimitSnapshot {
    /// The name of the limits.
    pub name: &'static str,
    /// The largest number of calls per key and period; 0 if no limit is set.
    pub limit: u32,
    /// The length of the period.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::seconds"))]
    pub per: Duration,
    /// The number of keys that have a limit of their own.
    pub keys: usize,
    /// The largest number of keys.
    pub max_keys: usize,
    /// The number of limits that are reached at this moment, the overflow limit included.
    pub reached: usize,
    /// Calls that were admitted, of all keys since the start of the program, evicted ones included.
    pub admitted: u64,
    /// Calls that were rejected.
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
#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde requires")]
mod serialize {
    use std::time::Duration;

    use serde::Serializer;

    pub(super) fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(duration.as_secs_f64())
    }
}
