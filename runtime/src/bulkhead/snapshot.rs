use std::fmt;

use crate::escape::escaped;

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
    /// The largest number of concurrent calls.
    pub max_concurrent: u32,
    /// Calls in flight. This number may exceed `max_concurrent` for a time after that was lowered.
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
        let Self { name, max_concurrent, in_flight, waiting, admitted, rejected } = self;
        write!(f, "{}: {in_flight} of {max_concurrent} in flight, {waiting} waiting; ", escaped(name))?;
        write!(f, "{admitted} admitted, {rejected} rejected")
    }
}
