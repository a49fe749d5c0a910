use crate::stack::attempt_number;

/// Returns the number of the attempt in which the caller runs; the first is 1. Outside of a retry, it is 1 as well.
///
/// A function can change its request, choose another server or tag its log by the number of the attempt:
///
/// ```
/// use std::io;
/// use steadfast::{attempt, retry};
///
/// const REPLICAS: [&str; 2] = ["primary", "secondary"];
///
/// fn send(replica: &str) -> io::Result<String> {
///     if replica == "primary" { Err(io::ErrorKind::ConnectionRefused.into()) } else { Ok(replica.to_owned()) }
/// }
///
/// #[retry(backoff = none)]
/// fn query() -> io::Result<String> {
///     send(REPLICAS[(attempt() as usize - 1) % REPLICAS.len()])
/// }
///
/// assert_eq!(query()?, "secondary");
/// assert_eq!(attempt(), 1);
/// # Ok::<(), io::Error>(())
/// ```
///
/// The attempt is that of the innermost retry around the caller, a `#[retry]` or a [`RetryPolicy`](crate::RetryPolicy): in the function
/// itself, in the functions that it calls, and in the futures that it polls, whichever thread polls them. A retry with `max_attempts = 1` and
/// no name makes no attempts of its own. A call with a timeout that a combinator polls with a waker of its own, such as `FuturesUnordered`,
/// is outside of the retry. A spawned task or thread is outside of the retry; pass the number to it. The predicates and the hook
/// of a retry run between its attempts.
///
/// Reads a thread-local variable. A retry whose function does not call it pays nothing for it.
#[must_use]
pub fn attempt() -> u32 {
    attempt_number()
}
