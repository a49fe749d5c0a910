//! Every breaker, retry, rate limit and bulkhead as metrics for Prometheus, read when it scrapes.
//!
//! ```
//! use prometheus_client::{encoding::prometheus_text::encode, registry::Registry};
//! use steadfast::prometheus::SteadfastCollector;
//!
//! let mut registry = Registry::default();
//! registry.register_collector(Box::new(SteadfastCollector::new()));
//!
//! let mut text = String::new(); // what a handler of `/metrics` answers
//! encode(&mut text, &registry)?;
//! assert!(text.contains("# TYPE circuit_breaker_state gauge"));
//! # Ok::<(), std::fmt::Error>(())
//! ```
//!
//! Calls pay nothing for it, and every breaker of the program is there from the first scrape on, with zeros before its first
//! call.
//!
//! | metric | type | labels |
//! | --- | --- | --- |
//! | `circuit_breaker_state` | gauge: 0 closed, 1 open, 2 half-open, 3 forced open, 4 disabled | `service` |
//! | `circuit_breaker_failures_total` | counter | `service` |
//! | `circuit_breaker_rejections_total` | counter | `service` |
//! | `circuit_breaker_calls_total` | counter | `service`, `outcome`: success, failure, neutral, rejected |
//! | `circuit_breaker_transitions_total` | counter | `service`, `state`: the one entered |
//! | `circuit_breaker_state_seconds_total` | counter | `service`, `state` |
//! | `circuit_breaker_trial_calls_total` | counter | `service` |
//! | `circuit_breaker_keys` | gauge | `service`, `state` |
//! | `circuit_breaker_key_state` | gauge, as above | `service`, `key` |
//! | `circuit_breaker_key_failures_total` | counter | `service`, `key` |
//! | `circuit_breaker_key_rejections_total` | counter | `service`, `key` |
//! | `retry_calls_total` | counter | `retry`, `outcome`: `first_try`, retried, `not_transient`, rejected, exhausted, denied, stopped, cancelled, panicked |
//! | `retry_attempts_total` | counter | `retry` |
//! | `retry_delay_seconds` | histogram | `retry` |
//! | `rate_limit_calls_total` | counter | `limit`, `outcome`: admitted, rejected |
//! | `rate_limit_max_calls`, `rate_limit_window_seconds` | gauge: what may be | `limit` |
//! | `rate_limit_used`, `rate_limit_waiting` | gauge: what is | `limit`, without keys |
//! | `rate_limit_keys` | gauge | `limit`, `state`: free, reached |
//! | `rate_limit_key_rejections_total` | counter | `limit`, `key` |
//! | `bulkhead_calls_total` | counter | `bulkhead`, `outcome`: admitted, rejected |
//! | `bulkhead_in_flight`, `bulkhead_max_concurrent`, `bulkhead_waiting` | gauge | `bulkhead` |
//!
//! Retries are there that have a `name`. Of breakers and rate limits with a `key`, the totals of all keys stand under their `service` or
//! `limit`, evicted keys included.
//!
//! A key has series of its own only while it is in trouble: its breaker is not closed, has failures counted or has changed its state in
//! the last ten minutes; its rate limit has rejected calls. Of these, the worst 20 of each name have series
//! ([`top_keys`](SteadfastCollector::top_keys)), and in each hour at most as many keys that had none before, so that the number of
//! series is bounded over time, too. The breaker or limit that all keys share that have none of their own has the label
//! `overflow="true"` and no `key`.
//!
//! Where two versions of this crate are in one program, each has a collector of its own; register the second with a prefix.

use std::{fmt, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{
        CounterValueEncoder, DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabel, EncodeLabelSet,
        GaugeValueEncoder, LabelSetEncoder, NoLabelSet,
    },
    metrics::MetricType,
};

use crate::{
    RetrySnapshot,
    telemetry::{self, Family, Kind, Labels, Value, of_retry},
};

/// Reads all of them at each scrape: see the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct SteadfastCollector {
    top_keys: usize,
}

impl SteadfastCollector {
    /// With series for 20 keys of each name.
    #[must_use]
    pub const fn new() -> Self {
        Self { top_keys: telemetry::DEFAULT_TOP_KEYS }
    }

    /// How many keys of each name have series of their own at once, of those in trouble; those that reject most come first.
    #[must_use]
    pub const fn top_keys(mut self, keys: usize) -> Self {
        self.top_keys = keys;
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
        for Family { name, help, kind, samples } in telemetry::families(self.top_keys) {
            let kind = match kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
            };
            // The encoder puts a full stop behind it.
            let help = help.trim_end_matches('.');
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for sample in samples {
                let mut metric = family.encode_family(&sample.labels)?;
                match kind {
                    MetricType::Counter => metric.encode_counter::<NoLabelSet, _, u64>(&sample.value, None)?,
                    _ => metric.encode_gauge(&sample.value)?,
                }
            }
        }
        encode_delays(&mut encoder)
    }
}

fn encode_delays(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Delays before retries, in seconds";
    let mut family = encoder.encode_descriptor("retry_delay_seconds", help, None, MetricType::Histogram)?;
    for retry in crate::retries() {
        let seconds = |bound: Option<Duration>| bound.map_or(f64::INFINITY, |bound| bound.as_secs_f64());
        let buckets: Vec<_> = retry.delays().map(|(bound, count)| (seconds(bound), count)).collect();
        let RetrySnapshot { name, delayed, retries: count, .. } = retry;
        let sum = delayed.as_secs_f64();
        family.encode_family(&of_retry(name))?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
    }
    Ok(())
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
            Self::Micros(_) => EncodeGaugeValue::encode(&self.as_f64(), encoder),
        }
    }
}

impl EncodeCounterValue for Value {
    fn encode(&self, encoder: &mut CounterValueEncoder<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => EncodeCounterValue::encode(count, encoder),
            Self::Micros(_) => EncodeCounterValue::encode(&self.as_f64(), encoder),
        }
    }
}
