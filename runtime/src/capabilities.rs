//! The table of all capabilities, and the functions that apply to all of them.

use crate::{
    BlindSpot, ConfigConflict, breaker, bulkhead,
    events::{self, Event},
    rate_limit,
    registry::Capability,
    retry,
};

/// All capabilities whose instances can have names, in the order of metrics and settings.
pub(crate) static ALL: [&dyn Capability; 4] =
    [&breaker::Breakers, &retry::Retries, &rate_limit::RateLimits, &bulkhead::Bulkheads];

/// The metrics of the capabilities whose instances have no settings that the registry knows: they are only counted.
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
static WITHOUT_SETTINGS: &[fn() -> Vec<crate::telemetry::Family>] = &[
    retry::budgets::families,
    crate::fallback::metrics::families,
    #[cfg(feature = "tokio")]
    crate::timeout::metrics::families,
];

/// Checks that the declarations of each name agree, and reports policies that do not see calls that hang. Call this function when the program
/// starts, after settings from a file or the environment have been applied.
///
/// Without this check, the first use of a name whose declarations contradict each other panics in a debug build. A release build emits an
/// [event](crate::events::Event::ConfigConflict) instead: the settings of a `static` are in force if there is one, otherwise those of the
/// first declaration with settings, by file and line, and each function keeps its own `failure_if`.
///
/// For each of the [`blind_spots`], an [event](crate::events::Event::BlindSpot) is emitted, which the feature `tracing` logs as a warning. A blind
/// spot is no error: such a breaker is sufficient if the function limits the time by itself, as an HTTP client with a timeout does.
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
    for blind_spot in blind_spots() {
        events::publish(Event::BlindSpot { blind_spot });
    }
    if conflicts.is_empty() { Ok(()) } else { Err(conflicts) }
}

/// Returns the circuit breakers and bulkheads that do not see calls that hang, with the settings in force.
///
/// A call that never ends is neither a success nor a failure. On an `async` function, these do not see it:
///
/// - A circuit breaker with neither a `#[timeout]` below it nor `hung_call`. If there is a `#[timeout]` above it, `cancelled_call` is
///   sufficient, too.
/// - A bulkhead without a `#[timeout]` on the function, above or below. Each call that hangs keeps its permit. `hung_call` ends no call.
///
/// The list contains each function once, sorted by kind, name and location. Policies that are used without attributes are not listed.
///
/// ```
/// # use std::io;
/// use steadfast::circuit_breaker;
///
/// #[circuit_breaker(name = "quotes")]
/// async fn quote(symbol: &str) -> io::Result<f64> {
///     // ...
/// #   Ok(symbol.len() as f64)
/// }
///
/// for blind_spot in steadfast::blind_spots() {
///     // circuit breaker `quotes` at src/main.rs:5:3 does not see calls that hang; put a `#[timeout]` below it, or add `hung_call = 5s`
///     println!("{blind_spot}");
/// }
/// # assert!(steadfast::blind_spots().iter().any(|blind_spot| blind_spot.name == "quotes"));
/// ```
#[must_use]
pub fn blind_spots() -> Vec<BlindSpot> {
    ALL.iter().flat_map(|capability| capability.blind_spots()).collect()
}

/// Returns the metrics of all capabilities, in a fixed order, including families without samples.
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
pub(crate) fn families(options: &crate::telemetry::Options) -> impl Iterator<Item = crate::telemetry::Family> {
    let of_policies = ALL.iter().flat_map(|capability| capability.families(options.top_keys));
    options.apply(of_policies.chain(WITHOUT_SETTINGS.iter().flat_map(|families| families())))
}

#[cfg(all(test, feature = "config"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{BreakerConfig, BulkheadConfig, RateLimitConfig, RetryPolicy, layers::ConfigOptions};

    fn listed(config: &impl ConfigOptions) -> Vec<&'static str> {
        let mut options = Vec::new();
        let visited = config.visit_options(&mut |option, _| {
            options.push(option);
            Ok(())
        });
        assert!(visited.is_ok());
        options
    }

    #[test]
    fn the_options_of_a_file_are_those_that_are_listed() {
        let per = Duration::from_secs(1);
        let capabilities: [(&dyn Capability, _); 4] = [
            (&breaker::Breakers, listed(&BreakerConfig::new())),
            (&retry::Retries, listed(&RetryPolicy::new())),
            (&rate_limit::RateLimits, listed(&RateLimitConfig::new(1, per))),
            (&bulkhead::Bulkheads, listed(&BulkheadConfig::new())),
        ];
        for (capability, mut listed) in capabilities {
            let mut options = capability.options().to_vec();
            // A preset stands for other options, and only the code can set a store.
            options.retain(|option| *option != "preset");
            listed.retain(|option| *option != "store");
            options.sort_unstable();
            listed.sort_unstable();
            assert_eq!(listed, options);
        }
    }
}
