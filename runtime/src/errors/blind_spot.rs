use std::{fmt, panic::Location};

use crate::escape::escaped;

/// A circuit breaker or a bulkhead on an `async` function that does not see calls that hang.
///
/// [`blind_spots`](crate::blind_spots) describes when this is the case. The `Display` text contains the location and the fix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlindSpot {
    /// The kind of policy: `circuit breaker` or `bulkhead`.
    pub kind: &'static str,
    /// The name of the policy.
    pub name: &'static str,
    /// The file, line and column of the attribute.
    pub location: &'static Location<'static>,
    /// The effect and the fix, which follow "does not see calls that hang" in a sentence.
    pub(crate) advice: &'static str,
}

impl fmt::Display for BlindSpot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, location, advice } = self;
        write!(f, "{kind} `{}` at {location} does not see calls that hang{advice}", escaped(name))
    }
}
