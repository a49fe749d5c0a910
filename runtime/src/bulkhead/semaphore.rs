//! A FIFO semaphore for threads and tasks.
//!
//! A call holds a permit while it is in flight. The number of permits can change at any time; calls in flight keep theirs. A call that
//! finds no permit waits in a queue. Threads and tasks share the queue, which is strictly fair: a waiter gets its permit before any call
//! that arrived after it.
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
//! | `waiting == 0`, `in_use < permits` | takes a permit: one compare-and-swap | returns it: one subtraction |
//! | `waiting == 0`, `in_use >= permits` | fails; `acquire` joins the queue, under its lock | returns it: one subtraction |
//! | `waiting > 0` | fails; `acquire` joins the queue, under its lock | returns it: one subtraction; then, under the lock of the queue, admits the first waiters while `in_use < permits` |
//!
//! A waiter is in one of two states: `Waiting`, with the waker of its last poll, or `Admitted`, when it holds a permit. A waiter that gives
//! up takes itself out of the queue; if it was admitted in the meantime, it returns its permit.
//!
//! **Invariant:** `waiting` changes only under the lock of the queue, and equals its length. While it is not zero, a permit that becomes
//! free is handed to the first waiter, and no other call gets one. So no waiter is overtaken, and no permit is lost between a release and a
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

    /// Returns the usage after a call has taken a permit; `None` if there is no permit or if calls wait for one.
    const fn acquired(self, permits: u32) -> Option<Self> {
        if self.waiting == 0 && self.in_use < permits { Some(Self { in_use: self.in_use + 1, ..self }) } else { None }
    }
}

/// A call in the queue.
#[derive(Debug)]
pub(super) struct Waiter(Mutex<WaiterState>);

#[derive(Debug)]
enum WaiterState {
    Waiting(Waker),
    /// Holds a permit.
    Admitted,
}

impl Waiter {
    fn state(&self) -> MutexGuard<'_, WaiterState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Takes a permit, if there is one and no call waits. Returns true if it took one.
    #[inline]
    pub(super) fn try_acquire(&self) -> bool {
        let permits = self.permits();
        self.update(|usage| usage.acquired(permits)).is_some()
    }

    /// Takes a permit and returns `None`, or joins the queue and returns the future that waits for a permit.
    pub(super) fn acquire(&self) -> Option<Acquire<'_>> {
        let mut queue = self.queue();
        let permits = self.permits();
        let queued = |usage: Usage| Usage { waiting: usage.waiting.saturating_add(1), ..usage };
        let usage = self.update(|usage| Some(usage.acquired(permits).unwrap_or(queued(usage))));
        // If the number of waiters has not changed, the caller took a permit.
        if usage.is_none_or(|usage| usage.waiting as usize == queue.len()) {
            return None;
        }
        let waiter = Arc::new(Waiter(Mutex::new(WaiterState::Waiting(Waker::noop().clone()))));
        queue.push_back(waiter.clone());
        Some(Acquire { semaphore: self, waiter: Some(waiter) })
    }

    /// Returns a permit. If calls wait, it is handed to the first of them.
    #[inline]
    pub(super) fn release(&self) {
        // `in_use` is in the lower half of the word, and at least 1, so the subtraction does not change `waiting`.
        // ORDERING: Release pairs with the Acquire in `update`.
        if Usage::unpack(self.usage.fetch_sub(1, Ordering::Release)).waiting > 0 {
            self.admit_waiters();
        }
    }

    /// Hands free permits to the first waiters, and wakes them after the lock is released.
    #[cold]
    fn admit_waiters(&self) {
        let (mut queue, permits, mut wakers) = (self.queue(), self.permits(), Vec::new());
        let handed_over = |usage: Usage| {
            let Usage { in_use, waiting } = usage;
            (waiting > 0 && in_use < permits).then(|| Usage { in_use: in_use + 1, waiting: waiting - 1 })
        };
        while self.update(handed_over).is_some() {
            let Some(waiter) = queue.pop_front() else { break };
            if let WaiterState::Waiting(waker) = mem::replace(&mut *waiter.state(), WaiterState::Admitted) {
                wakers.push(waker);
            }
        }
        drop(queue);
        for waker in wakers {
            contain(|| waker.wake());
        }
    }

    /// Replaces the usage by the result of `next`, and returns the new usage. If `next` returns `None`, changes nothing and returns `None`.
    #[inline]
    fn update(&self, next: impl Fn(Usage) -> Option<Usage>) -> Option<Usage> {
        // ORDERING: Acquire and Release: a caller that takes a permit sees what was done under it before, as with a lock.
        let updated = self
            .usage
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |word| next(Usage::unpack(word)).map(Usage::pack));
        updated.ok().and_then(|before| next(Usage::unpack(before)))
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Arc<Waiter>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A future that is ready when the call holds a permit, which the caller then has to release. If it is dropped before, it leaves the queue
/// and releases a permit that it was handed.
#[derive(Debug)]
pub(super) struct Acquire<'s> {
    semaphore: &'s Semaphore,
    /// `None` once it is ready or cancelled.
    waiter: Option<Arc<Waiter>>,
}

impl Acquire<'_> {
    /// Leaves the queue. Returns true if the waiter has been admitted; the caller then has to release the permit.
    pub(super) fn cancel(&mut self) -> bool {
        let Some(waiter) = self.waiter.take() else { return false };
        let mut queue = self.semaphore.queue();
        let Some(index) = queue.iter().position(|other| Arc::ptr_eq(other, &waiter)) else { return true };
        queue.remove(index);
        self.semaphore.update(|usage| Some(Usage { waiting: usage.waiting.saturating_sub(1), ..usage }));
        false
    }
}

impl Future for Acquire<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(waiter) = &self.waiter else { return Poll::Ready(()) };
        // The waker of the previous poll is dropped after the lock is released: dropping it may drop a task that waits here as well.
        let mut latest = context.waker().clone();
        {
            let mut state = waiter.state();
            if let WaiterState::Waiting(waker) = &mut *state {
                mem::swap(waker, &mut latest);
                return Poll::Pending;
            }
        }
        self.waiter = None;
        Poll::Ready(())
    }
}

impl Drop for Acquire<'_> {
    fn drop(&mut self) {
        if self.cancel() {
            self.semaphore.release();
        }
    }
}
