//! Rate limits that are counted in Redis.

mod full_limits;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
    time::Duration,
};

use steadfast::{BreakerConfig, CircuitBreaker, RateLimitDecision, RateLimitRequest, RateLimitStore};
use tokio::{runtime::Handle, task::coop::unconstrained, time::Instant};

use self::full_limits::FullLimits;
use crate::{
    FleetError,
    connection::{Connection, RateLimitedCall},
    panics::catch_panic,
};

/// A store for rate limits whose calls are counted for the whole fleet, in Redis.
///
/// Use it as the `store` of a rate limit, and pass it to the fleet with [`rate_limits`](crate::FleetBuilder::rate_limits). Until the fleet
/// is connected, and during an outage of Redis, calls are decided by [`OnUnavailable`]. A program whose limits must hold from the first
/// call should wait for [`Fleet::available`](crate::Fleet::available) before it accepts work.
///
/// A call takes one round trip to Redis, and none while its limit is known to be full. In any window of the limit's length, by the clock of
/// Redis, at most `limit` calls are admitted. Rejected calls are not counted. A sliding window takes 40 to 120 bytes in Redis for each of
/// its permits, `gcra` about 150 bytes for each key; both expire. So with large numbers of `permits`, use `gcra`: a call under a sliding
/// window takes Redis about a microsecond for each permit.
///
/// With a `max_wait`, the calls of one process wait in a local FIFO queue. The first call in the queue queries Redis again when there
/// should be capacity, and is counted when it is admitted. Waiting calls reserve no capacity, so none is lost if a caller gives up.
/// Between processes the order is approximate: if several processes wait for the same limit, each of them gets a share, not necessarily in
/// the order in which their calls arrived.
///
/// ```no_run
/// use std::io;
/// use steadfast::rate_limit;
/// use steadfast_redis::{Fleet, FleetError, RedisRateLimits};
///
/// static LIMITS: RedisRateLimits = RedisRateLimits::new();
///
/// #[rate_limit(name = "search", limit = 100, per = 60s, key = user, store = LIMITS)]
/// async fn search(user: &str) -> io::Result<usize> {
///     Ok(user.len())
/// }
///
/// # async fn example() -> Result<(), FleetError> {
/// let fleet = Fleet::connect("redis://127.0.0.1").application("shop").rate_limits(&LIMITS).start()?;
/// # Ok(())
/// # }
/// ```
pub struct RedisRateLimits {
    on_unavailable: OnUnavailable,
    attached: Mutex<Option<Attached>>,
    /// The circuit breaker for requests to Redis, so that calls do not wait for replies during an outage.
    redis_breaker: CircuitBreaker,
}

/// The state that exists once a fleet has been started.
struct Attached {
    connection: Arc<Connection>,
    full: FullLimits,
}

/// The decision about a call while its limit cannot be checked in Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnUnavailable {
    /// Each instance applies the limit to its own calls. The fleet may then make up to `limit` calls per instance.
    #[default]
    Local,
    /// The call is admitted.
    Allow,
    /// The call is rejected, with a `retry_after` of one second.
    Deny,
}

/// The `retry_after` of a call that is rejected during an outage, and the time for which Redis is not queried after consecutive timeouts.
const UNAVAILABLE_RETRY: Duration = Duration::from_secs(1);
/// The maximum jitter that is added to the `retry_after` of a waiting call, so that not all processes query Redis at once.
const MAX_JITTER: Duration = Duration::from_millis(5);

impl RedisRateLimits {
    /// Creates a store, as the value of a `static`.
    #[must_use]
    pub const fn new() -> Self {
        let config =
            BreakerConfig::new().failure_threshold(3).recovery_timeout(UNAVAILABLE_RETRY).half_open_max_calls(1);
        Self {
            on_unavailable: OnUnavailable::Local,
            attached: Mutex::new(None),
            redis_breaker: CircuitBreaker::new("rate limits in Redis", config),
        }
    }

    /// Sets the decision about calls while Redis is unavailable. The default is [`OnUnavailable::Local`].
    #[must_use]
    pub const fn on_unavailable(mut self, fallback: OnUnavailable) -> Self {
        self.on_unavailable = fallback;
        self
    }

    pub(crate) fn attach(&self, connection: Arc<Connection>) {
        *self.attached() = Some(Attached { connection, full: FullLimits::new(Instant::now()) });
    }

    async fn decide(&self, request: &RateLimitRequest<'_>) -> RateLimitDecision {
        let connection = self.attached().as_ref().map(|attached| attached.connection.clone());
        let Some(connection) = connection.filter(|connection| connection.is_connected()) else {
            return self.without_redis();
        };
        let call = connection.rate_limited_call(request);
        let full_for = self.attached().as_ref().and_then(|attached| attached.full.full_for(&call, Instant::now()));
        if let Some(retry_after) = full_for {
            return rejected(request, retry_after);
        }
        let Ok(permit) = self.redis_breaker.try_acquire() else { return self.without_redis() };
        let admission = PendingAdmission { store: self, connection, call: Some(call) };
        match admission.decide().await {
            Ok(None) => {
                permit.success();
                RateLimitDecision::Admitted
            }
            Ok(Some(retry_after)) => {
                permit.success();
                rejected(request, retry_after)
            }
            Err(error) => {
                if error.is_unavailable() {
                    permit.failure();
                }
                self.without_redis()
            }
        }
    }

    const fn without_redis(&self) -> RateLimitDecision {
        match self.on_unavailable {
            OnUnavailable::Local => RateLimitDecision::Unknown,
            OnUnavailable::Allow => RateLimitDecision::Admitted,
            OnUnavailable::Deny => RateLimitDecision::Rejected { retry_after: UNAVAILABLE_RETRY },
        }
    }

    fn attached(&self) -> MutexGuard<'_, Option<Attached>> {
        self.attached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request for the admission of a call. If it is dropped before the reply, the call is not made and its admission is cancelled.
struct PendingAdmission<'a> {
    store: &'a RedisRateLimits,
    connection: Arc<Connection>,
    /// `None` once the reply has arrived.
    call: Option<RateLimitedCall>,
}

impl PendingAdmission<'_> {
    async fn decide(mut self) -> Result<Option<Duration>, FleetError> {
        let Some(call) = &self.call else { return Ok(None) };
        let requested_at = Instant::now();
        let decision = self.connection.admit(call).await;
        if let Ok(Some(retry_after)) = decision
            && let Some(attached) = self.store.attached().as_mut()
        {
            attached.full.insert(call, requested_at, retry_after);
        }
        self.call = None;
        decision
    }
}

impl Drop for PendingAdmission<'_> {
    fn drop(&mut self) {
        // Without a runtime nothing can be sent, so the call stays counted until it leaves the window.
        let (Some(call), Ok(runtime)) = (self.call.take(), Handle::try_current()) else { return };
        if let Some(attached) = self.store.attached().as_mut() {
            attached.full.remove(&call);
        }
        let connection = self.connection.clone();
        let mut cancellation = Box::pin(unconstrained(async move { connection.cancel(&call).await }));
        // The first poll sends the cancellation, so it follows the admission request and precedes all later requests. If it is lost, the
        // call stays counted until it leaves the window.
        let poll = || cancellation.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending();
        if catch_panic(poll) == Some(true) {
            runtime.spawn(cancellation);
        }
    }
}

/// Returns the rejection of a call. If calls can wait for the limit, jitter is added, so that they query Redis slightly later than there is
/// capacity.
fn rejected(request: &RateLimitRequest<'_>, retry_after: Duration) -> RateLimitDecision {
    let max_jitter =
        if request.config.get_max_wait().is_some() { (retry_after / 64).min(MAX_JITTER) } else { Duration::ZERO };
    RateLimitDecision::Rejected { retry_after: retry_after.saturating_add(max_jitter.mul_f64(fastrand::f64())) }
}

impl Default for RedisRateLimits {
    fn default() -> Self {
        Self::new()
    }
}

impl RateLimitStore for RedisRateLimits {
    fn acquire<'a>(
        &'a self,
        request: &'a RateLimitRequest<'a>,
    ) -> Pin<Box<dyn Future<Output = RateLimitDecision> + Send + 'a>> {
        Box::pin(self.decide(request))
    }
}

impl fmt::Debug for RedisRateLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRateLimits").field("on_unavailable", &self.on_unavailable).finish_non_exhaustive()
    }
}
