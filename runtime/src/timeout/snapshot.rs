use std::{fmt, time::Duration};

use crate::escape::escaped;

/// The number of calls that a timeout has ended.
///
/// `Display` writes one line:
///
/// ```
/// # use std::{future::pending, io};
/// use std::time::Duration;
/// use steadfast::{Timeout, timeouts};
///
/// static LIMIT: Timeout = Timeout::new(Duration::from_millis(5)).name("slow service");
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// # async fn call() -> io::Result<()> { pending().await }
/// LIMIT.run_async(call).await.unwrap_err();
/// let slow = timeouts().into_iter().find(|timeout| timeout.name == "slow service").unwrap();
/// assert_eq!(slow.to_string(), "slow service: 1 call took longer than 5ms");
/// # }
/// ```
///
/// Implements `Serialize` with the feature `serde`; the limit is in seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TimeoutSnapshot {
    /// The path of the function with `#[timeout]`, its option `name`, or the [name](crate::Timeout::name) of a [`Timeout`](crate::Timeout).
    pub name: &'static str,
    /// The time limit. `None` if timeouts of this name have different limits, and, for a `#[timeout]` whose limit is not a literal, until
    /// the first call has timed out.
    #[cfg_attr(feature = "serde", serde(serialize_with = "seconds"))]
    pub limit: Option<Duration>,
    /// Calls that took longer than the limit.
    pub timed_out: u64,
}

#[cfg(feature = "serde")]
#[allow(clippy::ref_option, reason = "the signature is serde's")]
fn seconds<S: serde::Serializer>(limit: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&limit.map(|limit| limit.as_secs_f64()), serializer)
}

impl fmt::Display for TimeoutSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, limit, timed_out } = self;
        let noun = if *timed_out == 1 { "call" } else { "calls" };
        write!(f, "{}: {timed_out} {noun} ", escaped(name))?;
        match limit {
            Some(limit) => write!(f, "took longer than {limit:?}"),
            None => f.write_str("timed out"),
        }
    }
}
