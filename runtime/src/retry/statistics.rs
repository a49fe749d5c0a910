//! What became of the calls of named retries.

use std::{
    array,
    collections::BTreeMap,
    fmt, ptr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::{
    clock::micros,
    totals::{Count, Totals},
};

/// The counts of a named retry at one moment. See [`retries`].
///
/// An attempt is counted when it begins, a call when it ends. So while nothing is in flight, each call that was ever made is in exactly one
/// of the counts by which calls end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RetrySnapshot {
    /// The name.
    pub name: &'static str,
    /// Attempts made, the first of each call included. An attempt that a breaker, a rate limit or a bulkhead inside has rejected is
    /// none; one that waits for a place of theirs is.
    pub attempts: u64,
    /// Calls whose first attempt succeeded.
    pub first_try_successes: u64,
    /// Calls that succeeded at a later attempt.
    pub retried_successes: u64,
    /// Calls whose last attempt failed with an error that is not worth another.
    pub not_transient: u64,
    /// Calls whose last attempt was none: a breaker, a rate limit or a bulkhead inside has rejected it.
    pub rejected: u64,
    /// Calls that ran out of attempts or time.
    pub exhausted: u64,
    /// Calls that the budget denied another attempt.
    pub denied: u64,
    /// Calls that a stop signal ended.
    pub stopped: u64,
    /// Calls of a task that were dropped before their end.
    pub cancelled: u64,
    /// Calls that ended by a panic.
    pub panicked: u64,
    /// Attempts beyond the first of a call that began after their delay; of these, some may have been rejected. Not counted are a retry
    /// that was scheduled and never began, and one that was made without a delay because the circuit would still be open after it.
    pub retries: u64,
    /// The number of their delays up to each of [`DELAYS`](Self::DELAYS) and above the one before it; the last is of those that were longer.
    pub delays: [u64; BOUNDS + 1],
    /// The sum of their delays.
    #[cfg_attr(feature = "serde", serde(serialize_with = "seconds"))]
    pub delayed: Duration,
}

const BOUNDS: usize = 10;

impl RetrySnapshot {
    /// The bounds by which delays are counted.
    pub const DELAYS: [Duration; BOUNDS] = [
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

    const fn empty(name: &'static str) -> Self {
        Self {
            name,
            attempts: 0,
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
            delays: [0; BOUNDS + 1],
            delayed: Duration::ZERO,
        }
    }

    /// Calls that have ended, in whatever way.
    #[must_use]
    pub const fn calls(&self) -> u64 {
        let successes = self.first_try_successes.saturating_add(self.retried_successes);
        successes.saturating_add(self.failures()).saturating_add(self.cancelled).saturating_add(self.panicked)
    }

    /// Calls that have given a failure back, for whatever reason. Those that were cancelled or have panicked are not among them.
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
            "{}: {} calls, {} succeeded at once, {} after a retry, {} failed ({} not transient, {} rejected, {} exhausted, {} denied, \
             {} stopped)",
            crate::escaped(self.name),
            self.calls(),
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
        write!(f, "; {} retries", self.retries)
    }
}

/// What became of the calls of every retry of the program that has a name, sorted by name, also before their first call.
///
/// Several functions of one name are one.
///
/// ```
/// # use std::io;
/// use steadfast::retry;
///
/// #[retry(name = "charge")]
/// fn charge() -> io::Result<()> {
///     Ok(())
/// }
///
/// charge()?;
/// for retry in steadfast::retries() {
///     println!("{retry}"); // charge: 1 calls, 1 succeeded at once, ...
/// }
/// assert!(steadfast::retries().iter().any(|retry| retry.name == "charge" && retry.first_try_successes == 1));
/// # Ok::<(), io::Error>(())
/// ```
#[must_use]
pub fn retries() -> Vec<RetrySnapshot> {
    let mut by_name = BTreeMap::new();
    for policy in super::POLICIES {
        let name = policy.name();
        policy.statistics().add_to(by_name.entry(name).or_insert_with(|| RetrySnapshot::empty(name)));
    }
    by_name.into_values().collect()
}

/// What is counted of the calls of one function.
#[derive(Debug)]
pub struct Statistics {
    /// Attempts are its neutral calls. The others are calls that ended at their first attempt: successes, failures that are not
    /// transient, and rejections.
    first: Totals,
    counts: [AtomicU64; ENDS],
    /// Attempts that were counted and then rejected.
    rejected_attempts: AtomicU64,
    delays: [AtomicU64; BOUNDS + 1],
    delayed_micros: AtomicU64,
}

const ATTEMPT: Count = Count::Neutral;
const ENDS: usize = 8;

/// The end of a call, but for a success of its first attempt.
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
    /// Nothing yet.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "for a static")]
    pub const fn new() -> Self {
        Self {
            first: Totals::sharded(),
            counts: [const { AtomicU64::new(0) }; ENDS],
            rejected_attempts: AtomicU64::new(0),
            delays: [const { AtomicU64::new(0) }; BOUNDS + 1],
            delayed_micros: AtomicU64::new(0),
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

    /// Takes an attempt out again that was rejected.
    pub(super) fn take_attempt_back(&self) {
        add(&self.rejected_attempts, 1);
    }

    /// Counts an end. The frequent ones of a first attempt are counted in the thread's own cell.
    pub(super) fn count(&self, end: End, is_first: bool) {
        match end {
            End::NotTransient if is_first => _ = self.first.add(Count::Failure),
            End::Rejected if is_first => _ = self.first.add(Count::Rejection),
            _ => add(&self.counts[end as usize], 1),
        }
    }

    pub(super) fn count_retry(&self, delay: Duration) {
        let bound = RetrySnapshot::DELAYS.partition_point(|bound| *bound < delay);
        if let Some(delays) = self.delays.get(bound) {
            add(delays, 1);
        }
        add(&self.delayed_micros, micros(delay));
    }

    fn add_to(&self, sum: &mut RetrySnapshot) {
        let first = self.first.sums();
        let of = |end: End| load(&self.counts[end as usize]);
        let delays: [u64; BOUNDS + 1] = array::from_fn(|bound| load(&self.delays[bound]));
        for (total, field) in [
            (first.get(ATTEMPT).saturating_sub(load(&self.rejected_attempts)), &mut sum.attempts),
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
        sum.delays = array::from_fn(|bound| sum.delays[bound].saturating_add(delays[bound]));
        sum.delayed = sum.delayed.saturating_add(Duration::from_micros(load(&self.delayed_micros)));
    }
}

#[cfg(feature = "serde")]
#[allow(clippy::trivially_copy_pass_by_ref, reason = "what serde calls")]
fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

fn add(count: &AtomicU64, more: u64) {
    // ORDERING: Relaxed: a count that nothing else is inferred from. A sum of delays wraps after half a million years.
    count.fetch_add(more, Ordering::Relaxed);
}

fn load(count: &AtomicU64) -> u64 {
    // ORDERING: Relaxed: each count stands alone.
    count.load(Ordering::Relaxed)
}

/// Where a policy counts: the same if it is the same place in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted(pub(super) &'static Statistics);

impl PartialEq for Counted {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self.0, other.0)
    }
}
