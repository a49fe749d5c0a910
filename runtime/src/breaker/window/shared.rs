//! The window as threads share it: the counts of successes, and all else under a lock.
//!
//! A success is counted in a cell of its thread, by a load and a store. A failed or slow call takes the lock, and adds the successes of all
//! threads to the calls that were recorded under the lock; the sum is the number of calls so far. One thread thus numbers its calls exactly.
//! A success that another thread records at the same moment may or may not be in the sum.
//!
//! Of two threads that concurrently record failed calls, the second sees both. A rate is never read too high: a thread that sees a failed call
//! under the lock also sees the successes before it.
//!
//! Each cell carries a tag of its epoch, and counts as zero in another epoch. A reset, under the lock, stores the new tag in all cells. If a
//! thread is suspended in the middle of a record, its store replaces the new tag by the old one, so the cell still counts as zero; the next
//! success of the thread starts the count of the new epoch.

use std::sync::PoisonError;

use once_cell::race::OnceBox;

use super::{
    Counts, PerThread, Record, WindowSize,
    calls::CallsWindow,
    clock,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::{TimeWindow, has_ended},
};

/// A sliding window. Only the kind that the settings select is in use.
#[derive(Debug)]
pub(crate) struct Window {
    successes: Successes,
    /// The start of the current bucket of a time-based window; 0 before the first. It is written under the lock.
    bucket_start: AtomicU64,
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    epoch: u32,
    /// The failed and slow calls of the epoch.
    adverse: Counts,
    calls: CallsWindow,
    time: TimeWindow,
}

/// The minimum length of a time-based window whose successes read the coarse clock, in microseconds.
const COARSE_LIMIT: u64 = 1_000_000;

impl Window {
    /// Creates an empty window for the calls of `epoch`. Threads have cells of their own if it is `sharded`, and share one otherwise.
    pub(crate) fn new(epoch: u32, size: WindowSize, sharded: bool) -> Self {
        let window = Self {
            successes: Successes(PerThread::new(sharded, AtomicU64::new(0))),
            bucket_start: AtomicU64::new(0),
            shared: Mutex::new(Shared::default()),
        };
        window.reset(epoch);
        window.apply_settings(Some(size));
        window
    }

    /// Empties the window for the calls of `epoch`. The caller holds the lock of transitions.
    pub(crate) fn reset(&self, epoch: u32) {
        let mut shared = self.lock();
        *shared = Shared { epoch, calls: shared.calls.emptied(), ..Shared::default() };
        self.successes.reset(epoch);
        self.store_bucket_start(0);
    }

    /// Applies a changed size; `None` without a window. A size of the same kind keeps the counts. A kind that is not in use is cleared:
    /// otherwise, when used again, it would contain old failures without the successes since.
    pub(crate) fn apply_settings(&self, size: Option<WindowSize>) {
        let mut shared = self.lock();
        let last = shared.total(self.successes.count(shared.epoch)).calls;
        shared.calls.apply_settings(last, if let Some(WindowSize::Calls(calls)) = size { calls } else { 0 });
        if !matches!(size, Some(WindowSize::Time(_))) {
            shared.time = TimeWindow::default();
            self.store_bucket_start(0);
        }
    }

    /// Records a success that was admitted in `epoch`. Changes no counts of another epoch. `coarse` reads a clock whose readings can be late,
    /// `now` the exact clock.
    #[inline]
    pub(crate) fn record_success(
        &self,
        epoch: u32,
        size: WindowSize,
        coarse: impl FnOnce() -> u64,
        now: impl Fn() -> u64,
    ) {
        match size {
            WindowSize::Calls(_) => self.successes.add(epoch),
            WindowSize::Time(time) => self.record_success_at(epoch, time, coarse, now),
        }
    }

    /// Records a success in a time-based window. Inlined, its registers would add 1 ns to a success in a window of calls.
    #[inline(never)]
    fn record_success_at(&self, epoch: u32, time: u64, coarse: impl FnOnce() -> u64, now: impl Fn() -> u64) {
        let read = if time < COARSE_LIMIT { now() } else { coarse() };
        // ORDERING: Relaxed: the value only decides if the lock is taken, and a transition publishes that of a reset.
        let start = self.bucket_start.load(Ordering::Relaxed);
        if has_ended(start, time, read) || clock::is_different_clock(read, start, &now) {
            self.start_bucket(epoch, time, now);
        }
        self.successes.add(epoch);
    }

    /// Starts a bucket, unless another thread has just done so.
    #[cold]
    fn start_bucket(&self, epoch: u32, time: u64, now: impl FnOnce() -> u64) {
        let Some(mut shared) = self.lock_in(epoch) else { return };
        // The clock is read under the lock, so that the reading is not behind that of another thread.
        self.start_bucket_at(now(), &mut shared, self.successes.count(epoch), time);
    }

    /// Records a number of calls that were admitted in `epoch`, failed or slow, and returns the counts with them. Changes no counts of
    /// another epoch, and returns zero for it.
    pub(crate) fn record_adverse(
        &self,
        record: Record,
        number: u32,
        epoch: u32,
        size: WindowSize,
        now: impl FnOnce() -> u64,
    ) -> Counts {
        let Some(mut shared) = self.lock_in(epoch) else { return Counts::default() };
        let shared = &mut *shared;
        let successes = self.successes.count(epoch);
        match size {
            WindowSize::Calls(calls) => {
                for _ in 0..number {
                    shared.adverse.add(record, 1);
                    shared.calls.record(record, shared.total(successes).calls);
                }
                shared.calls.counts(shared.total(successes).calls, calls)
            }
            WindowSize::Time(time) => {
                let now = now();
                self.start_bucket_at(now, shared, successes, time);
                shared.adverse.add(record, number);
                shared.time.counts(shared.total(successes), time, now)
            }
        }
    }

    /// The counts of `epoch` in the window; zero if the window belongs to another epoch.
    pub(crate) fn counts(&self, epoch: u32, size: WindowSize, now: impl FnOnce() -> u64) -> Counts {
        let Some(mut shared) = self.lock_in(epoch) else { return Counts::default() };
        let total = shared.total(self.successes.count(epoch));
        match size {
            WindowSize::Calls(calls) => shared.calls.counts(total.calls, calls),
            WindowSize::Time(time) => shared.time.counts(total, time, now()),
        }
    }

    fn start_bucket_at(&self, now: u64, shared: &mut Shared, successes: u64, time: u64) {
        if shared.time.start_bucket(shared.total(successes), time, now) {
            self.store_bucket_start(now);
        }
    }

    fn store_bucket_start(&self, start: u64) {
        // ORDERING: Relaxed, as in `record_success`.
        self.bucket_start.store(start, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the window; `None` if it belongs to another epoch.
    fn lock_in(&self, epoch: u32) -> Option<MutexGuard<'_, Shared>> {
        let shared = self.lock();
        (shared.epoch == epoch).then_some(shared)
    }
}

impl Shared {
    /// The counts of the epoch.
    fn total(&self, successes: u64) -> Counts {
        Counts { calls: successes.saturating_add(self.adverse.calls), ..self.adverse }
    }
}

/// The successes of an epoch, in a cell for each thread, allocated by its first success, and a cell that threads without a slot share.
///
/// A cell holds a tag of its epoch and a count.
#[derive(Debug)]
struct Successes(PerThread<OnceBox<OwnCell>, AtomicU64>);

/// The cell of one slot, on a cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
struct OwnCell(AtomicU64);

/// The width of the tag, which is the lower bits of the epoch. A record that is suspended for a multiple of 4,096 transitions would be counted.
const TAG_BITS: u32 = 12;
/// The width of the count: 2⁵² calls are 14 years at ten million calls per second.
const COUNT_BITS: u32 = u64::BITS - TAG_BITS;

impl Successes {
    /// Counts a success of `epoch`.
    #[inline]
    fn add(&self, epoch: u32) {
        match self.0.own().and_then(OnceBox::get) {
            Some(OwnCell(cell)) => {
                // ORDERING: Relaxed, and no read-modify-write: only this thread and a reset write the cell, and a lost reset changes nothing
                // (see above). A thread that sees a later failure of this one through the lock also sees this count.
                let found = cell.load(Ordering::Relaxed);
                let count = count_in(found, epoch).unwrap_or(0);
                cell.store(tag(epoch) | count.wrapping_add(1), Ordering::Relaxed);
            }
            None => self.add_cold(epoch),
        }
    }

    /// The slow path of [`add`](Self::add), for the first success of a thread, and for every success in the shared cell.
    #[cold]
    fn add_cold(&self, epoch: u32) {
        if let Some(own) = self.0.own_or_assign() {
            own.get_or_init(|| Box::new(OwnCell(AtomicU64::new(0))));
            return self.add(epoch);
        }
        // ORDERING: Relaxed, as in `add`. The exchange fails after a reset, which makes the count that of another epoch.
        let cell = self.0.shared();
        let mut found = cell.load(Ordering::Relaxed);
        while let Some(count) = count_in(found, epoch) {
            let next = tag(epoch) | count.wrapping_add(1);
            match cell.compare_exchange_weak(found, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(changed) => found = changed,
            }
        }
    }

    /// The number of successes of `epoch`.
    fn count(&self, epoch: u32) -> u64 {
        // ORDERING: Relaxed, as in `add`.
        let count = |cell: &AtomicU64| count_in(cell.load(Ordering::Relaxed), epoch).unwrap_or(0);
        let own: u64 = self.0.own_lines().filter_map(OnceBox::get).map(|OwnCell(cell)| count(cell)).sum();
        own.saturating_add(count(self.0.shared()))
    }

    /// Sets all counts to those of `epoch`, zero.
    fn reset(&self, epoch: u32) {
        // ORDERING: Relaxed: the transition publishes the reset before a call of `epoch`.
        for OwnCell(cell) in self.0.own_lines().filter_map(OnceBox::get) {
            cell.store(tag(epoch), Ordering::Relaxed);
        }
        // An exchange and not a store: loom orders two exchanges, but not a store and a concurrent exchange.
        self.0.shared().swap(tag(epoch), Ordering::Relaxed);
    }
}

const fn tag(epoch: u32) -> u64 {
    (epoch as u64) << COUNT_BITS
}

/// The count of a cell; `None` if it belongs to another epoch.
#[inline]
const fn count_in(cell: u64, epoch: u32) -> Option<u64> {
    let count = cell ^ tag(epoch);
    if count >> COUNT_BITS == 0 { Some(count) } else { None }
}
