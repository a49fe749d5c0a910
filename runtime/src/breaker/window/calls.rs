//! The count-based window of exactly the last `n` calls, as a value.
//!
//! The calls of an epoch are numbered. A failed or slow call is stored with its number, which is the number of calls so far; a success is
//! only counted. The window holds the calls with the last `n` numbers, so that a success enters and leaves it without a write.

use std::collections::VecDeque;

use super::{Counts, Record};

/// The largest size of a window.
pub(crate) const MAX_CALLS: u32 = 1 << 20;

/// The window described in the module documentation. An entry takes 16 bytes.
#[derive(Debug, Default)]
pub(crate) struct CallsWindow {
    /// The size of the window; 0 while this kind of window is not in use.
    size: u32,
    /// The number of the last excluded call: the calls up to this number are not in the window, whatever its size.
    floor: u64,
    /// The failed and slow calls above the floor with their numbers, oldest first.
    entries: VecDeque<(u64, Record)>,
    /// The counts of the entries.
    held: Counts,
}

impl CallsWindow {
    /// An empty window of the same size, whose calls are numbered from 1.
    pub(crate) fn emptied(&self) -> Self {
        Self { size: self.size, ..Self::default() }
    }

    /// Applies a changed size after the call `last`; 0 if this kind of window is not in use.
    ///
    /// A window that grows starts with the calls of the smaller one: older failures are no longer stored, so older successes are excluded,
    /// too. A window that was not in use had the size 0, so it starts empty.
    pub(crate) fn apply_settings(&mut self, last: u64, size: u32) {
        self.exclude(last, self.size);
        self.size = size;
    }

    /// Records a failed or slow call with the number `last`.
    pub(crate) fn record(&mut self, record: Record, last: u64) {
        self.entries.push_back((last, record));
        self.held.add(record, 1);
    }

    /// The counts of the last `size` calls after the call `last`. While the settings change, `size` can be the old or the new one.
    pub(crate) fn counts(&mut self, last: u64, size: u32) -> Counts {
        self.exclude(last, size);
        Counts { calls: last.saturating_sub(self.floor), ..self.held }
    }

    /// Excludes all but the last `size` calls.
    fn exclude(&mut self, last: u64, size: u32) {
        let floor = self.floor.max(last.saturating_sub(u64::from(size)));
        while let Some((_, record)) = self.entries.pop_front_if(|(number, _)| *number <= floor) {
            self.held.remove(record);
        }
        self.floor = floor;
    }
}
