//! A one-shot signal and its waiters.

use std::{
    collections::BTreeMap,
    future::Future,
    mem,
    pin::Pin,
    sync::PoisonError,
    task::{Context, Poll, Waker},
};

use super::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};
use crate::panics::contain;

#[derive(Debug)]
pub(super) struct Signal {
    is_set: AtomicBool,
    waiters: Mutex<Waiters>,
}

/// The wakers of the futures that wait, by id.
#[derive(Debug)]
pub(super) struct Waiters {
    wakers: BTreeMap<u64, Waker>,
    next_id: u64,
}

impl Waiters {
    pub(super) const fn new() -> Self {
        Self { wakers: BTreeMap::new(), next_id: 0 }
    }
}

impl Signal {
    /// Takes its parts as arguments, since loom's constructors are not `const`.
    pub(super) const fn from_parts(is_set: AtomicBool, waiters: Mutex<Waiters>) -> Self {
        Self { is_set, waiters }
    }

    /// Sets the signal and wakes all waiters.
    pub(super) fn set(&self) {
        let wakers = {
            let mut waiters = self.waiters();
            // ORDERING: Release, paired with the Acquire in `is_set`: a thread that sees the signal sees all writes before it. Stored
            // under the lock, so that a waiter either registers before the wakers are taken or sees the signal.
            self.is_set.store(true, Ordering::Release);
            mem::take(&mut waiters.wakers)
        };
        for waker in wakers.into_values() {
            contain(|| waker.wake());
        }
    }

    pub(super) fn is_set(&self) -> bool {
        // ORDERING: Acquire, paired with the Release in `set`.
        self.is_set.load(Ordering::Acquire)
    }

    /// Returns a future that completes once the signal is set.
    pub(super) const fn wait(&self) -> Wait<'_> {
        Wait { signal: self, id: None }
    }

    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The future of [`Signal::wait`].
#[derive(Debug)]
pub(super) struct Wait<'a> {
    signal: &'a Signal,
    /// The key of its waker; `None` before the first poll.
    id: Option<u64>,
}

impl Future for Wait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut waiters = self.signal.waiters();
        if self.signal.is_set() {
            return Poll::Ready(());
        }
        let id = self.id.unwrap_or(waiters.next_id);
        waiters.next_id = waiters.next_id.max(id.wrapping_add(1));
        // The previous waker is dropped after the lock is released: dropping it may drop a task that waits for this signal as well.
        let previous = waiters.wakers.insert(id, context.waker().clone());
        drop(waiters);
        drop(previous);
        self.id = Some(id);
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            // The waker is dropped after the lock is released, as above.
            let waker = self.signal.waiters().wakers.remove(&id);
            drop(waker);
        }
    }
}
