//! Rate limits and bulkheads, with and without keys.

use std::sync::Arc;

use serde::Serialize;
use steadfast::{BulkheadSnapshot, KeyedBulkheadSnapshot, KeyedRateLimitSnapshot, RateLimitSnapshot};

use super::{fields::fields, id::Kind, minute::LimitMinute};
use crate::history::Totals;

/// A rate limit.
#[derive(Debug, PartialEq)]
pub(crate) struct RateLimitEntry {
    pub(crate) id: Arc<str>,
    pub(crate) counts: RateLimitSnapshot,
    kind: &'static str,
    per: f64,
    pub(crate) last_minute: Option<LimitMinute>,
}

fields!(RateLimitEntry {
    "id": id,
    "kind": kind,
    "name": counts.name,
    "limit": counts.limit,
    "per": per,
    "burst": counts.burst,
    "in_window": counts.in_window,
    "waiting": counts.waiting,
    "admitted": counts.admitted,
    "rejected": counts.rejected,
    "last_minute": last_minute,
});

/// The sums over all keys of one [`KeyedRateLimits`](steadfast::KeyedRateLimits).
#[derive(Debug, PartialEq)]
pub(crate) struct RateLimitGroupEntry {
    pub(crate) id: Arc<str>,
    pub(crate) counts: KeyedRateLimitSnapshot,
    kind: &'static str,
    per: f64,
    /// The keys with the most rejections. A key without rejections is not listed.
    most_rejected: Vec<LimitedKey>,
    pub(crate) last_minute: Option<LimitMinute>,
}

fields!(RateLimitGroupEntry {
    "id": id,
    "kind": kind,
    "name": counts.name,
    "limit": counts.limit,
    "per": per,
    "keys": counts.keys,
    "max_keys": counts.max_keys,
    "reached": counts.reached,
    "admitted": counts.admitted,
    "rejected": counts.rejected,
    "most_rejected": most_rejected,
    "last_minute": last_minute,
});

/// A bulkhead.
#[derive(Debug, PartialEq)]
pub(crate) struct BulkheadEntry {
    pub(crate) id: Arc<str>,
    pub(crate) counts: BulkheadSnapshot,
    kind: &'static str,
    pub(crate) last_minute: Option<LimitMinute>,
}

fields!(BulkheadEntry {
    "id": id,
    "kind": kind,
    "name": counts.name,
    "max_concurrent": counts.max_concurrent,
    "max_queue": counts.max_queue,
    "in_flight": counts.in_flight,
    "waiting": counts.waiting,
    "admitted": counts.admitted,
    "rejected": counts.rejected,
    "last_minute": last_minute,
});

/// The sums over all keys of one [`KeyedBulkheads`](steadfast::KeyedBulkheads).
#[derive(Debug, PartialEq)]
pub(crate) struct BulkheadGroupEntry {
    pub(crate) id: Arc<str>,
    pub(crate) counts: KeyedBulkheadSnapshot,
    kind: &'static str,
    /// The keys with the most rejections. A key without rejections is not listed.
    most_rejected: Vec<LimitedKey>,
    pub(crate) last_minute: Option<LimitMinute>,
}

fields!(BulkheadGroupEntry {
    "id": id,
    "kind": kind,
    "name": counts.name,
    "max_concurrent": counts.max_concurrent,
    "max_queue": counts.max_queue,
    "keys": counts.keys,
    "max_keys": counts.max_keys,
    "full": counts.full,
    "in_flight": counts.in_flight,
    "waiting": counts.waiting,
    "admitted": counts.admitted,
    "rejected": counts.rejected,
    "most_rejected": most_rejected,
    "last_minute": last_minute,
});

/// A key of a rate limit or a bulkhead.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum LimitedKey {
    RateLimit(RateLimitSnapshot),
    Bulkhead(BulkheadSnapshot),
}

impl LimitedKey {
    /// Returns the text of the key; `None` for the overflow limit.
    pub(crate) fn key(&self) -> Option<&str> {
        match self {
            Self::RateLimit(limit) => limit.key.as_deref(),
            Self::Bulkhead(bulkhead) => bulkhead.key.as_deref(),
        }
    }

    pub(crate) fn rejected(&self) -> u64 {
        match self {
            Self::RateLimit(limit) => limit.rejected,
            Self::Bulkhead(bulkhead) => bulkhead.rejected,
        }
    }
}

impl RateLimitEntry {
    pub(crate) fn new(id: Arc<str>, counts: RateLimitSnapshot, last_minute: Option<LimitMinute>) -> Self {
        Self { id, kind: Kind::RateLimit.name(), per: counts.per.as_secs_f64(), counts, last_minute }
    }

    pub(crate) fn name(&self) -> &str {
        self.counts.name
    }

    pub(crate) fn totals(counts: &RateLimitSnapshot) -> Totals {
        [counts.admitted, counts.rejected, 0, 0, 0]
    }
}

impl RateLimitGroupEntry {
    pub(crate) fn new(
        id: Arc<str>,
        counts: KeyedRateLimitSnapshot,
        most_rejected: impl Iterator<Item = RateLimitSnapshot>,
        last_minute: Option<LimitMinute>,
    ) -> Self {
        let most_rejected = most_rejected.filter(|key| key.rejected > 0).map(LimitedKey::RateLimit).collect();
        let per = counts.per.as_secs_f64();
        Self { id, kind: Kind::RateLimitGroup.name(), per, counts, most_rejected, last_minute }
    }

    pub(crate) fn name(&self) -> &str {
        self.counts.name
    }

    pub(crate) fn totals(counts: &KeyedRateLimitSnapshot) -> Totals {
        [counts.admitted, counts.rejected, 0, 0, 0]
    }
}

impl BulkheadEntry {
    pub(crate) fn new(id: Arc<str>, counts: BulkheadSnapshot, last_minute: Option<LimitMinute>) -> Self {
        Self { id, kind: Kind::Bulkhead.name(), counts, last_minute }
    }

    pub(crate) fn name(&self) -> &str {
        self.counts.name
    }

    pub(crate) fn totals(counts: &BulkheadSnapshot) -> Totals {
        [counts.admitted, counts.rejected, 0, 0, 0]
    }
}

impl BulkheadGroupEntry {
    pub(crate) fn new(
        id: Arc<str>,
        counts: KeyedBulkheadSnapshot,
        most_rejected: impl Iterator<Item = BulkheadSnapshot>,
        last_minute: Option<LimitMinute>,
    ) -> Self {
        let most_rejected = most_rejected.filter(|key| key.rejected > 0).map(LimitedKey::Bulkhead).collect();
        Self { id, kind: Kind::BulkheadGroup.name(), counts, most_rejected, last_minute }
    }

    pub(crate) fn name(&self) -> &str {
        self.counts.name
    }

    pub(crate) fn totals(counts: &KeyedBulkheadSnapshot) -> Totals {
        [counts.admitted, counts.rejected, 0, 0, 0]
    }
}
