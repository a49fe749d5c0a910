//! Settings that are known only at run time: `policy`, `enabled`, a breaker or limit in a field, and a timeout that is an argument.

use std::{
    cell::{Cell, RefCell},
    future::{Future, pending},
    io,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use steadfast::{
    BreakerConfig, BreakerState, Bulkhead, BulkheadConfig, CircuitBreaker, Jitter, KeyedBreakers, KeyedRateLimits,
    RateLimit, RateLimitConfig, RetryBudget, RetryPolicy, Schedule, breaker, breakers, bulkhead, bulkheads,
    circuit_breaker, rate_limit, rate_limits, retries, retry, timeout,
};
use tokio::time::Instant;

const HOUR: Duration = Duration::from_hours(1);

fn fast(attempts: u32) -> RetryPolicy {
    RetryPolicy::new().max_attempts(attempts).backoff(Schedule::none())
}

fn transient() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

/// Counts the call and fails.
fn fail(calls: &Cell<u32>) -> io::Result<()> {
    calls.set(calls.get() + 1);
    Err(transient())
}

/// Returns the number of attempts that `call` makes.
fn attempts(call: impl FnOnce(&Cell<u32>) -> io::Result<()>) -> u32 {
    let calls = Cell::new(0);
    call(&calls).unwrap_err();
    calls.get()
}

static FOUR: RetryPolicy = fast_const(4);
const FIVE: RetryPolicy = fast_const(5);
static LAZY: LazyLock<RetryPolicy> = LazyLock::new(|| fast(6));
static BUDGET: RetryBudget = RetryBudget::new().ratio(0.0).reserve_per_second(0);

const fn fast_const(attempts: u32) -> RetryPolicy {
    RetryPolicy::new().max_attempts(attempts).backoff(Schedule::none())
}

#[retry(policy = FOUR)]
fn by_static(calls: &Cell<u32>) -> io::Result<()> {
    fail(calls)
}

#[retry(policy = &FIVE)]
fn by_constant(calls: &Cell<u32>) -> io::Result<()> {
    fail(calls)
}

#[retry(policy = LAZY)]
fn by_lazy(calls: &Cell<u32>) -> io::Result<()> {
    fail(calls)
}

#[retry(policy = policy)]
fn by_value(policy: RetryPolicy, calls: &Cell<u32>) -> io::Result<()> {
    consume(policy);
    fail(calls)
}

#[retry(policy = policy)]
fn by_reference(policy: &RetryPolicy, calls: &Cell<u32>) -> io::Result<()> {
    fail(calls)
}

#[retry(policy = config.lock().unwrap())]
fn by_guard(config: &Mutex<RetryPolicy>, calls: &Cell<u32>) -> io::Result<()> {
    *config.lock().unwrap() = fast(9); // the guard is not held during the call
    fail(calls)
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "a borrowed argument")]
#[retry(policy = fast(*attempts))]
fn by_function(attempts: &u32, calls: &Cell<u32>) -> io::Result<()> {
    fail(calls)
}

#[retry(policy = fast(u32::from(options[0])))]
fn by_moved_argument(options: Vec<u8>, calls: &Cell<u32>) -> io::Result<()> {
    consume(options);
    fail(calls)
}

fn consume<T>(value: T) {
    drop(value);
}

#[retry(policy = FOUR, retry_if = |error| error.kind() == io::ErrorKind::NotFound)]
fn by_condition(calls: &Cell<u32>) -> io::Result<()> {
    fail(calls)
}

#[retry(policy = RetryPolicy::new().max_attempts(4).backoff(Schedule::none()).budget(&BUDGET))]
fn by_budget(calls: &Cell<u32>) -> io::Result<()> {
    fail(calls)
}

#[retry(policy = if is_urgent { FOUR } else { FIVE })]
#[circuit_breaker(breaker = if is_urgent { &BREAKERS[2] } else { &BREAKERS[3] })]
fn by_branch(is_urgent: bool, calls: &Cell<u32>) -> io::Result<()> {
    fail(calls)
}

#[test]
fn a_policy_is_any_expression_that_is_a_policy_or_points_to_one() {
    assert_eq!(attempts(by_static), 4);
    assert_eq!(attempts(by_constant), 5);
    assert_eq!(attempts(by_lazy), 6);
    assert_eq!(attempts(|calls| by_value(fast(2), calls)), 2);
    assert_eq!(attempts(|calls| by_reference(&fast(7), calls)), 7);
    assert_eq!(attempts(|calls| by_guard(&Mutex::new(fast(2)), calls)), 2);
    assert_eq!(attempts(|calls| by_function(&3, calls)), 3);
    assert_eq!(attempts(|calls| by_moved_argument(vec![2], calls)), 2);
    assert_eq!(attempts(|calls| by_branch(true, calls)), 4);
    assert_eq!(attempts(|calls| by_branch(false, calls)), 5);
    assert_eq!(attempts(by_condition), 1);
    assert_eq!(attempts(by_budget), 1);
}

struct Client {
    retry: RetryPolicy,
    shared: Arc<RetryPolicy>,
    limit: Duration,
    calls: Cell<u32>,
    hooks: RefCell<Vec<u32>>,
    breaker: CircuitBreaker,
    shared_breaker: Arc<CircuitBreaker>,
    hosts: KeyedBreakers,
    rate: RateLimit,
    users: KeyedRateLimits,
    bulkhead: Arc<Bulkhead>,
}

impl Client {
    fn new() -> Self {
        Self {
            retry: fast(4),
            shared: Arc::new(fast(5)),
            limit: Duration::from_secs(3),
            calls: Cell::new(0),
            hooks: RefCell::new(Vec::new()),
            breaker: CircuitBreaker::new("run time: field", BreakerConfig::new().failure_threshold(2)),
            shared_breaker: Arc::new(CircuitBreaker::new(
                "run time: shared",
                BreakerConfig::new().failure_threshold(2),
            )),
            hosts: KeyedBreakers::new("run time: hosts", BreakerConfig::new().failure_threshold(1)),
            rate: RateLimit::new("run time: rate", RateLimitConfig::new(1, HOUR)),
            users: KeyedRateLimits::new("run time: users", RateLimitConfig::new(1, HOUR)),
            bulkhead: Arc::new(Bulkhead::new("run time: bulkhead", BulkheadConfig::new().max_concurrent(1))),
        }
    }

    #[retry(policy = self.retry)]
    fn field(&self) -> io::Result<()> {
        fail(&self.calls)
    }

    #[retry(policy = &self.shared)]
    async fn field_async(&self) -> io::Result<()> {
        fail(&self.calls)
    }

    #[retry(policy = self.retry)]
    async fn mutable(&mut self) -> io::Result<()> {
        self.retry = fast(9); // applies to the next call
        fail(&self.calls)
    }

    #[retry(policy = self.retry, on_retry = |attempt, _, _, elapsed| self.hooks.borrow_mut().push(attempt + u32::from(!elapsed.is_zero())))]
    fn hooked(&self) -> io::Result<()> {
        fail(&self.calls)
    }

    #[retry(policy = self.retry)]
    fn future(&self) -> impl Future<Output = io::Result<()>> + '_ {
        async { fail(&self.calls) }
    }

    #[retry(policy = self.policy())]
    fn method(&self) -> io::Result<()> {
        fail(&self.calls)
    }

    const fn policy(&self) -> RetryPolicy {
        self.retry.max_attempts(2)
    }

    /// Returns the number of calls since the last time.
    fn made(&self) -> u32 {
        self.calls.take()
    }

    #[timeout(self.limit)]
    async fn limited(&self) -> io::Result<()> {
        pending().await
    }

    #[timeout(self.limit / 3)]
    #[retry(policy = self.retry)]
    #[timeout(limit)]
    async fn limited_twice(&mut self, limit: Duration) -> io::Result<()> {
        self.calls.set(self.calls.get() + 1);
        pending().await
    }

    #[circuit_breaker(breaker = self.breaker)]
    fn guarded(&self) -> io::Result<()> {
        fail(&self.calls)
    }

    #[circuit_breaker(breaker = &self.shared_breaker, failure_if = |error| error.kind() == io::ErrorKind::ConnectionReset)]
    async fn guarded_async(&self) -> io::Result<()> {
        fail(&self.calls)
    }

    #[circuit_breaker(breaker = self.shared_breaker.clone())]
    fn guarded_mut(&mut self) -> io::Result<()> {
        self.calls.set(self.calls.get() + 1);
        Err(transient())
    }

    #[circuit_breaker(breaker = self.hosts, key = host)]
    fn keyed(&self, host: &str) -> io::Result<()> {
        _ = host;
        fail(&self.calls)
    }

    #[circuit_breaker(breaker = self.hosts.breaker(host))]
    async fn of_key(&self, host: &str) -> io::Result<()> {
        _ = host;
        fail(&self.calls)
    }

    #[retry(policy = self.retry)]
    #[circuit_breaker(breaker = breaker)]
    #[rate_limit(rate_limit = self.rate)]
    #[bulkhead(bulkhead = self.bulkhead)]
    async fn stacked(&self, breaker: &CircuitBreaker) -> io::Result<()> {
        Ok(())
    }

    #[rate_limit(rate_limit = self.users, key = user)]
    fn per_user(&self, user: &str) -> io::Result<()> {
        _ = user;
        Ok(())
    }

    #[bulkhead(bulkhead = self.bulkhead.clone())]
    fn exclusive(&self, inner: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        inner()
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_in_a_field_is_read_at_each_call() {
    let mut client = Client::new();
    client.field().unwrap_err();
    assert_eq!(client.made(), 4);
    client.field_async().await.unwrap_err();
    assert_eq!(client.made(), 5);
    client.future().await.unwrap_err();
    assert_eq!(client.made(), 4);
    client.method().unwrap_err();
    assert_eq!(client.made(), 2);
    client.hooked().unwrap_err();
    assert_eq!((client.made(), client.hooks.take()), (4, vec![2, 3, 4]), "the hook gets the elapsed time");
    client.mutable().await.unwrap_err();
    assert_eq!(client.made(), 4, "a call keeps the policy with which it began");
    client.mutable().await.unwrap_err();
    assert_eq!(client.made(), 9);
}

#[retry(policy = policy.name("run time: named"))]
fn named(policy: RetryPolicy, calls: &Cell<u32>) -> io::Result<()> {
    fail(calls)
}

#[test]
fn events_name_the_policy_or_the_function() {
    for (part, expected, call) in [
        (
            "run time: named",
            "run time: named",
            &(|calls: &Cell<u32>| named(fast(2), calls)) as &dyn Fn(&Cell<u32>) -> _,
        ),
        ("::by_value", "run_time_settings::by_value", &|calls| by_value(fast(2), calls)),
    ] {
        let events = crate::collect_events(part);
        assert_eq!(attempts(call), 2);
        let texts = events.texts();
        assert!(texts.iter().any(|text| text.contains(expected)), "{texts:?}");
    }
}

#[async_trait]
trait Service {
    async fn call(&mut self, order: String, limit: Duration) -> io::Result<()>;
}

struct Remote {
    retry: RetryPolicy,
    breaker: Arc<CircuitBreaker>,
    is_idempotent: bool,
    calls: u32,
}

#[async_trait]
impl Service for Remote {
    #[retry(policy = self.retry, enabled = self.is_idempotent)]
    #[circuit_breaker(breaker = self.breaker.clone())]
    #[timeout(limit + self.breaker.state_limit())]
    async fn call(&mut self, order: String, limit: Duration) -> io::Result<()> {
        self.calls += 1;
        assert_eq!(order, "order");
        pending().await
    }
}

/// A method that the breaker in a field has got by a trait.
trait StateLimit {
    fn state_limit(&self) -> Duration;
}

impl StateLimit for CircuitBreaker {
    fn state_limit(&self) -> Duration {
        Duration::from_millis(u64::from(self.state() == BreakerState::Closed))
    }
}

#[tokio::test(start_paused = true)]
async fn async_traits_take_settings_from_self() {
    let breaker = Arc::new(CircuitBreaker::new("run time: trait", BreakerConfig::new().failure_threshold(5)));
    let mut remote = Remote { retry: fast(3), breaker: breaker.clone(), is_idempotent: true, calls: 0 };
    let start = Instant::now();
    remote.call("order".to_owned(), Duration::from_secs(1)).await.unwrap_err();
    assert_eq!((remote.calls, breaker.snapshot().failures), (3, 3));
    assert!(start.elapsed() >= Duration::from_millis(3_003));
    remote.is_idempotent = false;
    remote.call("order".to_owned(), Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(remote.calls, 4);
}

#[timeout(limit)]
async fn by_argument(limit: Duration, waits: bool) -> io::Result<()> {
    if waits { pending().await } else { Ok(()) }
}

#[timeout(config().1)]
async fn by_call() -> Option<()> {
    pending().await
}

fn config() -> (u8, Duration) {
    (1, Duration::from_secs(5))
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_any_expression_over_the_arguments() {
    let mut client = Client::new();
    let start = Instant::now();
    let seconds = || start.elapsed().as_secs();
    assert!(client.limited().await.unwrap_err().to_string().contains("took longer than 3s"));
    assert_eq!(seconds(), 3);
    client.limit = HOUR;
    client.limited().await.unwrap_err();
    assert_eq!(seconds(), 3_603);
    client.limit = Duration::from_secs(30);
    client.limited_twice(Duration::from_secs(2)).await.unwrap_err();
    assert_eq!((seconds(), client.made()), (3_611, 4), "four attempts of two seconds");
    client.limited_twice(Duration::from_secs(4)).await.unwrap_err();
    assert_eq!((seconds(), client.made()), (3_621, 3), "ten seconds in all");
    assert_eq!(by_call().await, None);
    assert_eq!(seconds(), 3_626);
}

#[tokio::test(start_paused = true)]
async fn absurd_limits_from_outside_do_not_panic() {
    by_argument(Duration::ZERO, false).await.unwrap();
    let start = Instant::now();
    assert!(by_argument(Duration::ZERO, true).await.unwrap_err().to_string().contains("took longer than 0ns"));
    assert_eq!(start.elapsed(), Duration::ZERO, "a call that is pending at its first poll times out at once");
    by_argument(Duration::MAX, false).await.unwrap();
    let endless = tokio::time::timeout(HOUR, by_argument(Duration::MAX, true)).await;
    assert!(endless.is_err());
    assert_eq!(attempts(|calls| by_value(RetryPolicy::new().max_elapsed(Duration::ZERO), calls)), 1);
    assert_eq!(attempts(|calls| by_value(fast(3).jitter(Jitter::none()).max_elapsed(Duration::MAX), calls)), 3);
}

#[tokio::test(start_paused = true)]
async fn breakers_and_limits_in_fields_are_used_but_not_listed() {
    let mut client = Client::new();
    for _ in 0..5 {
        client.guarded().unwrap_err();
        client.guarded_async().await.unwrap_err();
    }
    assert_eq!(client.made(), 4, "each breaker has opened after two failures");
    assert_eq!(client.breaker.state(), BreakerState::Open);
    client.shared_breaker.reset();
    for _ in 0..5 {
        client.guarded_mut().unwrap_err();
    }
    assert_eq!(client.made(), 2);
    for host in ["a", "b", "a", "b"] {
        client.keyed(host).unwrap_err();
        client.of_key(host).await.unwrap_err();
    }
    assert_eq!(client.made(), 2, "one call for each host");
    assert!(client.per_user("a").is_ok() && client.per_user("b").is_ok());
    assert!(client.per_user("a").is_err());
    assert!(client.exclusive(|| client.exclusive(|| Ok(()))).is_err());

    let other = CircuitBreaker::new("run time: argument", BreakerConfig::new());
    client.retry = fast(1);
    assert!(client.stacked(&other).await.is_ok());
    let limited = client.stacked(&other).await.unwrap_err();
    assert!(limited.to_string().contains("rate limit `run time: rate`"), "{limited}");
    assert_eq!(other.snapshot().successes, 1);

    assert!(breaker("run time: field").is_none());
    assert!(breakers().iter().all(|breaker| !breaker.name().starts_with("run time: shard")));
    assert!(rate_limits().iter().all(|limit| limit.name() != "run time: rate"));
    assert!(bulkheads().iter().all(|bulkhead| bulkhead.name() != "run time: bulkhead"));
}

trait Settings {
    fn retry(&self) -> RetryPolicy;
    fn limit(&self) -> Option<Duration>;
}

impl Settings for u32 {
    fn retry(&self) -> RetryPolicy {
        fast(*self)
    }

    fn limit(&self) -> Option<Duration> {
        Some(Duration::from_secs(u64::from(*self)))
    }
}

/// A client whose settings have a type parameter.
struct Generic<S> {
    settings: S,
    calls: Mutex<u32>,
}

impl<S: Settings + Send + Sync> Generic<S> {
    #[retry(policy = self.settings.retry())]
    #[circuit_breaker(breaker = breaker)]
    #[bulkhead(bulkhead = bulkheads[0])]
    #[timeout(self.settings.limit().unwrap_or(HOUR))]
    async fn owned(
        self: Arc<Self>,
        breaker: Arc<CircuitBreaker>,
        bulkheads: Vec<Bulkhead>,
        order: String,
    ) -> io::Result<()> {
        *self.calls.lock().unwrap() += 1;
        consume(order);
        pending().await
    }

    #[retry(policy = policy, enabled = policy != fast(1))]
    fn captured(&self, (policy, _): (RetryPolicy, u8), #[cfg(not(miri))] order: String) -> io::Result<()> {
        *self.calls.lock().unwrap() += 1;
        consume((policy, order));
        Err(transient())
    }
}

macro_rules! generated {
    ($name:ident, $policy:expr, $breaker:expr, $limit:expr) => {
        #[retry(policy = $policy)]
        #[circuit_breaker(breaker = $breaker)]
        #[timeout($limit)]
        async fn $name(retry: &RetryPolicy, limit: Duration, own: &CircuitBreaker) -> io::Result<()> {
            _ = (retry, limit, own);
            pending().await
        }
    };
}

generated!(generated_of_statics, FOUR, GENERATED, HOUR);

static GENERATED: CircuitBreaker = CircuitBreaker::new("run time: generated", BreakerConfig::new());

#[tokio::test(start_paused = true)]
async fn settings_come_from_arguments_of_all_shapes() {
    let client = Arc::new(Generic { settings: 2, calls: Mutex::new(0) });
    let breaker = Arc::new(CircuitBreaker::new("run time: owned", BreakerConfig::new()));
    let bulkheads = vec![Bulkhead::new("run time: owned", BulkheadConfig::new())];
    let start = Instant::now();
    // The future can be spawned.
    let call = tokio::spawn(client.clone().owned(breaker.clone(), bulkheads, "order".to_owned()));
    call.await.unwrap().unwrap_err();
    assert_eq!((*client.calls.lock().unwrap(), breaker.snapshot().failures), (2, 2));
    assert_eq!(start.elapsed(), Duration::from_secs(4));

    client.captured((fast(3), 0), String::new()).unwrap_err();
    assert_eq!(*client.calls.lock().unwrap(), 5);
    client.captured((fast(1), 0), String::new()).unwrap_err();
    assert_eq!(*client.calls.lock().unwrap(), 6);

    generated_of_statics(&fast(1), HOUR, &breaker).await.unwrap_err();
    assert_eq!(steadfast::breaker("run time: generated").unwrap().snapshot().failures, 4);
}

static LISTED: CircuitBreaker = CircuitBreaker::new("run time: listed", BreakerConfig::new());
static LAZY_BREAKER: LazyLock<CircuitBreaker> =
    LazyLock::new(|| CircuitBreaker::new("run time: lazy", BreakerConfig::new().failure_threshold(1)));
static BREAKERS: [CircuitBreaker; 4] = [
    CircuitBreaker::new("run time: shard 0", BreakerConfig::new().failure_threshold(1)),
    CircuitBreaker::new("run time: shard 1", BreakerConfig::new().failure_threshold(1)),
    CircuitBreaker::new("run time: shard 2", BreakerConfig::new().failure_threshold(9)),
    CircuitBreaker::new("run time: shard 3", BreakerConfig::new().failure_threshold(9)),
];

#[circuit_breaker(breaker = &LISTED)]
fn by_reference_to_static() -> io::Result<()> {
    Ok(())
}

#[circuit_breaker(breaker = *LAZY_BREAKER)]
fn by_lazy_static() -> io::Result<()> {
    Err(transient())
}

#[circuit_breaker(breaker = BREAKERS[shard])]
fn by_index(shard: usize) -> io::Result<()> {
    Err(transient())
}

trait Shard {
    const BREAKER: &'static CircuitBreaker;
}

struct First;

impl Shard for First {
    const BREAKER: &'static CircuitBreaker = &BREAKERS[0];
}

#[circuit_breaker(breaker = S::BREAKER)]
fn by_type<S: Shard>() -> io::Result<()> {
    Err(transient())
}

#[test]
fn statics_are_listed_and_computed_breakers_are_not() {
    by_reference_to_static().unwrap();
    assert_eq!(breaker("run time: listed").unwrap().snapshot().successes, 1);
    by_lazy_static().unwrap_err();
    assert_eq!(LAZY_BREAKER.state(), BreakerState::Open);
    assert!(breaker("run time: lazy").is_none());
    by_index(1).unwrap_err();
    assert_eq!((BREAKERS[0].state(), BREAKERS[1].state()), (BreakerState::Closed, BreakerState::Open));
    by_type::<First>().unwrap_err();
    assert_eq!(BREAKERS[0].state(), BreakerState::Open);
}

#[derive(Clone)]
struct Request {
    is_idempotent: bool,
}

#[retry(
    name = "run time: enabled",
    max_attempts = 3,
    backoff = none,
    enabled = request.is_idempotent,
    on_retry = |_, _, _| hooks.set(hooks.get() + 1)
)]
fn send(request: Request, calls: &Cell<u32>, hooks: &Cell<u32>) -> io::Result<()> {
    calls.set(calls.get() + 1);
    consume(request);
    Err(transient())
}

#[retry(max_attempts = 3, backoff = none, enabled = checks.replace(checks.get() + 1) == 0)]
async fn checked_once(checks: &Cell<u32>, calls: &Cell<u32>) -> io::Result<()> {
    fail(calls)
}

#[retry(max_attempts = 3, backoff = none, retry_if_result = |value| *value < 10, enabled = polls)]
fn polled(polls: bool, calls: &Cell<u32>) -> u32 {
    calls.replace(calls.get() + 1)
}

#[tokio::test]
async fn a_retry_that_is_not_enabled_makes_one_attempt() {
    let request = |is_idempotent| Request { is_idempotent };
    let (calls, hooks) = (Cell::new(0), Cell::new(0));
    assert_eq!(send(request(false), &calls, &hooks).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!((calls.take(), hooks.take()), (1, 0));
    let counted = || retries().into_iter().find(|retry| retry.name == "run time: enabled").unwrap();
    assert_eq!((counted().calls(), counted().attempts, counted().exhausted, counted().not_transient), (1, 1, 0, 1));
    send(request(true), &calls, &hooks).unwrap_err();
    assert_eq!((calls.take(), hooks.take()), (3, 2));
    assert_eq!((counted().calls(), counted().attempts, counted().exhausted), (2, 4, 1));

    let checks = Cell::new(0);
    checked_once(&checks, &calls).await.unwrap_err();
    assert_eq!((calls.take(), checks.get()), (3, 1), "evaluated once, before the first attempt");
    checked_once(&checks, &calls).await.unwrap_err();
    assert_eq!(calls.take(), 1);

    assert_eq!((polled(false, &calls), polled(true, &calls)), (0, 3));
}

/// A value that can't be cloned without a trace.
struct Counted<'a>(&'a Cell<u32>);

impl Clone for Counted<'_> {
    fn clone(&self) -> Self {
        self.0.set(self.0.get() + 1);
        Self(self.0)
    }
}

#[retry(max_attempts = 3, backoff = none, enabled = retries)]
fn moves(retries: bool, value: Counted<'_>) -> io::Result<()> {
    consume(value);
    Err(transient())
}

#[test]
fn a_single_attempt_clones_no_argument() {
    let clones = Cell::new(0);
    moves(false, Counted(&clones)).unwrap_err();
    assert_eq!(clones.get(), 0);
    moves(true, Counted(&clones)).unwrap_err();
    assert_eq!(clones.get(), 2);
}
