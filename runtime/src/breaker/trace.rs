//! Which rejection the error of an attempt stands for.
//!
//! A retry must not retry what an open circuit has rejected, and the error that it gets may be of any type. So each rejection has a
//! [`Trace`]: the last one of a thread is noted, until it is dropped. What is still noted when an attempt has failed is in its error. A
//! rejection that the attempt has dealt with, by a second source for instance, is gone by then.
//!
//! An error type may keep nothing of the rejection that it is made of. Of such a type, which [`convert`] sees, the last rejection of the
//! attempt counts, whatever has become of the error.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{CircuitOpen, rejection::Micros};
use crate::scope::with_rejection;

thread_local! {
    /// The wait of the last rejection of this thread.
    static WAIT: Cell<Micros> = const { Cell::new(Micros::new(None)) };
    /// The mark before the next.
    static MARK: Cell<u64> = const { Cell::new(0) };
}

/// Threads take marks in blocks of this size, so that no two rejections have the same.
const BLOCK: u64 = 1 << 20;

/// Lives as long as a rejection. A copy of the rejection has none.
#[derive(Debug)]
pub(super) struct Trace(u64);

impl Trace {
    pub(super) const NONE: Self = Self(0);

    /// Notes a rejection of this thread.
    #[inline]
    pub(super) fn begin(wait: Micros) -> Self {
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

/// The mark before the first of a new block.
#[cold]
#[inline(never)]
fn next_block() -> u64 {
    static BLOCKS: AtomicU64 = AtomicU64::new(0);
    // ORDERING: Relaxed: only the number counts, and each is given once.
    BLOCKS.fetch_add(1, Ordering::Relaxed) * BLOCK
}

impl Drop for Trace {
    #[inline]
    fn drop(&mut self) {
        // One without a mark finds 0 or the mark of another, and changes nothing.
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

/// Rejections are equal by what they say.
impl PartialEq for Trace {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Trace {}

/// Makes the caller's own error of a rejection.
#[cold]
pub(crate) fn convert<E: From<CircuitOpen>>(open: CircuitOpen) -> E {
    convert_by(open, E::from)
}

/// Makes the caller's own error of a rejection, by `From::from`, which generated code names itself so that a missing `From` is reported
/// without a mention of this function.
#[cold]
pub fn convert_by<E>(open: CircuitOpen, from: impl FnOnce(CircuitOpen) -> E) -> E {
    let (mark, wait) = (open.trace.0, open.retry_after);
    let error = from(open);
    if mark != 0 {
        note(mark, wait);
    }
    error
}

/// Notes the last rejection of this thread: its mark, and its wait.
#[inline]
fn note(mark: u64, wait: Micros) {
    with_rejection(|last| last.set(mark));
    WAIT.set(wait);
}

/// Begins an attempt, in which there is no rejection yet.
#[inline]
pub(crate) fn forget() {
    with_rejection(|last| last.set(0));
}

/// The last rejection of this thread, to be [restored](restore) with the next poll of the attempt that was rejected.
#[cfg(feature = "tokio")]
#[derive(Debug)]
pub(crate) struct Suspended(u64, Micros);

/// Takes the last rejection of this thread, if there is one.
#[cfg(feature = "tokio")]
pub(crate) fn suspend() -> Option<Suspended> {
    let mark = with_rejection(Cell::take);
    (mark != 0).then(|| Suspended(mark, WAIT.get()))
}

/// Notes a rejection that was taken before, on whatever thread.
#[cfg(feature = "tokio")]
pub(crate) fn restore(Suspended(mark, wait): Suspended) {
    note(mark, wait);
}

/// What a retry has to know of a rejection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rejection {
    /// When a call may be admitted, if that is known.
    pub(crate) retry_after: Option<Duration>,
}

/// The rejection that the error of an attempt stands for, if it does.
pub(crate) fn last() -> Option<Rejection> {
    (with_rejection(Cell::get) != 0).then(|| Rejection { retry_after: WAIT.get().get() })
}
