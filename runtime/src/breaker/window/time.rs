//! The calls of the last so many seconds, in parts.
//!
//! Calls are counted since the epoch began, and never taken off again. Where a part begins, with the first call after the one
//! before it is over, a mark notes what was counted until then: so what a window holds is what was counted since the first
//! mark in it. A part is a sixteenth of the window. So nothing older than the window counts, and what is up to a sixteenth of it
//! younger may have left; the first call of a part leaves exactly in time.
//!
//! A mark is a moment and says nothing of the window's length. So under another length what was counted stays, as far as it lies
//! in the window then.
//!
//! Another clock, which is behind all marks, begins with none.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{Counts, Record, count, counted, order_by_rmw, retag};
use crate::{breaker::state::atomic::AtomicCell, clock};

/// See the module. Takes 32 bytes for each mark.
#[derive(Debug, Default)]
pub(super) struct TimeWindow<A = AtomicU64> {
    // With the tag of the epoch each.
    calls: A,
    failed: A,
    slow: A,
    /// When the part began that calls are counted in. Before the first of an epoch it is the epoch's number: as a moment, that was
    /// long ago.
    part: A,
    marks: Mutex<Marks>,
}

#[derive(Debug, Default)]
struct Marks {
    epoch: u32,
    /// The latest last.
    marks: VecDeque<Mark>,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    at: u64,
    /// What was counted before.
    before: Counts,
}

/// A window has this many parts.
const PARTS: u64 = 16;

impl<A: AtomicCell> TimeWindow<A> {
    pub(super) fn begin(&self, epoch: u32) {
        for cell in [&self.calls, &self.failed, &self.slow] {
            retag(cell, epoch);
        }
        *self.marks() = Marks { epoch, marks: VecDeque::new() };
        self.begin_before(epoch);
    }

    /// Empties it, in the same epoch: the next call sets the first mark.
    pub(super) fn forget(&self) {
        let epoch = {
            let mut marks = self.marks();
            marks.marks.clear();
            marks.epoch
        };
        self.begin_before(epoch);
    }

    /// Puts the beginning of the part long ago, so that the next call looks at the marks.
    fn begin_before(&self, epoch: u32) {
        // After the marks: who sees this number finds the epoch there. A straggler that has set a mark before does not see it.
        // ORDERING: AcqRel: an exchange, not a store, so that it comes after what a straggler has exchanged.
        let mut found = self.part.load(Ordering::Relaxed);
        while let Err(changed) =
            self.part.compare_exchange_weak(found, u64::from(epoch), Ordering::AcqRel, Ordering::Relaxed)
        {
            found = changed;
        }
    }

    pub(super) fn record(&self, record: Record, epoch: u32, window: u64, now: impl Fn() -> u64) {
        let read = now();
        // ORDERING: Relaxed: the number only says when to look at the marks, and a transition publishes it.
        let part = self.part.load(Ordering::Relaxed);
        if read.saturating_sub(part) >= length(window) || clock::is_different_clock(read, part, &now) {
            self.begin_part(part, epoch, window, read, &now);
        }
        // Calls before failures, and read the other way round: a share is never read too high.
        for (cell, counts) in [(&self.calls, true), (&self.failed, record.failed), (&self.slow, record.slow)] {
            if counts {
                _ = count(cell, epoch);
            }
        }
        if record.is_held_against() {
            order_by_rmw(&self.calls);
        }
    }

    pub(super) fn counts(&self, epoch: u32, window: u64, now: impl Fn() -> u64) -> Counts {
        let read = now();
        let mark = {
            let guard = self.marks();
            let Marks { epoch: of, marks } = &*guard;
            let is_different_clock =
                marks.back().is_some_and(|latest| clock::is_different_clock(read, latest.at, &now));
            let is_held = |mark: &&Mark| *of == epoch && !is_different_clock && mark.is_in(window, read);
            marks.iter().find(is_held).copied()
        };
        let Some(Mark { before, .. }) = mark else { return Counts::default() };
        let (slow, failed) = (counted(&self.slow, epoch), counted(&self.failed, epoch));
        let (Some(slow), Some(failed), Some(calls)) = (slow, failed, counted(&self.calls, epoch)) else {
            return Counts::default();
        };
        Counts {
            calls: calls.saturating_sub(before.calls),
            failed: failed.saturating_sub(before.failed),
            slow: slow.saturating_sub(before.slow),
        }
    }

    /// Sets a mark, unless another thread has just done so. `part` is what was seen to be over.
    #[cold]
    fn begin_part(&self, part: u64, epoch: u32, window: u64, read: u64, now: impl Fn() -> u64) {
        let counted = [&self.calls, &self.failed, &self.slow].map(|cell| counted(cell, epoch));
        let [Some(calls), Some(failed), Some(slow)] = counted else { return };
        let before = Counts { calls, failed, slow };
        let Some(begun) = self.marks().begin_part(epoch, window, Mark { at: read, before }, now) else { return };
        // ORDERING: AcqRel, as in `begin`. If it is another by now, or fails for no reason, the next call looks at the marks again.
        _ = self.part.compare_exchange_weak(part, begun, Ordering::AcqRel, Ordering::Relaxed);
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Marks {
    /// Gives when the latest part began: with this mark, if the one before it is over. `None` if the epoch is over.
    fn begin_part(&mut self, epoch: u32, window: u64, mark: Mark, now: impl Fn() -> u64) -> Option<u64> {
        if self.epoch != epoch {
            return None;
        }
        if let Some(latest) = self.marks.back().copied() {
            if clock::is_different_clock(mark.at, latest.at, now) {
                self.marks.clear();
            } else if mark.at.saturating_sub(latest.at) < length(window) {
                return Some(latest.at);
            }
        }
        while self.marks.pop_front_if(|first| !first.is_in(window, mark.at)).is_some() {}
        self.marks.push_back(mark);
        Some(mark.at)
    }
}

impl Mark {
    /// Whether the part that it begins is in the window.
    const fn is_in(&self, window: u64, now: u64) -> bool {
        now.saturating_sub(self.at) < window
    }
}

/// How long a part is at least, in microseconds.
const fn length(window: u64) -> u64 {
    let length = window / PARTS;
    if length == 0 { 1 } else { length }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: u64 = 16_000_000;
    const NOW: u64 = 1 << 62;
    const HOUR: u64 = 3_600_000_000;

    fn record(window: &TimeWindow, now: u64) {
        window.record(Record { failed: true, slow: false }, 0, WINDOW, || now);
    }

    fn failed(window: &TimeWindow, now: u64) -> u64 {
        window.counts(0, WINDOW, || now).failed
    }

    #[test]
    fn by_another_clock_it_is_empty() {
        let window = TimeWindow::default();
        // It ends up in the future, and has been where the other one will be.
        for moved in [0, 5_000_000, HOUR] {
            record(&window, NOW + moved);
        }
        for now in [NOW, NOW + 5_000_000] {
            assert_eq!(failed(&window, now), 0, "looking, it is empty already");
        }
        assert_eq!(failed(&window, NOW + HOUR), 1, "and looking changes nothing");
        record(&window, NOW);
        assert_eq!(failed(&window, NOW), 1);
        record(&window, NOW + 5_000_000);
        assert_eq!(failed(&window, NOW + 5_000_000), 2);
        assert_eq!(failed(&window, NOW + WINDOW - 1), 2);
        assert_eq!(failed(&window, NOW + WINDOW), 1, "the first has left exactly in time");
        assert_eq!(failed(&window, NOW + WINDOW + 5_000_000), 0);
        assert_eq!(failed(&window, NOW + HOUR), 0, "nothing has stayed of the first clock");
    }

    #[test]
    fn a_thread_that_is_late_is_no_other_clock() {
        let window = TimeWindow::default();
        record(&window, NOW);
        record(&window, NOW + WINDOW / 2);
        // It had read the clock before, and reads it again.
        let readings = [NOW + 1_000, NOW + WINDOW / 2 + 1_000].map(AtomicU64::new);
        let read = std::cell::Cell::new(0);
        let late = || readings[read.replace(1)].load(Ordering::Relaxed);
        window.record(Record { failed: true, slow: false }, 0, WINDOW, late);
        assert_eq!(failed(&window, NOW + WINDOW / 2 + 1_000), 3);
        assert_eq!(failed(&window, NOW + WINDOW), 2, "it counts at the moment at which it was recorded");
    }

    #[test]
    fn a_day_of_ten_thousand_million_calls_keeps_its_share() {
        const DAY: u64 = 24 * HOUR;
        let window = TimeWindow::default();
        record(&window, NOW);
        // So many calls have been made since, of which one in five has failed.
        window.calls.store(10_000_000_000, Ordering::Relaxed);
        window.failed.store(2_000_000_000, Ordering::Relaxed);
        window.record(Record { failed: true, slow: false }, 0, DAY, || NOW + HOUR);
        let counts = window.counts(0, DAY, || NOW + HOUR);
        assert_eq!(counts, Counts { calls: 10_000_000_001, failed: 2_000_000_001, slow: 0 });
    }

    #[test]
    fn nothing_of_an_epoch_is_left_in_another() {
        let window = TimeWindow::default();
        record(&window, NOW);
        for epoch in [1, 4_095, u32::MAX] {
            window.begin(epoch);
            assert_eq!(window.counts(epoch, WINDOW, || NOW), Counts::default(), "{epoch}");
            window.record(Record { failed: false, slow: true }, epoch, WINDOW, || NOW);
            let expected = Counts { calls: 1, failed: 0, slow: 1 };
            assert_eq!(window.counts(epoch, WINDOW, || NOW), expected, "{epoch}");
            record(&window, NOW);
            assert_eq!(window.counts(epoch, WINDOW, || NOW), expected, "{epoch}: a straggler leaves nothing");
        }
    }

    #[test]
    fn another_length_keeps_what_lies_in_it() {
        const SECOND: u64 = 1_000_000;
        let window: TimeWindow = TimeWindow::default();
        let record = |length, seconds| {
            window.record(Record { failed: true, slow: false }, 0, length * SECOND, || NOW + seconds * SECOND);
        };
        let failed = |length, seconds| window.counts(0, length * SECOND, || NOW + seconds * SECOND).failed;
        for second in 0..60 {
            record(60, second);
        }
        assert_eq!([failed(60, 59), failed(90, 59)], [60, 60]);
        // A part has 3.75 s: every fourth call begins one, and the one after second 56 is the only in the last 5 s.
        assert_eq!(failed(5, 59), 4);
        for second in 60..90 {
            record(90, second);
        }
        assert_eq!(failed(90, 89), 90);
        assert_eq!(failed(60, 89), 58, "those after second 29, in whole parts");
    }

    #[test]
    fn it_takes_no_more_room_the_longer_it_is_used() {
        let window = TimeWindow::default();
        for step in 0..100_000 {
            record(&window, NOW + step * 1_000_000);
        }
        assert!(window.marks().marks.len() <= 17);
        assert!(window.marks().marks.capacity() <= 32);
    }

    proptest! {
        /// Whatever clocks it has met: what one has recorded since it came is there while it has to be, and then no longer.
        #[test]
        fn no_clock_makes_it_stand_still(
            steps in prop::collection::vec((prop::option::weighted(0.3, 0_u64..2 * HOUR), 0_u64..2_000_000), 1..60),
        ) {
            let window = TimeWindow::default();
            // What was recorded since the clock was put back.
            let (mut now, mut latest, mut own) = (NOW, NOW, Vec::new());
            for (other_clock, passed) in steps {
                now = other_clock.map_or(now, |ahead| NOW + ahead) + passed;
                if now < latest {
                    own.clear();
                }
                // One that is behind by less than a part may be the same.
                let is_plain = now >= latest || now + WINDOW / 16 + 10_000 < latest;
                latest = now;
                record(&window, now);
                own.push(now);
                if !is_plain {
                    break;
                }
                let since = |ago: u64| own.iter().filter(|at| **at > now.saturating_sub(ago)).count() as u64;
                let counted = failed(&window, now);
                prop_assert!((since(WINDOW / 16 * 15)..=since(WINDOW)).contains(&counted), "{counted} of {own:?} at {now}");
            }
            prop_assert_eq!(failed(&window, now + WINDOW + WINDOW / 16 + 10_000), 0);
        }
    }
}
