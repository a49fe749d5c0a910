//! Circuit breakers, with and without keys.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::Serialize;
use steadfast::{BreakerState, Durations, OpenReason, Snapshot, SnapshotConfig, WindowSnapshot};

use super::{
    condition::{Condition, state_name},
    fields::{Field, fields, write_json},
    id::{ItemId, Kind},
    minute::{BreakerMinute, Callers},
    steady, unix_seconds,
};
use crate::history::Totals;

/// A circuit breaker, with or without a key.
#[derive(Debug, PartialEq)]
pub(crate) struct BreakerEntry {
    pub(crate) id: Arc<str>,
    kind: &'static str,
    pub(crate) name: &'static str,
    pub(crate) key: Option<Arc<str>>,
    overflow: bool,
    pub(crate) condition: Condition,
    pub(crate) state: State,
    /// The time at which the current state began; `None` before the first state change.
    since: Option<f64>,
    /// The time at which trial calls are admitted or an override expires; `None` if the state has no such end.
    until: Option<f64>,
    /// The rule that opened the breaker, with its figures.
    reason: Option<Reason>,
    operator_reason: Option<Arc<str>>,
    /// The text of the failure that opened the breaker last, kept after it has closed.
    last_failure: Option<Arc<str>>,
    outage: Option<OutageEntry>,
    admitted_share: f64,
    observe_only: bool,
    consecutive_failures: u32,
    trial_successes: u32,
    trial_failures: u32,
    failed_recoveries: u32,
    window: Option<WindowSnapshot>,
    config: SnapshotConfig,
    successes: u64,
    pub(crate) failures: u64,
    ignored: u64,
    pub(crate) cancelled: u64,
    pub(crate) rejections: u64,
    observed_rejections: u64,
    /// The number of calls that have counted as hung; like the next field, `None` without `hung_call`.
    hung: Option<u64>,
    in_flight: Option<u64>,
    /// The age of the oldest call in flight; `None` without `hung_call`, and if no call is in flight.
    oldest_in_flight: Option<f64>,
    /// The durations of calls; `None` if they are not recorded, and for the breaker of a key.
    durations: Option<Durations>,
    pub(crate) transitions: u64,
    /// The number in the log of the last override of the breaker, or of all keys.
    last_override: Option<u64>,
    pub(crate) last_minute: Option<BreakerMinute>,
    callers: Option<Callers>,
}

fields!(BreakerEntry {
    "id": id,
    "kind": kind,
    "name": name,
    "key": key,
    "overflow": overflow,
    "condition": condition,
    "state": state,
    "since": since,
    "until": until,
    "reason": reason,
    "operator_reason": operator_reason,
    "last_failure": last_failure,
    "outage": outage,
    "admitted_share": admitted_share,
    "observe_only": observe_only,
    "consecutive_failures": consecutive_failures,
    "trial_successes": trial_successes,
    "trial_failures": trial_failures,
    "failed_recoveries": failed_recoveries,
    "window": window,
    "config": config,
    "successes": successes,
    "failures": failures,
    "ignored": ignored,
    "cancelled": cancelled,
    "rejections": rejections,
    "observed_rejections": observed_rejections,
    "hung": hung,
    "in_flight": in_flight,
    "oldest_in_flight": oldest_in_flight,
    "durations": durations,
    "transitions": transitions,
    "last_override": last_override,
    "last_minute": last_minute,
    "callers": callers,
});

/// An outage: from the opening of a closed circuit until it closes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OutageEntry {
    since: f64,
    reason: Reason,
    failed_recoveries: u32,
    error: Option<Arc<str>>,
}

/// The state of a breaker, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State(pub(crate) BreakerState);

/// The reason of an opening, by its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reason(OpenReason);

/// The data of a breaker that are not in its snapshot.
#[derive(Default)]
pub(crate) struct Context {
    /// The limit after which a call counts as hung.
    pub(crate) hung_call: Option<Duration>,
    pub(crate) last_override: Option<u64>,
    pub(crate) last_minute: Option<BreakerMinute>,
    pub(crate) callers: Option<Callers>,
}

impl BreakerEntry {
    /// `old` is the entry of the same breaker in an earlier reading.
    pub(crate) fn new(id: Arc<str>, snapshot: Snapshot, context: Context, now: SystemTime, old: Option<&Self>) -> Self {
        let condition = Condition::new(&snapshot, snapshot.admitted_share, context.hung_call);
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
            observed_rejections,
            admitted_share,
            outage,
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
        } = snapshot;
        // A remaining time of zero means that the end has been reached.
        let left = open_for.or(disabled_for).filter(|left| !left.is_zero());
        let until = left.and_then(|left| now.checked_add(left)).map(unix_seconds);
        let old_outage = old.and_then(|old| old.outage.as_ref());
        Self {
            id,
            kind: if key.is_some() || overflow { Kind::Key.name() } else { Kind::Breaker.name() },
            name,
            key,
            overflow,
            condition,
            state: State(state),
            since: steady(last_transition.map(unix_seconds), old.and_then(|old| old.since)),
            until: steady(until, old.and_then(|old| old.until)),
            reason: open_reason.map(Reason),
            operator_reason,
            last_failure: last_failure.map(|failure| failure.text),
            outage: outage.map(|outage| {
                let since = unix_seconds(outage.since);
                OutageEntry {
                    since: steady(Some(since), old_outage.map(|old| old.since)).unwrap_or(since),
                    reason: Reason(outage.reason),
                    failed_recoveries: outage.failed_recoveries,
                    error: outage.error,
                }
            }),
            admitted_share: (admitted_share * 1_000.0).round() / 1_000.0,
            observe_only: config.observe_only,
            consecutive_failures,
            trial_successes,
            trial_failures,
            failed_recoveries,
            window,
            config,
            successes,
            failures,
            ignored,
            cancelled,
            rejections,
            observed_rejections,
            hung: in_flight.map(|_| hung),
            in_flight,
            oldest_in_flight: oldest_in_flight.map(|age| (age.as_secs_f64() * 1_000.0).round() / 1_000.0),
            durations,
            transitions,
            last_override: context.last_override,
            last_minute: context.last_minute,
            callers: context.callers,
        }
    }

    pub(crate) fn name(&self) -> &str {
        self.name
    }

    /// Returns true for the breaker of a key, and for an overflow breaker.
    pub(crate) fn is_keyed(&self) -> bool {
        self.key.is_some() || self.overflow
    }
}

/// Returns the counts of a breaker for its history.
pub(crate) fn totals(snapshot: &Snapshot) -> Totals {
    [snapshot.successes, snapshot.failures, snapshot.rejections, snapshot.ignored, snapshot.cancelled]
}

/// Returns the id of a breaker.
pub(crate) fn item_id(snapshot: &Snapshot) -> ItemId {
    ItemId::breaker(snapshot.name, snapshot.key.as_ref(), snapshot.overflow)
}

impl Field for State {
    fn is_default(&self) -> bool {
        false
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_json(out, state_name(self.0));
    }
}

impl Field for Option<Reason> {
    fn is_default(&self) -> bool {
        self.is_none()
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_json(out, &self.map(|Reason(reason)| reason.to_string()));
    }
}

impl Field for Option<OutageEntry> {
    fn is_default(&self) -> bool {
        self.is_none()
    }

    fn write(&self, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        struct Json<'o> {
            since: f64,
            reason: String,
            failed_recoveries: u32,
            error: Option<&'o str>,
        }
        let json = self.as_ref().map(|outage| Json {
            since: outage.since,
            reason: outage.reason.0.to_string(),
            failed_recoveries: outage.failed_recoveries,
            error: outage.error.as_deref(),
        });
        write_json(out, &json);
    }
}
