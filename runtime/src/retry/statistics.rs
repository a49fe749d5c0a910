//! Counts of the calls of named retries.

use std::{
    array, fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::{
    Durations,
    clock::micros,
    durations::{DurationCells, Ended},
    escape::escaped,
    layers::Setting,
    totals::{Count, Totals},
};

/// The counts of a named retry at one moment, returned by [`retries`](crate::retries).
///
/// An attempt is counted when it begins, a call when it ends. Each call that has ended is in exactly one of the counts of ends, from
/// `first_try_successes` to `panicked`.
///
/// `Display` writes one line. Implements `Serialize` with the feature `serde`: `delayed` is a number of seconds, and `delays` is the list
/// of counts of [`delays`](Self::delays).
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RetrySnapshot {
    /// The name.
    pub name: &'static str,
    /// Attempts, including the first of each call. Attempts that a breaker, a rate limit or a bulkhead below the retry rejected are counted
    /// as `rejections` instead; attempts that wait for a rate limit or a bulkhead are counted here.
    pub attempts: u64,
    /// Attempts that a breaker, a rate limit or a bulkhead below the retry rejected. The function was not called.
    pub rejections: u64,
    /// Calls whose first attempt succeeded.
    pub first_try_successes: u64,
    /// Calls that succeeded at a later attempt.
    pub retried_successes: u64,
    /// Calls that failed with an error that is not retried.
    pub not_transient: u64,
    /// Calls whose last attempt was rejected by a breaker, a rate limit or a bulkhead below the retry.
    pub rejected: u64,
    /// Calls that ran out of attempts or time, whose error asked for a delay above `max_retry_after`, or whose retry the backoff ended.
    pub exhausted: u64,
    /// Calls that ended because the budget was exhausted.
    pub denied: u64,
    /// Calls that ended because of a stop signal.
    pub stopped: u64,
    /// Calls whose future was dropped before it completed.
    pub cancelled: u64,
    /// Calls that panicked.
    pub panicked: u64,
    /// Retries: attempts after the first of a call that began after their delay, including rejected ones. Retries that were scheduled and
    /// never began are not counted; nor are attempts that skipped their delay because the circuit would still have been open at its end.
    pub retries: u64,
    delays: [u64; BUCKETS],
    /// The sum of the delays before the [`retries`](Self::retries).
    #[cfg_attr(feature = "serde", serde(serialize_with = "seconds"))]
    pub delayed: Duration,
    /// The durations of the [`attempts`](Self::attempts), by outcome. An attempt that panicked is a failure.
    pub attempt_durations: Durations,
    /// The options in force of the policy, each with the place from which its value is. If functions with this name have different policies,
    /// an option is listed once for each of its values.
    pub settings: Vec<Setting>,
}

/// The upper bounds of the buckets in which delays are counted. The last bucket has no bound.
const BOUNDS: [Duration; 10] = [
    Duration::from_millis(1),
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_mins(1),
];
const BUCKETS: usize = BOUNDS.len() + 1;

impl RetrySnapshot {
    pub(crate) const fn empty(name: &'static str) -> Self {
        Self {
            name,
            attempts: 0,
            rejections: 0,
            first_try_successes: 0,
            retried_successes: 0,
            not_transient: 0,
            rejected: 0,
            exhausted: 0,
            denied: 0,
            stopped: 0,
            cancelled: 0,
            panicked: 0,
            retries: 0,
            delays: [0; BUCKETS],
            delayed: Duration::ZERO,
            attempt_durations: Durations::new(),
            settings: Vec::new(),
        }
    }

    /// The delays before the [`retries`](Self::retries) as a histogram: the inclusive upper bound of each bucket, and the number of delays
    /// up to it and above the previous bound. The last bucket has no upper bound.
    #[must_use]
    pub fn delays(&self) -> impl ExactSizeIterator<Item = (Option<Duration>, u64)> + use<> {
        let bounds: [Option<Duration>; BUCKETS] = array::from_fn(|bucket| BOUNDS.get(bucket).copied());
        let delays = self.delays;
        bounds.into_iter().zip(delays)
    }

    /// Calls that have ended.
    #[must_use]
    pub const fn calls(&self) -> u64 {
        let successes = self.first_try_successes.saturating_add(self.retried_successes);
        successes.saturating_add(self.failures()).saturating_add(self.cancelled).saturating_add(self.panicked)
    }

    /// Calls that have returned a failure, for any reason. Cancelled calls and calls that panicked are not included.
    #[must_use]
    pub const fn failures(&self) -> u64 {
        let given_up = self.exhausted.saturating_add(self.denied).saturating_add(self.stopped);
        self.not_transient.saturating_add(self.rejected).saturating_add(given_up)
    }
}

impl fmt::Display for RetrySnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}, {} succeeded at once, {} after a retry, {} failed ({} not transient, {} rejected, {} exhausted, {} denied, \
             {} stopped)",
            escaped(self.name),
            counted(self.calls(), "call", "calls"),
            self.first_try_successes,
            self.retried_successes,
            self.failures(),
            self.not_transient,
            self.rejected,
            self.exhausted,
            self.denied,
            self.stopped,
        )?;
        for (count, end) in [(self.cancelled, "cancelled"), (self.panicked, "panicked")] {
            if count > 0 {
                write!(f, ", {count} {end}")?;
            }
        }
        write!(f, "; {}", counted(self.retries, "retry", "retries"))?;
        if self.rejections > 0 {
            write!(f, ", {} rejected", counted(self.rejections, "attempt", "attempts"))?;
        }
        Ok(())
    }
}

fn counted(count: u64, one: &'static str, many: &'static str) -> impl fmt::Display {
    fmt::from_fn(move |f| write!(f, "{count} {}", if count == 1 { one } else { many }))
}

/// The counts of the calls of one function.
#[derive(Debug)]
pub struct Statistics {
    /// The frequent counts, sharded by thread. [`ATTEMPT`] counts attempts; the others count calls that ended with their first attempt:
    /// successes, failures that are not transient, and rejections.
    first: Totals,
    counts: [AtomicU64; ENDS],
    rejections: AtomicU64,
    /// Rejected attempts that were counted as attempts before.
    uncounted_attempts: AtomicU64,
    delays: [AtomicU64; BUCKETS],
    delayed_micros: AtomicU64,
    durations: DurationCells,
}

const ATTEMPT: Count = Count::Ignored;
const ENDS: usize = 8;

/// The ends of a call other than a success of its first attempt.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    RetriedSuccess,
    NotTransient,
    Rejected,
    Exhausted,
    Denied,
    Stopped,
    Cancelled,
    Panicked,
}

impl Statistics {
    /// Creates counts of zero.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "for a static")]
    pub const fn new() -> Self {
        Self {
            first: Totals::sharded(),
            counts: [const { AtomicU64::new(0) }; ENDS],
            rejections: AtomicU64::new(0),
            uncounted_attempts: AtomicU64::new(0),
            delays: [const { AtomicU64::new(0) }; BUCKETS],
            delayed_micros: AtomicU64::new(0),
            durations: DurationCells::new(),
        }
    }

    #[inline]
    pub(super) fn count_first_success(&self) {
        self.first.add(Count::Success);
    }

    #[inline]
    pub(super) fn count_attempt(&self) {
        self.first.add(ATTEMPT);
    }

    pub(super) fn record_attempt(&self, ended: Ended, micros: u64) {
        self.durations.record(ended, micros);
    }

    /// Counts an attempt that was rejected. If it was counted as an attempt when it began, this is reverted.
    pub(super) fn count_rejected_attempt(&self, was_counted: bool) {
        add(&self.rejections, 1);
        if was_counted {
            add(&self.uncounted_attempts, 1);
        }
    }

    /// Counts an end. The frequent ends of a first attempt use the counts that are sharded by thread.
    pub(super) fn count(&self, end: End, is_first: bool) {
        match end {
            End::NotTransient if is_first => _ = self.first.add(Count::Failure),
            End::Rejected if is_first => _ = self.first.add(Count::Rejection),
            _ => add(&self.counts[end as usize], 1),
        }
    }

    pub(super) fn count_retry(&self, delay: Duration) {
        let bucket = BOUNDS.partition_point(|bound| *bound < delay);
        if let Some(count) = self.delays.get(bucket) {
            add(count, 1);
        }
        add(&self.delayed_micros, micros(delay));
    }

    /// Adds the counts to a snapshot.
    pub(crate) fn add_to(&self, sum: &mut RetrySnapshot) {
        let first = self.first.sums();
        let of = |end: End| load(&self.counts[end as usize]);
        let delays: [u64; BUCKETS] = array::from_fn(|bucket| load(&self.delays[bucket]));
        for (total, field) in [
            (first.get(ATTEMPT).saturating_sub(load(&self.uncounted_attempts)), &mut sum.attempts),
            (load(&self.rejections), &mut sum.rejections),
            (first.get(Count::Success), &mut sum.first_try_successes),
            (first.get(Count::Failure).saturating_add(of(End::NotTransient)), &mut sum.not_transient),
            (first.get(Count::Rejection).saturating_add(of(End::Rejected)), &mut sum.rejected),
            (of(End::RetriedSuccess), &mut sum.retried_successes),
            (of(End::Exhausted), &mut sum.exhausted),
            (of(End::Denied), &mut sum.denied),
            (of(End::Stopped), &mut sum.stopped),
            (of(End::Cancelled), &mut sum.cancelled),
            (of(End::Panicked), &mut sum.panicked),
            (delays.iter().sum(), &mut sum.retries),
        ] {
            *field = field.saturating_add(total);
        }
        sum.delays = array::from_fn(|bucket| sum.delays[bucket].saturating_add(delays[bucket]));
        sum.delayed = sum.delayed.saturating_add(Duration::from_micros(load(&self.delayed_micros)));
        sum.attempt_durations.merge(&self.durations.durations());
    }
}

#[cfg(feature = "serde")]
#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

fn add(count: &AtomicU64, more: u64) {
    // ORDERING: Relaxed: the count implies nothing about other memory. A sum of delays wraps after half a million years.
    count.fetch_add(more, Ordering::Relaxed);
}

fn load(count: &AtomicU64) -> u64 {
    // ORDERING: Relaxed: the count implies nothing about other memory.
    count.load(Ordering::Relaxed)
}
