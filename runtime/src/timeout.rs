//! Time limits for single calls.

#[cfg(feature = "tokio")]
mod listed;
#[cfg(all(feature = "tokio", any(feature = "metrics", feature = "prometheus-client")))]
pub(crate) mod metrics;
#[cfg(feature = "tokio")]
mod snapshot;
#[cfg(feature = "tokio")]
mod within;

#[cfg(feature = "tokio")]
use std::time::Duration;

#[cfg(feature = "tokio")]
pub use self::{
    listed::{DeclaredTimeout, TIMEOUTS, timeouts},
    snapshot::TimeoutSnapshot,
    within::within,
};
#[cfg(feature = "tokio")]
use crate::{
    InvalidSetting, TimedOut,
    checked::valid,
    events::{self, Event},
};

/// A time limit for `async` calls.
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
/// The time starts at the first pending poll; a call that never waits reads no clock. The call can be cancelled only at an await: code that
/// keeps its thread busy continues, and the limit is checked when it next waits.
#[cfg(feature = "tokio")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    limit: Duration,
    name: &'static str,
}

/// The name of a timeout whose name is not set.
#[cfg(feature = "tokio")]
const UNNAMED: &str = "unnamed";

#[cfg(feature = "tokio")]
impl Timeout {
    /// Creates a timeout.
    ///
    /// # Panics
    ///
    /// If `limit` is 0. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn new(limit: Duration) -> Self {
        valid!(Self::try_new(limit))
    }

    /// Like [`new`](Self::new), for a limit from outside of the program.
    ///
    /// # Errors
    ///
    /// If `limit` is 0.
    pub const fn try_new(limit: Duration) -> Result<Self, InvalidSetting> {
        if limit.is_zero() {
            return Err(InvalidSetting::new("a timeout must be longer than 0: the call would end before it begins"));
        }
        Ok(Self { limit, name: UNNAMED })
    }

    /// Creates a timeout with a limit that may be 0.
    pub(crate) const fn unchecked(limit: Duration, name: &'static str) -> Self {
        Self { limit, name }
    }

    /// Sets the name that appears in errors and events, and under which [`timeouts`] counts the calls that timed out. Attributes set the
    /// path of the function, or its `name` option. Without a name, calls are not counted.
    #[must_use]
    pub const fn name(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// The time limit.
    #[must_use]
    pub const fn limit(&self) -> Duration {
        self.limit
    }

    /// Calls `work`, and drops its future if it takes longer than the limit.
    ///
    /// # Errors
    ///
    /// The error of `work`, or a [`TimedOut`] converted into the same error type.
    ///
    /// # Panics
    ///
    /// If it has to wait outside a tokio runtime with its timer enabled.
    pub async fn run_async<T, E: From<TimedOut>>(&self, work: impl AsyncFnOnce() -> Result<T, E>) -> Result<T, E> {
        let call = std::pin::pin!(work());
        within(self, call).await?
    }

    /// Counts a call that has timed out, emits its event, and returns its error.
    #[cold]
    fn time_out(&self) -> TimedOut {
        let Self { name, limit } = *self;
        listed::count(*self);
        events::emit(|| Event::TimedOut { function: name, limit });
        TimedOut { name, limit }
    }
}
