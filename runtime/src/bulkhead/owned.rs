//! Permits that own a reference to their bulkhead.

#[cfg(feature = "tokio")]
use std::future::Future;
use std::sync::Arc;

use super::{Bulkhead, OwnedBulkheadPermit, Refusal};
use crate::{BulkheadFull, keying::Keying};

impl<K: Keying> Bulkhead<K> {
    /// Takes a permit without waiting, as [`try_acquire`](Self::try_acquire) does. The permit owns a reference to the bulkhead, so that it can
    /// be stored, and moved to another task or thread.
    ///
    /// For a bulkhead in an [`Arc`], such as [`KeyedBulkheads::bulkhead`](crate::KeyedBulkheads::bulkhead) returns: the bulkhead of a key is not
    /// evicted while the permit exists. A `static` bulkhead needs no owned permit: the [`BulkheadPermit`](crate::BulkheadPermit) of
    /// `try_acquire` is `'static` then.
    ///
    /// # Errors
    ///
    /// If all permits are in use, or other calls wait for one.
    pub fn try_acquire_owned(self: &Arc<Self>) -> Result<OwnedBulkheadPermit<K>, BulkheadFull> {
        self.try_acquire_many_owned(1)
    }

    /// Takes several permits without waiting, as [`try_acquire_many`](Self::try_acquire_many) does, for an owned permit.
    ///
    /// # Errors
    ///
    /// If not all of them are free, if other calls wait, or if they are more than `max_concurrent`.
    pub fn try_acquire_many_owned(self: &Arc<Self>, permits: u32) -> Result<OwnedBulkheadPermit<K>, BulkheadFull> {
        if self.take(permits) {
            Ok(OwnedBulkheadPermit::new(self.clone(), permits))
        } else {
            Err(self.reject(permits, Refusal::Full))
        }
    }

    /// Takes an owned permit. Blocks the thread for at most `max_wait`, as [`acquire`](Self::acquire) does.
    ///
    /// # Errors
    ///
    /// If no permit is available in time.
    pub fn acquire_owned(self: &Arc<Self>) -> Result<OwnedBulkheadPermit<K>, BulkheadFull> {
        self.acquire_many_owned(1)
    }

    /// Takes several permits, as [`acquire_many`](Self::acquire_many) does, for an owned permit.
    ///
    /// # Errors
    ///
    /// If not all of them are available in time, or, at once, if they are more than `max_concurrent`.
    pub fn acquire_many_owned(self: &Arc<Self>, permits: u32) -> Result<OwnedBulkheadPermit<K>, BulkheadFull> {
        if !self.take(permits) {
            self.wait(permits)?;
        }
        Ok(OwnedBulkheadPermit::new(self.clone(), permits))
    }

    /// Takes an owned permit. Waits for at most `max_wait`, as [`acquire_async`](Self::acquire_async) does. The future borrows nothing.
    ///
    /// # Errors
    ///
    /// If no permit is available in time.
    ///
    /// # Panics
    ///
    /// If it has to wait outside a tokio runtime with its timer enabled.
    #[cfg(feature = "tokio")]
    pub fn acquire_owned_async(
        self: &Arc<Self>,
    ) -> impl Future<Output = Result<OwnedBulkheadPermit<K>, BulkheadFull>> + Send + use<K> {
        self.acquire_many_owned_async(1)
    }

    /// Takes several permits, as [`acquire_many_async`](Self::acquire_many_async) does, for an owned permit. The future borrows nothing.
    ///
    /// # Errors
    ///
    /// If not all of them are available in time, or, at once, if they are more than `max_concurrent`.
    ///
    /// # Panics
    ///
    /// If it has to wait outside a tokio runtime with its timer enabled.
    #[cfg(feature = "tokio")]
    pub fn acquire_many_owned_async(
        self: &Arc<Self>,
        permits: u32,
    ) -> impl Future<Output = Result<OwnedBulkheadPermit<K>, BulkheadFull>> + Send + use<K> {
        let bulkhead = self.clone();
        async move {
            if !bulkhead.take(permits) {
                bulkhead.wait_async(permits).await?;
            }
            Ok(OwnedBulkheadPermit::new(bulkhead, permits))
        }
    }
}
