//! A reading: the rows of all items at one moment.

use std::{cmp::Reverse, sync::Arc};

use crate::entry::{
    Entry,
    condition::{Condition, Counts},
    minute::{AllCallers, BreakerMinute},
};

/// The entry of an item, with the number that stands for it in the streams. A row does not change: a changed item has a new row.
#[derive(Debug)]
pub(crate) struct Row {
    /// The number of the item. A number is never used again.
    pub(crate) i: u32,
    pub(crate) entry: Entry,
}

/// All rows at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    /// The number of the reading; 0 before the first.
    pub(crate) number: u64,
    /// The time of the reading, in seconds since 1970.
    pub(crate) at: f64,
    /// The rows, ordered by their numbers.
    pub(crate) rows: Arc<[Arc<Row>]>,
    /// The number of breakers and of all keys in each condition, including the keys without a row.
    pub(crate) counts: Counts,
    /// The outcomes for callers in the last minute; `None` before the second sample.
    pub(crate) callers: Option<AllCallers>,
    /// The number of the newest event of the log.
    pub(crate) events: u64,
}

impl Reading {
    /// Returns the rows, the worst first.
    pub(crate) fn worst_first(&self) -> Vec<Arc<Row>> {
        let mut rows = self.rows.to_vec();
        rows.sort_by_cached_key(|row| rank(row));
        rows
    }
}

/// Orders breakers and keys by their condition and their trouble of the last minute. Entries of other kinds follow the breakers that are
/// not closed.
fn rank(row: &Row) -> (Condition, bool, Reverse<u64>, u32) {
    match row.entry.as_breaker() {
        Some(breaker) => {
            let troubles = breaker.last_minute.as_ref().map_or(0, BreakerMinute::troubles);
            (breaker.condition, true, Reverse(troubles), row.i)
        }
        None => (Condition::Closed, false, Reverse(0), row.i),
    }
}
