//! All named circuit breakers, retries, rate limits and bulkheads as metrics, for the recorder of the `metrics` facade.
//!
//! ```
//! steadfast::metrics::describe(); // once, after the recorder is installed
//! steadfast::metrics::report(); // before each scrape, or every few seconds
//! ```
//!
//! The metrics are those of the feature `prometheus-client`; its module `prometheus` lists them. They add no cost to calls: [`report`]
//! reads counters that exist in any case. The histograms of durations are reported as gauges with the label `quantile`: 0.5, 0.95 and 0.99.
//! The only exception is the histogram `retry_delay_seconds`: a retry records each delay after the
//! delay has passed.

use std::{
    collections::BTreeSet,
    mem,
    sync::{Mutex, PoisonError},
};

use ::metrics::{Label, SharedString, Unit};

use crate::{
    capabilities,
    telemetry::{DEFAULT_TOP_KEYS, Family, Histogram, MetricKind, RETRY_DELAY, Value},
};

/// Registers the description of each metric with the recorder.
pub fn describe() {
    for Family { name, help, kind, .. } in capabilities::families(0) {
        match kind {
            MetricKind::Counter => ::metrics::describe_counter!(full_name(name, kind), help),
            MetricKind::Gauge => ::metrics::describe_gauge!(full_name(name, kind), help),
            MetricKind::Histogram if name == RETRY_DELAY => {
                ::metrics::describe_histogram!(full_name(name, kind), Unit::Seconds, help);
            }
            MetricKind::Histogram => ::metrics::describe_gauge!(full_name(name, kind), Unit::Seconds, help),
        }
    }
}

/// Reports all metrics to the recorder, with series for at most 20 keys of each name.
pub fn report() {
    report_with_keys(DEFAULT_TOP_KEYS);
}

/// Reports all metrics to the recorder, with series for at most `keys` keys of each name.
///
/// The unhealthiest keys have series, as the module `prometheus` of the feature `prometheus-client` describes. If a key no longer has
/// series, its gauges are set to 0 once, and its counters keep their last values for as long as the recorder keeps them.
pub fn report_with_keys(keys: usize) {
    let mut key_gauges = BTreeSet::new();
    for Family { name, kind, samples, .. } in capabilities::families(keys) {
        let name = full_name(name, kind);
        for sample in samples {
            let pairs = sample.labels.pairs();
            let labels: Vec<_> =
                pairs.map(|(name, value)| Label::new(name, SharedString::from(value.into_owned()))).collect();
            match kind {
                MetricKind::Counter => ::metrics::counter!(name.clone(), labels).absolute(sample.value.as_whole()),
                MetricKind::Gauge => {
                    if sample.labels.has_key() {
                        key_gauges.insert((name.clone(), labels.clone()));
                    }
                    ::metrics::gauge!(name.clone(), labels).set(sample.value.as_f64());
                }
                // The facade accepts no buckets: a histogram is reported as gauges of its quantiles. Delays of retries have none; they are
                // recorded when a delay has passed, by `telemetry::record_delay`.
                MetricKind::Histogram => {
                    let Value::Histogram(Histogram { quantiles, .. }) = sample.value else { continue };
                    for (quantile, duration) in quantiles {
                        let mut labels = labels.clone();
                        labels.push(Label::new("quantile", quantile));
                        ::metrics::gauge!(name.clone(), labels).set(duration.as_secs_f64());
                    }
                }
            }
        }
    }
    let mut last = key_gauges.clone();
    mem::swap(&mut *LAST_KEY_GAUGES.lock().unwrap_or_else(PoisonError::into_inner), &mut last);
    for (name, labels) in last.difference(&key_gauges).cloned() {
        ::metrics::gauge!(name, labels).set(0.0);
    }
}

/// The gauges of keys in the last report.
static LAST_KEY_GAUGES: Mutex<BTreeSet<(SharedString, Vec<Label>)>> = Mutex::new(BTreeSet::new());

/// Returns the name of a metric with the suffix `_total` of counters.
fn full_name(name: &'static str, kind: MetricKind) -> SharedString {
    match kind {
        MetricKind::Counter => SharedString::from(format!("{name}_total")),
        MetricKind::Gauge | MetricKind::Histogram => SharedString::from(name),
    }
}
