//! Readings of the registry.
//!
//! A full reading takes a snapshot of each item. A check between two full readings looks at the states only, and takes snapshots where a
//! state has changed. Rows that have not changed are shared with the previous reading, so that the difference of two readings costs as much
//! as there are changes.

mod breakers;
mod callers;
mod others;
mod worst;

pub(crate) use self::{callers::CallersByBreaker, worst::Worst};

use std::{
    collections::{HashMap, hash_map},
    sync::Arc,
    time::SystemTime,
};

use steadfast::Durations;

use self::breakers::GroupState;
use crate::{
    entry::{Entry, condition::Counts, id::ItemId, unix_seconds},
    history::{Minute, Ticks, Totals, Track},
    log::{LastOverrides, Log, LogEvent},
    reading::{Reading, Row},
};

/// The number of keys per name that have a row, the worst first.
pub(crate) const MAX_KEYS_PER_NAME: usize = 20;

/// Reads the registry, and keeps what is needed to see changes: the latest rows, samples of the counts, numbers of state changes.
#[derive(Debug)]
pub(crate) struct Reader {
    log: Arc<Log>,
    ticks: Ticks,
    items: HashMap<ItemId, Item>,
    groups: HashMap<&'static str, GroupState>,
    /// The callers' view of the last full reading.
    callers: CallersByBreaker,
    /// The number of the next new row.
    next_row: u32,
    latest: Arc<Reading>,
}

/// The state of an item that has a row.
#[derive(Debug)]
struct Item {
    row: Arc<Row>,
    track: Track,
    totals: Totals,
    /// The last minute as the row has it.
    minute: Option<Minute>,
    /// The number of the reading that found the item last.
    found: u64,
}

/// One reading in progress.
struct Pass<'r> {
    reader: &'r mut Reader,
    number: u64,
    now: SystemTime,
    at: f64,
    is_sample: bool,
    last_overrides: Arc<LastOverrides>,
    events: Vec<LogEvent>,
    is_changed: bool,
}

/// The data from which a row is made.
struct Counted<T> {
    totals: Totals,
    /// The indices of the counts that show trouble. If one of them changes, the last minute is computed again; otherwise, only with each
    /// sample.
    troubles: &'static [usize],
    source: T,
    durations: fn(&T) -> Option<&Durations>,
}

impl<T> Counted<T> {
    /// Data without durations.
    fn new(totals: Totals, troubles: &'static [usize], source: T) -> Self {
        Self { totals, troubles, source, durations: |_| None }
    }
}

impl Reader {
    pub(crate) fn new(log: Arc<Log>) -> Self {
        Self {
            log,
            ticks: Ticks::default(),
            items: HashMap::new(),
            groups: HashMap::new(),
            callers: CallersByBreaker::default(),
            next_row: 0,
            latest: Arc::default(),
        }
    }

    /// Takes a snapshot of each item.
    pub(crate) fn read(&mut self, now: SystemTime) -> Arc<Reading> {
        let at = unix_seconds(now);
        let is_sample = self.ticks.is_due(at);
        if is_sample {
            self.ticks.push(at);
        }
        self.callers = CallersByBreaker::default();
        let mut pass = self.pass(now, is_sample);
        pass.read_others();
        pass.read_breakers();
        let (number, items) = (pass.number, pass.reader.items.len());
        pass.reader.items.retain(|_, item| item.found == number);
        pass.is_changed |= pass.reader.items.len() != items;
        pass.finish()
    }

    /// Takes snapshots of the breakers whose state has changed, and of the groups with such a breaker.
    pub(crate) fn check(&mut self, now: SystemTime) -> Arc<Reading> {
        let mut pass = self.pass(now, false);
        pass.check_breakers();
        pass.finish()
    }

    fn pass(&mut self, now: SystemTime, is_sample: bool) -> Pass<'_> {
        let number = self.latest.number + 1;
        let last_overrides = self.log.last_overrides();
        let (at, events) = (unix_seconds(now), Vec::new());
        Pass { number, now, at, is_sample, last_overrides, events, is_changed: false, reader: self }
    }

    /// Returns the numbers of the last overrides in the log.
    pub(crate) fn last_overrides(&self) -> Arc<LastOverrides> {
        self.log.last_overrides()
    }

    /// Returns the callers' view of the last full reading.
    pub(crate) fn callers(&self) -> &CallersByBreaker {
        &self.callers
    }

    /// Returns the samples of an item, if it has a row.
    pub(crate) fn track(&self, id: &ItemId) -> Option<&Track> {
        self.items.get(id).map(|item| &item.track)
    }

    pub(crate) fn ticks(&self) -> &Ticks {
        &self.ticks
    }
}

impl Pass<'_> {
    /// Creates or replaces the row of an item. `make` gets the source, the id as text, the last minute and the previous entry. Returns the samples.
    fn put<T>(
        &mut self,
        id: ItemId,
        counted: Counted<T>,
        make: impl FnOnce(T, Arc<str>, Option<Minute>, Option<&Entry>) -> Entry,
    ) -> &mut Track {
        let Counted { totals, troubles, source, durations } = counted;
        let durations = durations(&source);
        let (is_sample, at, number) = (self.is_sample, self.at, self.number);
        let Reader { ticks, items, next_row, .. } = &mut *self.reader;
        match items.entry(id) {
            hash_map::Entry::Occupied(item) => {
                let item = item.into_mut();
                if is_sample {
                    item.track.sample(ticks, totals, durations);
                }
                if is_sample || troubles.iter().any(|index| totals[*index] != item.totals[*index]) {
                    item.minute = item.track.last_minute(ticks, at, &totals, durations);
                }
                (item.totals, item.found) = (totals, number);
                let entry = make(source, item.row.entry.id().clone(), item.minute.clone(), Some(&item.row.entry));
                if entry != item.row.entry {
                    item.row = Arc::new(Row { i: item.row.i, entry });
                    self.is_changed = true;
                }
                &mut item.track
            }
            hash_map::Entry::Vacant(vacant) => {
                let track = Track::new(ticks, is_sample, totals, durations);
                let entry = make(source, vacant.key().text(), None, None);
                let row = Arc::new(Row { i: *next_row, entry });
                *next_row += 1;
                self.is_changed = true;
                &mut vacant.insert(Item { row, track, totals, minute: None, found: number }).track
            }
        }
    }

    /// Records the events, and returns the reading.
    fn finish(mut self) -> Arc<Reading> {
        self.events.sort_by(|left, right| left.at.total_cmp(&right.at));
        let Reader { log, items, groups, callers, latest, .. } = &mut *self.reader;
        for event in self.events {
            log.record_change(event);
        }
        let rows = if self.is_changed {
            let mut rows: Vec<_> = items.values().map(|item| item.row.clone()).collect();
            rows.sort_unstable_by_key(|row| row.i);
            rows.into()
        } else {
            latest.rows.clone()
        };
        let mut counts = Counts::default();
        for condition in rows.iter().filter_map(|row| row.entry.as_breaker()).filter(|breaker| !breaker.is_keyed()) {
            counts.add(condition.condition);
        }
        for group in groups.values() {
            counts.add_all(&group.counts);
        }
        let callers = if self.is_changed { callers.over_all(&rows) } else { latest.callers };
        let reading = Reading { number: self.number, at: self.at, rows, counts, callers, events: log.last() };
        *latest = Arc::new(reading);
        latest.clone()
    }
}

#[cfg(test)]
mod tests;
