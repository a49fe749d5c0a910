//! Readings of circuit breakers, with and without keys, and their state changes.

use std::{collections::HashMap, sync::Arc, time::Duration};

use steadfast::{CircuitBreaker, KeyedBreakers, Keying, Snapshot};

use super::{Counted, MAX_KEYS_PER_NAME, Pass, Worst};
use crate::{
    entry::{
        Entry,
        breaker::{BreakerEntry, Context, item_id, totals},
        condition::{Condition, Counts, STATES, state_index},
        group::BreakerGroupEntry,
        id::{ItemId, Kind},
        minute::BreakerMinute,
        recent::RecentEvent,
    },
    log::{EventKind, LogEvent},
};

/// The state of the keys of one name, with and without rows.
#[derive(Debug, Default)]
pub(super) struct GroupState {
    /// The number of keys in each condition.
    pub(super) counts: Counts,
    /// The number of keys in each state.
    states: [u64; STATES],
    /// The number of state changes of each key that has changed its state; `None` is the overflow breaker.
    transitions: HashMap<Option<Arc<str>>, u64>,
}

/// A snapshot of a breaker, with its recent state changes, if their number has changed.
pub(crate) struct ChangedBreaker {
    pub(crate) snapshot: Snapshot,
    /// All recent state changes, oldest first; empty if there are no new ones.
    changes: Vec<RecentEvent>,
    /// The number of those that are new.
    new: usize,
}

/// The number of times that a breaker is read again because it has changed its state in between.
const MAX_READS: usize = 8;

/// Adds the state changes after the first `known` ones to a snapshot of the breaker. A breaker with fewer changes is a new one for a key that
/// was evicted.
pub(crate) fn changed_since<K: Keying>(
    breaker: &CircuitBreaker<K>,
    mut snapshot: Snapshot,
    known: u64,
) -> ChangedBreaker {
    if snapshot.transitions == known {
        return ChangedBreaker { snapshot, changes: Vec::new(), new: 0 };
    }
    let mut recent = Vec::new();
    for _ in 0..MAX_READS {
        recent = breaker.recent();
        let again = breaker.snapshot();
        let is_consistent = again.transitions == snapshot.transitions;
        snapshot = again;
        if is_consistent {
            break;
        }
    }
    let changes: Vec<_> = recent.into_iter().map(RecentEvent::new).filter(|event| event.to.is_some()).collect();
    let transitions = snapshot.transitions;
    let new = if transitions > known { transitions - known } else { transitions };
    let new = usize::try_from(new).unwrap_or(usize::MAX).min(changes.len());
    ChangedBreaker { snapshot, changes, new }
}

impl ChangedBreaker {
    /// Returns the new state changes for the log.
    fn events(&self) -> impl Iterator<Item = LogEvent> {
        let id = (self.new > 0).then(|| item_id(&self.snapshot).text());
        let new = &self.changes[self.changes.len() - self.new..];
        new.iter().filter_map(move |RecentEvent { at, from, to, reason }| {
            Some(LogEvent {
                at: *at,
                kind: EventKind::State,
                id: id.clone()?,
                name: self.snapshot.name.into(),
                key: self.snapshot.key.clone(),
                from: *from,
                to: *to,
                reason: (!reason.is_empty()).then(|| reason.as_str().into()),
                operator: None,
                action: None,
                expires_at: None,
            })
        })
    }
}

impl Pass<'_> {
    /// Reads all breakers and groups.
    pub(super) fn read_breakers(&mut self) {
        for breaker in steadfast::breakers() {
            self.read_breaker(breaker);
        }
        for breakers in steadfast::all_keyed_breakers() {
            self.read_group(breakers);
        }
    }

    /// Reads the breakers whose state has changed, and the groups in which the number of keys in a state has changed.
    pub(super) fn check_breakers(&mut self) {
        for breaker in steadfast::breakers() {
            let id = ItemId::new(Kind::Breaker, breaker.name());
            let item = self.reader.items.get(&id);
            let known = item.and_then(|item| item.row.entry.as_breaker()).map(|breaker| breaker.state.0);
            if known != Some(breaker.state()) {
                self.read_breaker(breaker);
            }
        }
        for breakers in steadfast::all_keyed_breakers() {
            let mut states = [0; STATES];
            for breaker in breakers.iter() {
                states[state_index(breaker.state())] += 1;
            }
            if self.reader.groups.get(breakers.name()).is_none_or(|group| group.states != states) {
                self.read_group(breakers);
                let (name, number) = (breakers.name(), self.number);
                let is_key = |id: &ItemId| matches!(id.kind, Kind::Key | Kind::Overflow) && id.name == name;
                self.reader.items.retain(|id, item| item.found == number || !is_key(id));
            }
        }
    }

    fn read_breaker(&mut self, breaker: &'static CircuitBreaker) {
        let id = ItemId::new(Kind::Breaker, breaker.name());
        let old = self.reader.items.get(&id).and_then(|item| item.row.entry.as_breaker());
        let (known, is_new_row) = (old.map_or(0, |old| old.transitions), old.is_none());
        let changed = changed_since(breaker, breaker.snapshot(), known);
        self.events.extend(changed.events());
        // The settings are looked up only if they matter.
        let hung_call = changed.snapshot.oldest_in_flight.and_then(|_| breaker.config().get_hung_call());
        self.put_breaker(id, changed, is_new_row, hung_call);
    }

    fn put_breaker(&mut self, id: ItemId, changed: ChangedBreaker, is_new_row: bool, hung_call: Option<Duration>) {
        let ChangedBreaker { snapshot, changes, new } = changed;
        let (callers, callers_of_minute) = self.reader.callers.of_breaker(&snapshot);
        let (now, kind, last_overrides) = (self.now, id.kind, self.last_overrides.clone());
        let counted = Counted {
            totals: totals(&snapshot),
            troubles: &[1, 2, 4],
            source: snapshot,
            durations: |snapshot| snapshot.durations.as_ref(),
        };
        let track = self.put(id, counted, |snapshot, id, minute, old| {
            let last_minute = minute.map(|minute| BreakerMinute::new(&minute, callers_of_minute));
            let last_override = last_overrides.of(kind, &id, snapshot.name);
            let context = Context { hung_call, last_override, last_minute, callers };
            let old = old.and_then(Entry::as_breaker);
            Entry::Breaker(BreakerEntry::new(id, snapshot, context, now, old))
        });
        // A new row gets all recent changes.
        let new = if is_new_row { changes.len() } else { new };
        for event in &changes[changes.len() - new..] {
            if let Some(to) = event.to {
                track.change(event.at, to);
            }
        }
    }

    fn read_group(&mut self, breakers: &'static KeyedBreakers) {
        let name = breakers.name();
        let hung_call = breakers.config().get_hung_call();
        let before = self.reader.groups.remove(name).unwrap_or_default();
        let mut group = GroupState::default();
        let mut worst = Worst::new(MAX_KEYS_PER_NAME);
        let mut keys = 0;
        for breaker in breakers.iter() {
            let snapshot = breaker.snapshot();
            keys += usize::from(!snapshot.overflow);
            // The key of most breakers is not looked up, because they have never changed their state.
            let known = match snapshot.transitions {
                0 => 0,
                _ => before.transitions.get(&snapshot.key).copied().unwrap_or(0),
            };
            let changed = changed_since(&*breaker, snapshot, known);
            self.events.extend(changed.events());
            let snapshot = &changed.snapshot;
            if snapshot.transitions > 0 {
                group.transitions.insert(snapshot.key.clone(), snapshot.transitions);
            }
            let condition = Condition::new(snapshot, snapshot.admitted_share, hung_call);
            group.counts.add(condition);
            group.states[state_index(snapshot.state)] += 1;
            if let Some(rank) = worst.rank(condition, snapshot) {
                worst.add(rank, (changed, breaker));
            }
        }
        for (mut changed, breaker) in worst.into_items() {
            let id = item_id(&changed.snapshot);
            let is_new_row = !self.reader.items.contains_key(&id);
            if is_new_row && changed.changes.is_empty() {
                // The changes were recorded before the breaker had a row.
                changed = changed_since(&*breaker, changed.snapshot, 0);
            }
            self.put_breaker(id, changed, is_new_row, hung_call);
        }
        let mut counts = breakers.snapshot();
        counts.keys = keys;
        // The states are those of the rows, so that all numbers of one reading agree.
        let [closed, open, half_open, forced_open, disabled] =
            group.states.map(|keys| usize::try_from(keys).unwrap_or(usize::MAX));
        (counts.closed, counts.open, counts.half_open) = (closed, open, half_open);
        (counts.forced_open, counts.disabled) = (forced_open, disabled);
        self.reader.groups.insert(name, group);
        let (callers, callers_of_minute) = self.reader.callers.of(name);
        let counted = Counted {
            totals: BreakerGroupEntry::totals(&counts),
            troubles: &[1, 2, 4],
            source: counts,
            durations: |counts| counts.durations.as_ref(),
        };
        let id = ItemId::new(Kind::Group, name);
        let last_override = self.last_overrides.of(Kind::Group, &id.text(), name);
        self.put(id, counted, |counts, id, minute, _| {
            let last_minute = minute.map(|minute| BreakerMinute::new(&minute, callers_of_minute));
            Entry::Group(BreakerGroupEntry::new(id, counts, last_override, last_minute, callers))
        });
    }
}
