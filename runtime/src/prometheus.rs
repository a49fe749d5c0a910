//! All named circuit breakers, retries, rate limits and bulkheads, all fallbacks and timeouts, and all named retry budgets as metrics for
//! Prometheus, read at each scrape.
//!
//! ```
//! use prometheus_client::{encoding::prometheus_text::encode, registry::Registry};
//! use steadfast::prometheus::SteadfastCollector;
//!
//! let mut registry = Registry::default();
//! registry.register_collector(Box::new(SteadfastCollector::new()));
//!
//! let mut text = String::new(); // the response of a handler for `/metrics`
//! encode(&mut text, &registry)?;
//! assert!(text.contains("# TYPE circuit_breaker_state gauge"));
//! # Ok::<(), std::fmt::Error>(())
//! ```
//!
//! The metrics add no cost to calls. All breakers of the program are exported from the first scrape on, with zeros before their first call.
//! `docs/metrics.md` in the repository describes each metric, with example queries, alerts and notes on Kubernetes and cardinality.
//!
//! | metric | type | unit | labels |
//! | --- | --- | --- | --- |
//! | `circuit_breaker_state` | gauge | 0 to 4 | `service` |
//! | `circuit_breaker_admitted_share` | gauge | 0 to 1 | `service` |
//! | `circuit_breaker_outage_seconds` | gauge | seconds | `service` |
//! | `circuit_breaker_observe_only` | gauge | 0 or 1 | `service` |
//! | `circuit_breaker_calls_total` | counter | calls | `service`; `outcome`: `success`, `failure`, `ignored`, `cancelled`, `rejected` |
//! | `circuit_breaker_observed_rejections_total`, `circuit_breaker_failures_total`, `circuit_breaker_rejections_total` | counter | calls | `service` |
//! | `circuit_breaker_transitions_total` | counter | changes | `service`; `state`: `closed`, `open`, `half_open`, `forced_open`, `disabled` |
//! | `circuit_breaker_state_seconds_total` | counter | seconds | `service`; `state`: `closed`, `open`, `half_open`, `forced_open`, `disabled` |
//! | `circuit_breaker_trial_calls_total` | counter | calls | `service` |
//! | `circuit_breaker_in_flight`, `circuit_breaker_hung_in_flight` | gauge | calls | `service` |
//! | `circuit_breaker_oldest_in_flight_seconds` | gauge | seconds | `service` |
//! | `circuit_breaker_hung_calls_total` | counter | calls | `service` |
//! | `circuit_breaker_call_duration_seconds` | histogram | seconds | `service`; `outcome`: `success`, `failure`, `ignored`, `cancelled` |
//! | `circuit_breaker_keys` | gauge | keys | `service`; `state`: `closed`, `open`, `half_open`, `forced_open`, `disabled` |
//! | `circuit_breaker_keys_in_outage` | gauge | keys | `service` |
//! | `circuit_breaker_key_state` | gauge | 0 to 4 | `service`; `key`; `overflow`: `true` |
//! | `circuit_breaker_key_failures_total`, `circuit_breaker_key_rejections_total` | counter | calls | `service`; `key`; `overflow`: `true` |
//! | `fallback_calls_total` | counter | calls | `function`; `outcome`: `answered`, `fallback`, `failed`, `cancelled`, `panicked` |
//! | `timeouts_total` | counter | calls | `function` |
//! | `retry_calls_total` | counter | calls | `retry`; `outcome`: `first_try`, `retried`, `not_transient`, `rejected`, `exhausted`, `denied`, `stopped`, `cancelled`, `panicked` |
//! | `retry_attempts_total`, `retry_rejections_total` | counter | attempts | `retry` |
//! | `retry_attempt_duration_seconds` | histogram | seconds | `retry`; `outcome`: `success`, `failure`, `ignored`, `cancelled` |
//! | `retry_delay_seconds` | histogram | seconds | `retry` |
//! | `retry_budget_withdrawn_total`, `retry_budget_denied_total` | counter | retries | `budget` |
//! | `retry_budget_balance` | gauge | retries | `budget` |
//! | `rate_limit_calls_total` | counter | calls | `limit`; `outcome`: `admitted`, `rejected` |
//! | `rate_limit_max_calls` | gauge | calls | `limit` |
//! | `rate_limit_window_seconds` | gauge | seconds | `limit` |
//! | `rate_limit_used`, `rate_limit_waiting` | gauge | calls | `limit` |
//! | `rate_limit_keys` | gauge | keys | `limit`; `state`: `free`, `reached` |
//! | `rate_limit_key_rejections_total` | counter | calls | `limit`; `key`; `overflow`: `true` |
//! | `bulkhead_calls_total` | counter | calls | `bulkhead`; `outcome`: `admitted`, `rejected` |
//! | `bulkhead_in_flight`, `bulkhead_max_concurrent` | gauge | permits | `bulkhead` |
//! | `bulkhead_waiting` | gauge | calls | `bulkhead` |
//! | `bulkhead_keys` | gauge | keys | `bulkhead`; `state`: `free`, `full` |
//! | `bulkhead_key_rejections_total` | counter | calls | `bulkhead`; `key`; `overflow`: `true` |
//!
//! Retries and retry budgets are exported if they have a `name`. For breakers, rate limits and bulkheads with a `key`, the totals under
//! `service`, `limit` or `bulkhead` include all keys, even evicted ones.
//!
//! A key has series of its own while it is unhealthy. A breaker is unhealthy if it is not closed, has counted failures or slow calls, or
//! has changed its state within the last ten minutes. A bulkhead is unhealthy if it has rejected calls, and a rate limit as long as its
//! window still contains calls or calls wait for it, too. At most 20 keys of each name have series
//! ([`top_keys`](SteadfastCollector::top_keys)), the unhealthiest first. In each hour, at most the same number of keys can newly get series,
//! so that the number of series is bounded over time as well. The overflow breaker or limit has the label `overflow="true"` and no `key`.
//!
//! If a program contains two versions of this crate, each has its own collector; give the second one a
//! [`prefix`](SteadfastCollector::prefix).

use std::{fmt, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{
        CounterValueEncoder, DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabel, EncodeLabelSet,
        GaugeValueEncoder, LabelSetEncoder, MetricEncoder, NoLabelSet,
    },
    metrics::MetricType,
    registry::Unit,
};

use crate::{
    InvalidSetting, capabilities,
    checked::valid,
    telemetry::{Family, Labels, MetricKind, Options, Value},
};

/// A collector that reads all metrics at each scrape. The [module documentation](self) lists the metrics.
///
/// ```
/// use steadfast::prometheus::SteadfastCollector;
///
/// // steadfast_circuit_breaker_calls_total{breaker="payments",outcome="failure"}
/// const COLLECTOR: SteadfastCollector =
///     SteadfastCollector::new().prefix("steadfast").label("breaker").without_short_names().top_keys(50);
/// # assert!(SteadfastCollector::new().try_label("my label").is_err());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SteadfastCollector {
    options: Options,
}

impl SteadfastCollector {
    /// Creates a collector with series for at most 20 keys of each name, and the names and labels of the
    /// [module documentation](self).
    #[must_use]
    pub const fn new() -> Self {
        Self { options: Options::DEFAULT }
    }

    /// Sets the maximum number of keys of each name that have series of their own at a time.
    #[must_use]
    pub const fn top_keys(mut self, keys: usize) -> Self {
        self.options.top_keys = keys;
        self
    }

    /// Sets the label that contains the name of a circuit breaker, `service` by default.
    ///
    /// In Kubernetes, a `ServiceMonitor` gives each target a label `service`. Prometheus then renames the label of the metrics to
    /// `exported_service`, unless the monitor sets `honorLabels: true`. Another label avoids the collision without `honorLabels`.
    ///
    /// # Panics
    ///
    /// If Prometheus does not allow the label, or if the series have this label already: see [`try_label`](Self::try_label). In a `const`
    /// that is a compile error.
    #[must_use]
    pub const fn label(self, label: &'static str) -> Self {
        valid!(self.try_label(label))
    }

    /// Sets the label, or returns an error: see [`label`](Self::label).
    ///
    /// # Errors
    ///
    /// If the label does not consist of ASCII letters, digits and `_`, begins with a digit or `__`, or is one of `state`, `outcome`,
    /// `key`, `overflow`, `le`, `quantile`, `job` and `instance`.
    pub const fn try_label(mut self, label: &'static str) -> Result<Self, InvalidSetting> {
        match self.options.try_label(label) {
            Ok(options) => self.options = options,
            Err(invalid) => return Err(invalid),
        }
        Ok(self)
    }

    /// Sets a prefix of the names of all metrics: with `steadfast`, `retry_calls_total` becomes `steadfast_retry_calls_total`.
    ///
    /// # Panics
    ///
    /// If Prometheus does not allow the prefix: see [`try_prefix`](Self::try_prefix). In a `const` that is a compile error.
    #[must_use]
    pub const fn prefix(self, prefix: &'static str) -> Self {
        valid!(self.try_prefix(prefix))
    }

    /// Sets the prefix, or returns an error: see [`prefix`](Self::prefix).
    ///
    /// # Errors
    ///
    /// If the prefix does not consist of ASCII letters, digits and `_`, begins with a digit, or ends with `_`.
    pub const fn try_prefix(mut self, prefix: &'static str) -> Result<Self, InvalidSetting> {
        match self.options.try_prefix(prefix) {
            Ok(options) => self.options = options,
            Err(invalid) => return Err(invalid),
        }
        Ok(self)
    }

    /// Leaves out `circuit_breaker_failures_total` and `circuit_breaker_rejections_total`, which repeat outcomes of
    /// `circuit_breaker_calls_total`.
    #[must_use]
    pub const fn without_short_names(mut self) -> Self {
        self.options = self.options.without_short_names();
        self
    }
}

impl Default for SteadfastCollector {
    fn default() -> Self {
        Self::new()
    }
}

impl Collector for SteadfastCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for Family { name, help, kind, samples } in capabilities::families(&self.options) {
            let kind = match kind {
                MetricKind::Counter => MetricType::Counter,
                MetricKind::Gauge => MetricType::Gauge,
                MetricKind::Histogram => MetricType::Histogram,
            };
            // The encoder appends a full stop to the help and the unit to the name.
            let help = help.trim_end_matches('.');
            let (name, unit) = match name.strip_suffix("_seconds") {
                Some(name) => (name, Some(&Unit::Seconds)),
                None => (&*name, None),
            };
            let mut family = encoder.encode_descriptor(name, help, unit, kind)?;
            for sample in samples {
                encode_value(family.encode_family(&sample.labels)?, kind, &sample.value)?;
            }
        }
        Ok(())
    }
}

fn encode_value(mut encoder: MetricEncoder<'_>, kind: MetricType, value: &Value) -> fmt::Result {
    match (kind, value) {
        (_, Value::Histogram(histogram)) => {
            let bound = |bound: Option<Duration>| bound.map_or(f64::INFINITY, |bound| bound.as_secs_f64());
            let buckets: Vec<_> = histogram.buckets.iter().map(|(max, count)| (bound(*max), *count)).collect();
            let count = buckets.iter().map(|(_, count)| count).sum();
            encoder.encode_histogram::<NoLabelSet>(histogram.sum.as_secs_f64(), count, &buckets, None)
        }
        (MetricType::Counter, value) => encoder.encode_counter::<NoLabelSet, _, u64>(value, None),
        (_, value) => encoder.encode_gauge(value),
    }
}

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        self.pairs().try_for_each(|pair| pair.encode(encoder.encode_label()))
    }
}

impl EncodeGaugeValue for Value {
    fn encode(&self, encoder: &mut GaugeValueEncoder<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => EncodeGaugeValue::encode(count, encoder),
            value => EncodeGaugeValue::encode(&value.as_f64(), encoder),
        }
    }
}

impl EncodeCounterValue for Value {
    fn encode(&self, encoder: &mut CounterValueEncoder<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => EncodeCounterValue::encode(count, encoder),
            value => EncodeCounterValue::encode(&value.as_f64(), encoder),
        }
    }
}
