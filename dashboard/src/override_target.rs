//! The breakers that an override applies to, and conflicts between operators.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, SystemTime},
};

use steadfast::{BreakerState, CircuitBreaker, KeyedBreaker, Snapshot};
use tokio::sync::Mutex;

use crate::{
    entry::{
        condition::state_name,
        id::{Id, Kind},
        unix_seconds,
    },
    log::{EventKind, Log, LogEvent},
    override_request::{OverrideAction, OverrideRequest},
};

/// The breakers that an override applies to.
pub(crate) enum Target {
    Breaker(&'static CircuitBreaker),
    /// The breaker of a key, or the overflow breaker.
    Key(Arc<KeyedBreaker>),
    /// The breakers of all present keys, and the overflow breaker: the first, and the others.
    AllKeys(Arc<KeyedBreaker>, Vec<Arc<KeyedBreaker>>),
}

/// The reason for which a request has no target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoTarget {
    NoBreaker,
    /// The breakers have no key yet. An override would have no effect on the keys to come.
    NoKeys,
    /// A number of state changes is given for all keys, each of which has its own.
    TransitionsOfAllKeys,
}

/// The effect of an override.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    Applied(Applied),
    Conflict(Conflict),
}

/// An override in force.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Applied {
    pub(crate) to: BreakerState,
    /// The number of breakers.
    pub(crate) breakers: usize,
    /// The number of the override in the log.
    pub(crate) n: u64,
    /// The time at which the override ends, in seconds since 1970.
    pub(crate) expires_at: Option<f64>,
}

/// The present state of a breaker that has changed since the operator looked at it.
#[derive(Debug, PartialEq)]
pub(crate) struct Conflict {
    pub(crate) state: BreakerState,
    pub(crate) since: Option<SystemTime>,
    /// The operator whose override was the last change, if it was one and the operator is known.
    pub(crate) operator: Option<String>,
    /// The operator's reason, or the rule that opened the breaker.
    pub(crate) reason: Option<String>,
    /// The override that the operator had not seen, if it was one: its number in the log, its time in seconds since 1970, its action, and its key if it was of one key.
    pub(crate) n: Option<u64>,
    pub(crate) at: Option<f64>,
    pub(crate) action: Option<&'static str>,
    pub(crate) key: Option<Arc<str>>,
}

/// The latest overrides of this process, oldest first.
static LATEST: Mutex<LatestOverrides> = Mutex::const_new(LatestOverrides(VecDeque::new()));

struct LatestOverrides(VecDeque<LatestOverride>);

struct LatestOverride {
    breaker: String,
    key: Option<String>,
    overflow: bool,
    operator: Option<String>,
    /// The time at which the override was in force.
    at: SystemTime,
}

/// The number of overrides whose operators are remembered. Operators who are in conflict act at about the same time.
const MAX_LATEST: usize = 100;

/// The maximum difference between the clock of the state changes and that of the overrides.
const CLOCK_TOLERANCE: Duration = Duration::from_millis(100);

impl Target {
    /// Finds the breakers of a request.
    pub(crate) fn find(request: &OverrideRequest) -> Result<Self, NoTarget> {
        let OverrideRequest { breaker: name, key, overflow, .. } = request;
        if let (None, false, Some(breaker)) = (key, overflow, steadfast::breaker(name)) {
            return Ok(Self::Breaker(breaker));
        }
        let breakers = steadfast::keyed_breakers(name).ok_or(NoTarget::NoBreaker)?;
        match key {
            Some(key) => breakers.get(key).map(Self::Key).ok_or(NoTarget::NoBreaker),
            None if *overflow => breakers.overflow().map(Self::Key).ok_or(NoTarget::NoBreaker),
            None if request.expected_transitions.is_some() => Err(NoTarget::TransitionsOfAllKeys),
            None => {
                let mut all = breakers.iter();
                let first = all.next().ok_or(NoTarget::NoKeys)?;
                Ok(Self::AllKeys(first, all.collect()))
            }
        }
    }

    /// Applies an override and records it in the log, unless the breaker has changed since the operator looked at it.
    ///
    /// Overrides are applied one after another, so of two operators who have seen the same state, the second gets a conflict.
    pub(crate) async fn apply(&self, request: &OverrideRequest, log: &Log) -> Outcome {
        let mut latest = LATEST.lock().await;
        let before = self.snapshot();
        let event = self.event(request, before.state);
        if let Some(expected) = request.expected_override {
            let last = log.last_overrides().of(self.kind(request), &event.id, &event.name);
            if let Some(last) = last.filter(|last| *last != expected) {
                return Outcome::Conflict(Conflict::by_override(before, last, log.override_event(last)));
            }
        }
        if request.expected_transitions.is_some_and(|expected| expected != before.transitions) {
            let operator = latest.operator(request, before.last_transition);
            return Outcome::Conflict(Conflict::new(before, operator));
        }
        let expires_at = event.expires_at;
        let mut breakers = 0;
        let is_of_all_keys = matches!(self, Self::AllKeys(..));
        let n = log.record_override(event, is_of_all_keys, || breakers = self.apply_to_all(&request.to_override()));
        latest.add(request, SystemTime::now());
        Outcome::Applied(Applied { to: self.snapshot().state, breakers, n, expires_at })
    }

    fn kind(&self, request: &OverrideRequest) -> Kind {
        match self {
            Self::Breaker(_) => Kind::Breaker,
            Self::Key(_) if request.key.is_some() => Kind::Key,
            Self::Key(_) => Kind::Overflow,
            Self::AllKeys(..) => Kind::Group,
        }
    }

    /// Returns the event of an override in the log.
    fn event(&self, request: &OverrideRequest, from: BreakerState) -> LogEvent {
        let OverrideRequest { breaker: name, key, action, reason, expires_in, operator, .. } = request;
        let kind = self.kind(request);
        let to = match action {
            OverrideAction::ForceOpen => BreakerState::ForcedOpen,
            OverrideAction::Disable => BreakerState::Disabled,
            OverrideAction::Reset => BreakerState::Closed,
        };
        let now = SystemTime::now();
        let expires_at = expires_in.and_then(|expires_in| now.checked_add(expires_in));
        LogEvent {
            at: unix_seconds(now),
            kind: EventKind::Override,
            id: Id { kind, name, key: key.as_ref() }.text(),
            name: name.as_str().into(),
            key: key.as_deref().map(Into::into),
            // The keys may have been in different states.
            from: (kind != Kind::Group).then(|| state_name(from)),
            to: Some(state_name(to)),
            reason: reason.as_deref().map(Into::into),
            operator: operator.as_deref().map(Into::into),
            action: Some(action.as_str()),
            expires_at: expires_at.map(unix_seconds),
        }
    }

    /// Applies an override and returns the number of breakers.
    fn apply_to_all(&self, requested: &steadfast::Override) -> usize {
        match self {
            Self::Breaker(breaker) => breaker.apply_override(requested),
            Self::Key(breaker) => breaker.apply_override(requested),
            Self::AllKeys(first, others) => {
                for breaker in [first].into_iter().chain(others) {
                    breaker.apply_override(requested);
                }
                return 1 + others.len();
            }
        }
        1
    }

    /// Returns the snapshot of the breaker, or of the first one.
    fn snapshot(&self) -> Snapshot {
        match self {
            Self::Breaker(breaker) => breaker.snapshot(),
            Self::Key(breaker) | Self::AllKeys(breaker, _) => breaker.snapshot(),
        }
    }
}

impl Conflict {
    fn new(present: Snapshot, operator: Option<String>) -> Self {
        let Snapshot { state, last_transition, operator_reason, open_reason, .. } = present;
        let reason = operator_reason.map(|reason| reason.to_string());
        let reason = reason.or_else(|| open_reason.map(|reason| reason.to_string()));
        Self { state, since: last_transition, operator, reason, n: None, at: None, action: None, key: None }
    }

    /// A conflict with an override of the log.
    fn by_override(present: Snapshot, n: u64, event: Option<LogEvent>) -> Self {
        let Some(LogEvent { at, key, reason, operator, action, .. }) = event else { return Self::new(present, None) };
        let text = |text: Arc<str>| text.to_string();
        Self {
            n: Some(n),
            at: Some(at),
            action,
            key,
            reason: reason.map(text),
            ..Self::new(present, operator.map(text))
        }
    }
}

impl LatestOverrides {
    fn add(&mut self, request: &OverrideRequest, at: SystemTime) {
        if self.0.len() == MAX_LATEST {
            self.0.pop_front();
        }
        let OverrideRequest { breaker, key, overflow, operator, .. } = request.clone();
        self.0.push_back(LatestOverride { breaker, key, overflow, operator, at });
    }

    /// Returns the operator of the latest override of the breaker of `request`, if its state has not changed since.
    fn operator(&self, request: &OverrideRequest, changed_at: Option<SystemTime>) -> Option<String> {
        let latest = self.0.iter().rev().find(|latest| latest.applies_to(request))?;
        let is_last_change = changed_at.is_none_or(|changed_at| changed_at <= latest.at + CLOCK_TOLERANCE);
        latest.operator.clone().filter(|_| is_last_change)
    }
}

impl LatestOverride {
    fn applies_to(&self, request: &OverrideRequest) -> bool {
        let is_of_all_keys = self.key.is_none() && !self.overflow;
        self.breaker == request.breaker
            && (is_of_all_keys || (&self.key, self.overflow) == (&request.key, request.overflow))
    }
}
