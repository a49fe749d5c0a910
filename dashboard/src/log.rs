//! The log: state changes and overrides, numbered, the newest [`MAX_EVENTS`].

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Serialize, Serializer};

/// The number of events that are kept.
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
    newest: VecDeque<NumberedEvent>,
}

impl Log {
    /// Appends an event, and returns its number. The oldest event is discarded if there are more than [`MAX_EVENTS`].
    pub(crate) fn record(&self, event: LogEvent) -> u64 {
        let mut events = self.events();
        events.last += 1;
        let n = events.last;
        if events.newest.len() == MAX_EVENTS {
            events.newest.pop_front();
        }
        events.newest.push_back(NumberedEvent { n, event });
        n
    }

    /// Returns the number of the newest event; 0 if there is none.
    pub(crate) fn last(&self) -> u64 {
        self.events().last
    }

    /// Returns the events after number `after`, oldest first, at most `limit`.
    pub(crate) fn after(&self, after: u64, limit: usize) -> EventPage {
        let events = self.events();
        let first = events.newest.partition_point(|event| event.n <= after);
        EventPage { last: events.last, events: events.newest.range(first..).take(limit).cloned().collect() }
    }

    fn events(&self) -> MutexGuard<'_, Events> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: f64) -> LogEvent {
        LogEvent {
            at,
            kind: EventKind::State,
            id: "breaker a".into(),
            name: "a".into(),
            key: None,
            from: Some("closed"),
            to: Some("open"),
            reason: None,
            operator: None,
            action: None,
            expires_at: None,
        }
    }

    #[test]
    fn the_newest_events_are_kept_with_their_numbers() {
        let log = Log::default();
        assert_eq!((log.last(), log.after(0, 10)), (0, EventPage::default()));
        for (number, at) in (1..=MAX_EVENTS as u64 + 2).zip(0_u32..) {
            assert_eq!(log.record(event(at.into())), number);
        }
        let page = log.after(0, 2);
        assert_eq!(page.last, MAX_EVENTS as u64 + 2);
        assert_eq!(page.events.iter().map(|event| event.n).collect::<Vec<_>>(), [3, 4]);
        let page = log.after(MAX_EVENTS as u64 + 1, 10);
        assert_eq!(page.events.iter().map(|event| event.n).collect::<Vec<_>>(), [MAX_EVENTS as u64 + 2]);
        assert_eq!(log.after(page.last, 10).events, []);
        assert_eq!(log.after(u64::MAX, 10).events, []);
    }

    #[test]
    fn an_event_is_one_flat_object() {
        let log = Log::default();
        log.record(event(1.5));
        let json = serde_json::to_string(&log.after(0, 1)).unwrap_or_default();
        assert_eq!(
            json,
            r#"{"last":1,"events":[{"n":1,"at":1.5,"kind":"state","id":"breaker a","name":"a","key":null,"from":"closed","to":"open","reason":null,"operator":null,"action":null,"expires_at":null}]}"#
        );
    }
}
