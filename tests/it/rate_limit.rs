//! Rate limits: the sliding window, GCRA, queued waits, keys, a store, and rate limits in a stack.

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Waker},
    thread,
    time::Duration,
};

use steadfast::{
    Algorithm, CircuitOpen, KeyedRateLimits, RateLimit, RateLimitConfig, RateLimitDecision, RateLimitRequest,
    RateLimitStore, RateLimited, Transient, breaker, circuit_breaker,
    events::{self, Event},
    keyed_rate_limits, rate_limit, rate_limits, register, retry,
    testing::FakeClock,
};
use tokio::{
    runtime::Handle,
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
    Open(#[from] CircuitOpen),
}

#[rate_limit(name = "three a second", limit = 3, per = 1s)]
async fn limited() -> Result<u8, Failure> {
    Ok(1)
}

#[rate_limit(name = "three a second")]
fn same_limit() -> Option<u8> {
    Some(1)
}

#[tokio::test(start_paused = true)]
async fn no_window_has_more_calls_than_the_limit() {
    let start = Instant::now();
    // Time in milliseconds, calls made, calls admitted.
    for (at, calls, expected) in [
        (0, 1, 1),
        (600, 1, 1),
        (900, 1, 1),
        (999, 5, 0),
        (1_000, 5, 1),
        (1_599, 5, 0),
        (1_600, 5, 1),
        (1_900, 5, 1),
        (5_000, 5, 3),
    ] {
        advance((start + Duration::from_millis(at)).duration_since(Instant::now())).await;
        let mut admitted = 0;
        for _ in 0..calls {
            match limited().await {
                Ok(_) => admitted += 1,
                Err(Failure::Limited(error)) => assert!(error.is_transient() && error.retry_after() <= SECOND),
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(admitted, expected, "at {at} ms");
    }
    let Err(Failure::Limited(error)) = limited().await else { panic!("a call was admitted to a full window") };
    assert_eq!((error.name(), error.key(), error.retry_after()), ("three a second", None, SECOND));
    assert_eq!(error.to_string(), "rate limit `three a second` is reached; retry after 1.000s");
    assert_eq!(same_limit(), None);
    advance(SECOND).await;
    assert_eq!(same_limit(), Some(1));
    let snapshot = rate_limit("three a second").unwrap().snapshot();
    assert_eq!((snapshot.in_window, snapshot.limit, snapshot.waiting), (1, 3, 0));
    assert!(rate_limits().iter().any(|limit| limit.name() == "three a second"));
}

/// Makes `calls` calls per round from eight threads, and advances the clock by `step` after each round. Returns the number of admitted
/// calls per round.
fn admitted_per_round(limit: &RateLimit, rounds: u32, calls: u32, step: Duration) -> Vec<u32> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let handle = runtime.handle().clone();
    let (begin, end) = (Barrier::new(9), Barrier::new(9));
    let admitted: Vec<AtomicU32> = (0..rounds).map(|_| AtomicU32::new(0)).collect();
    thread::scope(|scope| {
        for _ in 0..8 {
            let (handle, begin, end, admitted): (Handle, _, _, _) = (handle.clone(), &begin, &end, &admitted);
            scope.spawn(move || {
                // This thread reads the clock of `runtime`.
                let _entered = handle.enter();
                for round in admitted {
                    begin.wait();
                    for _ in 0..calls / 8 {
                        round.fetch_add(u32::from(limit.try_acquire().is_ok()), Ordering::Relaxed);
                    }
                    end.wait();
                }
            });
        }
        for _ in 0..rounds {
            begin.wait();
            end.wait();
            runtime.block_on(advance(step));
        }
    });
    admitted.into_iter().map(AtomicU32::into_inner).collect()
}

#[test]
fn eight_threads_and_a_hundred_thousand_calls_stay_within_the_limit() {
    // A window of 1 s in rounds of 250 ms: the whole limit is admitted in the first round of each second.
    let limit = RateLimit::new("stressed", RateLimitConfig::new(1_000, SECOND));
    let admitted = admitted_per_round(&limit, 20, 5_000, SECOND / 4);
    let expected: Vec<_> = (0..20).map(|round| if round % 4 == 0 { 1_000 } else { 0 }).collect();
    assert_eq!(admitted, expected);
    let snapshot = limit.snapshot();
    assert_eq!((snapshot.admitted, snapshot.rejected), (5_000, 95_000));

    // GCRA: a quarter of the limit is available again in each round.
    let gcra = RateLimit::new("stressed, gcra", RateLimitConfig::new(1_000, SECOND).algorithm(Algorithm::Gcra));
    let admitted = admitted_per_round(&gcra, 20, 5_000, SECOND / 4);
    let expected: Vec<_> = (0..20).map(|round| if round == 0 { 1_000 } else { 250 }).collect();
    assert_eq!(admitted, expected);
}

#[rate_limit(name = "waits", limit = 2, per = 1s, max_wait = 2500ms)]
async fn waits(number: usize, order: &Mutex<Vec<(usize, Duration)>>, start: Instant) -> Result<(), Failure> {
    order.lock().unwrap().push((number, start.elapsed()));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn waiting_calls_are_served_in_order_and_too_long_waits_are_rejected_at_once() {
    let (start, order) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
    let calls: Vec<_> = (0..8)
        .map(|number| {
            let order = order.clone();
            tokio::spawn(async move {
                let result = waits(number, &order, start).await;
                (result.is_ok(), start.elapsed())
            })
        })
        .collect();
    let mut results = Vec::new();
    for call in calls {
        results.push(call.await.unwrap());
    }
    let seconds = |seconds| SECOND * seconds;
    let times = [0, 0, 1, 1, 2, 2].map(seconds);
    assert_eq!(*order.lock().unwrap(), times.into_iter().enumerate().collect::<Vec<_>>());
    assert_eq!(results[6..], [(false, Duration::ZERO), (false, Duration::ZERO)]);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_wait_releases_its_place_in_the_queue() {
    let limit = RateLimit::new("cancelled wait", RateLimitConfig::new(1, SECOND).max_wait(SECOND * 10));
    let context = &mut Context::from_waker(Waker::noop());
    limit.acquire_async().await.unwrap();
    for _ in 0..5 {
        let mut call = pin!(limit.acquire_async());
        assert!(call.as_mut().poll(context).is_pending());
        assert_eq!(limit.snapshot().waiting, 1);
        let mut second = Box::pin(limit.acquire_async());
        assert!(second.as_mut().poll(context).is_pending());
        drop(second);
        assert_eq!(limit.snapshot().waiting, 1);
        // `call` is dropped here.
    }
    assert_eq!(limit.snapshot().waiting, 0);
    let start = Instant::now();
    limit.acquire_async().await.unwrap();
    assert_eq!(start.elapsed(), SECOND, "cancelled waits do not delay the next call");
    assert_eq!(limit.snapshot().admitted, 2);
}

#[test]
fn a_thread_waits_by_its_fake_clock() {
    let clock = FakeClock::new();
    let _entered = clock.enter();
    let limit = RateLimit::new("of a thread", RateLimitConfig::new(2, SECOND).max_wait(SECOND));
    for _ in 0..6 {
        limit.call(|| io::Result::Ok(())).unwrap();
    }
    assert_eq!(clock.elapsed(), SECOND * 2);
    limit.reconfigure(RateLimitConfig::new(1, SECOND * 10));
    let error = limit.call(|| io::Result::Ok(())).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
    let retry_after = Transient::retry_after(&error).unwrap();
    assert!(retry_after > SECOND * 9 && retry_after <= SECOND * 10, "{retry_after:?}");
}

#[test]
fn earlier_calls_still_count_after_a_period_is_restored() {
    let clock = FakeClock::new();
    let _entered = clock.enter();
    let hourly = RateLimitConfig::new(2, SECOND * 3_600);
    let limit = RateLimit::new("restored", hourly);
    for _ in 0..2 {
        limit.try_acquire().unwrap();
    }
    limit.reconfigure(RateLimitConfig::new(1, SECOND));
    clock.advance(SECOND * 60);
    limit.try_acquire().unwrap();
    limit.reconfigure(hourly);
    assert_eq!(limit.try_acquire().unwrap_err().retry_after(), SECOND * 3_540);
    clock.advance(SECOND * 3_540);
    limit.try_acquire().unwrap();
    limit.try_acquire().unwrap_err();
}

#[rate_limit(name = "of each user", limit = 1, per = 60s, key = user, max_keys = 3)]
fn of_user(user: &str) -> Result<usize, Failure> {
    Ok(user.len())
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_keys_does_not_reset_the_limit_of_a_key() {
    for algorithm in [Algorithm::SlidingWindow, Algorithm::Gcra] {
        let hour = SECOND * 3_600;
        let config = RateLimitConfig::new(10, hour).algorithm(algorithm);
        let users = KeyedRateLimits::new("flooded", config).max_keys(100);
        let call = |user: &str| users.limit(user).try_acquire().is_ok();
        let mut admitted = [0, 0];
        for key in 0..10_000 {
            admitted[0] += u32::from(key % 50 == 0 && call("ada"));
            admitted[1] += u32::from(call(&key.to_string()));
        }
        // The flood fills the other 99 entries with one call each. All further keys share the overflow limit.
        assert_eq!((admitted, users.len()), ([10, 99 + 10], 100), "{algorithm:?}");
        advance(hour).await;
        assert!(call("ada") && call("a new key"));
        assert!(users.get("a new key").is_some(), "a key with an empty window is evicted");
    }
}

#[test]
fn no_key_is_confused_with_the_overflow_limit() {
    let limits = KeyedRateLimits::new("forged", RateLimitConfig::new(1, SECOND * 3_600)).max_keys(3);
    let forged = ["(overflow)", "", "all other keys"];
    for key in forged {
        limits.limit(key).try_acquire().unwrap();
    }
    let overflow = limits.limit("new key");
    assert!(overflow.is_overflow() && Arc::ptr_eq(&overflow, &limits.overflow().unwrap()));
    overflow.try_acquire().unwrap();
    let (shown, rejected) = (overflow.snapshot(), overflow.try_acquire().unwrap_err());
    assert_eq!((shown.key.clone(), shown.overflow, rejected.key(), rejected.is_overflow()), (None, true, None, true));
    assert!(rejected.to_string().starts_with("rate limit `forged` for all other keys is reached"), "{rejected}");
    assert!(shown.to_string().starts_with("forged, all other keys: 1 of 1"), "{shown}");
    for key in forged {
        let (snapshot, rejection) = (limits.limit(key).snapshot(), limits.limit(key).try_acquire().unwrap_err());
        assert_eq!((snapshot.key.as_deref(), snapshot.overflow), (Some(key), false));
        assert_eq!((rejection.key(), rejection.is_overflow()), (Some(key), false));
        assert_ne!(rejection.to_string(), rejected.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn each_key_has_its_own_limit_and_keys_are_bounded() {
    let users = keyed_rate_limits("of each user").unwrap();
    for user in ["ada", "grace"] {
        of_user(user).unwrap();
        let Err(Failure::Limited(error)) = of_user(user) else { panic!("{user} was admitted twice") };
        assert_eq!(error.key(), Some(user));
    }
    of_user("edsger").unwrap();
    // All three keys have reached their limit: a new key shares the overflow limit and evicts none of them.
    of_user("barbara").unwrap();
    assert!(of_user("tony").is_err());
    assert_eq!((users.len(), users.overflow().unwrap().snapshot().admitted), (3, 1));
    assert!(of_user("ada").is_err());
    let expected = "of each user: 3 of 3 keys, 4 at their limit; 4 admitted, 4 rejected";
    assert_eq!(users.snapshot().to_string(), expected);

    advance(SECOND * 60).await;
    of_user("barbara").unwrap();
    assert_eq!(users.len(), 3);
    assert!(users.get("barbara").is_some(), "a key with an empty window is evicted for the new key");
    assert_eq!(users.snapshot().admitted, 5);
}

#[test]
fn a_key_that_leaves_the_overflow_limit_starts_with_the_calls_of_that_limit() {
    const HOUR: Duration = Duration::from_hours(1);
    for algorithm in [Algorithm::SlidingWindow, Algorithm::Gcra] {
        let clock = FakeClock::new();
        let _entered = clock.enter();
        let config = RateLimitConfig::new(10, HOUR).algorithm(algorithm);
        let limits = KeyedRateLimits::new("from the overflow", config).max_keys(4);
        let calls = |key: &str| (0..20).filter(|_| limits.limit(key).try_acquire().is_ok()).count();
        for key in ["a", "b", "c", "d"] {
            assert_eq!(calls(key), 10);
        }
        clock.advance(HOUR - SECOND);
        assert_eq!(calls("me"), 10);
        assert!(limits.get("me").is_none());
        clock.advance(SECOND * 2);
        assert_eq!(calls("me"), 0, "{algorithm:?}");
        assert!(
            limits.get("me").is_some(),
            "the key has its own limit, which starts with the calls of the overflow limit"
        );
        // The calls of the overflow limit expire as they would in the overflow limit.
        clock.advance(HOUR);
        assert_eq!(calls("me"), 10, "{algorithm:?}");
        // An overflow limit with an empty window passes no calls on to the new limit.
        clock.advance(HOUR);
        assert_eq!(calls("another"), 10, "{algorithm:?}");
    }
}

#[test]
fn a_flood_of_keys_does_not_keep_a_key_in_the_overflow_for_ever() {
    const HOUR: Duration = Duration::from_hours(1);
    let clock = FakeClock::new();
    let _entered = clock.enter();
    let limits = KeyedRateLimits::new("flooded for days", RateLimitConfig::new(10, HOUR)).max_keys(4);
    let mut own = 0;
    for minute in 0..3 * 24 * 60 {
        _ = limits.limit(&minute).try_acquire();
        own += usize::from(limits.limit("me").try_acquire().is_ok_and(|()| limits.get("me").is_some()));
        clock.advance(SECOND * 60);
    }
    assert!(own >= 10, "{own} calls by its own limit");
}

#[circuit_breaker(name = "above a rate limit", failure_threshold = 1)]
#[rate_limit(name = "below a breaker", limit = 1, per = 1s)]
async fn below_breaker() -> Result<(), Failure> {
    Ok(())
}

#[retry(max_attempts = 3, backoff = fixed(10s), jitter = none)]
#[circuit_breaker(name = "above a rate limit, retried", failure_threshold = 1)]
#[rate_limit(name = "below a breaker")]
async fn retried() -> Result<(), Failure> {
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_rejection_does_not_open_the_circuit_and_a_retry_waits_for_retry_after() {
    below_breaker().await.unwrap();
    for _ in 0..3 {
        assert!(matches!(below_breaker().await, Err(Failure::Limited(_))));
    }
    let snapshot = breaker("above a rate limit").unwrap().snapshot();
    assert_eq!((snapshot.successes, snapshot.failures, snapshot.ignored), (1, 0, 3));

    advance(SECOND / 4).await;
    let start = Instant::now();
    retried().await.unwrap();
    assert_eq!(start.elapsed(), SECOND * 3 / 4, "retry_after, not 10 s");
    let snapshot = breaker("above a rate limit, retried").unwrap().snapshot();
    assert_eq!((snapshot.successes, snapshot.failures, snapshot.ignored), (1, 0, 1));
}

/// A store that admits two calls, rejects one, and is then unavailable.
#[derive(Debug)]
struct Remote {
    requests: Mutex<Vec<String>>,
}

impl RateLimitStore for Remote {
    fn acquire<'a>(
        &'a self,
        request: &'a RateLimitRequest<'a>,
    ) -> Pin<Box<dyn Future<Output = RateLimitDecision> + Send + 'a>> {
        Box::pin(async {
            yield_now().await;
            let mut requests = self.requests.lock().unwrap();
            requests.push(format!("{} {:?} {}", request.name, request.key, request.config.get_limit()));
            match requests.len() {
                1 | 2 => RateLimitDecision::Admitted,
                3 => RateLimitDecision::Rejected { retry_after: SECOND * 7 },
                _ => RateLimitDecision::Unknown,
            }
        })
    }
}

static REMOTE: Remote = Remote { requests: Mutex::new(Vec::new()) };

#[rate_limit(name = "remote", limit = 1, per = 60s, key = user, store = REMOTE)]
async fn remote(user: &str) -> Result<usize, Failure> {
    Ok(user.len())
}

#[tokio::test(start_paused = true)]
async fn a_store_receives_one_request_per_call() {
    let start = Instant::now();
    remote("ada").await.unwrap();
    remote("ada").await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    let Err(Failure::Limited(error)) = remote("ada").await else {
        panic!("a call was admitted that the store rejects")
    };
    assert_eq!((error.key(), error.retry_after()), (Some("ada"), SECOND * 7));
    // The store is unavailable, so this process applies the limit itself.
    remote("ada").await.unwrap();
    assert!(remote("ada").await.is_err());
    assert_eq!(*REMOTE.requests.lock().unwrap(), vec!["remote Some(\"ada\") 1"; 5]);
    let snapshot = keyed_rate_limits("remote").unwrap().snapshot();
    assert_eq!((snapshot.admitted, snapshot.rejected), (3, 2));
}

static OWN: RateLimit = RateLimit::new("own", RateLimitConfig::new(1, SECOND));
register!(OWN);
static OWN_KEYED: KeyedRateLimits = KeyedRateLimits::new("own, keyed", RateLimitConfig::new(1, SECOND));

#[rate_limit(rate_limit = OWN)]
fn own() -> io::Result<()> {
    Ok(())
}

#[rate_limit(rate_limit = OWN_KEYED, key = id)]
fn own_keyed(id: u8) -> io::Result<u8> {
    Ok(id)
}

#[test]
fn user_declared_statics_are_used_and_found_by_name() {
    own().unwrap();
    assert!(std::ptr::eq(rate_limit("own").unwrap(), &raw const OWN));
    assert_eq!(OWN.snapshot().admitted, 1);
    own_keyed(7).unwrap();
    assert!(std::ptr::eq(keyed_rate_limits("own, keyed").unwrap(), &raw const OWN_KEYED));
    assert_eq!(OWN_KEYED.get(&7).unwrap().key(), "7");
    assert_eq!(OWN_KEYED.get(&8).map(|limit| limit.snapshot()), None);
}

#[test]
fn a_rejection_and_an_overflow_emit_events() {
    let texts = Arc::new(Mutex::new(Vec::new()));
    let subscription = events::subscribe({
        let texts = texts.clone();
        move |event: &Event| {
            let is_ours = matches!(
                event,
                Event::RateLimited { limit: "reported", .. } | Event::KeysOverflowed { name: "reported", .. }
            );
            if is_ours {
                texts.lock().unwrap().push(event.to_string());
            }
        }
    });
    let clock = FakeClock::new();
    let _entered = clock.enter();
    let keyed = KeyedRateLimits::new("reported", RateLimitConfig::new(1, SECOND)).max_keys(1);
    keyed.limit("a").try_acquire().unwrap();
    keyed.limit("a").try_acquire().unwrap_err();
    keyed.limit("b").try_acquire().unwrap();
    crate::flush_events();
    subscription.unsubscribe();
    assert_eq!(
        *texts.lock().unwrap(),
        [
            "rate limit `reported` for `a` is reached; retry after 1.000s",
            "rate limit `reported`: `max_keys = 1` is reached; new keys share one rate limit",
        ]
    );
    let json = serde_json::to_string(&keyed.get("a").unwrap().snapshot()).unwrap();
    let expected =
        r#"{"name":"reported","key":"a","limit":1,"per":1.0,"in_window":1,"waiting":0,"admitted":1,"rejected":1}"#;
    assert_eq!(json, expected);
}

#[test]
fn a_call_with_an_earlier_clock_reading_is_not_delayed() {
    let limit = RateLimit::new("earlier clock", RateLimitConfig::new(2, Duration::from_mins(1)));
    let (later, earlier) = (FakeClock::new(), FakeClock::new());
    later.advance(Duration::from_millis(5));
    {
        let _entered = later.enter();
        limit.try_acquire().unwrap();
    }
    let _entered = earlier.enter();
    limit.try_acquire().unwrap();
    limit.try_acquire().unwrap_err();
}
