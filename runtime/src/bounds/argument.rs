/// An argument that is cloned for each attempt and each fallback, since these move or change it: any `T: Clone`.
#[diagnostic::on_unimplemented(
    message = "each attempt and each fallback needs its own copy of this argument, and `{Self}` is not `Clone`",
    label = "moved or changed by each attempt or fallback",
    note = "take it by reference, or implement `Clone`",
    note = "if an attempt may see what an earlier one has changed, lend the argument as a `&mut`: `#[retry(lend(name))]`"
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
