use std::{fmt, future::Future, pin::Pin, time::Duration};

use super::RateLimitConfig;

/// Keeps the counts of a rate limit somewhere else, so that the machines of a fleet share them.
///
/// A limit that has a store asks it for each call of an `async` function: one question, one answer, so one way to a server and
/// back. The calls of functions that are not `async` are counted in this process alone, since they can't wait for one.
///
/// A store counts; it does not wait. Where calls may wait, those that it rejects stand in a queue of this process, and the first of
/// them asks again when `retry_after` has passed, or when the settings change. A call that comes while others wait is not asked for before
/// its turn has come. If a caller gives up while its question is under way, the next waiter has the answer. So calls of one process come in order; those of several processes come in about the order in which they ask.
///
/// ```
/// use std::{future::Future, pin::Pin, time::Duration};
/// use steadfast::{RateLimit, RateLimitConfig, RateLimitDecision, RateLimitRequest, RateLimitStore};
///
/// /// Lets nobody through.
/// #[derive(Debug)]
/// struct Closed;
///
/// impl RateLimitStore for Closed {
///     fn acquire<'a>(
///         &'a self,
///         _request: &'a RateLimitRequest<'a>,
///     ) -> Pin<Box<dyn Future<Output = RateLimitDecision> + Send + 'a>> {
///         Box::pin(async { RateLimitDecision::Rejected { retry_after: Duration::from_secs(60) } })
///     }
/// }
///
/// static CLOSED: Closed = Closed;
/// static SEARCH: RateLimit =
///     RateLimit::new("search", RateLimitConfig::new(100, Duration::from_secs(60)).store(&CLOSED));
/// ```
pub trait RateLimitStore: fmt::Debug + Send + Sync {
    /// Asks for a call that starts as soon as it is admitted, and is counted in that case alone.
    ///
    /// The future may be dropped before it has an answer: that call is not made. Where the caller gives up while others wait, the task of
    /// one of those polls it from then on.
    fn acquire<'a>(
        &'a self,
        request: &'a RateLimitRequest<'a>,
    ) -> Pin<Box<dyn Future<Output = RateLimitDecision> + Send + 'a>>;
}

/// What a rate limit asks of its store.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RateLimitRequest<'a> {
    /// The name of the limit.
    pub name: &'static str,
    /// Which of the limits of that name, where there is one for each key.
    pub key: Option<&'a str>,
    /// True for the limit that all keys share that have none of their own. Its `key` is `None`.
    pub overflow: bool,
    /// How many calls in how long, how they are counted, and how long the caller would wait.
    pub config: RateLimitConfig,
}

/// What a store answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RateLimitDecision {
    /// The call is counted, and starts now.
    Admitted,
    /// There is no capacity now.
    Rejected {
        /// The time until there is some, under these settings. It is not asked again for a call that waits before that has passed since it
        /// was asked, so that the next question arrives when there is capacity.
        retry_after: Duration,
    },
    /// The store can't say, as when its server can't be reached: this process decides by its own counts.
    Unknown,
}
