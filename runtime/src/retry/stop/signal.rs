//! A signal that is given once, and those who wait for it.

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
    is_given: AtomicBool,
    waiting: Mutex<Waiting>,
}

/// The wakers of those who wait, by number.
#[derive(Debug)]
pub(super) struct Waiting {
    wakers: BTreeMap<u64, Waker>,
    next: u64,
}

impl Waiting {
    pub(super) const fn new() -> Self {
        Self { wakers: BTreeMap::new(), next: 0 }
    }
}

impl Signal {
    /// A signal that was given or not (`false`), and those who wait for it.
    pub(super) const fn of(is_given: AtomicBool, waiting: Mutex<Waiting>) -> Self {
        Self { is_given, waiting }
    }

    pub(super) fn give(&self) {
        let wakers = {
            let mut waiting = self.waiting();
            // ORDERING: Release, paired with the Acquire of who sees it: what was done before the signal is done. It is set under
            // the lock, so that nobody begins to wait whom nobody would wake.
            self.is_given.store(true, Ordering::Release);
            mem::take(&mut waiting.wakers)
        };
        for waker in wakers.into_values() {
            contain(|| waker.wake());
        }
    }

    pub(super) fn is_given(&self) -> bool {
        // ORDERING: Acquire, see `give`.
        self.is_given.load(Ordering::Acquire)
    }

    /// Waits until it is given.
    pub(super) const fn given(&self) -> Given<'_> {
        Given { signal: self, number: None }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The future of [`Signal::given`].
#[derive(Debug)]
pub(super) struct Given<'a> {
    signal: &'a Signal,
    /// Under which its waker is kept.
    number: Option<u64>,
}

impl Future for Given<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.signal.waiting();
        if self.signal.is_given() {
            return Poll::Ready(());
        }
        let number = self.number.unwrap_or(waiting.next);
        waiting.next = waiting.next.max(number.wrapping_add(1));
        // The waker of the poll before is dropped after the lock: that may drop a task that waits here as well.
        let before = waiting.wakers.insert(number, context.waker().clone());
        drop(waiting);
        drop(before);
        self.number = Some(number);
        Poll::Pending
    }
}

impl Drop for Given<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            // Dropped after the lock, as above.
            let waker = self.signal.waiting().wakers.remove(&number);
            drop(waker);
        }
    }
}
