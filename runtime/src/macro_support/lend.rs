//! The choice between a clone and a loan of an argument that the body changes.

/// A probe that distinguishes a type that is `Clone` from one that is not.
///
/// `(&&LendProbe(&argument)).kind()` resolves to the first of the traits below that the type implements, by autoref-based specialization.
#[derive(Debug)]
pub struct LendProbe<'a, T>(pub &'a T);

/// First choice: the type is `Clone`, so each attempt gets its own value.
pub trait ByClone {
    /// Returns the marker of a type that is cloned.
    fn kind(&self) -> IsCloned;
}

impl<T: Clone> ByClone for &LendProbe<'_, T> {
    fn kind(&self) -> IsCloned {
        IsCloned
    }
}

/// Last choice: each attempt borrows the same value.
pub trait ByLoan {
    /// Returns the marker of a type that is lent.
    fn kind(&self) -> IsLent;
}

impl<T> ByLoan for LendProbe<'_, T> {
    fn kind(&self) -> IsLent {
        IsLent
    }
}

/// The marker of a type that is cloned.
#[derive(Clone, Copy, Debug)]
pub struct IsCloned;

impl IsCloned {
    /// Returns a clone for one call.
    #[inline]
    pub fn for_call<T: Clone>(self, argument: &mut T) -> T {
        argument.clone()
    }

    /// Returns the value for one attempt: a clone, or the original value for the last attempt.
    ///
    /// # Panics
    ///
    /// If an earlier attempt was the last and has taken the value.
    #[inline]
    pub fn for_attempt<T: Clone>(self, argument: &mut Option<T>, is_last: bool) -> T {
        let value = if is_last { argument.take() } else { argument.clone() };
        value.unwrap_or_else(|| unreachable!("no attempt follows the last"))
    }
}

/// The marker of a type that is lent.
#[derive(Clone, Copy, Debug)]
pub struct IsLent;

impl IsLent {
    /// Returns a loan for one call.
    #[inline]
    pub fn for_call<T>(self, argument: &mut T) -> &mut T {
        argument
    }

    /// Returns a loan for one attempt.
    ///
    /// # Panics
    ///
    /// If the value is missing. Nothing takes it.
    #[inline]
    pub fn for_attempt<T>(self, argument: &mut Option<T>, _: bool) -> &mut T {
        argument.as_mut().unwrap_or_else(|| unreachable!("nothing takes the value"))
    }
}
