//! A cache of limits that Redis reported as full, so that rejected calls need no round trip.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::connection::RateLimitedCall;

/// The maximum number of cached limits.
const MAX_ENTRIES: usize = 10_000;
/// The time after which a full limit is queried again, since Redis may have lost its counts, or a call may have been cancelled.
const MAX_AGE: Duration = Duration::from_secs(1);

/// Limits that are full, by their Redis key.
pub(super) struct FullLimits {
    entries: HashMap<String, FullLimit>,
    /// The earliest time of the next search for expired entries. It prevents a search for each call during a flood of keys.
    prune_at: Instant,
}

#[derive(Clone, Copy, Debug)]
struct FullLimit {
    /// The limit and the length of its window. After a reconfiguration the entry does not apply.
    limit: (u32, u64),
    /// The permits of the call that was rejected. A call that takes fewer may be admitted earlier.
    permits: u32,
    /// The time at which there is capacity for `permits`.
    full_until: Instant,
    /// The time at which the entry is too old.
    expires_at: Instant,
}

impl FullLimits {
    pub(super) fn new(now: Instant) -> Self {
        Self { entries: HashMap::new(), prune_at: now }
    }

    /// Returns the time until the limit of a call has capacity; `None` if it is not known to be full.
    pub(super) fn full_for(&self, call: &RateLimitedCall, now: Instant) -> Option<Duration> {
        let entry = *self.entries.get(&call.key)?;
        let is_same_limit = entry.limit == (call.limit, call.per) && entry.permits <= call.permits;
        let is_valid = is_same_limit && entry.expires_at > now && entry.full_until > now;
        is_valid.then(|| entry.full_until - now)
    }

    /// Adds a limit, unless the cache is full.
    ///
    /// `requested_at` is the time of the request. Redis computed `retry_after` a little later, so the entry ends a little early.
    pub(super) fn insert(&mut self, call: &RateLimitedCall, requested_at: Instant, retry_after: Duration) {
        if self.entries.len() >= MAX_ENTRIES && requested_at >= self.prune_at {
            self.prune_at = requested_at + MAX_AGE;
            self.entries.retain(|_, entry| entry.full_until.min(entry.expires_at) > requested_at);
        }
        let Some(full_until) = requested_at.checked_add(retry_after) else { return };
        if self.entries.len() < MAX_ENTRIES {
            let (limit, expires_at) = ((call.limit, call.per), requested_at + MAX_AGE);
            let entry = FullLimit { limit, permits: call.permits, full_until, expires_at };
            self.entries.insert(call.key.clone(), entry);
        }
    }

    pub(super) fn remove(&mut self, call: &RateLimitedCall) {
        self.entries.remove(&call.key);
    }
}
