//! Retries, fallbacks, timeouts and retry budgets.

use std::sync::Arc;

use steadfast::{BudgetSnapshot, FallbackSnapshot, RetrySnapshot, TimeoutSnapshot};

use super::{
    fields::fields,
    id::Kind,
    minute::{BudgetMinute, FallbackMinute, RetryMinute, TimeoutMinute},
};
use crate::history::Totals;

/// A named retry.
#[derive(Debug, PartialEq)]
pub(crate) struct RetryEntry {
    pub(crate) id: Arc<str>,
    kind: &'static str,
    calls: u64,
    delayed: f64,
    /// The number of retries by their delay, in the buckets of [`RetrySnapshot::delays`].
    delays: Vec<u64>,
    pub(crate) counts: RetrySnapshot,
    pub(crate) last_minute: Option<RetryMinute>,
}

fields!(RetryEntry {
    "id": id,
    "kind": kind,
    "name": counts.name,
    "calls": calls,
    "attempts": counts.attempts,
    "rejections": counts.rejections,
    "first_try_successes": counts.first_try_successes,
    "retried_successes": counts.retried_successes,
    "not_transient": counts.not_transient,
    "rejected": counts.rejected,
    "exhausted": counts.exhausted,
    "denied": counts.denied,
    "stopped": counts.stopped,
    "cancelled": counts.cancelled,
    "panicked": counts.panicked,
    "retries": counts.retries,
    "delays": delays,
    "delayed": delayed,
    "attempt_durations": counts.attempt_durations,
    "last_minute": last_minute,
});

/// A function with a fallback.
#[derive(Debug, PartialEq)]
pub(crate) struct FallbackEntry {
    pub(crate) id: Arc<str>,
    kind: &'static str,
    pub(crate) counts: FallbackSnapshot,
    pub(crate) last_minute: Option<FallbackMinute>,
}

fields!(FallbackEntry {
    "id": id,
    "kind": kind,
    "name": counts.name,
    "breakers": counts.breakers,
    "answered": counts.answered,
    "fallback": counts.fallback,
    "failed": counts.failed,
    "cancelled": counts.cancelled,
    "panicked": counts.panicked,
    "last_minute": last_minute,
});

/// A function with a timeout.
#[derive(Debug, PartialEq)]
pub(crate) struct TimeoutEntry {
    pub(crate) id: Arc<str>,
    kind: &'static str,
    limit: Option<f64>,
    pub(crate) counts: TimeoutSnapshot,
    pub(crate) last_minute: Option<TimeoutMinute>,
}

fields!(TimeoutEntry {
    "id": id,
    "kind": kind,
    "name": counts.name,
    "limit": limit,
    "timed_out": counts.timed_out,
    "last_minute": last_minute,
});

/// A named retry budget.
#[derive(Debug, PartialEq)]
pub(crate) struct BudgetEntry {
    pub(crate) id: Arc<str>,
    kind: &'static str,
    pub(crate) counts: BudgetSnapshot,
    pub(crate) last_minute: Option<BudgetMinute>,
}

fields!(BudgetEntry {
    "id": id,
    "kind": kind,
    "name": counts.name,
    "ratio": counts.ratio,
    "reserve_per_second": counts.reserve_per_second,
    "calls": counts.calls,
    "withdrawn": counts.withdrawn,
    "refunded": counts.refunded,
    "denied": counts.denied,
    "balance": counts.balance,
    "last_minute": last_minute,
});

impl RetryEntry {
    pub(crate) fn new(id: Arc<str>, mut counts: RetrySnapshot, last_minute: Option<RetryMinute>) -> Self {
        // Only the details need them.
        counts.settings = Vec::new();
        Self {
            id,
            kind: Kind::Retry.name(),
            calls: counts.calls(),
            delayed: counts.delayed.as_secs_f64(),
            delays: counts.delays().map(|(_, count)| count).collect(),
            counts,
            last_minute,
        }
    }

    pub(crate) fn name(&self) -> &str {
        self.counts.name
    }

    pub(crate) fn totals(counts: &RetrySnapshot) -> Totals {
        [counts.calls(), counts.retried_successes, counts.failures(), counts.attempts, counts.cancelled]
    }
}

impl FallbackEntry {
    pub(crate) fn new(id: Arc<str>, counts: FallbackSnapshot, last_minute: Option<FallbackMinute>) -> Self {
        Self { id, kind: Kind::Fallback.name(), counts, last_minute }
    }

    pub(crate) fn name(&self) -> &str {
        self.counts.name
    }

    /// Returns the counts. The third is as callers feel it: a panic is a failure. The last has the panics alone.
    pub(crate) fn totals(counts: &FallbackSnapshot) -> Totals {
        let failed = counts.failed.saturating_add(counts.panicked);
        [counts.answered, counts.fallback, failed, counts.cancelled, counts.panicked]
    }
}

impl TimeoutEntry {
    pub(crate) fn new(id: Arc<str>, counts: TimeoutSnapshot, last_minute: Option<TimeoutMinute>) -> Self {
        let limit = counts.limit.map(|limit| limit.as_secs_f64());
        Self { id, kind: Kind::Timeout.name(), limit, counts, last_minute }
    }

    pub(crate) fn name(&self) -> &str {
        self.counts.name
    }

    pub(crate) fn totals(counts: &TimeoutSnapshot) -> Totals {
        [counts.timed_out, 0, 0, 0, 0]
    }
}

impl BudgetEntry {
    pub(crate) fn new(id: Arc<str>, mut counts: BudgetSnapshot, last_minute: Option<BudgetMinute>) -> Self {
        // Rounded, because a reserve grows all the time.
        counts.balance = (counts.balance * 10.0).floor() / 10.0;
        Self { id, kind: Kind::Budget.name(), counts, last_minute }
    }

    pub(crate) fn name(&self) -> &str {
        self.counts.name
    }

    pub(crate) fn totals(counts: &BudgetSnapshot) -> Totals {
        [counts.withdrawn, counts.denied, 0, 0, 0]
    }
}
