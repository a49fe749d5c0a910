use std::time::Duration;

/// A predicate over an error or a returned value: `retry_if`, `failure_if`, `#[fallback(if = ...)]`, `retry_if_result`.
pub trait Predicate<T>: FnOnce(&T) -> bool {
    /// Calls the predicate.
    fn test(value: &T, predicate: Self) -> bool;
}

impl<T, F: FnOnce(&T) -> bool> Predicate<T> for F {
    #[inline]
    fn test(value: &T, predicate: Self) -> bool {
        predicate(value)
    }
}

/// A predicate of `#[retry]` that takes the number of the attempt as well; the first attempt is number 1.
pub trait AttemptPredicate<T>: FnOnce(&T, u32) -> bool {
    /// Calls the predicate.
    fn test(value: &T, attempt: u32, predicate: Self) -> bool;
}

impl<T, F: FnOnce(&T, u32) -> bool> AttemptPredicate<T> for F {
    #[inline]
    fn test(value: &T, attempt: u32, predicate: Self) -> bool {
        predicate(value, attempt)
    }
}

/// The hook `on_retry`: it takes the number of the failed attempt, the delay before the next one, and the error (with
/// `retry_if_result`, the returned value).
pub trait RetryHook<T>: FnOnce(u32, Duration, &T) {
    /// Calls the hook.
    fn call(attempt: u32, delay: Duration, value: &T, hook: Self);
}

impl<T, F: FnOnce(u32, Duration, &T)> RetryHook<T> for F {
    #[inline]
    fn call(attempt: u32, delay: Duration, value: &T, hook: Self) {
        hook(attempt, delay, value);
    }
}

/// A hook `on_retry` that takes the time since the first attempt as well.
pub trait TimedRetryHook<T>: FnOnce(u32, Duration, &T, Duration) {
    /// Calls the hook.
    fn call(attempt: u32, delay: Duration, value: &T, elapsed: Duration, hook: Self);
}

impl<T, F: FnOnce(u32, Duration, &T, Duration)> TimedRetryHook<T> for F {
    #[inline]
    fn call(attempt: u32, delay: Duration, value: &T, elapsed: Duration, hook: Self) {
        hook(attempt, delay, value, elapsed);
    }
}
