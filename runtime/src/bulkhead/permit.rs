use std::fmt;

use super::Bulkhead;

/// A place in a bulkhead. Dropped, it is free again, or the next caller's.
#[must_use = "a place that is dropped at once is free again: keep it until the call has ended"]
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
        self.bulkhead.semaphore.leave();
    }
}

impl fmt::Debug for BulkheadPermit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadPermit").field("bulkhead", &self.bulkhead.name).finish_non_exhaustive()
    }
}
