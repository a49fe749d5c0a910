/// An argument that is cloned for each attempt and each fallback, since these move or change it: any `T: Clone`.
#[diagnostic::on_unimplemented(
    message = "each attempt and each fallback needs its own copy of this argument, and `{Self}` is not `Clone`",
    label = "moved or changed by each attempt or fallback",
    note = "implement `Clone`, or take it by reference, which each attempt borrows again",
    note = "if each attempt may use the same value, as with a reader or an `impl FnMut`, take it as `&mut`, or write `#[retry(lend(argument))]`",
    note = "if a framework determines the type, put the attribute on an inner function that takes a reference to it, or its parts"
)]
pub trait CloneArgument: Sized {
    /// Clones the argument for one call.
    #[must_use]
    fn clone_argument(argument: &Self) -> Self;

    /// Returns the value for one attempt: a clone, or the original value for the last attempt.
    ///
    /// # Panics
    ///
    /// If an earlier attempt was the last and has taken the value.
    fn for_attempt(argument: &mut Option<Self>, is_last: bool) -> Self;
}

// Without `do_not_recommend`, so that the compiler suggests `#[derive(Clone)]` and `T: Clone`.
impl<T: Clone> CloneArgument for T {
    #[inline]
    fn clone_argument(argument: &Self) -> Self {
        argument.clone()
    }

    #[inline]
    fn for_attempt(argument: &mut Option<Self>, is_last: bool) -> Self {
        let value = if is_last { argument.take() } else { argument.clone() };
        value.unwrap_or_else(|| unreachable!("no attempt follows the last"))
    }
}

/// An argument that the body moves and an option of the attributes uses after the call, so that the body gets a clone: any `T: Clone`.
#[diagnostic::on_unimplemented(
    message = "the body moves this argument, an option of the attributes uses it after the call, and `{Self}` is not `Clone`",
    label = "moved by the body, and used after the call",
    note = "borrow it in the body, or implement `Clone`"
)]
pub trait CloneUsedLater {
    /// Clones the argument for one call.
    #[must_use]
    fn clone_used(argument: &Self) -> Self;
}

// Without `do_not_recommend`, so that the compiler suggests `#[derive(Clone)]` and `T: Clone`.
impl<T: Clone> CloneUsedLater for T {
    #[inline]
    fn clone_used(argument: &Self) -> Self {
        argument.clone()
    }
}

/// The body of a retried function, as a closure that can be called again: any closure that moves none of its captures.
#[diagnostic::on_unimplemented(
    message = "the body moves an argument that the next attempt needs",
    label = "moved, as a whole or in part, by this use",
    note = "name the argument in `#[retry(clone(...))]`, so that each attempt gets a clone of it, or move a clone: `argument.clone()`",
    note = "if its type is not `Clone`, take it by reference, or put the attribute on an inner function that takes a reference or the parts"
)]
pub trait ReusableBody<R> {
    /// Does nothing; the compiler checks the requirement at the call.
    fn check(body: &Self);
}

#[diagnostic::do_not_recommend]
impl<R, F: FnMut() -> R> ReusableBody<R> for F {
    #[inline]
    fn check(_: &Self) {}
}

/// A `self` that the body moves although each attempt and each fallback needs it: any `T: Copy`.
#[diagnostic::on_unimplemented(
    message = "the body moves out of `self`, and each attempt and each fallback needs it",
    label = "`{Self}` is not `Copy`",
    note = "take `&self`, or begin the body with a clone and move out of that: `let this = self.clone();`"
)]
pub trait CopyReceiver {
    /// Does nothing; the compiler checks the requirement at the call.
    fn check(receiver: &Self);
}

#[diagnostic::do_not_recommend]
impl<T: Copy> CopyReceiver for T {
    #[inline]
    fn check(_: &Self) {}
}
