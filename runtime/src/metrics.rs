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

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

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

/// Tells the recorder where everything stands, with series for 20 keys of each name.
pub fn report() {
    report_with_keys(telemetry::DEFAULT_TOP_KEYS);
}

/// Tells the recorder where everything stands, with series for so many keys of each name: the worst of those in trouble, as the table of
/// the feature `prometheus-client` says.
///
/// A recorder keeps a series for as long as it likes. The gauge of a key that is out of trouble is set to 0 once; its counters stay as
/// they were.
pub fn report_with_keys(keys: usize) {
    let mut of_keys = BTreeSet::new();
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
                Kind::Gauge => {
                    if sample.labels.is_of_key() {
                        of_keys.insert((name.clone(), labels.clone()));
                    }
                    ::metrics::gauge!(name.clone(), labels).set(sample.value.as_f64());
                }
            }
        }
    }
    let before = std::mem::replace(&mut *LATEST.lock().unwrap_or_else(PoisonError::into_inner), of_keys.clone());
    for (name, labels) in before.difference(&of_keys).cloned() {
        ::metrics::gauge!(name, labels).set(0.0);
    }
}

/// The gauges of keys in the latest report.
static LATEST: Mutex<BTreeSet<(SharedString, Vec<Label>)>> = Mutex::new(BTreeSet::new());

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
