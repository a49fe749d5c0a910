//! The messages of the stream: the start, the rows, and the difference of two readings.

use std::{cmp::Ordering, sync::Arc};

use serde::Serialize;

use crate::{
    about::About,
    entry::fields::{Object, write_json, write_list},
    log::EventPage,
    reading::{Reading, Row},
};

/// The number of rows in the first message with rows, and in each further one.
pub(crate) const FIRST_ROWS: usize = 100;
pub(crate) const MORE_ROWS: usize = 1_000;

/// Returns the event `start`.
pub(crate) fn start(reading: &Reading, about: &About) -> Vec<u8> {
    message("start", |out| {
        let mut object = Object::begin(out);
        about.write(&mut object, reading.at);
        object.value("total", &reading.rows.len());
        object.value("counts", &reading.counts);
        object.value("callers", &reading.callers);
        object.value("events_after", &reading.events);
        object.end();
    })
}

/// Returns an event `rows`.
pub(crate) fn rows(rows: &[Arc<Row>], is_done: bool) -> Vec<u8> {
    message("rows", |out| {
        let mut object = Object::begin(out);
        write_list(object.key("rows"), rows, |out, row| write_row(out, row));
        object.value("done", &is_done);
        object.end();
    })
}

/// Returns an event `log`.
pub(crate) fn log(page: &EventPage) -> Vec<u8> {
    #[derive(Serialize)]
    struct Events<'p, T> {
        events: &'p [T],
    }
    message("log", |out| write_json(out, &Events { events: &page.events }))
}

/// Returns an event `ping`.
pub(crate) fn ping(now: f64) -> Vec<u8> {
    message("ping", |out| {
        let mut object = Object::begin(out);
        object.value("now", &now);
        object.end();
    })
}

/// Returns the event `changes` that leads from an earlier reading to a later one; `None` if nothing has changed.
pub(crate) fn between(old: &Reading, new: &Reading) -> Option<Vec<u8>> {
    let mut difference = Difference::default();
    difference.compare(&old.rows, &new.rows);
    let is_counted = old.counts != new.counts;
    let has_callers = old.callers != new.callers;
    if difference.is_empty() && !is_counted && !has_callers {
        return None;
    }
    let Difference { changed, added, removed } = difference;
    Some(message("changes", |out| {
        let mut object = Object::begin(out);
        object.value("now", &new.at);
        if is_counted {
            object.value("counts", &new.counts);
        }
        if has_callers {
            object.value("callers", &new.callers);
        }
        if !changed.is_empty() {
            write_list(object.key("set"), changed, |out, (old, new)| write_change(out, old, new));
        }
        if !added.is_empty() {
            write_list(object.key("rows"), added, write_row);
        }
        if !removed.is_empty() {
            object.value("removed", &removed);
        }
        object.end();
    }))
}

/// The rows in which two readings differ.
#[derive(Default)]
struct Difference<'r> {
    changed: Vec<(&'r Row, &'r Row)>,
    added: Vec<&'r Row>,
    removed: Vec<u32>,
}

impl<'r> Difference<'r> {
    fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.added.is_empty() && self.removed.is_empty()
    }

    /// Compares rows that are ordered by their numbers. Rows that both readings share are not looked at.
    fn compare(&mut self, old: &'r Arc<[Arc<Row>]>, new: &'r Arc<[Arc<Row>]>) {
        if Arc::ptr_eq(old, new) {
            return;
        }
        let (mut before, mut after) = (old.iter().peekable(), new.iter().peekable());
        loop {
            let order = match (before.peek(), after.peek()) {
                (Some(old), Some(new)) => old.i.cmp(&new.i),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return,
            };
            match order {
                Ordering::Less => self.removed.extend(before.next().map(|row| row.i)),
                Ordering::Greater => self.added.extend(after.next().map(|row| &**row)),
                Ordering::Equal => match (before.next(), after.next()) {
                    (Some(old), Some(new)) if !Arc::ptr_eq(old, new) => self.changed.push((old, new)),
                    _ => {}
                },
            }
        }
    }
}

fn write_row(out: &mut Vec<u8>, row: &Row) {
    let mut object = Object::begin(out);
    object.value("i", &row.i);
    row.entry.write_set(&mut object);
    object.end();
}

fn write_change(out: &mut Vec<u8>, old: &Row, new: &Row) {
    out.push(b'[');
    write_json(out, &new.i);
    out.push(b',');
    let mut object = Object::begin(out);
    new.entry.write_changes(&old.entry, &mut object);
    object.end();
    out.push(b']');
}

/// Returns a server-sent event. JSON contains no line breaks.
fn message(name: &str, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = format!("event: {name}\ndata: ").into_bytes();
    write(&mut out);
    out.extend_from_slice(b"\n\n");
    out
}

#[cfg(test)]
mod tests;
