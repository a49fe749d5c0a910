//! The overrides of the log.
//!
//! They are kept apart from the state changes: a breaker that opens every few seconds does not displace the override that is in force.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::{LogEvent, MAX_EVENTS, NumberedEvent};
use crate::entry::id::{Id, Kind};

/// The newest [`MAX_EVENTS`] overrides. Those that are no longer in force are discarded first.
#[derive(Debug, Default)]
pub(super) struct Overrides {
    /// Ordered by their numbers.
    events: VecDeque<NumberedEvent>,
    last: Arc<LastOverrides>,
}

/// The numbers of the last overrides that the log has.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastOverrides {
    /// The last override of a breaker or a key itself, by its id.
    items: HashMap<Arc<str>, u64>,
    /// The last override of all keys, by their name.
    groups: HashMap<Arc<str>, u64>,
    /// The last override of all keys or of one of them, by their name.
    names: HashMap<Arc<str>, u64>,
}

impl Overrides {
    pub(super) fn push(&mut self, event: NumberedEvent) {
        if self.events.len() == MAX_EVENTS {
            // The newer half is kept in any case, so that the end of the log has no gaps.
            let is_over = |kept: &NumberedEvent| !self.is_in_force(kept, event.event.at);
            let index = self.events.iter().take(MAX_EVENTS / 2).position(is_over).unwrap_or(0);
            if let Some(discarded) = self.events.remove(index) {
                Arc::make_mut(&mut self.last).forget(&discarded);
            }
        }
        Arc::make_mut(&mut self.last).add(&event);
        self.events.push_back(event);
    }

    pub(super) fn events(&self) -> &VecDeque<NumberedEvent> {
        &self.events
    }

    pub(super) fn last(&self) -> &Arc<LastOverrides> {
        &self.last
    }

    /// Returns the override with this number.
    pub(super) fn get(&self, n: u64) -> Option<&LogEvent> {
        let index = self.events.binary_search_by_key(&n, |event| event.n).ok()?;
        self.events.get(index).map(|event| &event.event)
    }

    /// Returns true for an override that neither its expiry nor a later override has ended at the time `now`.
    fn is_in_force(&self, NumberedEvent { n, event }: &NumberedEvent, now: f64) -> bool {
        let is_last = match kind_of(event) {
            Kind::Group => self.last.groups.get(&event.name) == Some(n),
            kind => self.last.of(kind, &event.id, &event.name) == Some(*n),
        };
        is_last && event.action != Some("reset") && event.expires_at.is_none_or(|end| end > now)
    }
}

impl LastOverrides {
    /// Returns the number of the last override of a breaker; for a key, also of all keys; for all keys, also of one of them. `None` if the
    /// log has none.
    pub(crate) fn of(&self, kind: Kind, id: &str, name: &str) -> Option<u64> {
        if self.items.is_empty() && self.names.is_empty() {
            return None;
        }
        match kind {
            Kind::Group => self.names.get(name).copied(),
            Kind::Key | Kind::Overflow => self.items.get(id).max(self.groups.get(name)).copied(),
            _ => self.items.get(id).copied(),
        }
    }

    fn add(&mut self, NumberedEvent { n, event }: &NumberedEvent) {
        let kind = kind_of(event);
        if kind == Kind::Group {
            self.groups.insert(event.name.clone(), *n);
        } else {
            self.items.insert(event.id.clone(), *n);
        }
        if kind != Kind::Breaker {
            self.names.insert(event.name.clone(), *n);
        }
    }

    /// Removes the number of an override that is discarded.
    fn forget(&mut self, NumberedEvent { n, event }: &NumberedEvent) {
        self.items.retain(|_, last| last != n);
        self.groups.retain(|_, last| last != n);
        if kind_of(event) != Kind::Breaker {
            self.names.retain(|_, last| last != n);
        }
    }
}

fn kind_of(event: &LogEvent) -> Kind {
    Id::<&str, &str>::parse(&event.id).map_or(Kind::Breaker, |id| id.kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::EventKind;

    fn event(n: u64, kind: Kind, key: Option<&str>, action: &'static str, expires_at: Option<f64>) -> NumberedEvent {
        let name = if kind == Kind::Breaker { "payments" } else { "hosts" };
        let event = LogEvent {
            at: 1_000.0,
            kind: EventKind::Override,
            id: Id { kind, name, key }.text(),
            name: name.into(),
            key: key.map(Into::into),
            from: None,
            to: None,
            reason: None,
            operator: None,
            action: Some(action),
            expires_at,
        };
        NumberedEvent { n, event }
    }

    fn numbers(overrides: &Overrides) -> Vec<u64> {
        overrides.events.iter().map(|event| event.n).collect()
    }

    #[test]
    fn the_last_override_is_that_of_the_item_or_of_its_group() {
        let mut overrides = Overrides::default();
        let of = |overrides: &Overrides| {
            let last = overrides.last();
            [
                last.of(Kind::Breaker, "breaker payments", "payments"),
                last.of(Kind::Key, "key 5 hosts a", "hosts"),
                last.of(Kind::Key, "key 5 hosts b", "hosts"),
                last.of(Kind::Overflow, "overflow hosts", "hosts"),
                last.of(Kind::Group, "group hosts", "hosts"),
            ]
        };
        assert_eq!(of(&overrides), [None; 5]);
        overrides.push(event(3, Kind::Breaker, None, "disable", None));
        assert_eq!(of(&overrides), [Some(3), None, None, None, None]);
        overrides.push(event(4, Kind::Key, Some("a"), "disable", None));
        assert_eq!(of(&overrides), [Some(3), Some(4), None, None, Some(4)]);
        overrides.push(event(7, Kind::Group, None, "reset", None));
        assert_eq!(of(&overrides), [Some(3), Some(7), Some(7), Some(7), Some(7)]);
        overrides.push(event(9, Kind::Overflow, None, "disable", None));
        assert_eq!(of(&overrides), [Some(3), Some(7), Some(7), Some(9), Some(9)]);
        assert_eq!(overrides.get(7).and_then(|event| event.action), Some("reset"));
        assert_eq!(overrides.get(8), None);
    }

    #[test]
    fn overrides_in_force_are_kept() {
        let mut overrides = Overrides::default();
        overrides.push(event(1, Kind::Breaker, None, "disable", None));
        overrides.push(event(2, Kind::Group, None, "force_open", Some(2_000.0)));
        // Ended: by its expiry, by a later override.
        overrides.push(event(3, Kind::Key, Some("expired"), "disable", Some(900.0)));
        overrides.push(event(4, Kind::Key, Some("again"), "disable", None));
        let newest = MAX_EVENTS as u64 + 2;
        for n in 5..=newest {
            overrides.push(event(n, Kind::Key, Some("again"), "reset", None));
        }
        let kept = numbers(&overrides);
        assert_eq!((kept.len(), &kept[..3]), (MAX_EVENTS, &[1, 2, 5][..]));
        let last = overrides.last();
        assert_eq!(last.of(Kind::Key, "key 5 hosts expired", "hosts"), Some(2), "that of all keys");
        assert_eq!(last.of(Kind::Group, "group hosts", "hosts"), Some(newest));
        assert_eq!(last.items.len(), 2, "no number of a discarded override: {last:?}");
    }
}
