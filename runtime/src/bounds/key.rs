use std::fmt::Display;

/// The value of the option `key`: any type that implements [`Display`].
#[diagnostic::on_unimplemented(
    message = "`key` must implement `Display`, and `{Self}` does not",
    label = "`Display` is missing",
    note = "use a value that implements it: `key = request.host`, or a text of your own: `key = format!(...)`"
)]
pub trait Key {
    /// Returns the circuit breaker, rate limit or bulkhead of the key.
    fn find_in<S: KeyedSource>(source: &S, key: &Self) -> S::Found;
}

// Without `do_not_recommend`, so that the compiler suggests `T: Display`.
impl<K: Display + ?Sized> Key for K {
    #[inline]
    #[track_caller]
    fn find_in<S: KeyedSource>(source: &S, key: &Self) -> S::Found {
        S::find(source, key)
    }
}

/// A set of circuit breakers, rate limits or bulkheads, one per key.
pub trait KeyedSource {
    /// The circuit breaker, rate limit or bulkhead of one key.
    type Found;

    /// Returns the circuit breaker, rate limit or bulkhead of a key.
    #[track_caller]
    fn find<K: Display + ?Sized>(source: &Self, key: &K) -> Self::Found;
}
