//! Who gets in, and who waits: places, and a queue that threads and tasks share.
//!
//! The numbers of places taken and of those who wait are one word. As long as nobody waits, coming and going is one
//! compare-and-swap; who waits stands in a queue under a lock.
//!
//! **Invariant:** the number of those who wait changes only under the lock of the queue, and is its length. While it is not zero,
//! a place that gets free is handed to the first in the queue, and nobody else gets in. So nobody is overtaken, and no place is
//! lost between two of them.

use std::{
    collections::VecDeque,
    future::Future,
    mem,
    pin::Pin,
    sync::PoisonError,
    task::{Context, Poll, Waker},
};

use super::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicU32, AtomicU64, Ordering},
};
use crate::panics::contain;

/// Places taken, and who waits for one.
#[derive(Debug)]
pub(super) struct Semaphore {
    places: AtomicU32,
    word: AtomicU64,
    queue: Mutex<VecDeque<Arc<Waiter>>>,
}

/// The two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) taken: u32,
    pub(super) waiting: u32,
}

impl Load {
    const fn of(word: u64) -> Self {
        // Truncation is what unpacks.
        #[allow(clippy::cast_possible_truncation)]
        Self { taken: word as u32, waiting: (word >> 32) as u32 }
    }

    const fn word(self) -> u64 {
        (self.waiting as u64) << 32 | self.taken as u64
    }

    /// With one more place taken, if there is one and nobody waits for it.
    const fn entered(self, places: u32) -> Option<Self> {
        if self.waiting == 0 && self.taken < places { Some(Self { taken: self.taken + 1, ..self }) } else { None }
    }
}

/// One who waits.
#[derive(Debug)]
pub(super) struct Waiter(Mutex<WaiterState>);

#[derive(Debug)]
enum WaiterState {
    Waits(Waker),
    /// Has a place.
    Admitted,
}

impl Waiter {
    fn turn(&self) -> MutexGuard<'_, WaiterState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Semaphore {
    /// A gate with these places, none of which is taken (0), and an empty queue.
    pub(super) const fn of(places: AtomicU32, none: AtomicU64, queue: Mutex<VecDeque<Arc<Waiter>>>) -> Self {
        Self { places, word: none, queue }
    }

    #[inline]
    pub(super) fn places(&self) -> u32 {
        // ORDERING: Relaxed: who sees the old number gets in or waits by that. A queue that could move on by a new one is looked
        // at by `set_places`, after it and under the lock under which callers get into the queue.
        self.places.load(Ordering::Relaxed)
    }

    /// Other places from now on. Where there are fewer, those inside stay; where there are more, who waits gets in.
    pub(super) fn set_places(&self, places: u32) {
        // ORDERING: Relaxed, as above.
        self.places.store(places, Ordering::Relaxed);
        self.admit(self.queue());
    }

    #[inline]
    pub(super) fn load(&self) -> Load {
        // ORDERING: Relaxed: two numbers of one moment, from which nothing is inferred about other memory.
        Load::of(self.word.load(Ordering::Relaxed))
    }

    /// Takes a place if there is one.
    #[inline]
    pub(super) fn try_enter(&self) -> bool {
        let places = self.places();
        self.step(|load| load.entered(places)).is_some()
    }

    /// Takes a place, or one in the queue.
    pub(super) fn enter(&self) -> Option<Waiting<'_>> {
        let mut queue = self.queue();
        let places = self.places();
        let queued = |load: Load| Load { waiting: load.waiting.saturating_add(1), ..load };
        let load = self.step(|load| Some(load.entered(places).unwrap_or(queued(load))));
        // It got in if the number of those who wait is what it was.
        if load.is_none_or(|load| load.waiting as usize == queue.len()) {
            return None;
        }
        let waiter = Arc::new(Waiter(Mutex::new(WaiterState::Waits(Waker::noop().clone()))));
        queue.push_back(waiter.clone());
        Some(Waiting { semaphore: self, waiter: Some(waiter) })
    }

    /// Gives a place back, or on to the first in the queue.
    #[inline]
    pub(super) fn leave(&self) {
        let without = |load: Load| Load { taken: load.taken.saturating_sub(1), ..load };
        if self.step(|load| (load.waiting == 0).then(|| without(load))).is_none() {
            self.leave_to_next(without);
        }
    }

    #[cold]
    fn leave_to_next(&self, without: impl Fn(Load) -> Load) {
        let queue = self.queue();
        self.step(|load| Some(without(load)));
        self.admit(queue);
    }

    /// Gives free places to the first in the queue, and wakes them when the lock is gone.
    fn admit(&self, mut queue: MutexGuard<'_, VecDeque<Arc<Waiter>>>) {
        let (places, mut wakers) = (self.places(), Vec::new());
        let handed_over = |load: Load| {
            let Load { taken, waiting } = load;
            (waiting > 0 && taken < places).then(|| Load { taken: taken + 1, waiting: waiting - 1 })
        };
        while self.step(handed_over).is_some() {
            let Some(waiter) = queue.pop_front() else { break };
            if let WaiterState::Waits(waker) = mem::replace(&mut *waiter.turn(), WaiterState::Admitted) {
                wakers.push(waker);
            }
        }
        drop(queue);
        for waker in wakers {
            contain(|| waker.wake());
        }
    }

    /// Changes the numbers; what they are then, or `None` if there is no such step.
    #[inline]
    fn step(&self, next: impl Fn(Load) -> Option<Load>) -> Option<Load> {
        // ORDERING: Acquire and Release: who takes a place sees what was done by who left it, as under a lock.
        let step =
            self.word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |word| next(Load::of(word)).map(Load::word));
        step.ok().and_then(|before| next(Load::of(before)))
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Arc<Waiter>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue, until it has become one inside. Dropped before, it is given up.
#[derive(Debug)]
pub(super) struct Waiting<'g> {
    semaphore: &'g Semaphore,
    /// `None` once it is inside.
    waiter: Option<Arc<Waiter>>,
}

impl Waiting<'_> {
    /// Leaves the queue; true if it has a place by now, which then is the caller's.
    pub(super) fn end(&mut self) -> bool {
        let Some(waiter) = self.waiter.take() else { return false };
        let mut queue = self.semaphore.queue();
        let Some(index) = queue.iter().position(|other| Arc::ptr_eq(other, &waiter)) else { return true };
        queue.remove(index);
        self.semaphore.step(|load| Some(Load { waiting: load.waiting.saturating_sub(1), ..load }));
        false
    }
}

impl Future for Waiting<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(waiter) = &self.waiter else { return Poll::Ready(()) };
        // The waker of the poll before is dropped after the lock: that may drop a task that waits here as well.
        let mut own = context.waker().clone();
        {
            let mut turn = waiter.turn();
            if let WaiterState::Waits(waker) = &mut *turn {
                mem::swap(waker, &mut own);
                return Poll::Pending;
            }
        }
        self.waiter = None;
        Poll::Ready(())
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.end() {
            self.semaphore.leave();
        }
    }
}
