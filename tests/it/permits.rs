//! Calls that take several permits of a rate limit or a bulkhead: the option `permits`, the methods `..._many`, and bursts of GCRA.

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Waker},
    time::Duration,
};

use steadfast::{
    Algorithm, Bulkhead, BulkheadConfig, BulkheadFull, KeyedRateLimits, RateLimit, RateLimitConfig, RateLimitDecision,
    RateLimitRequest, RateLimitStore, RateLimited, Transient, bulkhead, keyed_bulkheads, keyed_rate_limits, rate_limit,
    retry, testing::FakeClock,
};
use tokio::{
    sync::Notify,
    task::yield_now,
    time::{Instant, advance},
};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error, Transient)]
enum Failure {
    #[error(transparent)]
    #[transient(inherit)]
    Limited(#[from] RateLimited),
    #[error(transparent)]
    #[transient(inherit)]
    Full(#[from] BulkheadFull),
    #[error("busy")]
    #[transient]
    Busy,
}

#[rate_limit(name = "rows a minute", limit = 10, per = 60s, max_wait = 1h, permits = rows.len())]
fn insert(rows: Vec<u8>) -> Result<usize, Failure> {
    Ok(rows.into_boxed_slice().len())
}

#[test]
fn a_call_takes_as_many_permits_as_the_expression_says() {
    let clock = FakeClock::new();
    let _entered = clock.enter();
    insert(vec![0; 4]).unwrap();
    insert(vec![0; 6]).unwrap();
    assert_eq!(clock.elapsed(), Duration::ZERO);
    // No permit: admitted, although the limit is reached.
    assert_eq!(insert(Vec::new()).unwrap(), 0);
    assert_eq!(clock.elapsed(), Duration::ZERO);
    insert(vec![0; 10]).unwrap();
    assert_eq!(clock.elapsed(), SECOND * 60);

    let Err(Failure::Limited(error)) = insert(vec![0; 11]) else { panic!("more permits than the limit") };
    assert_eq!(clock.elapsed(), SECOND * 60, "it does not wait");
    let expected = "rate limit `rows a minute` cannot admit a call that takes 11 permits: the maximum is 10";
    assert_eq!(error.to_string(), expected);
    assert!(error.exceeds_limit() && !error.is_transient() && Transient::retry_after(&error).is_none());
    assert_eq!((error.permits(), error.max_permits(), error.retry_after()), (11, 10, Duration::MAX));
    let snapshot = rate_limit("rows a minute").unwrap().snapshot();
    assert_eq!((snapshot.in_window, snapshot.admitted, snapshot.rejected), (10, 4, 1));
}

#[test]
fn a_rejection_names_the_permits() {
    let clock = FakeClock::new();
    let _entered = clock.enter();
    let events = crate::collect_events("`named permits`");
    for algorithm in [Algorithm::SlidingWindow, Algorithm::Gcra] {
        let limit = RateLimit::new("named permits", RateLimitConfig::new(4, SECOND).algorithm(algorithm));
        limit.try_acquire_many(3).unwrap();
        let error = limit.try_acquire_many(2).unwrap_err();
        assert!(!error.exceeds_limit() && error.is_transient());
        assert_eq!(error.retry_after(), if algorithm == Algorithm::Gcra { SECOND / 4 } else { SECOND });
        limit.try_acquire_many(1).unwrap();
        clock.advance(error.retry_after());
        limit.try_acquire_many(1).unwrap();
        limit.try_acquire_many(5).unwrap_err();
    }
    let maximum = "rate limit `named permits` cannot admit a call that takes 5 permits: the maximum is 4";
    let reached = |wait| format!("rate limit `named permits` is reached (permits = 2); retry after {wait}");
    assert_eq!(events.texts(), [&*reached("1.000s"), maximum, &*reached("250.000ms"), maximum]);
}

/// Runs calls with these numbers of permits as tasks, in order, and returns the time of each, in seconds.
async fn start_times(limit: Arc<RateLimit>, permits: &[u32]) -> Vec<u64> {
    let start = Instant::now();
    let calls: Vec<_> = permits
        .iter()
        .map(|permits| {
            let (limit, permits) = (limit.clone(), *permits);
            tokio::spawn(async move {
                limit.acquire_many_async(permits).await.unwrap();
                start.elapsed().as_secs()
            })
        })
        .collect();
    let mut times = Vec::new();
    for call in calls {
        times.push(call.await.unwrap());
    }
    times
}

#[tokio::test(start_paused = true)]
async fn light_calls_do_not_overtake_a_heavy_one() {
    for (algorithm, expected) in [(Algorithm::SlidingWindow, [0, 10, 20, 20, 30]), (Algorithm::Gcra, [0, 8, 9, 10, 19])]
    {
        let config = RateLimitConfig::new(10, SECOND * 10).algorithm(algorithm).max_wait(SECOND * 60);
        let limit = Arc::new(RateLimit::new("in order", config));
        assert_eq!(start_times(limit.clone(), &[8, 10, 1, 1, 9]).await, expected, "{algorithm:?}");
        assert_eq!(limit.snapshot().waiting, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cannot_start_in_time_behind_heavy_ones_is_rejected_at_once() {
    let limit = RateLimit::new("predicted", RateLimitConfig::new(10, SECOND * 10).max_wait(SECOND * 25));
    let context = &mut Context::from_waker(Waker::noop());
    limit.try_acquire_many(10).unwrap();
    let mut heavy = [pin!(limit.acquire_many_async(6)), pin!(limit.acquire_many_async(6))];
    for call in &mut heavy {
        assert!(call.as_mut().poll(context).is_pending());
    }
    // The heavy ones start after 10 and 20 s: four permits are left with the second, and six more come after 30 s.
    let error = limit.acquire_many_async(5).await.unwrap_err();
    assert_eq!(error.retry_after(), SECOND * 30);
    let mut light = pin!(limit.acquire_many_async(4));
    assert!(light.as_mut().poll(context).is_pending());
}

#[tokio::test(start_paused = true)]
async fn a_heavy_waiter_that_gives_up_lets_light_ones_start() {
    let limit = RateLimit::new("given up", RateLimitConfig::new(4, SECOND).max_wait(SECOND * 9));
    let context = &mut Context::from_waker(Waker::noop());
    limit.try_acquire_many(3).unwrap();
    let mut heavy = Box::pin(limit.acquire_many_async(4));
    assert!(heavy.as_mut().poll(context).is_pending());
    let mut light = pin!(limit.acquire_async());
    assert!(light.as_mut().poll(context).is_pending());
    limit.try_acquire().unwrap_err();
    drop(heavy);
    let start = Instant::now();
    light.await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_lower_limit_rejects_a_waiter_that_takes_more() {
    let wide = RateLimitConfig::new(4, SECOND).max_wait(SECOND * 9);
    let limit = Arc::new(RateLimit::new("lowered", wide));
    limit.try_acquire_many(4).unwrap();
    let waiting = tokio::spawn({
        let limit = limit.clone();
        async move { limit.acquire_many_async(3).await }
    });
    yield_now().await;
    assert_eq!(limit.snapshot().waiting, 1);
    let start = Instant::now();
    limit.reconfigure(RateLimitConfig::new(2, SECOND).max_wait(SECOND * 9));
    let error = waiting.await.unwrap().unwrap_err();
    assert!(error.exceeds_limit() && start.elapsed().is_zero(), "{error}");
    assert_eq!(limit.snapshot().waiting, 0);
}

#[rate_limit(name = "bursts", limit = 10, per = 10s, algorithm = gcra, burst = 3)]
fn bursts() -> Option<()> {
    Some(())
}

#[test]
fn a_burst_starts_at_once_and_then_calls_are_spaced() {
    let clock = FakeClock::new();
    let _entered = clock.enter();
    let admitted = || (0..20).filter(|_| bursts().is_some()).count();
    for (pause, expected) in [(0, 3), (1, 1), (2, 2), (60, 3)] {
        clock.advance(SECOND * pause);
        assert_eq!(admitted(), expected, "after {pause} s");
    }
    let limit = rate_limit("bursts").unwrap();
    assert!(limit.try_acquire_many(4).is_err_and(|error| error.exceeds_limit() && error.max_permits() == 3));
    let snapshot = limit.snapshot();
    assert!(snapshot.to_string().starts_with("bursts: 3 of a burst of 3, 10 in 10s, 0 waiting; "), "{snapshot}");
    let json = serde_json::to_value(&snapshot).unwrap();
    assert_eq!((&json["burst"], &json["limit"], &json["in_window"]), (&3.into(), &10.into(), &3.into()));
    let config = limit.config().unwrap();
    assert_eq!(config.to_string(), "limit = 10, per = 10s, algorithm = gcra, burst = 3");
    assert_eq!((config.get_burst(), config.algorithm(Algorithm::SlidingWindow).get_burst()), (3, 10));
}

#[test]
fn values_out_of_range_are_errors() {
    let config = RateLimitConfig::new(10, SECOND);
    for (invalid, text) in [
        (RateLimitConfig::try_new(0, SECOND), "`limit` must be at least 1"),
        (
            RateLimitConfig::try_new(1_048_577, SECOND),
            "`limit` must be at most 1,048,576; for a higher rate, shorten `per`",
        ),
        (RateLimitConfig::try_new(1, Duration::ZERO), "`per` must be longer than 0"),
        (config.try_max_wait(Duration::ZERO), "`max_wait` must be longer than 0"),
        (config.try_burst(5), "`burst` needs `algorithm = gcra`"),
        (config.algorithm(Algorithm::Gcra).try_burst(0), "`burst` must be at least 1"),
        (config.algorithm(Algorithm::Gcra).try_burst(1_048_577), "`burst` must be at most 1,048,576"),
    ] {
        let error = invalid.unwrap_err().to_string();
        assert!(error.starts_with(text), "{error}");
    }
    for (invalid, text) in [
        (BulkheadConfig::new().try_max_concurrent(0), "`max_concurrent` must be at least 1"),
        (BulkheadConfig::new().try_max_wait(Duration::ZERO), "`max_wait` must be longer than 0"),
        (BulkheadConfig::new().try_max_queue(0), "`max_queue` must be at least 1"),
    ] {
        let error = invalid.unwrap_err().to_string();
        assert!(error.starts_with(text), "{error}");
    }
    let keys = KeyedRateLimits::new("no keys", config).try_max_keys(0).unwrap_err().to_string();
    assert!(keys.starts_with("`max_keys` must be at least 1"), "{keys}");
}

#[rate_limit(name = "of each tenant", limit = 5, per = 1s, key = tenant, permits = bytes.len())]
async fn store_for(tenant: &str, bytes: &[u8]) -> Result<usize, Failure> {
    Ok(bytes.len())
}

#[tokio::test(start_paused = true)]
async fn each_key_has_its_permits() {
    for tenant in ["ada", "grace"] {
        store_for(tenant, &[0; 3]).await.unwrap();
        store_for(tenant, &[0; 3]).await.unwrap_err();
        store_for(tenant, &[0; 2]).await.unwrap();
        store_for(tenant, &[]).await.unwrap();
        let Err(Failure::Limited(error)) = store_for(tenant, &[0; 6]).await else { panic!("more than the limit") };
        let expected = format!(
            "rate limit `of each tenant` for `{tenant}` cannot admit a call that takes 6 permits: the maximum is 5"
        );
        assert_eq!(error.to_string(), expected);
    }
    let snapshot = keyed_rate_limits("of each tenant").unwrap().snapshot();
    assert_eq!((snapshot.keys, snapshot.reached, snapshot.admitted, snapshot.rejected), (2, 2, 6, 4));
}

/// A store with a number of permits, each request to which takes a second.
#[derive(Debug)]
struct Pool {
    permits: AtomicU32,
    requests: Mutex<Vec<u32>>,
}

impl RateLimitStore for Pool {
    fn acquire<'a>(
        &'a self,
        request: &'a RateLimitRequest<'a>,
    ) -> Pin<Box<dyn Future<Output = RateLimitDecision> + Send + 'a>> {
        Box::pin(async {
            tokio::time::sleep(SECOND).await;
            self.requests.lock().unwrap().push(request.permits);
            let taken = self
                .permits
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |permits| permits.checked_sub(request.permits));
            match taken {
                Ok(_) => RateLimitDecision::Admitted,
                Err(_) => RateLimitDecision::Rejected { retry_after: SECOND * 10 },
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_receives_the_permits_and_serves_waiters_in_order() {
    static POOL: Pool = Pool { permits: AtomicU32::new(5), requests: Mutex::new(Vec::new()) };
    let config = RateLimitConfig::new(10, SECOND).max_wait(SECOND * 60).store(&POOL);
    let limit = Arc::new(RateLimit::new("pooled", config));
    limit.acquire_many_async(3).await.unwrap();
    limit.acquire_many_async(0).await.unwrap();
    assert_eq!(*POOL.requests.lock().unwrap(), [3], "no request for no permit");
    assert!(limit.acquire_many_async(11).await.is_err_and(|error| error.exceeds_limit()));
    let order = Arc::new(Mutex::new(Vec::new()));
    let calls: Vec<_> = [4, 1, 2, 1]
        .into_iter()
        .enumerate()
        .map(|(number, permits)| {
            let (limit, order) = (limit.clone(), order.clone());
            tokio::spawn(async move {
                // The first call sends its request before the others arrive.
                tokio::time::sleep(SECOND * u32::from(number > 0) * 2).await;
                limit.acquire_many_async(permits).await.unwrap();
                order.lock().unwrap().push(number);
            })
        })
        .collect();
    tokio::time::sleep(SECOND * 5).await;
    assert!(order.lock().unwrap().is_empty(), "the light calls wait behind the heavy one, which the store rejected");
    POOL.permits.store(8, Ordering::Relaxed);
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3]);
    assert_eq!(*POOL.requests.lock().unwrap(), [3, 4, 4, 1, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_light_waiter_does_not_wait_for_the_time_of_a_heavy_one() {
    static POOL: Pool = Pool { permits: AtomicU32::new(2), requests: Mutex::new(Vec::new()) };
    let limit =
        Arc::new(RateLimit::new("lighter", RateLimitConfig::new(10, SECOND).max_wait(SECOND * 60).store(&POOL)));
    let mut heavy = Box::pin(limit.acquire_many_async(9));
    let context = &mut Context::from_waker(Waker::noop());
    assert!(heavy.as_mut().poll(context).is_pending());
    advance(SECOND).await;
    assert!(heavy.as_mut().poll(context).is_pending(), "the store rejects it, so that it waits");
    let light = tokio::spawn({
        let limit = limit.clone();
        async move { limit.acquire_many_async(2).await }
    });
    yield_now().await;
    drop(heavy);
    let start = Instant::now();
    light.await.unwrap().unwrap();
    assert_eq!(start.elapsed(), SECOND, "one request");
}

#[bulkhead(name = "render", max_concurrent = 4, max_wait = 5s, permits = pages)]
async fn render(pages: u8, until: &Notify) -> Result<u8, Failure> {
    until.notified().await;
    Ok(pages)
}

#[tokio::test(start_paused = true)]
async fn a_call_holds_as_many_permits_of_a_bulkhead_as_it_takes() {
    let shared = bulkhead("render").unwrap();
    let until = Arc::new(Notify::new());
    let call = |pages| {
        let until = until.clone();
        tokio::spawn(async move { render(pages, &until).await })
    };
    let (heavy, light) = (call(3), call(1));
    yield_now().await;
    assert_eq!((shared.in_flight(), shared.waiting()), (4, 0));
    let Err(Failure::Full(error)) = render(5, &until).await else { panic!("more permits than there are") };
    assert!(error.exceeds_limit() && !error.is_transient() && error.waited().is_none());
    let expected = "bulkhead `render` cannot admit a call that takes 5 permits (max_concurrent = 4)";
    assert_eq!((error.to_string().as_str(), error.permits()), (expected, 5));

    // A waiting heavy call is not overtaken.
    let (waiting, behind) = (call(2), call(1));
    yield_now().await;
    assert_eq!((shared.in_flight(), shared.waiting()), (4, 2));
    assert_eq!(shared.try_acquire().unwrap_err().to_string(), "bulkhead `render` is full (max_concurrent = 4)");
    let error = shared.try_acquire_many(2).unwrap_err();
    assert_eq!(error.to_string(), "bulkhead `render` is full (max_concurrent = 4, permits = 2)");
    light.abort();
    assert!(light.await.unwrap_err().is_cancelled());
    assert_eq!((shared.in_flight(), shared.waiting()), (3, 2), "one permit is free, and the first waiter needs two");
    until.notify_one();
    assert_eq!(heavy.await.unwrap().unwrap(), 3);
    yield_now().await;
    assert_eq!((shared.in_flight(), shared.waiting()), (3, 0));
    // A call without permits is admitted, whatever is in flight.
    let free = call(0);
    yield_now().await;
    assert_eq!(shared.in_flight(), 3);
    for _ in 0..3 {
        until.notify_one();
    }
    for (call, pages) in [(waiting, 2), (behind, 1), (free, 0)] {
        assert_eq!(call.await.unwrap().unwrap(), pages);
    }
    assert_eq!((shared.in_flight(), shared.waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_heavy_waiter_that_times_out_lets_light_ones_in() {
    let gate = Bulkhead::new("heavy head", BulkheadConfig::new().max_concurrent(2).max_wait(SECOND));
    let _held = gate.try_acquire().unwrap();
    let start = Instant::now();
    let (heavy, light) = tokio::join!(gate.acquire_many_async(2), async {
        tokio::time::sleep(SECOND / 2).await;
        gate.acquire_async().await
    });
    let text = heavy.unwrap_err().to_string();
    assert_eq!(text, "bulkhead `heavy head` is full (max_concurrent = 2, permits = 2) after a wait of 1s");
    drop(light.unwrap());
    assert_eq!(start.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn fewer_permits_reject_a_waiter_that_takes_more() {
    let config = BulkheadConfig::new().max_concurrent(3).max_wait(SECOND * 9);
    let gate = Bulkhead::new("fewer permits", config);
    let _held = gate.try_acquire_many(2).unwrap();
    let start = Instant::now();
    let (heavy, light, ()) = tokio::join!(gate.acquire_many_async(3), gate.acquire_async(), async {
        yield_now().await;
        gate.reconfigure(config.max_concurrent(2));
        yield_now().await;
        assert_eq!((gate.in_flight(), gate.waiting()), (2, 1));
        gate.reconfigure(config);
    });
    assert!(heavy.is_err_and(|error| error.waited().is_none()));
    drop(light.unwrap());
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[bulkhead(name = "pages of each user", max_concurrent = 2, key = user, permits = pages)]
fn print(user: &str, pages: usize, print: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let _ = user;
    print()
}

#[test]
fn each_key_has_the_permits_of_its_bulkhead() {
    let of_each = keyed_bulkheads("pages of each user").unwrap();
    print("ada", 2, || {
        assert_eq!(of_each.get("ada").unwrap().in_flight(), 2);
        assert!(print("ada", 1, || Ok(())).is_err());
        print("grace", 1, || Ok(()))
    })
    .unwrap();
    assert!(print("ada", 3, || Ok(())).is_err());
    assert!(of_each.iter().all(|bulkhead| bulkhead.in_flight() == 0));
}

static ATTEMPTS: AtomicU32 = AtomicU32::new(0);

#[retry(max_attempts = 3, backoff = none)]
#[rate_limit(name = "of each attempt", limit = 100, per = 60s, permits = batch.iter().sum::<u64>())]
#[bulkhead(name = "of each attempt", max_concurrent = 100, permits = batch.len())]
fn send(batch: Vec<u64>) -> Result<usize, Failure> {
    assert_eq!(bulkhead("of each attempt").unwrap().in_flight(), 2);
    let sent = batch.into_boxed_slice().len();
    if ATTEMPTS.fetch_add(1, Ordering::Relaxed) < 2 { Err(Failure::Busy) } else { Ok(sent) }
}

#[test]
fn each_attempt_takes_its_permits() {
    assert_eq!(send(vec![10, 20]).unwrap(), 2);
    assert_eq!(rate_limit("of each attempt").unwrap().snapshot().in_window, 90);
    // A permanent rejection is not retried.
    assert!(matches!(send(vec![100, 1]), Err(Failure::Limited(error)) if error.exceeds_limit()));
    let snapshot = rate_limit("of each attempt").unwrap().snapshot();
    assert_eq!((snapshot.admitted, snapshot.rejected), (3, 1));
}

struct Client {
    weight: u16,
}

impl Client {
    #[rate_limit(name = "weight of a client", limit = 5, per = 60s, permits = self.weight)]
    async fn call(&mut self) -> Option<u16> {
        self.weight += 1;
        Some(self.weight)
    }

    #[allow(clippy::unused_self, reason = "a method")]
    #[bulkhead(name = "weight of a client", max_concurrent = 5, permits = Self::weigh(&value) + 1)]
    fn keep<T: AsRef<str> + Send>(&self, value: T) -> Option<T> {
        Some(value)
    }

    fn weigh(value: &impl AsRef<str>) -> i32 {
        i32::try_from(value.as_ref().len()).unwrap()
    }
}

#[async_trait::async_trait]
trait Service {
    async fn serve(&self, items: Vec<u8>) -> Option<usize>;
}

#[async_trait::async_trait]
impl Service for Client {
    #[rate_limit(name = "weight of a service", limit = 5, per = 60s, permits = items.len())]
    #[bulkhead(name = "weight of a service", max_concurrent = 5, permits = items.len())]
    async fn serve(&self, items: Vec<u8>) -> Option<usize> {
        yield_now().await;
        Some(items.into_boxed_slice().len())
    }
}

macro_rules! weighted {
    ($name:ident, $weight:expr) => {
        #[rate_limit(name = "of a macro", limit = 5, per = 60s, permits = $weight)]
        fn $name() -> Option<()> {
            Some(())
        }
    };
}
weighted!(of_two, 1 + 1);
weighted!(of_four, 4);

#[tokio::test]
async fn permits_are_an_expression_over_the_arguments_of_any_function() {
    let mut client = Client { weight: 2 };
    assert_eq!((client.call().await, client.call().await, client.call().await), (Some(3), Some(4), None));
    assert_eq!((client.keep("four"), client.keep("fives")), (Some("four"), None));
    let service: &dyn Service = &client;
    assert_eq!((service.serve(vec![0; 3]).await, service.serve(vec![0; 3]).await), (Some(3), None));
    assert_eq!((of_two(), of_four(), of_two()), (Some(()), None, Some(())));
}
