//! The log: state changes and overrides, numbered, the newest [`MAX_EVENTS`] of each.
//!
//! An override is one event, even if it changes the state of thousands of keys: the state changes that it makes are left out.

mod overrides;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use serde::{Serialize, Serializer};

pub(crate) use self::overrides::LastOverrides;

use self::overrides::Overrides;
use crate::entry::unix_seconds;

/// The number of state changes that are kept, and that of overrides.
pub(crate) const MAX_EVENTS: usize = 1_000;

/// The kind of a [`LogEvent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventKind {
    /// A breaker changed its state.
    State,
    /// An operator requested an override.
    Override,
}

/// An event of `GET /api/events`. Fields that do not apply are `None`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct LogEvent {
    /// The time of the event, in seconds since 1970.
    pub(crate) at: f64,
    pub(crate) kind: EventKind,
    /// The id of the entry.
    #[serde(serialize_with = "text")]
    pub(crate) id: Arc<str>,
    /// The name of the breaker.
    #[serde(serialize_with = "text")]
    pub(crate) name: Arc<str>,
    #[serde(serialize_with = "text_if_any")]
    pub(crate) key: Option<Arc<str>>,
    /// The state before, and after.
    pub(crate) from: Option<&'static str>,
    pub(crate) to: Option<&'static str>,
    /// The operator's reason, or else the rule that opened the breaker.
    #[serde(serialize_with = "text_if_any")]
    pub(crate) reason: Option<Arc<str>>,
    /// The name of the operator who requested an override.
    #[serde(serialize_with = "text_if_any")]
    pub(crate) operator: Option<Arc<str>>,
    /// The requested action: `force_open`, `disable` or `reset`.
    pub(crate) action: Option<&'static str>,
    /// The time at which an override ends, in seconds since 1970.
    pub(crate) expires_at: Option<f64>,
}

fn text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

#[allow(clippy::ref_option, reason = "the signature that serde requires")]
fn text_if_any<S: Serializer>(text: &Option<Arc<str>>, serializer: S) -> Result<S::Ok, S::Error> {
    text.as_deref().serialize(serializer)
}

/// An event with its number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct NumberedEvent {
    /// The number of the event. The first event has number 1.
    pub(crate) n: u64,
    #[serde(flatten)]
    pub(crate) event: LogEvent,
}

/// Some events of the log, oldest first: the answer of `GET /api/events`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct EventPage {
    /// The number of the newest event of the log; 0 if there is none.
    pub(crate) last: u64,
    pub(crate) events: Vec<NumberedEvent>,
}

/// The newest events of a dashboard. It is shared by the readings, which record state changes, and by manual control.
#[derive(Debug, Default)]
pub(crate) struct Log(Mutex<Events>);

#[derive(Debug, Default)]
struct Events {
    last: u64,
    /// The newest state changes, oldest first.
    changes: VecDeque<NumberedEvent>,
    overrides: Overrides,
    /// The times of the newest overrides, as many as overrides are kept.
    spans: VecDeque<OverrideSpan>,
}

/// The breakers that an override applies to, and the time that it took.
#[derive(Debug)]
struct OverrideSpan {
    id: Arc<str>,
    /// The name of the breakers, if the override applies to all keys.
    group: Option<Arc<str>>,
    to: Option<&'static str>,
    begun: f64,
    /// `None` while the override is applied.
    ended: Option<f64>,
}

/// The maximum difference between the clock of the state changes and that of the overrides, in seconds.
const CLOCK_TOLERANCE: f64 = 0.1;

impl OverrideSpan {
    /// Returns true for a state change that the override has made.
    fn has_made(&self, event: &LogEvent) -> bool {
        event.to == self.to
            && event.at >= self.begun - CLOCK_TOLERANCE
            && self.ended.is_none_or(|ended| event.at <= ended + CLOCK_TOLERANCE)
            && (event.id == self.id || self.group.as_ref() == Some(&event.name))
    }
}

impl Log {
    /// Appends a state change, unless an override has made it.
    pub(crate) fn record_change(&self, event: LogEvent) {
        let mut events = self.events();
        if !events.spans.iter().any(|span| span.has_made(&event)) {
            events.append_change(event);
        }
    }

    /// Appends an override, and returns its number. `apply` changes the states; the log leaves these changes out, even if they are read
    /// before it returns. `is_of_all_keys`: the override applies to all breakers with the name.
    pub(crate) fn record_override(&self, event: LogEvent, is_of_all_keys: bool, apply: impl FnOnce()) -> u64 {
        let group = is_of_all_keys.then(|| event.name.clone());
        let span = OverrideSpan { id: event.id.clone(), group, to: event.to, begun: event.at, ended: None };
        let n = self.events().begin_override(event, span);
        apply();
        let ended = unix_seconds(SystemTime::now());
        let mut events = self.events();
        // Overrides are applied one after another, so the newest is this one.
        if let Some(span) = events.spans.back_mut() {
            span.ended = Some(ended);
        }
        n
    }

    /// Returns the number of the newest event; 0 if there is none.
    pub(crate) fn last(&self) -> u64 {
        self.events().last
    }

    /// Returns the events after number `after`, oldest first, at most `limit`; with `kind`, those of one kind.
    pub(crate) fn after(&self, after: u64, kind: Option<EventKind>, limit: usize) -> EventPage {
        let events = self.events();
        let of = |list: &'_ VecDeque<NumberedEvent>, of_kind| match kind {
            Some(kind) if kind != of_kind => list.len(),
            _ => list.partition_point(|event| event.n <= after),
        };
        let overrides = events.overrides.events();
        let mut changes = events.changes.range(of(&events.changes, EventKind::State)..).peekable();
        let mut overrides = overrides.range(of(overrides, EventKind::Override)..).peekable();
        let merged = std::iter::from_fn(|| match (changes.peek(), overrides.peek()) {
            (Some(change), Some(by_operator)) if change.n < by_operator.n => changes.next(),
            (Some(_), None) => changes.next(),
            _ => overrides.next(),
        });
        EventPage { last: events.last, events: merged.take(limit).cloned().collect() }
    }

    /// Returns the numbers of the last overrides.
    pub(crate) fn last_overrides(&self) -> Arc<LastOverrides> {
        self.events().overrides.last().clone()
    }

    /// Returns the override with this number, if it is kept.
    pub(crate) fn override_event(&self, n: u64) -> Option<LogEvent> {
        self.events().overrides.get(n).cloned()
    }

    fn events(&self) -> MutexGuard<'_, Events> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Events {
    fn next_number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Appends a state change. The oldest is discarded if there are more than [`MAX_EVENTS`].
    fn append_change(&mut self, event: LogEvent) {
        let n = self.next_number();
        if self.changes.len() == MAX_EVENTS {
            self.changes.pop_front();
        }
        self.changes.push_back(NumberedEvent { n, event });
    }

    /// Appends an override that is about to be applied, and returns its number.
    fn begin_override(&mut self, event: LogEvent, span: OverrideSpan) -> u64 {
        if self.spans.len() == MAX_EVENTS {
            self.spans.pop_front();
        }
        self.spans.push_back(span);
        let n = self.next_number();
        self.overrides.push(NumberedEvent { n, event });
        n
    }
}

#[cfg(test)]
mod tests;
