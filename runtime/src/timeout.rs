//! A limit of time for one call.

mod rejection;
#[cfg(feature = "tokio")]
mod within;

#[cfg(feature = "tokio")]
use std::time::Duration;

pub use self::rejection::TimedOut;
#[cfg(feature = "tokio")]
pub use self::within::within;
#[cfg(feature = "tokio")]
use crate::events::{self, Event};

/// How long a call may take.
///
/// ```
/// use std::{io, time::Duration};
/// use steadfast::Timeout;
///
/// static LIMIT: Timeout = Timeout::new(Duration::from_millis(1)).name("slow service");
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let result: io::Result<()> = LIMIT.run_async(async || std::future::pending().await).await;
/// assert_eq!(result.unwrap_err().to_string(), "`slow service` took longer than 1ms");
/// # }
/// ```
///
/// The time counts from the moment at which the call waits for the first time; a call that never waits reads no clock.
/// Only what waits can be stopped: code that keeps its thread busy runs on, and the limit is looked at when it waits next.
#[cfg(feature = "tokio")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    limit: Duration,
    name: &'static str,
}

#[cfg(feature = "tokio")]
impl Timeout {
    /// A limit for each call.
    ///
    /// # Panics
    ///
    /// If `limit` is 0. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn new(limit: Duration) -> Self {
        assert!(!limit.is_zero(), "a timeout must be longer than 0: the call would end before it begins");
        Self { limit, name: "unnamed" }
    }

    /// What errors and events call it. Attributes give the path of the function, or the `name` that it has.
    #[must_use]
    pub const fn name(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// How long a call may take.
    #[must_use]
    pub const fn limit(&self) -> Duration {
        self.limit
    }

    /// Makes a call, and drops it where it stands if it takes longer.
    ///
    /// # Errors
    ///
    /// What `work` returns, or a [`TimedOut`] as the caller's own error type.
    ///
    /// # Panics
    ///
    /// If it has to wait outside of a tokio runtime with its timer enabled.
    pub async fn run_async<T, E: From<TimedOut>>(&self, work: impl AsyncFnOnce() -> Result<T, E>) -> Result<T, E> {
        let call = std::pin::pin!(work());
        within(self, call).await?
    }

    /// What comes of a call that took longer.
    #[cold]
    fn ends(&self) -> TimedOut {
        let Self { name, limit } = *self;
        events::emit(|| Event::TimedOut { function: name, limit });
        TimedOut { function: name, limit }
    }
}
