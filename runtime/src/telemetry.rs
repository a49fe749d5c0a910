//! Metrics as plain values: families of samples with labels, which each capability reads from its counters on demand.
//!
//! `crate::prometheus` and `crate::metrics` export them to the respective metrics systems.
//!
//! **Invariant:** no call executes code of this module, except that a retry records its delays in the `metrics` facade.

mod options;

#[cfg(feature = "metrics")]
use std::sync::{PoisonError, RwLock};
use std::{borrow::Cow, sync::Arc, time::Duration};

pub(crate) use self::options::Options;
use crate::escape::escaped;

/// All samples of one metric.
#[derive(Debug)]
pub(crate) struct Family {
    /// The name, without the suffix `_total` of counters.
    pub(crate) name: Cow<'static, str>,
    pub(crate) help: &'static str,
    pub(crate) kind: MetricKind,
    pub(crate) samples: Vec<Sample>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetricKind {
    Counter,
    Gauge,
    /// A histogram of times, in seconds.
    Histogram,
}

#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) labels: Labels,
    pub(crate) value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Count(u64),
    /// A time in microseconds, exported in seconds.
    Micros(u64),
    Histogram(Histogram),
}

/// The number of values in each bucket, and the sum of all values.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(feature = "prometheus-client"),
    allow(dead_code, reason = "the `metrics` facade has histograms of its own")
)]
pub(crate) struct Histogram {
    /// The upper bound of each bucket, with the number of values up to it and above the previous bound. The last bound is `None`: infinity.
    pub(crate) buckets: Vec<(Option<Duration>, u64)>,
    pub(crate) sum: Duration,
    /// Quantiles with their labels, for the `metrics` facade.
    #[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "Prometheus computes quantiles from the buckets"))]
    pub(crate) quantiles: Vec<(&'static str, Duration)>,
}

/// The labels of a sample.
#[derive(Clone, Debug)]
pub(crate) struct Labels {
    /// The label of the name, and the name. The label is `service`, `retry`, `limit` or `bulkhead`.
    subject: (&'static str, &'static str),
    /// A second label and its value, such as `outcome` and `success`.
    extra: Option<(&'static str, &'static str)>,
    key: Option<Arc<str>>,
    /// True for the overflow breaker or limit.
    overflow: bool,
}

/// The default number of keys of each name that have series of their own.
pub(crate) const DEFAULT_TOP_KEYS: usize = 20;

/// The label of the name of a circuit breaker, unless [`Options`] set another one.
pub(crate) const SERVICE: &str = "service";

/// The name of the histogram of delays before retries.
pub(crate) const RETRY_DELAY: &str = "retry_delay_seconds";

/// The prefix of the name of the histogram of delays in the `metrics` facade.
#[cfg(feature = "metrics")]
static DELAY_PREFIX: RwLock<Option<&'static str>> = RwLock::new(None);

/// Sets the prefix under which [`record_delay`] records.
#[cfg(feature = "metrics")]
pub(crate) fn set_delay_prefix(prefix: Option<&'static str>) {
    *DELAY_PREFIX.write().unwrap_or_else(PoisonError::into_inner) = prefix;
}

/// Records the delay before a retry in the recorder of the `metrics` facade, after the delay has passed.
#[cfg(feature = "metrics")]
pub(crate) fn record_delay(retry: Option<&'static str>, delay: Duration) {
    let label = escaped(retry.unwrap_or("unnamed"));
    let prefix = *DELAY_PREFIX.read().unwrap_or_else(PoisonError::into_inner);
    let name = options::prefixed(prefix, RETRY_DELAY.into());
    ::metrics::histogram!(name, "retry" => label).record(delay.as_secs_f64());
}

impl Family {
    pub(crate) const fn counter(name: &'static str, help: &'static str, samples: Vec<Sample>) -> Self {
        Self { name: Cow::Borrowed(name), help, kind: MetricKind::Counter, samples }
    }

    pub(crate) const fn gauge(name: &'static str, help: &'static str, samples: Vec<Sample>) -> Self {
        Self { name: Cow::Borrowed(name), help, kind: MetricKind::Gauge, samples }
    }

    pub(crate) const fn histogram(name: &'static str, help: &'static str, samples: Vec<Sample>) -> Self {
        Self { name: Cow::Borrowed(name), help, kind: MetricKind::Histogram, samples }
    }
}

impl Labels {
    pub(crate) const fn new(label: &'static str, name: &'static str) -> Self {
        Self { subject: (label, name), extra: None, key: None, overflow: false }
    }

    pub(crate) const fn with(mut self, label: &'static str, value: &'static str) -> Self {
        self.extra = Some((label, value));
        self
    }

    /// Adds the key of a breaker or limit, or the label of the overflow breaker or limit.
    #[cfg(feature = "keyed")]
    pub(crate) fn with_key(self, (key, overflow): (Option<Arc<str>>, bool)) -> Self {
        Self { key, overflow, ..self }
    }

    pub(crate) const fn count(self, count: u64) -> Sample {
        Sample { labels: self, value: Value::Count(count) }
    }

    pub(crate) const fn micros(self, micros: u64) -> Sample {
        Sample { labels: self, value: Value::Micros(micros) }
    }

    /// Replaces the label of the name if it is `from`.
    fn rename(&mut self, from: &'static str, to: &'static str) {
        if self.subject.0 == from {
            self.subject.0 = to;
        }
    }

    /// Returns true for a sample of one key, or of the overflow breaker or limit.
    #[cfg(feature = "metrics")]
    pub(crate) const fn has_key(&self) -> bool {
        self.key.is_some() || self.overflow
    }

    /// Returns the labels with their values, which are [escaped].
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&'static str, Cow<'_, str>)> {
        let key = self.key.as_deref().map(|key| ("key", key));
        // The overflow instance has a label of its own, since any value of `key` can be a real key.
        let overflow = self.overflow.then_some(("overflow", "true"));
        let pairs = [self.subject].into_iter().chain(self.extra).chain(key).chain(overflow);
        pairs.map(|(name, value)| (name, escaped(value)))
    }
}

impl Value {
    /// Returns the value for a counter of the `metrics` facade, which is a whole number. A time is in seconds, rounded down.
    #[cfg(feature = "metrics")]
    pub(crate) const fn as_whole(&self) -> u64 {
        match self {
            Self::Count(count) => *count,
            Self::Micros(micros) => *micros / 1_000_000,
            Self::Histogram(_) => 0,
        }
    }

    /// Returns the value as a floating-point number. A time is in seconds.
    #[allow(clippy::cast_precision_loss, reason = "285 years of microseconds are exact")]
    pub(crate) fn as_f64(&self) -> f64 {
        match self {
            Self::Count(count) => *count as f64,
            Self::Micros(micros) => *micros as f64 / 1e6,
            Self::Histogram(histogram) => histogram.sum.as_secs_f64(),
        }
    }
}
