//! What the page is told of one thing, as JSON. Moments are seconds since 1970, durations seconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use steadfast::{
    Bulkhead, BulkheadSnapshot, CircuitBreaker, HistoryEntry, HistoryEvent, KeyedBreakers, KeyedRateLimitSnapshot,
    KeyedRateLimits, KeyedSnapshot, Keying, RateLimit, RateLimitSnapshot, RetrySnapshot, Snapshot, SnapshotConfig,
    WindowSnapshot,
};

/// A breaker.
#[derive(Serialize)]
pub(crate) struct Breaker {
    id: String,
    kind: &'static str,
    name: &'static str,
    key: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    overflow: bool,
    state: String,
    /// When it came into the state.
    since: Option<f64>,
    /// When calls are admitted again, or a hold ends.
    until: Option<f64>,
    reason: Option<String>,
    operator_reason: Option<String>,
    consecutive_failures: u32,
    trial_successes: u32,
    failed_recoveries: u32,
    window: Option<WindowSnapshot>,
    limits: SnapshotConfig,
    settings: String,
    successes: u64,
    failures: u64,
    neutral: u64,
    rejections: u64,
    transitions: u64,
    recent: Vec<Line>,
}

/// Something that happened.
#[derive(Serialize)]
struct Line {
    at: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    text: String,
}

/// All breakers that have the same name and each its key.
#[derive(Serialize)]
pub(crate) struct Group {
    id: String,
    kind: &'static str,
    #[serde(flatten)]
    counts: KeyedSnapshot,
    settings: String,
}

/// A retry that has a name.
#[derive(Serialize)]
pub(crate) struct Retry {
    id: String,
    kind: &'static str,
    calls: u64,
    #[serde(flatten)]
    counts: RetrySnapshot,
}

/// A rate limit.
#[derive(Serialize)]
pub(crate) struct OneRateLimit {
    id: String,
    kind: &'static str,
    #[serde(flatten)]
    counts: RateLimitSnapshot,
    settings: Option<String>,
}

/// All rate limits that have the same name and each its key.
#[derive(Serialize)]
pub(crate) struct RateLimitGroup {
    id: String,
    kind: &'static str,
    #[serde(flatten)]
    counts: KeyedRateLimitSnapshot,
    settings: Option<String>,
    /// Those that reject most.
    most_rejected: Vec<RateLimitSnapshot>,
}

/// A bulkhead.
#[derive(Serialize)]
pub(crate) struct Places {
    id: String,
    kind: &'static str,
    #[serde(flatten)]
    counts: BulkheadSnapshot,
    settings: String,
}

impl Breaker {
    pub(crate) fn of<K: Keying>(breaker: &CircuitBreaker<K>, now: SystemTime) -> Self {
        let Snapshot {
            name,
            key,
            overflow,
            state,
            consecutive_failures,
            trial_successes,
            window,
            successes,
            failures,
            neutral,
            rejections,
            transitions,
            last_transition,
            open_for,
            disabled_for,
            open_reason,
            failed_recoveries,
            operator_reason,
            limits,
            ..
        } = breaker.snapshot();
        // What is over has no end to wait for.
        let left = open_for.or(disabled_for).filter(|left| !left.is_zero());
        Self {
            id: id(name, key.as_deref(), overflow),
            kind: if key.is_some() || overflow { "key" } else { "breaker" },
            name,
            overflow,
            key: key.as_deref().map(Into::into),
            state: state.to_string(),
            since: last_transition.map(moment),
            until: left.and_then(|left| now.checked_add(left)).map(moment),
            reason: open_reason.map(|reason| reason.to_string()),
            operator_reason: operator_reason.as_deref().map(Into::into),
            consecutive_failures,
            trial_successes,
            failed_recoveries,
            window,
            limits,
            settings: breaker.config().to_string(),
            successes,
            failures,
            neutral,
            rejections,
            transitions,
            recent: breaker.recent().into_iter().map(Line::of).collect(),
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl Group {
    pub(crate) fn of(breakers: &KeyedBreakers) -> Self {
        let counts = breakers.snapshot();
        Self { id: format!("group {}", counts.name), kind: "group", counts, settings: breakers.config().to_string() }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl Retry {
    pub(crate) fn of(counts: RetrySnapshot) -> Self {
        Self { id: format!("retry {}", counts.name), kind: "retry", calls: counts.calls(), counts }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl OneRateLimit {
    pub(crate) fn of(limit: &RateLimit) -> Self {
        let (counts, config) = (limit.snapshot(), limit.config());
        let settings = config.map(|config| config.to_string());
        Self { id: format!("rate_limit {}", counts.name), kind: "rate_limit", counts, settings }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl RateLimitGroup {
    pub(crate) fn of(limits: &KeyedRateLimits, keys: usize) -> Self {
        let (counts, config) = (limits.snapshot(), limits.config());
        let rejects = |limit: &RateLimitSnapshot| limit.rejected > 0;
        Self {
            id: format!("rate_limits {}", counts.name),
            kind: "rate_limit_group",
            counts,
            settings: config.map(|config| config.to_string()),
            most_rejected: limits.most_rejected(keys).iter().map(|limit| limit.snapshot()).filter(rejects).collect(),
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl Places {
    pub(crate) fn of(bulkhead: &Bulkhead) -> Self {
        let counts = bulkhead.snapshot();
        let settings = bulkhead.config().to_string();
        Self { id: format!("bulkhead {}", counts.name), kind: "bulkhead", counts, settings }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl Line {
    fn of(HistoryEntry { at, what, .. }: HistoryEntry) -> Self {
        let at = moment(at);
        match what {
            HistoryEvent::StateChanged { from, to, reason, operator_reason, .. } => {
                let why = operator_reason.map(|reason| reason.to_string()).or(reason.map(|reason| reason.to_string()));
                Self { at, from: Some(from.to_string()), to: Some(to.to_string()), text: why.unwrap_or_default() }
            }
            HistoryEvent::Rejected { reason, .. } => Self { at, from: None, to: None, text: reason.to_string() },
            _ => Self { at, from: None, to: None, text: String::new() },
        }
    }
}

/// Never the same for two.
fn id(name: &str, key: Option<&str>, overflow: bool) -> String {
    match key {
        Some(key) => format!("key {} {name} {key}", name.len()),
        None if overflow => format!("overflow {name}"),
        None => format!("breaker {name}"),
    }
}

/// In hundredths, so that what is computed twice from two clocks is the same.
pub(crate) fn moment(moment: SystemTime) -> f64 {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    (since.as_secs_f64() * 100.0).round() / 100.0
}
