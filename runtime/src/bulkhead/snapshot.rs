use std::{fmt, sync::Arc};

use crate::{escape::escaped, keyed_store::key};

/// The state and the totals of a bulkhead at one moment.
///
/// The totals are counts since the start of the program. They are read one after another, not all at the same instant. `Display` writes one
/// line:
///
/// ```
/// # use steadfast::{Bulkhead, BulkheadConfig};
/// static MAIL: Bulkhead = Bulkhead::new("mail", BulkheadConfig::new().max_concurrent(4));
/// let _permit = MAIL.try_acquire()?;
/// assert_eq!(MAIL.snapshot().to_string(), "mail: 1 of 4 in flight, 0 waiting; 1 admitted, 0 rejected");
/// # Ok::<(), steadfast::BulkheadFull>(())
/// ```
///
/// Implements `Serialize` with the feature `serde`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct BulkheadSnapshot {
    /// The name of the bulkhead.
    pub name: &'static str,
    /// The key of the bulkhead; `None` for a bulkhead without keys and for the overflow bulkhead.
    #[cfg_attr(
        feature = "serde",
        serde(serialize_with = "key::serialize_text", skip_serializing_if = "Option::is_none")
    )]
    pub key: Option<Arc<str>>,
    /// True for the overflow bulkhead, which all keys without a bulkhead of their own share. Its `key` is `None`.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub overflow: bool,
    /// The largest number of concurrent calls.
    pub max_concurrent: u32,
    /// The largest number of waiting calls; `None` if there is no bound.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub max_queue: Option<u32>,
    /// Permits in use: calls in flight, if each takes one. This number may exceed `max_concurrent` for a time after that was lowered.
    pub in_flight: u32,
    /// Calls that wait for a permit.
    pub waiting: u32,
    /// Calls that were admitted.
    pub admitted: u64,
    /// Calls that were rejected.
    pub rejected: u64,
}

impl fmt::Display for BulkheadSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, key, overflow, max_concurrent, max_queue, in_flight, waiting, admitted, rejected } = self;
        write!(f, "{}{}: ", escaped(name), key::suffix(key.as_deref(), *overflow))?;
        write!(f, "{in_flight} of {max_concurrent} in flight, {waiting} ")?;
        if let Some(max_queue) = max_queue {
            write!(f, "of {max_queue} ")?;
        }
        write!(f, "waiting; {admitted} admitted, {rejected} rejected")
    }
}

/// The state and the totals of the bulkheads of all keys of one name at one moment.
///
/// `Display` writes one line. Implements `Serialize` with the feature `serde`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
#[cfg(feature = "keyed")]
pub struct KeyedBulkheadSnapshot {
    /// The name of the bulkheads.
    pub name: &'static str,
    /// The largest number of concurrent calls for each key.
    pub max_concurrent: u32,
    /// The largest number of waiting calls for each key; `None` if there is no bound.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub max_queue: Option<u32>,
    /// The number of keys that have a bulkhead of their own.
    pub keys: usize,
    /// The largest number of keys.
    pub max_keys: usize,
    /// The number of bulkheads without a free permit, the overflow bulkhead included.
    pub full: usize,
    /// Permits in use, of all keys.
    pub in_flight: u64,
    /// Calls that wait for a permit, of all keys.
    pub waiting: u64,
    /// Calls that were admitted, of all keys since the start of the program, evicted ones included.
    pub admitted: u64,
    /// Calls that were rejected.
    pub rejected: u64,
}

#[cfg(feature = "keyed")]
impl fmt::Display for KeyedBulkheadSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, keys, max_keys, full, in_flight, waiting, admitted, rejected, .. } = self;
        write!(f, "{}: {keys} of {max_keys} keys, {full} full; ", escaped(name))?;
        write!(f, "{in_flight} in flight, {waiting} waiting; {admitted} admitted, {rejected} rejected")
    }
}
