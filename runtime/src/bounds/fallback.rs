/// The result of a fallback: the return type `R` of the function.
#[diagnostic::on_unimplemented(
    message = "a fallback must return what the function returns, `{R}`, and this one returns `{Self}`",
    label = "returns `{Self}`",
    note = "a fallback of an `async` function may be `async` or not; any other function needs a fallback that is not `async`"
)]
pub trait FallbackResult<R> {
    /// Returns the value unchanged.
    fn into_result(self) -> R;
}

#[diagnostic::do_not_recommend]
impl<R> FallbackResult<R> for R {
    #[inline]
    fn into_result(self) -> R {
        self
    }
}

/// A closure in `#[fallback]`: it takes the error `E` and returns an `R`.
pub trait FallbackClosure<E, R>: FnOnce(E) -> R {
    /// Calls the closure.
    fn apply(error: E, closure: Self) -> R;
}

impl<E, R, F: FnOnce(E) -> R> FallbackClosure<E, R> for F {
    #[inline]
    fn apply(error: E, closure: Self) -> R {
        closure(error)
    }
}
