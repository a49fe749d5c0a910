//! A FIFO semaphore for threads and tasks.
//!
//! A call holds one permit or several while it is in flight. The number of permits can change at any time; calls in flight keep theirs. A
//! call that does not find all of its permits waits in a queue. Threads and tasks share the queue, which is strictly fair: a waiter gets its
//! permits before any call that arrived after it. So a call for many permits is not starved by calls for few.
//!
//! The permits in use and the number of waiters share one word, so that one compare-and-swap decides about both:
//!
//! | bits | field | meaning |
//! | --- | --- | --- |
//! | 0..32 | `in_use` | permits that are held by calls, or handed to waiters that have not run yet |
//! | 32..64 | `waiting` | the length of the queue |
//!
//! | word | `try_acquire` | `release` |
//! | --- | --- | --- |
//! | `waiting == 0`, enough permits free | takes its permits: one compare-and-swap | returns them: one subtraction |
//! | `waiting == 0`, too few free | fails; `acquire` joins the queue, under its lock | returns them: one subtraction |
//! | `waiting > 0` | fails; `acquire` joins the queue, under its lock | returns them: one subtraction; then, under the lock of the queue, admits the first waiters while there are enough permits for the first |
//!
//! A waiter is in one of three states: `Waiting`, with the waker of its last poll, `Admitted`, when it holds its permits, or `Rejected`, when
//! the number of permits has become smaller than the number that it waits for. A waiter that gives up takes itself out of the queue; if it
//! was admitted in the meantime, it returns its permits. If it was the first, the next waiters may be admitted or rejected.
//!
//! **Invariant:** `waiting` changes only under the lock of the queue, and equals its length. While it is not zero, permits that become free
//! are handed to the first waiter, and no other call gets one. So no waiter is overtaken, and no permit is lost between a release and a
//! waiter.

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

#[derive(Debug)]
pub(super) struct Semaphore {
    permits: AtomicU32,
    /// A packed [`Usage`].
    usage: AtomicU64,
    queue: Mutex<VecDeque<Arc<Waiter>>>,
}

/// The unpacked word: the permits in use and the length of the queue at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) in_use: u32,
    pub(super) waiting: u32,
}

impl Usage {
    const fn unpack(word: u64) -> Self {
        // The truncation selects the lower half of the word.
        #[allow(clippy::cast_possible_truncation)]
        Self { in_use: word as u32, waiting: (word >> 32) as u32 }
    }

    const fn pack(self) -> u64 {
        (self.waiting as u64) << 32 | self.in_use as u64
    }

    /// Returns the usage after a call has taken `taken` of the permits; `None` if they are not all free, or if calls wait.
    #[inline]
    const fn acquired(self, taken: u32, permits: u32) -> Option<Self> {
        if self.waiting == 0 { self.with_in_use(taken, permits) } else { None }
    }

    /// Returns the usage with `taken` more of the permits in use; `None` if they are not all free.
    #[inline]
    const fn with_in_use(self, taken: u32, permits: u32) -> Option<Self> {
        // In 64 bits, the sum does not overflow.
        if self.in_use as u64 + taken as u64 <= permits as u64 {
            Some(Self { in_use: self.in_use + taken, ..self })
        } else {
            None
        }
    }

    /// Returns the usage after a waiter has left the queue.
    const fn without_waiter(self) -> Self {
        Self { waiting: self.waiting.saturating_sub(1), ..self }
    }
}

/// A call in the queue.
#[derive(Debug)]
pub(super) struct Waiter {
    /// The number of permits that it waits for.
    permits: u32,
    state: Mutex<WaiterState>,
}

#[derive(Debug)]
enum WaiterState {
    Waiting(Waker),
    /// Holds its permits.
    Admitted,
    /// Waits for more permits than there are.
    Rejected,
}

/// The result of an attempt to take permits or to wait for them.
#[derive(Debug)]
pub(super) enum Acquisition<'s> {
    /// The call holds its permits.
    Admitted,
    /// The call waits in the queue.
    Queued(Acquire<'s>),
    /// Too many calls wait.
    QueueFull,
    /// The call needs more permits than there are.
    ExceedsPermits,
}

impl Waiter {
    fn state(&self) -> MutexGuard<'_, WaiterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Semaphore {
    /// Takes its parts as arguments, since loom's constructors are not `const`: `usage` is 0, and `queue` is empty.
    pub(super) const fn from_parts(permits: AtomicU32, usage: AtomicU64, queue: Mutex<VecDeque<Arc<Waiter>>>) -> Self {
        Self { permits, usage, queue }
    }

    #[inline]
    pub(super) fn permits(&self) -> u32 {
        // ORDERING: Relaxed: a caller that reads the old number is admitted or queued by it. If a queue could advance by the new one,
        // `set_permits` advances it: after the store, and under the lock under which callers join the queue.
        self.permits.load(Ordering::Relaxed)
    }

    /// Changes the number of permits. Calls in flight keep theirs; waiters are admitted if there are more.
    pub(super) fn set_permits(&self, permits: u32) {
        // ORDERING: Relaxed, as in `permits`.
        self.permits.store(permits, Ordering::Relaxed);
        self.admit_waiters();
    }

    #[inline]
    pub(super) fn usage(&self) -> Usage {
        // ORDERING: Relaxed: two numbers of one moment, from which nothing is inferred about other memory.
        Usage::unpack(self.usage.load(Ordering::Relaxed))
    }

    /// Takes permits, if they are free and no call waits. Returns true if it took them.
    #[inline]
    pub(super) fn try_acquire(&self, taken: u32) -> bool {
        let permits = self.permits();
        self.update(|usage| usage.acquired(taken, permits))
    }

    /// Takes permits, or joins the queue if fewer than `max_queue` calls wait.
    pub(super) fn acquire(&self, taken: u32, max_queue: u32) -> Acquisition<'_> {
        let mut queue = self.queue();
        let permits = self.permits();
        if taken > permits {
            return Acquisition::ExceedsPermits;
        }
        let queued = |usage: Usage| {
            let waiting = usage.waiting.checked_add(1)?;
            (waiting <= max_queue).then_some(Usage { waiting, ..usage })
        };
        if !self.update(|usage| usage.acquired(taken, permits).or_else(|| queued(usage))) {
            return Acquisition::QueueFull;
        }
        // If the number of waiters, which only changes under the lock of the queue, is the same as before, the caller took its permits.
        if self.usage().waiting as usize == queue.len() {
            return Acquisition::Admitted;
        }
        let state = Mutex::new(WaiterState::Waiting(Waker::noop().clone()));
        let waiter = Arc::new(Waiter { permits: taken, state });
        queue.push_back(waiter.clone());
        Acquisition::Queued(Acquire { semaphore: self, waiter: Some(waiter) })
    }

    /// Returns permits. If calls wait, they are handed to the first of them.
    #[inline]
    pub(super) fn release(&self, returned: u32) {
        // `in_use` is in the lower half of the word, and at least `returned`, so the subtraction does not change `waiting`.
        // ORDERING: Release pairs with the Acquire in `update`.
        if Usage::unpack(self.usage.fetch_sub(returned.into(), Ordering::Release)).waiting > 0 {
            self.admit_waiters();
        }
    }

    /// Hands free permits to the first waiters, and wakes them after the lock is released. A waiter for more permits than there are is
    /// rejected.
    #[cold]
    fn admit_waiters(&self) {
        let (mut queue, permits, mut wakers) = (self.queue(), self.permits(), Vec::new());
        while let Some(first) = queue.front() {
            let taken = first.permits;
            let state = if taken > permits {
                self.update(|usage| Some(usage.without_waiter()));
                WaiterState::Rejected
            } else if self.update(|usage| usage.with_in_use(taken, permits).map(Usage::without_waiter)) {
                WaiterState::Admitted
            } else {
                break;
            };
            let Some(waiter) = queue.pop_front() else { break };
            if let WaiterState::Waiting(waker) = mem::replace(&mut *waiter.state(), state) {
                wakers.push(waker);
            }
        }
        drop(queue);
        for waker in wakers {
            contain(|| waker.wake());
        }
    }

    /// Replaces the usage by the result of `next`, and returns true. If `next` returns `None`, changes nothing and returns false.
    #[inline]
    fn update(&self, next: impl Fn(Usage) -> Option<Usage>) -> bool {
        // ORDERING: Acquire and Release: a caller that takes a permit sees what was done under it before, as with a lock.
        self.usage
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |word| next(Usage::unpack(word)).map(Usage::pack))
            .is_ok()
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Arc<Waiter>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A future that is ready when the wait is over: with true when the call holds its permits, which the caller then has to release, or with
/// false if it was rejected. If it is dropped before, it leaves the queue and releases the permits that it was handed.
#[derive(Debug)]
pub(super) struct Acquire<'s> {
    semaphore: &'s Semaphore,
    /// `None` once it is ready or cancelled.
    waiter: Option<Arc<Waiter>>,
}

impl Acquire<'_> {
    /// Leaves the queue. Returns true if the waiter has been admitted; the caller then has to release the permits.
    pub(super) fn cancel(&mut self) -> bool {
        self.leave().is_some()
    }

    /// Leaves the queue. Returns the number of permits to release if the waiter has been admitted.
    fn leave(&mut self) -> Option<u32> {
        let waiter = self.waiter.take()?;
        let mut queue = self.semaphore.queue();
        let Some(index) = queue.iter().position(|other| Arc::ptr_eq(other, &waiter)) else {
            return matches!(*waiter.state(), WaiterState::Admitted).then_some(waiter.permits);
        };
        queue.remove(index);
        self.semaphore.update(|usage| Some(usage.without_waiter()));
        drop(queue);
        // The next waiter may need fewer permits than this one, or more than there are.
        if index == 0 {
            self.semaphore.admit_waiters();
        }
        None
    }
}

impl Future for Acquire<'_> {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<bool> {
        let Some(waiter) = &self.waiter else { return Poll::Ready(false) };
        // The waker of the previous poll is dropped after the lock is released: dropping it may drop a task that waits here as well.
        let mut latest = context.waker().clone();
        let is_admitted = match &mut *waiter.state() {
            WaiterState::Waiting(waker) => {
                mem::swap(waker, &mut latest);
                return Poll::Pending;
            }
            WaiterState::Admitted => true,
            WaiterState::Rejected => false,
        };
        self.waiter = None;
        Poll::Ready(is_admitted)
    }
}

impl Drop for Acquire<'_> {
    fn drop(&mut self) {
        if let Some(permits) = self.leave() {
            self.semaphore.release(permits);
        }
    }
}
