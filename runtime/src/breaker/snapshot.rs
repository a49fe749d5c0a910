use std::{
    fmt,
    time::{Duration, SystemTime},
};

use super::BreakerState;

/// What a breaker was doing at one moment.
///
/// The state, the failures in a row and the time left are one reading of one value. The totals are added up beside it and
/// count since the program started; the last transition is reported a moment after it has happened.
///
/// Its `Display` is one line:
///
/// ```
/// # use steadfast::{BreakerConfig, CircuitBreaker};
/// static ORDERS: CircuitBreaker = CircuitBreaker::new("orders", BreakerConfig::new());
/// assert_eq!(
///     ORDERS.snapshot().to_string(),
///     "orders: closed, 0 failures in a row; 0 succeeded, 0 failed, 0 neutral, 0 rejected",
/// );
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// The breaker's name.
    pub name: &'static str,
    /// The state it was in.
    pub state: BreakerState,
    /// Failures in a row while closed; 0 in every other state.
    pub consecutive_failures: u32,
    /// Calls that succeeded.
    pub successes: u64,
    /// Calls that failed, panics included.
    pub failures: u64,
    /// Calls that counted as neither: dropped before their end, or failed in a way that `failure_if` leaves out.
    pub neutral: u64,
    /// Calls that were not made because the circuit did not admit them.
    pub rejections: u64,
    /// Changes of state so far.
    pub transitions: u64,
    /// When it came into this state; `None` before the first change.
    pub last_transition: Option<SystemTime>,
    /// While open, how long until a call is admitted; zero once the next call will be.
    pub open_for: Option<Duration>,
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.state)?;
        match self.open_for {
            Some(left) if left.is_zero() => f.write_str(", the next call is a trial")?,
            Some(left) => write!(f, " for another {left:.3?}")?,
            None if self.state == BreakerState::Closed => {
                let failures = if self.consecutive_failures == 1 { "failure" } else { "failures" };
                write!(f, ", {} {failures} in a row", self.consecutive_failures)?;
            }
            None => {}
        }
        write!(
            f,
            "; {} succeeded, {} failed, {} neutral, {} rejected",
            self.successes, self.failures, self.neutral, self.rejections
        )
    }
}
