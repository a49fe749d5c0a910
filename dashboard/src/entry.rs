//! The JSON of each item on the page. Times are in seconds since 1970, durations in seconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use steadfast::{
    Bulkhead, BulkheadSnapshot, CircuitBreaker, Durations, HistoryEntry, HistoryEvent, KeyedBreakers,
    KeyedBulkheadSnapshot, KeyedBulkheads, KeyedRateLimitSnapshot, KeyedRateLimits, KeyedSnapshot, Keying, RateLimit,
    RateLimitSnapshot, RetrySnapshot, Snapshot, SnapshotConfig, WindowSnapshot,
};

/// A circuit breaker, with or without a key.
#[derive(Serialize)]
pub(crate) struct BreakerEntry {
    pub(crate) id: String,
    kind: &'static str,
    name: &'static str,
    key: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    overflow: bool,
    state: String,
    /// The time at which the current state began; `None` before the first state change.
    since: Option<f64>,
    /// The time at which trial calls are admitted or an override expires; `None` if the state has no such end.
    until: Option<f64>,
    /// The rule that opened the breaker, with its figures.
    reason: Option<String>,
    operator_reason: Option<String>,
    /// The text of the failure that opened the breaker last, kept after it has closed.
    last_failure: Option<String>,
    consecutive_failures: u32,
    trial_successes: u32,
    trial_failures: u32,
    failed_recoveries: u32,
    window: Option<WindowSnapshot>,
    config: SnapshotConfig,
    /// The whole configuration as text.
    settings: String,
    successes: u64,
    failures: u64,
    ignored: u64,
    cancelled: u64,
    rejections: u64,
    /// The number of calls that have counted as hung; like the next field, `None` without `hung_call`.
    hung: Option<u64>,
    in_flight: Option<u64>,
    /// The age of the oldest call in flight; `None` without `hung_call`, and if no call is in flight.
    oldest_in_flight: Option<f64>,
    /// The durations of calls; `None` if they are not recorded, and for the breaker of a key.
    durations: Option<Durations>,
    transitions: u64,
    recent: Vec<RecentEvent>,
}

/// A state change (with `from` and `to`) or a rejection (without).
#[derive(Serialize)]
struct RecentEvent {
    at: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    /// For a state change, the operator's reason, or else the rule that opened the breaker; for a rejection, its reason. Empty if there
    /// is none.
    reason: String,
}

/// The sums over all keys of one [`KeyedBreakers`].
#[derive(Serialize)]
pub(crate) struct BreakerGroupEntry {
    pub(crate) id: String,
    kind: &'static str,
    #[serde(flatten)]
    counts: KeyedSnapshot,
    settings: String,
}

/// A named retry.
#[derive(Serialize)]
pub(crate) struct RetryEntry {
    pub(crate) id: String,
    kind: &'static str,
    calls: u64,
    #[serde(flatten)]
    counts: RetrySnapshot,
}

/// A rate limit.
#[derive(Serialize)]
pub(crate) struct RateLimitEntry {
    pub(crate) id: String,
    kind: &'static str,
    #[serde(flatten)]
    counts: RateLimitSnapshot,
    settings: Option<String>,
}

/// The sums over all keys of one [`KeyedRateLimits`].
#[derive(Serialize)]
pub(crate) struct RateLimitGroupEntry {
    pub(crate) id: String,
    kind: &'static str,
    #[serde(flatten)]
    counts: KeyedRateLimitSnapshot,
    settings: Option<String>,
    /// The keys with the most rejections. A key without rejections is not listed.
    most_rejected: Vec<RateLimitSnapshot>,
}

/// A bulkhead.
#[derive(Serialize)]
pub(crate) struct BulkheadEntry {
    pub(crate) id: String,
    kind: &'static str,
    #[serde(flatten)]
    counts: BulkheadSnapshot,
    settings: String,
}

/// The sums over all keys of one [`KeyedBulkheads`].
#[derive(Serialize)]
pub(crate) struct BulkheadGroupEntry {
    pub(crate) id: String,
    kind: &'static str,
    #[serde(flatten)]
    counts: KeyedBulkheadSnapshot,
    settings: String,
    /// The keys with the most rejections. A key without rejections is not listed.
    most_rejected: Vec<BulkheadSnapshot>,
}

impl BreakerEntry {
    pub(crate) fn new<K: Keying>(breaker: &CircuitBreaker<K>, now: SystemTime) -> Self {
        let Snapshot {
            name,
            key,
            overflow,
            state,
            consecutive_failures,
            trial_successes,
            trial_failures,
            window,
            successes,
            failures,
            ignored,
            cancelled,
            rejections,
            hung,
            in_flight,
            oldest_in_flight,
            durations,
            transitions,
            last_transition,
            open_for,
            disabled_for,
            open_reason,
            failed_recoveries,
            operator_reason,
            last_failure,
            config,
            ..
        } = breaker.snapshot();
        // A remaining time of zero means that the end has been reached.
        let left = open_for.or(disabled_for).filter(|left| !left.is_zero());
        Self {
            id: breaker_id(name, key.as_deref(), overflow),
            kind: if key.is_some() || overflow { "key" } else { "breaker" },
            name,
            overflow,
            key: key.as_deref().map(Into::into),
            state: state.to_string(),
            since: last_transition.map(unix_seconds),
            until: left.and_then(|left| now.checked_add(left)).map(unix_seconds),
            reason: open_reason.map(|reason| reason.to_string()),
            operator_reason: operator_reason.as_deref().map(Into::into),
            last_failure: last_failure.map(|failure| failure.text.as_ref().into()),
            consecutive_failures,
            trial_successes,
            trial_failures,
            failed_recoveries,
            window,
            config,
            settings: breaker.config().to_string(),
            successes,
            failures,
            ignored,
            cancelled,
            rejections,
            hung: in_flight.map(|_| hung),
            in_flight,
            oldest_in_flight: oldest_in_flight.map(|age| age.as_secs_f64()),
            durations,
            transitions,
            recent: breaker.recent().into_iter().map(RecentEvent::new).collect(),
        }
    }
}

impl BreakerGroupEntry {
    pub(crate) fn new(breakers: &KeyedBreakers) -> Self {
        let counts = breakers.snapshot();
        Self { id: format!("group {}", counts.name), kind: "group", counts, settings: breakers.config().to_string() }
    }
}

impl RetryEntry {
    pub(crate) fn new(counts: RetrySnapshot) -> Self {
        Self { id: format!("retry {}", counts.name), kind: "retry", calls: counts.calls(), counts }
    }
}

impl RateLimitEntry {
    pub(crate) fn new(limit: &RateLimit) -> Self {
        let (counts, config) = (limit.snapshot(), limit.config());
        let settings = config.map(|config| config.to_string());
        Self { id: format!("rate_limit {}", counts.name), kind: "rate_limit", counts, settings }
    }
}

impl RateLimitGroupEntry {
    pub(crate) fn new(limits: &KeyedRateLimits, max_keys: usize) -> Self {
        let (counts, config) = (limits.snapshot(), limits.config());
        let has_rejections = |limit: &RateLimitSnapshot| limit.rejected > 0;
        Self {
            id: format!("rate_limits {}", counts.name),
            kind: "rate_limit_group",
            counts,
            settings: config.map(|config| config.to_string()),
            most_rejected: limits
                .most_rejected(max_keys)
                .iter()
                .map(|limit| limit.snapshot())
                .filter(has_rejections)
                .collect(),
        }
    }
}

impl BulkheadEntry {
    pub(crate) fn new(bulkhead: &Bulkhead) -> Self {
        let counts = bulkhead.snapshot();
        let settings = bulkhead.config().to_string();
        Self { id: format!("bulkhead {}", counts.name), kind: "bulkhead", counts, settings }
    }
}

impl BulkheadGroupEntry {
    pub(crate) fn new(bulkheads: &KeyedBulkheads, max_keys: usize) -> Self {
        let counts = bulkheads.snapshot();
        let most_rejected = bulkheads.most_rejected(max_keys);
        Self {
            id: format!("bulkheads {}", counts.name),
            kind: "bulkhead_group",
            counts,
            settings: bulkheads.config().to_string(),
            most_rejected: most_rejected.iter().map(|bulkhead| bulkhead.snapshot()).collect(),
        }
    }
}

impl RecentEvent {
    fn new(HistoryEntry { at, what, .. }: HistoryEntry) -> Self {
        let at = unix_seconds(at);
        match what {
            HistoryEvent::StateChanged { from, to, reason, operator_reason, .. } => {
                let reason =
                    operator_reason.map(|reason| reason.to_string()).or(reason.map(|reason| reason.to_string()));
                Self { at, from: Some(from.to_string()), to: Some(to.to_string()), reason: reason.unwrap_or_default() }
            }
            HistoryEvent::Rejected { reason, .. } => Self { at, from: None, to: None, reason: reason.to_string() },
            _ => Self { at, from: None, to: None, reason: String::new() },
        }
    }
}

/// Returns an id that is unique among all entries. The length of the name marks where the name ends and the key begins.
fn breaker_id(name: &str, key: Option<&str>, overflow: bool) -> String {
    match key {
        Some(key) => format!("key {} {name} {key}", name.len()),
        None if overflow => format!("overflow {name}"),
        None => format!("breaker {name}"),
    }
}

/// Returns the seconds since 1970, rounded to hundredths. Without rounding, [`BreakerEntry::until`] would differ in every snapshot
/// and count as a change, because it is derived from two clocks.
pub(crate) fn unix_seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    (since.as_secs_f64() * 100.0).round() / 100.0
}
