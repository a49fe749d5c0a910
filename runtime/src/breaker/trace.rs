//! Which rejection the error of an attempt stands for.
//!
//! A retry must not retry what an open circuit has rejected, and the error that it gets may be of any type. So each rejection has a
//! [`Trace`]: the last one of a thread is noted, until it is dropped. What is still noted when an attempt has failed is in its error. A
//! rejection that the attempt has dealt with, by a second source for instance, is gone by then.
//!
//! An error type may keep nothing of the rejection that it is made of. Of such a type, which [`convert`] sees, the last rejection of the
//! attempt counts, whatever has become of the error.

use std::{cell::Cell, time::Duration};

use super::CircuitOpen;
use crate::scope::with_rejection;

thread_local! {
    /// When a call may be admitted after the last rejection of this thread.
    static RETRY_AFTER: Cell<Option<Duration>> = const { Cell::new(None) };
    static SERIAL: Cell<u16> = const { Cell::new(0) };
}

/// Lives as long as a rejection. A copy of the rejection has none.
#[derive(Debug)]
pub(super) struct Trace(u64);

impl Trace {
    pub(super) const NONE: Self = Self(0);

    /// Notes a rejection of this thread.
    #[inline]
    pub(super) fn begin(retry_after: Option<Duration>) -> Self {
        let serial = SERIAL.get().wrapping_add(1);
        SERIAL.set(serial);
        // The address of a thread-local variable tells the thread from all others.
        let thread = with_rejection(|last| std::ptr::from_ref(last).addr());
        let mark = (thread as u64) << 16 | u64::from(serial);
        note(mark, retry_after);
        Self(mark)
    }
}

impl Drop for Trace {
    #[inline]
    fn drop(&mut self) {
        if self.0 != 0 && with_rejection(Cell::get) == self.0 {
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
    let (mark, retry_after) = (open.trace.0, open.retry_after());
    let error = E::from(open);
    if mark != 0 {
        note(mark, retry_after);
    }
    error
}

#[inline]
fn note(mark: u64, retry_after: Option<Duration>) {
    with_rejection(|last| last.set(mark));
    RETRY_AFTER.set(retry_after);
}

/// Begins an attempt, in which there is no rejection yet.
#[inline]
pub(crate) fn forget() {
    with_rejection(|last| last.set(0));
}

/// What a retry has to know of a rejection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rejection {
    /// When a call may be admitted, if that is known.
    pub(crate) retry_after: Option<Duration>,
}

/// The rejection that the error of an attempt stands for, if it does.
pub(crate) fn last() -> Option<Rejection> {
    (with_rejection(Cell::get) != 0).then(|| Rejection { retry_after: RETRY_AFTER.get() })
}
