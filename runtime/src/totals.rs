//! Totals of calls, counted without sharing a cache line between threads.
//!
//! Each thread takes a slot for its lifetime. In every instance (breaker, rate limit, bulkhead, retry), each slot has a line of counters
//! that only its thread writes, so that counting is a plain load and store. Threads without a slot share one set of counters, and count
//! with an atomic addition. An instance that belongs to a key has only the shared counters: such instances are numerous, and each is used
//! by few threads.

use std::{
    array,
    cell::Cell,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use once_cell::race::OnceBox;

/// A kind of count.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    Success,
    Failure,
    Ignored,
    Rejection,
    Cancelled,
    /// Async calls that began to wait.
    Waiting,
    /// Async calls that were answered after a wait.
    Answered,
}

/// The counts at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    counts: [u64; KINDS],
    /// The rejections of breakers that only observe. They are rare, so that the lines of counters have none of them.
    observed_rejections: u64,
}

impl Sums {
    pub(crate) const fn new() -> Self {
        Self { counts: [0; KINDS], observed_rejections: 0 }
    }

    pub(crate) const fn with_observed_rejections(self, observed_rejections: u64) -> Self {
        Self { observed_rejections, ..self }
    }

    pub(crate) const fn observed_rejections(self) -> u64 {
        self.observed_rejections
    }

    /// Increments a count.
    pub(crate) const fn increment(&mut self, count: Count) {
        self.counts[count as usize] = self.counts[count as usize].wrapping_add(1);
    }

    pub(crate) const fn get(self, count: Count) -> u64 {
        self.counts[count as usize]
    }

    #[cfg(feature = "keyed")]
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            counts: array::from_fn(|kind| self.counts[kind].wrapping_add(other.counts[kind])),
            observed_rejections: self.observed_rejections.wrapping_add(other.observed_rejections),
        }
    }
}

/// The totals of one instance: a line of counters for each slot, 4 KiB, allocated by the first count.
#[derive(Debug)]
pub(crate) struct Totals(PerThread<Line, Counters>);

const KINDS: usize = 7;

/// The counters of one slot, on a cache line of their own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line(Counters);

#[derive(Debug)]
struct Counters {
    counts: [AtomicU64; KINDS],
    /// About the median wait of the async calls that were answered, in microseconds; 0 before the first.
    usual_wait: AtomicU64,
}

impl Counters {
    const fn new() -> Self {
        Self { counts: [const { AtomicU64::new(0) }; KINDS], usual_wait: AtomicU64::new(0) }
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

impl Totals {
    pub(crate) const fn sharded() -> Self {
        Self(PerThread::new(true, Counters::new()))
    }

    #[cfg(feature = "keyed")]
    pub(crate) const fn unsharded() -> Self {
        Self(PerThread::new(false, Counters::new()))
    }

    /// Returns true if slots have lines of their own; false for the instances of keys.
    pub(crate) const fn is_sharded(&self) -> bool {
        self.0.sharded
    }

    /// Increments a counter and returns its previous value, which excludes the counts of other lines.
    #[inline]
    pub(crate) fn add(&self, count: Count) -> u64 {
        // Not `self.0.own()`, whose result is computed without a branch: that takes five instructions more.
        match self.0.lines.get().and_then(|lines| lines.get(SLOT.get())) {
            Some(Line(counters)) => {
                let counter = &counters.counts[count as usize];
                // ORDERING: Relaxed, and no read-modify-write: only this thread writes the counter, and nothing about other memory is
                // inferred from it. A slot passes from one thread to the next through a mutex.
                let before = counter.load(Ordering::Relaxed);
                counter.store(before.wrapping_add(1), Ordering::Relaxed);
                before
            }
            None => self.add_cold(count),
        }
    }

    /// The slow path of [`add`](Self::add), for the first count of an instance or a thread, and for every count in the shared counters.
    #[cold]
    fn add_cold(&self, count: Count) -> u64 {
        if self.0.own_or_assign().is_some() {
            return self.add(count);
        }
        // ORDERING: Relaxed: nothing else is inferred from the count.
        self.0.shared.counts[count as usize].fetch_add(1, Ordering::Relaxed)
    }

    /// Counts a call that was answered after it had waited for `wait` microseconds.
    pub(crate) fn add_answered(&self, wait: u64) {
        self.add(Count::Answered);
        let line = self.0.own().map_or(&self.0.shared, |Line(own)| own);
        // ORDERING: Relaxed: the value is an estimate. In the shared line, one of two concurrent updates can be lost.
        let usual = line.usual_wait.load(Ordering::Relaxed);
        // Steps of a sixteenth converge to the median: a single slow answer hardly changes it.
        let next = match usual {
            0 => wait.max(1),
            usual if wait > usual => usual + (usual / 16).max(1),
            usual if wait < usual => (usual - usual / 16).max(1),
            usual => usual,
        };
        line.usual_wait.store(next, Ordering::Relaxed);
    }

    /// Returns the usual wait of the calls that were answered, in microseconds: the mean of the threads' medians, weighted by the answers of
    /// each thread. `None` if no call was answered after a wait.
    pub(crate) fn usual_wait(&self) -> Option<u64> {
        let (mut sum, mut answers) = (0_u128, 0_u128);
        for Counters { counts, usual_wait } in self.counters() {
            let answered = u128::from(counts[Count::Answered as usize].load(Ordering::Relaxed));
            sum += u128::from(usual_wait.load(Ordering::Relaxed)) * answered;
            answers += answered;
        }
        u64::try_from(sum.checked_div(answers)?).ok()
    }

    /// Returns the sums over all threads. Counts that another thread is adding at the moment may be missing.
    pub(crate) fn sums(&self) -> Sums {
        let mut sums = Sums::new();
        for Counters { counts, .. } in self.counters() {
            for (sum, count) in sums.counts.iter_mut().zip(counts) {
                // ORDERING: Relaxed: each count is independent. A caller that needs exact sums joins the counting threads first.
                *sum = sum.wrapping_add(count.load(Ordering::Relaxed));
            }
        }
        sums
    }

    /// The counters of all slots that threads have had, and the shared ones. Most programs have fewer threads than there are slots.
    fn counters(&self) -> impl Iterator<Item = &Counters> {
        // ORDERING: Relaxed: a caller that joins the counting threads sees all slots. For others, the counts of a thread whose slot is new may
        // be missing for a moment, as any count may.
        let used = USED.load(Ordering::Relaxed);
        self.0.own_lines().take(used).map(|Line(own)| own).chain([&self.0.shared])
    }
}

/// A line for each slot, which only the thread of the slot writes, and a line that threads without a slot share.
#[derive(Debug)]
pub(crate) struct PerThread<L, S = L> {
    lines: OnceBox<[L; SLOTS]>,
    /// True if slots have lines of their own; false for the instances of keys, which have only the shared line.
    sharded: bool,
    shared: S,
}

/// The number of slots: more than most machines have cores. The slot of a thread that has ended is reused.
const SLOTS: usize = 64;

impl<L, S> PerThread<L, S> {
    pub(crate) const fn new(sharded: bool, line: S) -> Self {
        Self { lines: OnceBox::new(), sharded, shared: line }
    }

    /// The line of this thread. `None` if all threads use the shared line, if this thread does, and before the first use of
    /// [`own_or_assign`](Self::own_or_assign).
    #[inline]
    pub(crate) fn own(&self) -> Option<&L> {
        self.lines.get()?.get(SLOT.get())
    }

    pub(crate) const fn shared(&self) -> &S {
        &self.shared
    }

    /// The lines of all slots.
    pub(crate) fn own_lines(&self) -> impl Iterator<Item = &L> {
        self.lines.get().into_iter().flatten()
    }
}

impl<L> PerThread<L> {
    /// The lines of all slots, and the shared one.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &L> {
        self.own_lines().chain([&self.shared])
    }
}

impl<L: Default, S> PerThread<L, S> {
    /// The line of this thread, which is created if necessary; `None` if this thread uses the shared line.
    #[cold]
    pub(crate) fn own_or_assign(&self) -> Option<&L> {
        if !self.sharded {
            return None;
        }
        let lines = self.lines.get_or_init(|| Box::new(array::from_fn(|_| L::default())));
        if SLOT.get() == UNASSIGNED {
            take_slot();
        }
        lines.get(SLOT.get())
    }
}

/// The value of [`SLOT`] before the thread has requested a slot.
const UNASSIGNED: usize = usize::MAX;
/// The value of [`SLOT`] for a thread without a slot, since none was free or the thread is ending. It uses the shared counters.
const NO_SLOT: usize = usize::MAX - 1;

thread_local! {
    /// The slot of the thread. This thread-local has no destructor, so that counting works until the end of the thread.
    static SLOT: Cell<usize> = const { Cell::new(UNASSIGNED) };
    /// The guard that frees the slot when the thread ends.
    static LEASE: Cell<Option<Lease>> = const { Cell::new(None) };
}

/// The taken slots, as a bit set.
static TAKEN: Mutex<u64> = Mutex::new(0);
const _: () = assert!(SLOTS == u64::BITS as usize);

/// The number of slots that threads have had so far; they have the first ones.
static USED: AtomicUsize = AtomicUsize::new(0);

/// A guard that frees a slot.
struct Lease(u32);

impl Drop for Lease {
    fn drop(&mut self) {
        SLOT.set(NO_SLOT);
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) &= !(1 << self.0);
    }
}

/// Assigns a free slot to this thread, or [`NO_SLOT`] if there is none.
fn take_slot() {
    let slot = {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let free = (!*taken).trailing_zeros();
        if free < u64::BITS {
            *taken |= 1 << free;
            // ORDERING: Relaxed, as in `counters`.
            USED.fetch_max(free as usize + 1, Ordering::Relaxed);
        }
        free
    };
    SLOT.set(NO_SLOT);
    if slot == u64::BITS {
        return;
    }
    let lease = Lease(slot);
    // If the destructors of the thread have run already, the lease is dropped here, which frees the slot at once.
    if LEASE.try_with(|cell| cell.set(Some(lease))).is_ok() {
        SLOT.set(slot as usize);
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, sync::Barrier, thread};

    use super::*;

    #[test]
    fn counts_of_more_threads_than_slots_are_complete() {
        let totals = Totals::sharded();
        for _ in 0..2 {
            thread::scope(|scope| {
                for _ in 0..SLOTS + 10 {
                    scope.spawn(|| {
                        for _ in 0..100 {
                            totals.add(Count::Success);
                            totals.add(Count::Rejection);
                        }
                    });
                }
            });
        }
        let expected = 2 * (SLOTS as u64 + 10) * 100;
        assert_eq!(totals.sums().get(Count::Success), expected);
        assert_eq!(totals.sums().get(Count::Rejection), expected);
        assert_eq!(totals.sums().get(Count::Failure), 0);
    }

    #[test]
    fn no_two_threads_have_the_same_slot() {
        let barrier = Barrier::new(8);
        let slots: Vec<_> = thread::scope(|scope| {
            let take = || {
                Totals::sharded().add(Count::Success);
                barrier.wait();
                SLOT.get()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().expect("the thread does not panic")).collect()
        });
        // Other tests may hold all slots at the moment.
        let taken: Vec<_> = slots.iter().filter(|slot| **slot < SLOTS).collect();
        assert_eq!(taken.iter().collect::<HashSet<_>>().len(), taken.len(), "{slots:?}");
    }

    #[test]
    fn a_slot_is_not_used_after_it_was_returned() {
        thread::spawn(|| {
            Totals::sharded().add(Count::Success);
            assert_ne!(SLOT.get(), UNASSIGNED);
            drop(LEASE.take());
            assert_eq!(SLOT.get(), NO_SLOT);
        })
        .join()
        .expect("the thread does not panic");
    }

    #[test]
    fn counting_works_in_a_thread_local_destructor() {
        static TOTALS: Totals = Totals::sharded();
        struct CountOnDrop;
        impl Drop for CountOnDrop {
            fn drop(&mut self) {
                TOTALS.add(Count::Ignored);
            }
        }
        thread_local!(static LAST: Cell<Option<CountOnDrop>> = const { Cell::new(None) });

        for _ in 0..3 {
            thread::spawn(|| {
                LAST.set(Some(CountOnDrop));
                TOTALS.add(Count::Success);
            })
            .join()
            .expect("the thread does not panic");
        }
        assert_eq!(TOTALS.sums().get(Count::Success), 3);
        assert_eq!(TOTALS.sums().get(Count::Ignored), 3);
    }
}
