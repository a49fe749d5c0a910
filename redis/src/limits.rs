use std::{
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use steadfast::{BreakerConfig, CircuitBreaker, RateLimitDecision, RateLimitRequest, RateLimitStore};
use tokio::{
    runtime::Handle,
    time::{Instant, sleep},
};

use crate::link::{Limited, Link};

/// Rate limits whose calls are counted for the whole fleet, in Redis.
///
/// Name it as the `store` of a limit, and give it to the fleet by [`rate_limits`](crate::FleetBuilder::rate_limits). Until Redis
/// answers for the first time, and whenever it does not, [`OnUnavailable`] decides; a program whose limits have to hold from the first
/// call on waits for [`Fleet::available`](crate::Fleet::available) before it serves.
///
/// A call costs one way to Redis and back, and none while a limit is known to be full. In any window as long as the limit says, by the
/// clock of Redis, there are no more calls than it says; what is rejected is not counted, and the time until there is a place is exact.
/// A window takes 40 to 120 bytes for each of its calls there, `gcra` 120 for each key; both go away by themselves.
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
    /// Nobody waits for a Redis that is down.
    redis: CircuitBreaker,
}

/// What there is once a fleet has been started.
struct Attached {
    link: Arc<Link>,
    /// Limits that are full, and until when.
    full: HashMap<String, Instant>,
}

/// What becomes of a call whose limit can't be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnUnavailable {
    /// This instance counts its own calls by the same limit, so the fleet may make as many times more as it has instances.
    #[default]
    Local,
    /// It is made.
    Allow,
    /// It is rejected, and may be tried again after a second.
    Deny,
}

/// Full limits that are remembered at once.
const MOST_FULL: usize = 10_000;
/// When a call that was denied may be tried again; and Redis, after it has not answered.
const AGAIN: Duration = Duration::from_secs(1);

impl RedisRateLimits {
    /// For a `static`.
    #[must_use]
    pub const fn new() -> Self {
        let config = BreakerConfig::new().failure_threshold(3).recovery_timeout(AGAIN).half_open_max_calls(1);
        Self {
            on_unavailable: OnUnavailable::Local,
            attached: Mutex::new(None),
            redis: CircuitBreaker::new("rate limits in Redis", config),
        }
    }

    /// What becomes of calls while Redis does not answer; [`OnUnavailable::Local`] unless it is given.
    #[must_use]
    pub const fn on_unavailable(mut self, then: OnUnavailable) -> Self {
        self.on_unavailable = then;
        self
    }

    pub(crate) fn attach(&self, link: Arc<Link>) {
        *self.attached() = Some(Attached { link, full: HashMap::new() });
    }

    async fn decide(&self, request: &RateLimitRequest<'_>) -> RateLimitDecision {
        let link = self.attached().as_ref().map(|attached| attached.link.clone());
        let Some(link) = link.filter(|link| link.is_up()) else { return self.without() };
        let call = link.limited(request);
        let asked = Instant::now();
        let patience = request.config.max_wait().unwrap_or_default();
        if let Some(retry_after) = self.is_full_for(&call.key, asked).filter(|left| *left > patience) {
            return RateLimitDecision::Rejected { retry_after };
        }
        let Ok(permit) = self.redis.try_acquire() else { return self.without() };
        match link.limit(&call).await {
            Ok((true, after)) => {
                permit.success();
                if !after.is_zero() {
                    let place = Place { limits: self, link, call: Some(call) };
                    // Longer by the way back, so that it is not too early.
                    sleep(after).await;
                    place.keep();
                }
                RateLimitDecision::Admitted { after: Duration::ZERO }
            }
            Ok((false, retry_after)) => {
                permit.success();
                // Redis has counted from some time after it was asked.
                self.remember(call.key, asked + retry_after, asked);
                RateLimitDecision::Rejected { retry_after }
            }
            Err(error) => {
                if error.is_unavailable() {
                    permit.failure();
                }
                self.without()
            }
        }
    }

    const fn without(&self) -> RateLimitDecision {
        match self.on_unavailable {
            OnUnavailable::Local => RateLimitDecision::Unknown,
            OnUnavailable::Allow => RateLimitDecision::Admitted { after: Duration::ZERO },
            OnUnavailable::Deny => RateLimitDecision::Rejected { retry_after: AGAIN },
        }
    }

    /// How long it is known to be full.
    fn is_full_for(&self, key: &str, now: Instant) -> Option<Duration> {
        let until = *self.attached().as_ref()?.full.get(key)?;
        (until > now).then(|| until - now)
    }

    fn remember(&self, key: String, until: Instant, now: Instant) {
        let mut attached = self.attached();
        let Some(Attached { full, .. }) = attached.as_mut() else { return };
        if full.len() >= MOST_FULL {
            full.retain(|_, until| *until > now);
        }
        if full.len() < MOST_FULL {
            full.insert(key, until);
        }
    }

    fn attached(&self) -> MutexGuard<'_, Option<Attached>> {
        self.attached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place that a call waits for. Dropped before, it is given back.
struct Place<'a> {
    limits: &'a RedisRateLimits,
    link: Arc<Link>,
    call: Option<Limited>,
}

impl Place<'_> {
    fn keep(mut self) {
        self.call = None;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // Where there is no runtime any more, it lapses with the window.
        let (Some(call), Ok(runtime)) = (self.call.take(), Handle::try_current()) else { return };
        if let Some(Attached { full, .. }) = self.limits.attached().as_mut() {
            full.remove(&call.key);
        }
        let link = self.link.clone();
        // If Redis does not hear of it, as well.
        runtime.spawn(async move { link.give_back(&call).await });
    }
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
