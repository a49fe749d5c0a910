//! What each attempt of a retry gets of an argument.

/// An owned argument of a retried function, which each attempt gets for itself.
///
/// Cloned for every attempt but the last that the policy allows, which gets the caller's own.
#[derive(Debug)]
pub struct Argument<T>(Option<T>);

impl<T> Argument<T> {
    /// Takes the caller's value.
    pub const fn new(value: T) -> Self {
        Self(Some(value))
    }

    /// The value for the next attempt.
    pub fn next(&mut self, is_last: bool) -> T
    where
        T: CloneForRetry,
    {
        let value = if is_last { self.0.take() } else { self.0.as_ref().map(T::clone_for_retry) };
        value.unwrap_or_else(|| unreachable!("no attempt follows the last"))
    }
}

/// A clone of an argument that is needed again.
#[inline]
#[must_use]
pub fn again<T: CloneForRetry>(argument: &T) -> T {
    argument.clone_for_retry()
}

/// `Clone`, in words of our own.
#[diagnostic::on_unimplemented(
    message = "this argument is needed more than once, and `{Self}` is not `Clone`",
    label = "each attempt and each fallback that moves or changes it needs one of its own",
    note = "take it by reference, or make it `Clone`"
)]
pub trait CloneForRetry: Sized {
    /// A clone.
    #[must_use]
    fn clone_for_retry(&self) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Clone> CloneForRetry for T {
    fn clone_for_retry(&self) -> Self {
        self.clone()
    }
}

/// Asks whether a `self` that an attempt uses up is there for the next one.
#[inline]
pub const fn used_up<T: Reusable>(_: &T) {}

/// `Copy`, in words of our own.
#[diagnostic::on_unimplemented(
    message = "the body uses `self` up, and each attempt and each fallback needs it",
    label = "a `{Self}` is not `Copy`",
    note = "take `&self`, or begin the body with a clone and use that up: `let this = self.clone();`"
)]
pub trait Reusable {}

#[diagnostic::do_not_recommend]
impl<T: Copy> Reusable for T {}
