use std::fmt;

use crate::escape::escaped;

/// The outcomes of the calls of a function with a fallback, as its callers saw them.
///
/// The counts are those since the start of the program. They are read one after another, not all at the same instant. `Display` writes one
/// line:
///
/// ```
/// # use std::io;
/// use steadfast::{Fallback, fallbacks};
///
/// static RATES: Fallback = Fallback::new("exchange rates");
///
/// # fn fetch() -> io::Result<f64> { Err(io::ErrorKind::TimedOut.into()) }
/// RATES.run(fetch, |_error| Ok(1.08))?;
/// let rates = fallbacks().into_iter().find(|fallback| fallback.name == "exchange rates").unwrap();
/// assert_eq!(rates.to_string(), "exchange rates: 1 call, 0 answered, 1 by a fallback, 0 failed");
/// # Ok::<(), io::Error>(())
/// ```
///
/// Implements `Serialize` with the feature `serde`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct FallbackSnapshot {
    /// The path of the function with `#[fallback]`, or the name of a [`Fallback`](crate::Fallback).
    pub name: &'static str,
    /// The names of the circuit breakers in the same stack, sorted; empty for a [`Fallback`](crate::Fallback). Breakers that an expression
    /// selects at run time are not included.
    pub breakers: Vec<&'static str>,
    /// Calls that succeeded without a fallback.
    pub answered: u64,
    /// Calls that a fallback answered.
    pub fallback: u64,
    /// Calls that returned an error, or `None`: those whose last fallback failed, and those whose error was not selected by `if`.
    pub failed: u64,
    /// Calls whose future was dropped before it completed.
    pub cancelled: u64,
    /// Calls that panicked. A future that is dropped while its thread unwinds counts as panicked, too.
    pub panicked: u64,
}

impl FallbackSnapshot {
    pub(super) const fn empty(name: &'static str) -> Self {
        Self { name, breakers: Vec::new(), answered: 0, fallback: 0, failed: 0, cancelled: 0, panicked: 0 }
    }

    /// Calls that have ended: the sum of all outcomes.
    ///
    /// ```
    /// # use std::io;
    /// use steadfast::{fallback, fallbacks};
    ///
    /// #[fallback(|_error| Ok(1.0))]
    /// fn rate(currency: &str) -> io::Result<f64> {
    ///     if currency == "EUR" { Ok(1.08) } else { Err(io::ErrorKind::NotFound.into()) }
    /// }
    ///
    /// rate("EUR")?;
    /// rate("CHF")?;
    /// let rates = fallbacks().into_iter().find(|fallback| fallback.name.ends_with("::rate")).unwrap();
    /// assert_eq!((rates.calls(), rates.answered, rates.fallback), (2, 1, 1));
    /// # Ok::<(), io::Error>(())
    /// ```
    #[must_use]
    pub const fn calls(&self) -> u64 {
        let returned = self.answered.saturating_add(self.fallback).saturating_add(self.failed);
        returned.saturating_add(self.cancelled).saturating_add(self.panicked)
    }
}

impl fmt::Display for FallbackSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (calls, Self { name, answered, fallback, failed, .. }) = (self.calls(), self);
        let noun = if calls == 1 { "call" } else { "calls" };
        write!(f, "{}: {calls} {noun}, {answered} answered, {fallback} by a fallback, {failed} failed", escaped(name))?;
        for (count, end) in [(self.cancelled, "cancelled"), (self.panicked, "panicked")] {
            if count > 0 {
                write!(f, ", {count} {end}")?;
            }
        }
        Ok(())
    }
}
