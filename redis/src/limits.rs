use std::{
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
    time::Duration,
};

use steadfast::{BreakerConfig, CircuitBreaker, RateLimitDecision, RateLimitRequest, RateLimitStore};
use tokio::{runtime::Handle, task::coop::unconstrained, time::Instant};

use crate::{
    FleetError,
    contain::contain,
    link::{Limited, Link},
};

/// Rate limits whose calls are counted for the whole fleet, in Redis.
///
/// Name it as the `store` of a limit, and give it to the fleet by [`rate_limits`](crate::FleetBuilder::rate_limits). Until Redis
/// answers for the first time, and whenever it does not, [`OnUnavailable`] decides; a program whose limits have to hold from the first
/// call on waits for [`Fleet::available`](crate::Fleet::available) before it serves.
///
/// A call costs one way to Redis and back, and none while a limit is known to be full. In any window as long as the limit says, by the
/// clock of Redis, no more calls are admitted than it says; what is rejected is not counted.
/// A window takes 40 to 120 bytes for each of its calls there, `gcra` about 150 for each key; both go away by themselves.
///
/// With a `max_wait`, the calls of one process wait in a queue of its own; the first of it asks Redis when there is capacity again, and is
/// counted when it is admitted. Nothing is reserved: a caller that gives up holds nothing. Between processes the order is about that in
/// which they ask: where several wait for the same limit, each of them gets a share, but not the one whose caller came first.
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
    /// Limits that are full.
    full: HashMap<String, Full>,
    /// The moment from which on those that are over are looked for again, so that a flood of keys does not pay for that at each call.
    prune_at: Instant,
}

/// A limit that was found full.
#[derive(Clone, Copy, Debug)]
struct Full {
    /// The limit by which it is, and its window; by another one it may not be.
    limit: (u32, u64),
    /// The moment at which there is capacity.
    until: Instant,
    /// The moment from which on Redis is asked again all the same: its counts may be lost, or a call taken out.
    ask_again: Instant,
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
/// The time for which Redis is not asked about a limit that it has said is full.
const KNOWN: Duration = Duration::from_secs(1);
/// The most time by which a call that waits asks later than there is capacity, so that not all processes ask at once.
const MOST_JITTER: Duration = Duration::from_millis(5);

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
        *self.attached() = Some(Attached { link, full: HashMap::new(), prune_at: Instant::now() });
    }

    async fn decide(&self, request: &RateLimitRequest<'_>) -> RateLimitDecision {
        let link = self.attached().as_ref().map(|attached| attached.link.clone());
        let Some(link) = link.filter(|link| link.is_up()) else { return self.without() };
        let call = link.limited(request);
        let asked = Instant::now();
        if let Some(retry_after) = self.is_full_for(&call, asked) {
            return rejected(request, retry_after);
        }
        let Ok(permit) = self.redis.try_acquire() else { return self.without() };
        let question = Question { limits: self, link, call: Some(call) };
        match question.answer().await {
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
                self.without()
            }
        }
    }

    const fn without(&self) -> RateLimitDecision {
        match self.on_unavailable {
            OnUnavailable::Local => RateLimitDecision::Unknown,
            OnUnavailable::Allow => RateLimitDecision::Admitted,
            OnUnavailable::Deny => RateLimitDecision::Rejected { retry_after: AGAIN },
        }
    }

    /// The time for which its limit is known to be full.
    fn is_full_for(&self, call: &Limited, now: Instant) -> Option<Duration> {
        let full = *self.attached().as_ref()?.full.get(&call.key)?;
        let is_known = full.limit == (call.limit, call.per) && full.ask_again > now && full.until > now;
        is_known.then(|| full.until - now)
    }

    /// Remembers a limit that is full. Redis was asked at that moment, and has counted from some time after it.
    fn remember(&self, call: &Limited, asked: Instant, retry_after: Duration) {
        let mut attached = self.attached();
        let Some(Attached { full, prune_at, .. }) = attached.as_mut() else { return };
        if full.len() >= MOST_FULL && asked >= *prune_at {
            *prune_at = asked + KNOWN;
            full.retain(|_, full| full.until.min(full.ask_again) > asked);
        }
        let Some(until) = asked.checked_add(retry_after) else { return };
        if full.len() < MOST_FULL {
            full.insert(call.key.clone(), Full { limit: (call.limit, call.per), until, ask_again: asked + KNOWN });
        }
    }

    fn forget(&self, call: &Limited) {
        if let Some(Attached { full, .. }) = self.attached().as_mut() {
            full.remove(&call.key);
        }
    }

    fn attached(&self) -> MutexGuard<'_, Option<Attached>> {
        self.attached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that Redis is asked about. Dropped before it has an answer, the call is not made, and does not count.
struct Question<'a> {
    limits: &'a RedisRateLimits,
    link: Arc<Link>,
    call: Option<Limited>,
}

impl Question<'_> {
    async fn answer(mut self) -> Result<Option<Duration>, FleetError> {
        let Some(call) = &self.call else { return Ok(None) };
        let asked = Instant::now();
        let answer = self.link.limit(call).await;
        if let Ok(Some(retry_after)) = answer {
            self.limits.remember(call, asked, retry_after);
        }
        self.call = None;
        answer
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        // Where there is no runtime any more, it lapses with the window.
        let (Some(call), Ok(runtime)) = (self.call.take(), Handle::try_current()) else { return };
        self.limits.forget(&call);
        let link = self.link.clone();
        let mut give_back = Box::pin(unconstrained(async move { link.give_back(&call).await }));
        // Its first step sends it: after the question, and before what is asked from now on. If it does not arrive, the call lapses, too.
        let is_under_way = || give_back.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending();
        if contain(is_under_way) == Some(true) {
            runtime.spawn(give_back);
        }
    }
}

/// A call that waits asks again a little later than there is capacity.
fn rejected(request: &RateLimitRequest<'_>, retry_after: Duration) -> RateLimitDecision {
    let most =
        if request.config.get_max_wait().is_some() { (retry_after / 64).min(MOST_JITTER) } else { Duration::ZERO };
    RateLimitDecision::Rejected { retry_after: retry_after.saturating_add(most.mul_f64(fastrand::f64())) }
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
