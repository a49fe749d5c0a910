//! Every breaker, retry, rate limit and bulkhead told to the recorder of the `metrics` facade.
//!
//! ```
//! steadfast::metrics::describe(); // once, after the recorder is installed
//! steadfast::metrics::report(); // before each scrape, or every few seconds
//! ```
//!
//! The names are those of the feature `prometheus-client`, whose module has a table of them; counters end with `_total`. Calls
//! pay nothing: [`report`] reads what the breakers have counted. Only the histogram `retry_delay_seconds` is told as it happens,
//! after the sleep.

use std::time::Duration;

use ::metrics::{Label, SharedString};

use crate::telemetry::{self, Family, Kind};

/// Gives the recorder the description of each metric.
pub fn describe() {
    for Family { name, help, kind, .. } in telemetry::families(0) {
        match kind {
            Kind::Counter => ::metrics::describe_counter!(full(name, kind), help),
            Kind::Gauge => ::metrics::describe_gauge!(full(name, kind), help),
        }
    }
    ::metrics::describe_histogram!("retry_delay_seconds", ::metrics::Unit::Seconds, "Delays before retries.");
}

/// Tells the recorder where everything stands, with 20 keys of each name one by one.
pub fn report() {
    report_with_keys(telemetry::DEFAULT_TOP_KEYS);
}

/// Tells the recorder where everything stands, with so many keys of each name one by one: those that have rejected most calls.
/// A key that is no longer among them stays in the recorder as it was.
pub fn report_with_keys(keys: usize) {
    for Family { name, kind, samples, .. } in telemetry::families(keys) {
        let name = full(name, kind);
        for sample in samples {
            let labels: Vec<_> = sample
                .labels
                .pairs()
                .map(|(name, value)| Label::new(name, SharedString::from(value.into_owned())))
                .collect();
            match kind {
                Kind::Counter => ::metrics::counter!(name.clone(), labels).absolute(sample.value.as_whole()),
                Kind::Gauge => ::metrics::gauge!(name.clone(), labels).set(sample.value.as_f64()),
            }
        }
    }
}

/// Tells of a sleep that is over.
pub(crate) fn record_delay(retry: Option<&'static str>, delay: Duration) {
    let label = crate::escaped(retry.unwrap_or("unnamed"));
    ::metrics::histogram!("retry_delay_seconds", "retry" => label).record(delay.as_secs_f64());
}

fn full(name: &'static str, kind: Kind) -> SharedString {
    match kind {
        Kind::Counter => SharedString::from(format!("{name}_total")),
        Kind::Gauge => SharedString::from(name),
    }
}
