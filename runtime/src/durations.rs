//! Histograms of the durations of calls.
//!
//! The buckets are log-linear, as in `HdrHistogram`: each power of two is divided into 16 buckets of the same width, so that the middle of a
//! bucket differs from each value in it by at most a thirty-second. Durations are in microseconds; the shortest ones have a bucket each.

use std::{
    array,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use once_cell::race::OnceBox;

use crate::totals::PerThread;

/// The durations of calls, by outcome, in histograms of fixed size.
///
/// A duration differs from the measured one by at most 3.2 %. Durations below 16 µs are exact, and those above 19 hours are counted as
/// 19 hours. A breaker without `durations` whose `slow_call` and `hung_call` are half a second or more measures them to within 10 ms.
///
/// ```
/// use std::time::Duration;
/// use steadfast::{BreakerConfig, CircuitBreaker};
///
/// static MAPS: CircuitBreaker = CircuitBreaker::new("maps", BreakerConfig::new().durations(true));
///
/// for _ in 0..100 {
///     MAPS.call(|| Ok::<_, std::io::Error>(()))?;
/// }
/// let durations = MAPS.snapshot().durations.expect("they are recorded");
/// assert_eq!(durations.successes.count(), 100);
/// assert!(durations.quantile(0.99) < Some(Duration::from_secs(1)));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// With the feature `serde`, `Durations` implements `Serialize`, as an object with the fields of a histogram of all calls, and with one
/// histogram for each outcome. A histogram is an object with `count` and, in seconds, `mean`, `p50`, `p95`, `p99` and `max`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Durations {
    /// The durations of calls that succeeded.
    pub successes: DurationHistogram,
    /// The durations of calls that failed, until the error or the panic.
    pub failures: DurationHistogram,
    /// The durations of calls that were ignored because of their error or because a limit below the breaker rejected them.
    pub ignored: DurationHistogram,
    /// The times after which calls were cancelled.
    pub cancelled: DurationHistogram,
}

/// A histogram of durations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DurationHistogram {
    /// The index and the count of each bucket that is not empty, in ascending order.
    counts: Vec<(usize, u64)>,
}

/// The number of buckets for each power of two, and its logarithm.
const PARTS: usize = 1 << PART_BITS;
const PART_BITS: u32 = 4;
/// The longest duration, in microseconds, has this many bits: 19 hours.
const BITS: u32 = 36;
const BUCKETS: usize = ((BITS - PART_BITS + 1) as usize) << PART_BITS;
const OUTCOMES: usize = 4;

/// The outcome of a call whose duration is recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ended {
    Success,
    Failure,
    Ignored,
    Cancelled,
}

/// The counts of the histograms while calls record durations: 17 KiB for each thread, allocated by its first call.
#[derive(Debug)]
pub(crate) struct DurationCells(PerThread<OnceBox<Cells>>);

#[derive(Debug)]
struct Cells([[AtomicU64; BUCKETS]; OUTCOMES]);

impl DurationCells {
    pub(crate) const fn new() -> Self {
        Self(PerThread::new(true, OnceBox::new()))
    }

    /// Records the duration of a call, in microseconds.
    #[inline]
    pub(crate) fn record(&self, ended: Ended, micros: u64) {
        match self.0.own().and_then(OnceBox::get) {
            Some(Cells(cells)) => {
                let cell = &cells[ended as usize][bucket_of(micros)];
                // ORDERING: Relaxed, and no read-modify-write: only this thread writes the cell, and nothing else is inferred from it.
                cell.store(cell.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
            }
            None => self.record_cold(ended, micros),
        }
    }

    #[cold]
    fn record_cold(&self, ended: Ended, micros: u64) {
        let create = || Box::new(Cells(array::from_fn(|_| array::from_fn(|_| AtomicU64::new(0)))));
        if let Some(own) = self.0.own_or_assign() {
            own.get_or_init(create);
            return self.record(ended, micros);
        }
        let Cells(cells) = self.0.shared().get_or_init(create);
        // ORDERING: Relaxed: nothing else is inferred from the count.
        cells[ended as usize][bucket_of(micros)].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the histograms. Calls that other threads are recording at the moment may be missing.
    pub(crate) fn durations(&self) -> Durations {
        let [successes, failures, ignored, cancelled] =
            [Ended::Success, Ended::Failure, Ended::Ignored, Ended::Cancelled].map(|ended| self.histogram(ended));
        Durations { successes, failures, ignored, cancelled }
    }

    fn histogram(&self, ended: Ended) -> DurationHistogram {
        let mut counts = [0_u64; BUCKETS];
        for Cells(cells) in self.0.lines().filter_map(OnceBox::get) {
            for (count, cell) in counts.iter_mut().zip(&cells[ended as usize]) {
                *count = count.wrapping_add(cell.load(Ordering::Relaxed));
            }
        }
        DurationHistogram { counts: counts.into_iter().enumerate().filter(|(_, count)| *count > 0).collect() }
    }
}

/// The bucket of a duration in microseconds.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "at most 36 bits, of which the upper five are used")]
const fn bucket_of(micros: u64) -> usize {
    if micros < PARTS as u64 {
        return micros as usize;
    }
    let micros = if micros >> BITS == 0 { micros } else { (1 << BITS) - 1 };
    let power = u64::BITS - 1 - micros.leading_zeros();
    let part = (micros >> (power - PART_BITS)) as usize - PARTS;
    ((power - PART_BITS + 1) as usize) << PART_BITS | part
}

/// The shortest duration of a bucket, in microseconds, and the width of the bucket.
const fn bounds(bucket: usize) -> (u64, u64) {
    let (power, part) = (bucket >> PART_BITS, (bucket & (PARTS - 1)) as u64);
    if power == 0 {
        return (part, 1);
    }
    ((part + PARTS as u64) << (power - 1), 1 << (power - 1))
}

/// The duration that stands for those of a bucket: its middle.
const fn middle(bucket: usize) -> u64 {
    let (shortest, width) = bounds(bucket);
    shortest + width / 2
}

impl Durations {
    pub(crate) const fn new() -> Self {
        const NONE: DurationHistogram = DurationHistogram { counts: Vec::new() };
        Self { successes: NONE, failures: NONE, ignored: NONE, cancelled: NONE }
    }

    /// Returns the histograms with their outcomes, for metrics.
    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    pub(crate) const fn by_outcome(&self) -> [(&'static str, &DurationHistogram); OUTCOMES] {
        [
            ("success", &self.successes),
            ("failure", &self.failures),
            ("ignored", &self.ignored),
            ("cancelled", &self.cancelled),
        ]
    }

    /// Returns the durations of all calls in one histogram.
    #[must_use]
    pub fn all(&self) -> DurationHistogram {
        let mut all = self.successes.clone();
        for other in [&self.failures, &self.ignored, &self.cancelled] {
            all.merge(other);
        }
        all
    }

    /// Returns a quantile of the durations of all calls: see [`DurationHistogram::quantile`].
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        self.all().quantile(quantile)
    }

    /// Returns the durations that were recorded after `earlier`, an earlier value of the same breaker or retry: those of the last minute,
    /// for example. A bucket that has fewer durations than before, which no later value has, counts as empty.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use steadfast::{BreakerConfig, CircuitBreaker};
    /// static MAPS: CircuitBreaker = CircuitBreaker::new("maps", BreakerConfig::new().durations(true));
    ///
    /// MAPS.call(|| Ok::<_, std::io::Error>(()))?;
    /// let earlier = MAPS.snapshot().durations.expect("they are recorded");
    /// MAPS.call(|| Ok::<_, std::io::Error>(()))?;
    /// let later = MAPS.snapshot().durations.expect("they are recorded").since(&earlier);
    /// assert_eq!(later.successes.count(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            successes: self.successes.since(&earlier.successes),
            failures: self.failures.since(&earlier.failures),
            ignored: self.ignored.since(&earlier.ignored),
            cancelled: self.cancelled.since(&earlier.cancelled),
        }
    }

    /// Adds the durations of other calls, for example of another instance of the service.
    pub fn merge(&mut self, other: &Self) {
        self.successes.merge(&other.successes);
        self.failures.merge(&other.failures);
        self.ignored.merge(&other.ignored);
        self.cancelled.merge(&other.cancelled);
    }
}

impl DurationHistogram {
    /// Returns the number of durations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// Returns the duration that the given share of all durations do not exceed: 0.5 for the median, 0.99 for the 99th percentile. `None`
    /// if there are no durations, and if `quantile` is not a number. Values outside of `0.0..=1.0` are clamped.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "clamped")]
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        if quantile.is_nan() {
            return None;
        }
        let count = self.count();
        let rank = ((quantile.clamp(0.0, 1.0) * count as f64).ceil() as u64).clamp(1, count.max(1));
        let mut below = 0_u64;
        let bucket = self.counts.iter().find(|(_, count)| {
            below = below.saturating_add(*count);
            below >= rank
        });
        bucket.map(|(bucket, _)| Duration::from_micros(middle(*bucket)))
    }

    /// Returns the mean of the durations; `None` if there are none.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        let count = self.count();
        let mean = self.sum_micros().checked_div(u128::from(count))?;
        Some(Duration::from_micros(u64::try_from(mean).unwrap_or(u64::MAX)))
    }

    /// Adds other durations.
    pub fn merge(&mut self, other: &Self) {
        let mut counts = Vec::with_capacity(self.counts.len().max(other.counts.len()));
        let (mut left, mut right) = (self.counts.iter().peekable(), other.counts.iter().peekable());
        loop {
            let bucket = match (left.peek(), right.peek()) {
                (Some((left, _)), Some((right, _))) => *left.min(right),
                (Some((bucket, _)), None) | (None, Some((bucket, _))) => *bucket,
                (None, None) => break,
            };
            let take = |counts: &mut std::iter::Peekable<std::slice::Iter<'_, (usize, u64)>>| {
                counts.next_if(|(next, _)| *next == bucket).map_or(0, |(_, count)| *count)
            };
            counts.push((bucket, take(&mut left).saturating_add(take(&mut right))));
        }
        self.counts = counts;
    }

    /// Returns the durations that were recorded after `earlier`, an earlier value of the same histogram. A bucket that has fewer durations
    /// than before counts as empty.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut before = earlier.counts.iter().peekable();
        let counts = self.counts.iter().filter_map(|(bucket, count)| {
            while before.next_if(|(earlier, _)| earlier < bucket).is_some() {}
            let before = before.next_if(|(earlier, _)| earlier == bucket).map_or(0, |(_, count)| *count);
            let since = count.saturating_sub(before);
            (since > 0).then_some((*bucket, since))
        });
        Self { counts: counts.collect() }
    }

    fn sum_micros(&self) -> u128 {
        self.counts.iter().map(|(bucket, count)| u128::from(middle(*bucket)) * u128::from(*count)).sum()
    }
}

#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
impl DurationHistogram {
    /// The upper bounds of the buckets for Prometheus.
    const BOUNDS: [Duration; 16] = [
        Duration::from_millis(1),
        Duration::from_micros(2_500),
        Duration::from_millis(5),
        Duration::from_millis(10),
        Duration::from_millis(25),
        Duration::from_millis(50),
        Duration::from_millis(100),
        Duration::from_millis(250),
        Duration::from_millis(500),
        Duration::from_secs(1),
        Duration::from_millis(2_500),
        Duration::from_secs(5),
        Duration::from_secs(10),
        Duration::from_secs(30),
        Duration::from_mins(1),
        Duration::from_mins(5),
    ];

    /// The histogram as a metric, with wider buckets.
    pub(crate) fn to_metric(&self) -> crate::telemetry::Histogram {
        let mut rest = self.counts.as_slice();
        let bounds = Self::BOUNDS.map(Some).into_iter().chain([None]);
        let buckets = bounds.map(|bound| {
            let until = bound.map_or(rest.len(), |bound| {
                rest.partition_point(|(bucket, _)| u128::from(middle(*bucket)) <= bound.as_micros())
            });
            let (within, above) = rest.split_at(until);
            rest = above;
            (bound, within.iter().map(|(_, count)| count).sum())
        });
        let quantiles = [("0.5", 0.5), ("0.95", 0.95), ("0.99", 0.99)];
        let quantiles = quantiles.into_iter().filter_map(|(label, quantile)| Some((label, self.quantile(quantile)?)));
        let sum = Duration::from_micros(u64::try_from(self.sum_micros()).unwrap_or(u64::MAX));
        crate::telemetry::Histogram { buckets: buckets.collect(), sum, quantiles: quantiles.collect() }
    }
}

#[cfg(feature = "serde")]
mod serialize {
    use std::time::Duration;

    use serde::{Serialize, Serializer, ser::SerializeStruct};

    use super::{DurationHistogram, Durations, OUTCOMES};

    const FIELDS: usize = 6;

    impl Serialize for Durations {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut fields = serializer.serialize_struct("Durations", FIELDS + OUTCOMES)?;
            add_fields(&mut fields, &self.all())?;
            fields.serialize_field("successes", &self.successes)?;
            fields.serialize_field("failures", &self.failures)?;
            fields.serialize_field("ignored", &self.ignored)?;
            fields.serialize_field("cancelled", &self.cancelled)?;
            fields.end()
        }
    }

    impl Serialize for DurationHistogram {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut fields = serializer.serialize_struct("DurationHistogram", FIELDS)?;
            add_fields(&mut fields, self)?;
            fields.end()
        }
    }

    fn add_fields<S: SerializeStruct>(fields: &mut S, histogram: &DurationHistogram) -> Result<(), S::Error> {
        let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs_f64());
        fields.serialize_field("count", &histogram.count())?;
        fields.serialize_field("mean", &seconds(histogram.mean()))?;
        for (name, quantile) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)] {
            fields.serialize_field(name, &seconds(histogram.quantile(quantile)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_duration_is_in_the_bucket_that_contains_it() {
        let mut previous = 0;
        for power in 0..=BITS {
            for micros in [(1_u64 << power) - 1, 1 << power, (1 << power) + 1, (1 << power) + (1 << power) / 3] {
                let bucket = bucket_of(micros);
                let (shortest, width) = bounds(bucket);
                let capped = micros.min((1 << BITS) - 1);
                assert!((shortest..shortest + width).contains(&capped), "{micros} in {shortest} + {width}");
                assert!(bucket < BUCKETS);
            }
            assert!(bucket_of(1 << power) >= previous, "{power}");
            previous = bucket_of(1 << power);
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn durations_of_all_threads_are_counted() {
        let cells = DurationCells::new();
        thread::scope(|scope| {
            for thread in 0..80_u64 {
                let cells = &cells;
                scope.spawn(move || {
                    for ended in [Ended::Success, Ended::Failure, Ended::Cancelled] {
                        cells.record(ended, thread * 1_000);
                    }
                });
            }
        });
        let durations = cells.durations();
        assert_eq!([durations.successes.count(), durations.failures.count(), durations.cancelled.count()], [80; 3]);
        assert_eq!((durations.ignored.count(), durations.all().count()), (0, 240));
        assert_eq!(durations.ignored.quantile(0.5), None);
    }

    fn histogram(micros: &[u64]) -> DurationHistogram {
        let cells = DurationCells::new();
        for micros in micros {
            cells.record(Ended::Success, *micros);
        }
        cells.durations().successes
    }

    proptest! {
        #[test]
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "small numbers"
        )]
        fn a_quantile_is_off_by_at_most_a_thirty_second(
            mut micros in prop::collection::vec((0_u64..1 << 35, 0_u32..30).prop_map(|(micros, by)| micros >> by), 1..200),
            quantile in 0.0..=1.0_f64,
        ) {
            let histogram = histogram(&micros);
            micros.sort_unstable();
            let rank = ((quantile * micros.len() as f64).ceil() as usize).clamp(1, micros.len());
            let (exact, found) = (micros[rank - 1] as f64, histogram.quantile(quantile).unwrap().as_micros() as f64);
            prop_assert!((found - exact).abs() <= exact / 31.9, "{found} instead of {exact}");
            prop_assert_eq!(histogram.count(), micros.len() as u64);
        }

        #[test]
        fn merging_adds_the_counts_and_since_subtracts_them(
            left in prop::collection::vec(0_u64..1 << 20, 0..50),
            right in prop::collection::vec(0_u64..1 << 20, 0..50),
        ) {
            let mut merged = histogram(&left);
            merged.merge(&histogram(&right));
            prop_assert_eq!(&merged, &histogram(&[left.clone(), right.clone()].concat()));
            prop_assert_eq!(merged.since(&histogram(&left)), histogram(&right));
            prop_assert_eq!(histogram(&left).since(&merged), DurationHistogram::default());
        }
    }

    #[test]
    fn quantiles_outside_of_the_range_are_clamped() {
        let histogram = histogram(&[1, 2, 3]);
        let quantiles = [-1.0, 0.0, 0.5, 1.0, 7.0, f64::INFINITY].map(|quantile| histogram.quantile(quantile));
        assert_eq!(quantiles, [1, 1, 2, 3, 3, 3].map(|micros| Some(Duration::from_micros(micros))));
        assert_eq!(histogram.quantile(f64::NAN), None);
        assert_eq!(histogram.mean(), Some(Duration::from_micros(2)));
        assert_eq!(DurationHistogram::default().mean(), None);
    }
}
