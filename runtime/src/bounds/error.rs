use std::error::Error;

/// An error type whose chain of sources can be searched: any [`Error`], including `dyn Error`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no chain of sources to search for a type: it does not implement `std::error::Error`",
    label = "does not implement `std::error::Error`",
    note = "implement `std::error::Error` for it, or use a predicate: `retry_if = |error| ...`, `failure_if = |error| ...`"
)]
pub trait ErrorChain {
    /// Returns the error as a trait object.
    fn as_dyn_error(error: &Self) -> &(dyn Error + 'static);
}

// Without `do_not_recommend`, so that the compiler points at the attribute.
impl<E: Error + 'static> ErrorChain for E {
    #[inline]
    fn as_dyn_error(error: &Self) -> &(dyn Error + 'static) {
        error
    }
}

#[diagnostic::do_not_recommend]
impl ErrorChain for dyn Error {
    #[inline]
    fn as_dyn_error(error: &Self) -> &(dyn Error + 'static) {
        error
    }
}

#[diagnostic::do_not_recommend]
impl ErrorChain for dyn Error + Send {
    #[inline]
    fn as_dyn_error(error: &Self) -> &(dyn Error + 'static) {
        error
    }
}

#[diagnostic::do_not_recommend]
impl ErrorChain for dyn Error + Send + Sync {
    #[inline]
    fn as_dyn_error(error: &Self) -> &(dyn Error + 'static) {
        error
    }
}

/// A type that `retry_if(...)`, `failure_if(...)` or `#[fallback(if(...))]` searches for in a chain of sources: any [`Error`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot occur in a chain of errors: it does not implement `std::error::Error`",
    label = "does not implement `std::error::Error`",
    note = "name error types here, or use a predicate: `retry_if = |error| ...`, `failure_if = |error| ...`"
)]
pub trait ErrorType {
    /// Returns true if the error is of this type. Its sources are not searched.
    fn is_type_of(error: &(dyn Error + 'static)) -> bool;
}

#[diagnostic::do_not_recommend]
impl<E: Error + 'static> ErrorType for E {
    #[inline]
    fn is_type_of(error: &(dyn Error + 'static)) -> bool {
        error.is::<E>()
    }
}
