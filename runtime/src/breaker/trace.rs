//! Traces of rejections, by which a retry detects that the error of an attempt is a rejection.
//!
//! A retry must not repeat a call that an open circuit has rejected, and the error of the attempt can have any type. Each rejection therefore
//! contains a [`Trace`]. The last trace of a thread is stored until it is dropped. If one is still stored when an attempt has failed, its
//! rejection is part of the error. A rejection that the attempt has handled, for example by another source, has been dropped by then.
//!
//! An error type can discard the rejection from which it is converted. [`convert`] therefore stores the trace again after the conversion: for
//! such a type the last rejection of the attempt counts, even if the error itself has been handled.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::scope::with_rejection;
use crate::{CircuitOpen, clock::OptMicros};

thread_local! {
    /// The `retry_after` of the last rejection on this thread.
    static WAIT: Cell<OptMicros> = const { Cell::new(OptMicros::new(None)) };
    /// The last mark that this thread has used.
    static MARK: Cell<u64> = const { Cell::new(0) };
}

/// The number of marks in a block. Threads take marks in blocks, so that each rejection has a unique mark.
const BLOCK: u64 = 1 << 20;

/// The trace of a rejection, with a unique mark; 0 for none. A clone of the rejection has none.
#[derive(Debug)]
pub(crate) struct Trace(u64);

impl Trace {
    pub(crate) const NONE: Self = Self(0);

    /// Creates the trace of a new rejection on this thread, and stores it as the last one.
    #[inline]
    pub(crate) fn begin(wait: OptMicros) -> Self {
        let mut mark = MARK.get();
        if mark.is_multiple_of(BLOCK) {
            mark = next_block();
        }
        mark += 1;
        MARK.set(mark);
        note(mark, wait);
        Self(mark)
    }
}

/// Takes a new block, and returns the number before its first mark.
#[cold]
#[inline(never)]
fn next_block() -> u64 {
    static BLOCKS: AtomicU64 = AtomicU64::new(0);
    // ORDERING: Relaxed: only the number matters, and a read-modify-write returns each once.
    BLOCKS.fetch_add(1, Ordering::Relaxed) * BLOCK
}

impl Drop for Trace {
    #[inline]
    fn drop(&mut self) {
        // A trace without a mark finds 0, which stays 0, or the mark of another rejection, which stays.
        if with_rejection(Cell::get) == self.0 {
            forget();
        }
    }
}

impl Clone for Trace {
    fn clone(&self) -> Self {
        Self::NONE
    }
}

/// All traces are equal, so that rejections are compared by their contents.
impl PartialEq for Trace {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Trace {}

/// Converts a rejection into the error type of the caller.
#[cold]
pub(crate) fn convert<E: From<CircuitOpen>>(open: CircuitOpen) -> E {
    let (mark, wait) = (open.trace.0, open.retry_after);
    let error = E::from(open);
    if mark != 0 {
        note(mark, wait);
    }
    error
}

/// Stores the mark and the `retry_after` of the last rejection on this thread.
#[inline]
fn note(mark: u64, wait: OptMicros) {
    with_rejection(|last| last.set(mark));
    WAIT.set(wait);
}

/// Clears the last rejection of this thread, as at the start of an attempt.
#[inline]
pub(crate) fn forget() {
    with_rejection(|last| last.set(0));
}

/// The last rejection of an attempt between two polls. The next poll [restores](restore) it.
#[cfg(feature = "tokio")]
#[derive(Debug)]
pub(crate) struct Suspended(u64, OptMicros);

/// Takes the last rejection of this thread; `None` if there is none.
#[cfg(feature = "tokio")]
pub(crate) fn suspend() -> Option<Suspended> {
    let mark = with_rejection(Cell::take);
    (mark != 0).then(|| Suspended(mark, WAIT.get()))
}

/// Stores a rejection that was [suspended](suspend), possibly on another thread.
#[cfg(feature = "tokio")]
pub(crate) fn restore(Suspended(mark, wait): Suspended) {
    note(mark, wait);
}

/// The properties of a rejection that a retry uses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rejection {
    /// The time until a call can be admitted; `None` if it is unknown.
    pub(crate) retry_after: Option<Duration>,
}

/// The last rejection of this thread; `None` if there is none.
pub(crate) fn last() -> Option<Rejection> {
    (with_rejection(Cell::get) != 0).then(|| Rejection { retry_after: WAIT.get().get() })
}
