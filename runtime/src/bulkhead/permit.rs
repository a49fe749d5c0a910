use std::fmt;

use super::Bulkhead;

/// A permit of a bulkhead. Dropping it hands the permit to the first waiter, or makes it available to the next call.
#[must_use = "the permit is released when it is dropped: keep it until the call has ended"]
pub struct BulkheadPermit<'b> {
    bulkhead: &'b Bulkhead,
}

impl<'b> BulkheadPermit<'b> {
    #[inline]
    pub(super) const fn new(bulkhead: &'b Bulkhead) -> Self {
        Self { bulkhead }
    }
}

impl Drop for BulkheadPermit<'_> {
    #[inline]
    fn drop(&mut self) {
        self.bulkhead.semaphore.release();
    }
}

impl fmt::Debug for BulkheadPermit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadPermit").field("bulkhead", &self.bulkhead.name).finish_non_exhaustive()
    }
}
