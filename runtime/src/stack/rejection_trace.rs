//! Recognises the error of an attempt as a rejection by a breaker.
//!
//! A retry must not retry a call that an open circuit rejected, but the error of the call may be of any type. So each thread records its
//! last rejection within an attempt, and each such rejection has a [`RejectionTrace`] that clears the record when it is dropped. If the
//! record is still there when an attempt has failed, the error of the attempt contains the rejection. A rejection that the attempt has
//! handled, for instance by querying a second source, has been dropped by then.
//!
//! A conversion into another error type may drop the rejection. The conversion therefore records the rejection again
//! ([`LastRejection::record_again`]). For such a type, the last rejection of the attempt counts, whatever happened to the error.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::thread_state::{PackedScope, with_rejection_id};
use crate::clock::OptMicros;

thread_local! {
    /// The `retry_after` of the last rejection of this thread.
    static RETRY_AFTER: Cell<OptMicros> = const { Cell::new(OptMicros::new(None)) };
    /// The id of the last rejection by this thread.
    static LAST_ID: Cell<u64> = const { Cell::new(0) };
}

/// Threads reserve ids in blocks of this size, so that no two rejections have the same id.
const BLOCK: u64 = 1 << 20;

/// The id of a rejection, which lives as long as the rejection. A clone has id 0, which stands for none, and so has a rejection outside of
/// attempts.
#[derive(Debug)]
pub(crate) struct RejectionTrace(u64);

impl RejectionTrace {
    pub(crate) const NONE: Self = Self(0);

    /// Records a rejection by this thread. Without a scope around it, there is no attempt, and no record is needed.
    #[inline]
    pub(crate) fn begin(retry_after: OptMicros) -> Self {
        if PackedScope::current().is_empty() { Self::NONE } else { Self::begin_in_scope(retry_after) }
    }

    #[inline(never)]
    fn begin_in_scope(retry_after: OptMicros) -> Self {
        let mut id = LAST_ID.get();
        if id.is_multiple_of(BLOCK) {
            id = reserve_block();
        }
        id += 1;
        LAST_ID.set(id);
        LastRejection { id, retry_after }.record();
        Self(id)
    }

    /// Returns the record of this rejection.
    #[inline]
    pub(crate) const fn to_record(&self, retry_after: OptMicros) -> LastRejection {
        LastRejection { id: self.0, retry_after }
    }
}

/// Returns the id before the first of a new block.
#[cold]
#[inline(never)]
fn reserve_block() -> u64 {
    static BLOCKS: AtomicU64 = AtomicU64::new(0);
    // ORDERING: Relaxed: only the number matters, and each is returned once.
    BLOCKS.fetch_add(1, Ordering::Relaxed) * BLOCK
}

impl Drop for RejectionTrace {
    #[inline]
    fn drop(&mut self) {
        /// The ABI `"C"` has the same reason as that of the drop of `OptText`.
        #[cold]
        #[inline(never)]
        extern "C" fn clear(id: u64) {
            if with_rejection_id(Cell::get) == id {
                clear_rejection();
            }
        }

        if self.0 != 0 {
            clear(self.0);
        }
    }
}

impl Clone for RejectionTrace {
    fn clone(&self) -> Self {
        Self::NONE
    }
}

/// Always equal: the trace is not part of the rejection's value.
impl PartialEq for RejectionTrace {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for RejectionTrace {}

/// The record of a rejection; one with id 0 stands for none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastRejection {
    id: u64,
    retry_after: OptMicros,
}

impl LastRejection {
    /// Makes this the last rejection of the current thread.
    #[inline]
    pub(crate) fn record(self) {
        with_rejection_id(|id| id.set(self.id));
        RETRY_AFTER.set(self.retry_after);
    }

    /// Records a rejection again after the conversion of its error, which may have cleared the record.
    #[inline]
    pub(crate) fn record_again(self) {
        #[cold]
        #[inline(never)]
        fn record(rejection: LastRejection) {
            rejection.record();
        }

        if self.id != 0 {
            record(self);
        }
    }

    /// Returns the last rejection of this thread; the error of an attempt that has just failed stands for it.
    pub(crate) fn current() -> Option<Self> {
        let id = with_rejection_id(Cell::get);
        (id != 0).then(|| Self { id, retry_after: RETRY_AFTER.get() })
    }

    /// Returns true if this thread has recorded a rejection.
    #[inline]
    pub(crate) fn exists() -> bool {
        with_rejection_id(Cell::get) != 0
    }

    /// The time until the breaker may admit a call, if it is known.
    pub(crate) const fn retry_after(self) -> Option<Duration> {
        self.retry_after.get()
    }

    /// Takes the last rejection of this thread, if there is one. The attempt that was rejected [records](Self::record) it again at its
    /// next poll, which another thread may make.
    #[cfg(feature = "tokio")]
    pub(crate) fn take() -> Option<Self> {
        let id = with_rejection_id(Cell::take);
        (id != 0).then(|| Self { id, retry_after: RETRY_AFTER.get() })
    }
}

/// Clears the record of this thread, when an attempt begins or the rejection is dropped.
#[inline]
pub(crate) fn clear_rejection() {
    with_rejection_id(|id| id.set(0));
}
