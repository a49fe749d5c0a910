use std::{fmt, sync::Arc};

use super::Bulkhead;
use crate::keying::{Keying, Unkeyed};

/// The permit of a call, or its several permits. Dropping it hands them to the first waiters, or makes them available to the next calls.
///
/// The permit of a `static` bulkhead is a `BulkheadPermit<'static>`, which can be stored and sent to other threads. For a bulkhead in an
/// [`Arc`], [`OwnedBulkheadPermit`] can.
#[must_use = "the permit is released when it is dropped: keep it until the call has ended"]
pub struct BulkheadPermit<'b, K: Keying = Unkeyed> {
    bulkhead: &'b Bulkhead<K>,
    permits: u32,
}

impl<'b, K: Keying> BulkheadPermit<'b, K> {
    /// Creates the guard of permits that were taken.
    #[inline]
    pub(super) const fn new(bulkhead: &'b Bulkhead<K>, permits: u32) -> Self {
        Self { bulkhead, permits }
    }

    /// Returns the number of permits: 1, unless it was acquired for several.
    #[must_use]
    pub const fn permits(&self) -> u32 {
        self.permits
    }
}

impl<K: Keying> Drop for BulkheadPermit<'_, K> {
    #[inline]
    fn drop(&mut self) {
        self.bulkhead.semaphore.release(self.permits);
    }
}

impl<K: Keying> fmt::Debug for BulkheadPermit<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadPermit")
            .field("bulkhead", &self.bulkhead.own_settings().name)
            .field("permits", &self.permits)
            .finish_non_exhaustive()
    }
}

/// A permit that owns a reference to its bulkhead, so that it can be stored, and moved to another task or thread. Dropping it has the
/// effect of dropping a [`BulkheadPermit`].
///
/// ```
/// use std::{sync::Arc, thread};
/// use steadfast::{Bulkhead, BulkheadConfig, OwnedBulkheadPermit};
///
/// struct Upload {
///     _permit: OwnedBulkheadPermit, // released with the upload
/// }
///
/// let uploads = Arc::new(Bulkhead::new("uploads", BulkheadConfig::new().max_concurrent(1)));
/// let upload = Upload { _permit: uploads.try_acquire_owned()? };
/// assert!(uploads.try_acquire().is_err());
/// thread::spawn(move || drop(upload)).join().unwrap();
/// assert!(uploads.try_acquire().is_ok());
/// # Ok::<(), steadfast::BulkheadFull>(())
/// ```
#[must_use = "the permit is released when it is dropped: keep it until the call has ended"]
pub struct OwnedBulkheadPermit<K: Keying = Unkeyed> {
    bulkhead: Arc<Bulkhead<K>>,
    permits: u32,
}

impl<K: Keying> OwnedBulkheadPermit<K> {
    /// Creates the guard of permits that were taken.
    pub(super) const fn new(bulkhead: Arc<Bulkhead<K>>, permits: u32) -> Self {
        Self { bulkhead, permits }
    }

    /// Returns the number of permits: 1, unless it was acquired for several.
    #[must_use]
    pub const fn permits(&self) -> u32 {
        self.permits
    }
}

impl<K: Keying> Drop for OwnedBulkheadPermit<K> {
    fn drop(&mut self) {
        self.bulkhead.semaphore.release(self.permits);
    }
}

impl<K: Keying> fmt::Debug for OwnedBulkheadPermit<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedBulkheadPermit")
            .field("bulkhead", &self.bulkhead.own_settings().name)
            .field("permits", &self.permits)
            .finish_non_exhaustive()
    }
}
