//! All named circuit breakers, retries, rate limits and bulkheads as metrics, for the recorder of the `metrics` facade.
//!
//! ```
//! steadfast::metrics::describe(); // once, after the recorder is installed
//! steadfast::metrics::report(); // before each scrape, or every few seconds
//! ```
//!
//! A [`Reporter`] does the same with other names and labels. The metrics are those of the feature `prometheus-client`; its module
//! `prometheus` lists them. They add no cost to calls: a report reads counters that exist in any case. The histograms of durations are
//! reported as gauges with the label `quantile`: 0.5, 0.95 and 0.99. Counters of seconds are rounded down to whole seconds. The only
//! exception is the histogram `retry_delay_seconds`: a retry records each delay after the delay has passed.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    mem,
    sync::{Mutex, PoisonError},
};

use ::metrics::{Label, SharedString, Unit};

use crate::{
    InvalidSetting, capabilities,
    checked::valid,
    telemetry::{self, Family, Histogram, MetricKind, Options, RETRY_DELAY, Value},
};

/// Registers the description of each metric with the recorder.
pub fn describe() {
    DEFAULT.describe();
}

/// Reports all metrics to the recorder, with series for at most 20 keys of each name.
pub fn report() {
    DEFAULT.report();
}

/// The reporter of [`describe`] and [`report`].
static DEFAULT: Reporter = Reporter::new();

/// A reporter of all metrics with other names and labels than those of [`describe`] and [`report`]. A program needs one, for example in a
/// `static`. The options are those of the `SteadfastCollector` of the feature `prometheus-client`.
///
/// ```
/// use steadfast::metrics::Reporter;
///
/// // steadfast_circuit_breaker_calls_total{breaker="payments",outcome="failure"}
/// static REPORTER: Reporter = Reporter::new().prefix("steadfast").label("breaker").without_short_names().top_keys(50);
///
/// REPORTER.describe(); // once, after the recorder is installed
/// REPORTER.report(); // before each scrape, or every few seconds
/// ```
///
/// The histogram `retry_delay_seconds` has the prefix of the reporter that described or reported last.
#[derive(Debug)]
pub struct Reporter {
    options: Options,
    /// The gauges of keys in the last report.
    key_gauges: Mutex<BTreeSet<(SharedString, Vec<Label>)>>,
}

impl Reporter {
    /// Creates a reporter with series for at most 20 keys of each name, and the names and labels of [`report`].
    #[must_use]
    pub const fn new() -> Self {
        Self { options: Options::DEFAULT, key_gauges: Mutex::new(BTreeSet::new()) }
    }

    /// Sets the maximum number of keys of each name that have series of their own.
    ///
    /// The unhealthiest keys have series, as the module `prometheus` of the feature `prometheus-client` describes. If a key no longer has
    /// series, its gauges are set to 0 once, and its counters keep their last values for as long as the recorder keeps them.
    #[must_use]
    pub const fn top_keys(mut self, keys: usize) -> Self {
        self.options.top_keys = keys;
        self
    }

    /// Sets the label that contains the name of a circuit breaker, `service` by default.
    ///
    /// # Panics
    ///
    /// If Prometheus does not allow the label, or if the series have this label already: see [`try_label`](Self::try_label). In a `static`
    /// that is a compile error.
    #[must_use]
    pub const fn label(mut self, label: &'static str) -> Self {
        self.options = valid!(self.options.try_label(label));
        self
    }

    /// Sets the label, or returns an error: see [`label`](Self::label).
    ///
    /// # Errors
    ///
    /// If the label does not consist of ASCII letters, digits and `_`, begins with a digit or `__`, or is one of `state`, `outcome`,
    /// `key`, `overflow`, `le`, `quantile`, `job` and `instance`.
    pub fn try_label(mut self, label: &'static str) -> Result<Self, InvalidSetting> {
        self.options = self.options.try_label(label)?;
        Ok(self)
    }

    /// Sets a prefix of the names of all metrics: with `steadfast`, `retry_calls_total` becomes `steadfast_retry_calls_total`.
    ///
    /// # Panics
    ///
    /// If Prometheus does not allow the prefix: see [`try_prefix`](Self::try_prefix). In a `static` that is a compile error.
    #[must_use]
    pub const fn prefix(mut self, prefix: &'static str) -> Self {
        self.options = valid!(self.options.try_prefix(prefix));
        self
    }

    /// Sets the prefix, or returns an error: see [`prefix`](Self::prefix).
    ///
    /// # Errors
    ///
    /// If the prefix does not consist of ASCII letters, digits and `_`, begins with a digit, or ends with `_`.
    pub fn try_prefix(mut self, prefix: &'static str) -> Result<Self, InvalidSetting> {
        self.options = self.options.try_prefix(prefix)?;
        Ok(self)
    }

    /// Leaves out `circuit_breaker_failures_total` and `circuit_breaker_rejections_total`, which repeat outcomes of
    /// `circuit_breaker_calls_total`.
    #[must_use]
    pub const fn without_short_names(mut self) -> Self {
        self.options = self.options.without_short_names();
        self
    }

    /// Registers the description of each metric with the recorder.
    pub fn describe(&self) {
        telemetry::set_delay_prefix(self.options.prefix());
        let mut options = self.options;
        options.top_keys = 0;
        for Family { name, help, kind, .. } in capabilities::families(&options) {
            let (is_time, is_delay) = (name.ends_with("_seconds"), name.ends_with(RETRY_DELAY));
            let name = full_name(name, kind);
            match kind {
                MetricKind::Counter => ::metrics::describe_counter!(name, help),
                MetricKind::Histogram if is_delay => ::metrics::describe_histogram!(name, Unit::Seconds, help),
                _ if is_time => ::metrics::describe_gauge!(name, Unit::Seconds, help),
                MetricKind::Gauge | MetricKind::Histogram => ::metrics::describe_gauge!(name, help),
            }
        }
    }

    /// Reports all metrics to the recorder.
    pub fn report(&self) {
        telemetry::set_delay_prefix(self.options.prefix());
        let mut key_gauges = BTreeSet::new();
        for Family { name, kind, samples, .. } in capabilities::families(&self.options) {
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
                    MetricKind::Histogram => report_quantiles(&name, &labels, sample.value),
                }
            }
        }
        let mut last = key_gauges.clone();
        mem::swap(&mut *self.key_gauges.lock().unwrap_or_else(PoisonError::into_inner), &mut last);
        for (name, labels) in last.difference(&key_gauges).cloned() {
            ::metrics::gauge!(name, labels).set(0.0);
        }
    }
}

impl Default for Reporter {
    fn default() -> Self {
        Self::new()
    }
}

/// Reports a histogram as gauges of its quantiles, since the facade accepts no buckets. Delays of retries have no quantiles; they are
/// recorded when a delay has passed, by `telemetry::record_delay`.
fn report_quantiles(name: &SharedString, labels: &[Label], value: Value) {
    let Value::Histogram(Histogram { quantiles, .. }) = value else { return };
    for (quantile, duration) in quantiles {
        let mut labels = labels.to_vec();
        labels.push(Label::new("quantile", quantile));
        ::metrics::gauge!(name.clone(), labels).set(duration.as_secs_f64());
    }
}

/// Returns the name of a metric with the suffix `_total` of counters.
fn full_name(name: Cow<'static, str>, kind: MetricKind) -> SharedString {
    match (kind, name) {
        (MetricKind::Counter, name) => SharedString::from(format!("{name}_total")),
        (_, Cow::Borrowed(name)) => SharedString::const_str(name),
        (_, Cow::Owned(name)) => SharedString::from_owned(name),
    }
}
