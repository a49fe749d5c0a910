use std::fmt;

use crate::escape::escaped;

/// What a bulkhead was doing at one moment.
///
/// The totals are added up beside the rest, and count since the program started. Its `Display` is one line:
///
/// ```
/// # use steadfast::{Bulkhead, BulkheadConfig};
/// static MAIL: Bulkhead = Bulkhead::new("mail", BulkheadConfig::new().max_concurrent(4));
/// let _permit = MAIL.try_acquire()?;
/// assert_eq!(MAIL.snapshot().to_string(), "mail: 1 of 4 in flight, 0 waiting; 1 admitted, 0 rejected");
/// # Ok::<(), steadfast::BulkheadFull>(())
/// ```
///
/// With the feature `serde` it is `Serialize`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct BulkheadSnapshot {
    /// The bulkhead's name.
    pub name: &'static str,
    /// How many calls there may be at once.
    pub max_concurrent: u32,
    /// Calls in flight. More than may be, for a while after there may be fewer.
    pub in_flight: u32,
    /// Calls that wait for a place.
    pub waiting: u32,
    /// Calls that got a place.
    pub admitted: u64,
    /// Calls that got none.
    pub rejected: u64,
}

impl fmt::Display for BulkheadSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, max_concurrent, in_flight, waiting, admitted, rejected } = self;
        write!(f, "{}: {in_flight} of {max_concurrent} in flight, {waiting} waiting; ", escaped(name))?;
        write!(f, "{admitted} admitted, {rejected} rejected")
    }
}
