/// The result of a fallback: the return type `R` of the function.
#[diagnostic::on_unimplemented(
    message = "a fallback must return what the function returns, `{R}`, but this one returns `{Self}`",
    label = "returns `{Self}`",
    note = "a fallback of an `async` function may be `async` or not; any other function needs a fallback that is not `async`"
)]
pub trait FallbackResult<R> {
    /// Returns the value unchanged.
    fn into_result(answer: Self) -> R;
}

#[diagnostic::do_not_recommend]
impl<R> FallbackResult<R> for R {
    #[inline]
    fn into_result(answer: Self) -> R {
        answer
    }
}
