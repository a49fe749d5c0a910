use std::{fmt, ptr};

/// A reference that is compared by address: two references are equal if they point to the same value.
///
/// Settings use it for budgets, statistics, backoffs and stores, which cannot be compared by value.
pub(crate) struct ByAddress<T: ?Sized + 'static>(pub(crate) &'static T);

impl<T: ?Sized> Clone for ByAddress<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for ByAddress<T> {}

impl<T: ?Sized> PartialEq for ByAddress<T> {
    fn eq(&self, other: &Self) -> bool {
        // Values without a size can share an address. The type of a trait object then distinguishes them.
        ptr::addr_eq(self.0, other.0) && (size_of_val(self.0) > 0 || ptr::eq(self.0, other.0))
    }
}

impl<T: ?Sized> Eq for ByAddress<T> {}

impl<T: fmt::Debug + ?Sized> fmt::Debug for ByAddress<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
