//! The table of all capabilities, and the functions that apply to all of them.

use crate::{ConfigConflict, breaker, bulkhead, rate_limit, registry::Capability, retry};

/// All capabilities whose instances can have names, in the order of metrics and settings.
pub(crate) static ALL: [&dyn Capability; 4] =
    [&breaker::Breakers, &retry::Retries, &rate_limit::RateLimits, &bulkhead::Bulkheads];

/// Checks that the declarations of each name agree. Call this function when the program starts.
///
/// Without this check, the first use of a name whose declarations contradict each other panics in a debug build. A release build emits an
/// [event](crate::events::Event::ConfigConflict) instead: the settings of a `static` are in force if there is one, otherwise those of the
/// first declaration with settings, by file and line, and each function keeps its own `failure_if`.
///
/// # Errors
///
/// Returns all conflicts, each with the places of both declarations.
///
/// ```
/// # fn main() -> Result<(), Vec<steadfast::ConfigConflict>> {
/// steadfast::validate()?;
/// # Ok(())
/// # }
/// ```
pub fn validate() -> Result<(), Vec<ConfigConflict>> {
    let mut conflicts = Vec::new();
    for conflict in ALL.iter().flat_map(|capability| capability.conflicts()) {
        // The kinds with and without keys both report the conflict between them.
        if !conflicts.contains(&conflict) {
            conflicts.push(conflict);
        }
    }
    if conflicts.is_empty() { Ok(()) } else { Err(conflicts) }
}

/// Returns the metrics of all capabilities, in a fixed order, including families without samples.
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
pub(crate) fn families(top_keys: usize) -> Vec<crate::telemetry::Family> {
    ALL.iter().flat_map(|capability| capability.families(top_keys)).collect()
}
