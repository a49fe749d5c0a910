//! What Prometheus and the `metrics` facade are told.

use std::{
    collections::BTreeSet,
    fmt, io,
    sync::{Arc, Mutex},
    time::Duration,
};

use metrics::{Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, Unit};
use prometheus_client::{encoding::prometheus_text, registry::Registry};
use steadfast::{
    BreakerConfig, Bulkhead, BulkheadConfig, CircuitBreaker, KeyedBreakers, KeyedRateLimits, RateLimit,
    RateLimitConfig, RetryPolicy, Schedule, prometheus::SteadfastCollector,
};
use tokio::time::advance;

const SECOND: Duration = Duration::from_secs(1);
/// The window of rate limits, which tests with another clock count as well, when they scrape.
const HOUR: Duration = Duration::from_hours(1);
const CONFIG: BreakerConfig = BreakerConfig::new().failure_threshold(2).half_open_max_calls(1);

fn fail(breaker: &CircuitBreaker) {
    _ = breaker.call(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut)));
}

/// The lines of a scrape that are about `label`, without it.
fn scrape(collector: SteadfastCollector, label: &str) -> Vec<String> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(collector));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry).unwrap();
    text.lines().filter(|line| line.contains(label)).map(|line| line.replace(label, "")).collect()
}

static MEASURED: CircuitBreaker = CircuitBreaker::new("measured", CONFIG);
steadfast::register!(MEASURED);

#[tokio::test(start_paused = true)]
async fn a_scrape_tells_of_a_breaker() {
    let scrape = || scrape(SteadfastCollector::new(), "service=\"measured\"");
    let before = scrape();
    for zero in [
        "circuit_breaker_state{} 0",
        "circuit_breaker_failures_total{} 0",
        "circuit_breaker_rejections_total{} 0",
        "circuit_breaker_calls_total{,outcome=\"success\"} 0",
        "circuit_breaker_transitions_total{,state=\"open\"} 0",
        "circuit_breaker_trial_calls_total{} 0",
    ] {
        assert!(before.iter().any(|line| line == zero), "{zero} before the first call, in {before:#?}");
    }
    MEASURED.call(|| Ok::<_, io::Error>(())).unwrap();
    for _ in 0..5 {
        fail(&MEASURED);
    }
    advance(30 * SECOND).await;
    let trial = MEASURED.try_acquire().unwrap();
    advance(2 * SECOND).await;
    let during = scrape();
    for expected in [
        "circuit_breaker_state{} 2",
        "circuit_breaker_failures_total{} 2",
        "circuit_breaker_rejections_total{} 3",
        "circuit_breaker_calls_total{,outcome=\"success\"} 1",
        "circuit_breaker_calls_total{,outcome=\"rejected\"} 3",
        "circuit_breaker_transitions_total{,state=\"open\"} 1",
        "circuit_breaker_transitions_total{,state=\"half_open\"} 1",
        "circuit_breaker_state_seconds_total{,state=\"open\"} 30.0",
        "circuit_breaker_state_seconds_total{,state=\"half_open\"} 2.0",
        "circuit_breaker_trial_calls_total{} 1",
    ] {
        assert!(during.iter().any(|line| line == expected), "{expected} in {during:#?}");
    }
    trial.success();
    MEASURED.force_open();
    assert!(scrape().iter().any(|line| line == "circuit_breaker_state{} 3"));
    MEASURED.disable();
    assert!(scrape().iter().any(|line| line == "circuit_breaker_state{} 4"));
}

static TENANTS: KeyedBreakers = KeyedBreakers::new("tenants", CONFIG);
steadfast::register!(TENANTS);

#[test]
fn of_many_keys_those_that_reject_most_have_series() {
    for (key, rejections) in [("quiet", 0), ("busy", 2), ("busiest", 3), ("a \"quoted\\\nkey\"", 1)] {
        let breaker = TENANTS.breaker(key);
        breaker.try_acquire().unwrap().success();
        breaker.force_open();
        for _ in 0..rejections {
            breaker.try_acquire().unwrap_err();
        }
    }
    let lines = scrape(SteadfastCollector::new().top_keys(2), "service=\"tenants\"");
    for expected in [
        "circuit_breaker_rejections_total{} 6",
        "circuit_breaker_calls_total{,outcome=\"success\"} 4",
        "circuit_breaker_keys{,state=\"forced_open\"} 4",
        "circuit_breaker_key_rejections_total{,key=\"busiest\"} 3",
        "circuit_breaker_key_rejections_total{,key=\"busy\"} 2",
        "circuit_breaker_key_state{,key=\"busy\"} 3",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected} in {lines:#?}");
    }
    assert_eq!(lines.iter().filter(|line| line.contains("key_state")).count(), 2);
    let all = scrape(SteadfastCollector::new(), "service=\"tenants\"");
    // Escaped as in all texts, and then once more by the format.
    let quoted = r#"circuit_breaker_key_rejections_total{,key="a \"quoted\\\\\\nkey\""} 1"#;
    assert!(all.iter().any(|line| line == quoted), "{all:#?}");
}

static NEWCOMERS: KeyedBreakers = KeyedBreakers::new("newcomers", CONFIG);
steadfast::register!(NEWCOMERS);
static NEW_USERS: KeyedRateLimits = KeyedRateLimits::new("new users", RateLimitConfig::new(2, HOUR));
steadfast::register!(NEW_USERS);

/// The keys that have series in a scrape.
fn keys_told(label: &str) -> BTreeSet<String> {
    let lines = scrape(SteadfastCollector::new(), label);
    let keys = lines.iter().filter_map(|line| Some(line.split_once("key=\"")?.1.split_once('"')?.0.to_owned()));
    keys.collect()
}

#[test]
fn healthy_keys_have_no_series() {
    for scrape in 0..50 {
        for newcomer in 0..100 {
            let key = format!("{scrape}-{newcomer}");
            NEWCOMERS.breaker(&key).call(|| Ok::<_, io::Error>(())).unwrap();
            NEW_USERS.limit(&key).try_acquire().unwrap();
        }
        for label in ["service=\"newcomers\"", "limit=\"new users\""] {
            assert_eq!(keys_told(label), BTreeSet::new());
        }
    }
    let lines = scrape(SteadfastCollector::new(), "service=\"newcomers\"");
    assert!(lines.iter().any(|line| line == "circuit_breaker_keys{,state=\"closed\"} 5000"), "{lines:#?}");
}

static TROUBLED: KeyedBreakers = KeyedBreakers::new("troubled", CONFIG).max_keys(1_000);
steadfast::register!(TROUBLED);

#[tokio::test(start_paused = true)]
async fn a_key_has_series_while_it_is_in_trouble_and_a_while_longer() {
    let told = || keys_told("service=\"troubled\"");
    let fails = || _ = TROUBLED.breaker("a").call(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut)));
    let works = || TROUBLED.breaker("a").call(|| Ok::<_, io::Error>(())).is_ok();
    let series = BTreeSet::from(["a".to_owned()]);
    assert!(works() && told().is_empty());
    fails();
    assert_eq!(told(), series, "a failure is counted");
    assert!(works() && told().is_empty());
    fails();
    fails();
    assert_eq!(told(), series, "open");
    advance(30 * SECOND).await;
    assert!(works());
    assert_eq!(told(), series, "closed a moment ago");
    advance(HOUR / 6).await;
    assert_eq!(told(), BTreeSet::new());
}

static ATTACKED: KeyedBreakers = KeyedBreakers::new("attacked", CONFIG).max_keys(1_000);
steadfast::register!(ATTACKED);
static ATTACKED_LIMITS: KeyedRateLimits = KeyedRateLimits::new("attacked", RateLimitConfig::new(1, HOUR));
steadfast::register!(ATTACKED_LIMITS);

#[tokio::test(start_paused = true)]
async fn a_flood_of_keys_in_trouble_has_a_bounded_number_of_series_over_time() {
    let (mut of_breakers, mut of_limits) = (BTreeSet::new(), BTreeSet::new());
    let scrape = |at: u32, of_breakers: &mut BTreeSet<_>, of_limits: &mut BTreeSet<_>| {
        for newcomer in 0..50 {
            let key = format!("{at}-{newcomer}");
            ATTACKED.breaker(&key).force_open();
            ATTACKED.breaker(&key).try_acquire().unwrap_err();
            (0..at + 2).for_each(|_| _ = ATTACKED_LIMITS.limit(&key).try_acquire());
        }
        for (told, label) in [(of_breakers, "service=\"attacked\""), (of_limits, "limit=\"attacked\"")] {
            let now = keys_told(label);
            assert_eq!(now.len(), 20);
            told.extend(now);
        }
    };
    for at in 0..30 {
        scrape(at, &mut of_breakers, &mut of_limits);
        advance(SECOND).await;
    }
    assert_eq!((of_breakers.len(), of_limits.len()), (20, 20));
    advance(HOUR).await;
    scrape(30, &mut of_breakers, &mut of_limits);
    assert!(of_breakers.len() <= 40 && of_limits.len() == 40, "as many again each hour");
    // Those that share a breaker have one series that is no key.
    let lines = self::scrape(SteadfastCollector::new(), "service=\"attacked\"");
    ATTACKED.overflow().unwrap().force_open();
    let shared = self::scrape(SteadfastCollector::new(), "service=\"attacked\",overflow=\"true\"");
    assert!(shared.iter().any(|line| line == "circuit_breaker_key_state{} 3"), "{shared:#?} {lines:#?}");
}

#[steadfast::retry(name = "patient", max_attempts = 3, backoff = fixed(2ms), jitter = none)]
fn patient(works: bool) -> io::Result<()> {
    if works { Ok(()) } else { Err(io::ErrorKind::TimedOut.into()) }
}

#[steadfast::retry(name = "patient", retry_if = |_| false)]
#[steadfast::rate_limit(name = "patience", limit = 1, per = 1h)]
fn impatient() -> io::Result<()> {
    Ok(())
}

#[test]
fn a_scrape_tells_of_retries() {
    let scrape = || scrape(SteadfastCollector::new(), "retry=\"patient\"");
    let before = scrape();
    assert!(before.iter().any(|line| line == "retry_calls_total{,outcome=\"exhausted\"} 0"), "{before:#?}");
    patient(true).unwrap();
    patient(false).unwrap_err();
    impatient().unwrap();
    impatient().unwrap_err();
    let lines = scrape();
    for expected in [
        "retry_calls_total{,outcome=\"first_try\"} 2",
        "retry_calls_total{,outcome=\"rejected\"} 1",
        "retry_calls_total{,outcome=\"exhausted\"} 1",
        "retry_calls_total{,outcome=\"retried\"} 0",
        "retry_calls_total{,outcome=\"cancelled\"} 0",
        "retry_calls_total{,outcome=\"panicked\"} 0",
        "retry_attempts_total{} 5",
        "retry_delay_seconds_count{} 2",
        "retry_delay_seconds_sum{} 0.004",
        "retry_delay_seconds_bucket{,le=\"0.001\"} 0",
        "retry_delay_seconds_bucket{,le=\"0.01\"} 2",
        "retry_delay_seconds_bucket{,le=\"+Inf\"} 2",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected} in {lines:#?}");
    }
}

static RATE: RateLimit = RateLimit::new("rate, measured", RateLimitConfig::new(2, HOUR));
steadfast::register!(RATE);

static RATES: KeyedRateLimits = KeyedRateLimits::new("rates, measured", RateLimitConfig::new(1, HOUR));
steadfast::register!(RATES);

#[tokio::test]
async fn a_scrape_tells_of_rate_limits() {
    let scrape = || scrape(SteadfastCollector::new(), "limit=\"rate, measured\"");
    let before = scrape();
    for zero in [
        "rate_limit_calls_total{,outcome=\"admitted\"} 0",
        "rate_limit_calls_total{,outcome=\"rejected\"} 0",
        "rate_limit_max_calls{} 2",
        "rate_limit_window_seconds{} 3600.0",
        "rate_limit_used{} 0",
        "rate_limit_waiting{} 0",
    ] {
        assert!(before.iter().any(|line| line == zero), "{zero} before the first call, in {before:#?}");
    }
    let accepted = (0..5).filter(|_| RATE.try_acquire().is_ok()).count();
    assert_eq!(accepted, 2);
    RATE.reconfigure(RateLimitConfig::new(2, HOUR).max_wait(2 * HOUR));
    let mut waiting = std::pin::pin!(RATE.acquire_async());
    tokio::select! {
        biased;
        _ = &mut waiting => unreachable!("the window is full"),
        () = tokio::task::yield_now() => {}
    }
    let full = scrape();
    for expected in [
        "rate_limit_calls_total{,outcome=\"admitted\"} 2",
        "rate_limit_calls_total{,outcome=\"rejected\"} 3",
        "rate_limit_used{} 2",
        "rate_limit_waiting{} 1",
    ] {
        assert!(full.iter().any(|line| line == expected), "{expected} in {full:#?}");
    }
}

#[test]
fn of_limits_with_keys_those_that_reject_most_have_series() {
    let before = scrape(SteadfastCollector::new(), "limit=\"rates, measured\"");
    assert!(before.iter().any(|line| line == "rate_limit_calls_total{,outcome=\"rejected\"} 0"), "{before:#?}");
    for (key, calls) in [("quiet", 1), ("busy", 3), ("busiest", 4)] {
        (0..calls).for_each(|_| _ = RATES.limit(key).try_acquire());
    }
    RATES.limit("new");
    let lines = scrape(SteadfastCollector::new().top_keys(2), "limit=\"rates, measured\"");
    for expected in [
        "rate_limit_calls_total{,outcome=\"admitted\"} 3",
        "rate_limit_calls_total{,outcome=\"rejected\"} 5",
        "rate_limit_max_calls{} 1",
        "rate_limit_window_seconds{} 3600.0",
        "rate_limit_keys{,state=\"free\"} 1",
        "rate_limit_keys{,state=\"reached\"} 3",
        "rate_limit_key_rejections_total{,key=\"busiest\"} 3",
        "rate_limit_key_rejections_total{,key=\"busy\"} 2",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected} in {lines:#?}");
    }
    assert_eq!(lines.iter().filter(|line| line.contains("key_rejections")).count(), 2);
}

static PLACES: Bulkhead = Bulkhead::new("places, measured", BulkheadConfig::new().max_concurrent(2).max_wait(SECOND));
steadfast::register!(PLACES);

#[tokio::test(start_paused = true)]
async fn a_scrape_tells_of_bulkheads() {
    let scrape = || scrape(SteadfastCollector::new(), "bulkhead=\"places, measured\"");
    let before = scrape();
    for zero in [
        "bulkhead_calls_total{,outcome=\"admitted\"} 0",
        "bulkhead_calls_total{,outcome=\"rejected\"} 0",
        "bulkhead_in_flight{} 0",
        "bulkhead_max_concurrent{} 2",
        "bulkhead_waiting{} 0",
    ] {
        assert!(before.iter().any(|line| line == zero), "{zero} before the first call, in {before:#?}");
    }
    let _held = [PLACES.try_acquire().unwrap(), PLACES.try_acquire().unwrap()];
    PLACES.try_acquire().unwrap_err();
    let mut waiting = std::pin::pin!(PLACES.acquire_async());
    tokio::select! {
        biased;
        _ = &mut waiting => unreachable!("there is no place"),
        () = tokio::task::yield_now() => {}
    }
    let full = scrape();
    for expected in [
        "bulkhead_calls_total{,outcome=\"admitted\"} 2",
        "bulkhead_calls_total{,outcome=\"rejected\"} 1",
        "bulkhead_in_flight{} 2",
        "bulkhead_waiting{} 1",
    ] {
        assert!(full.iter().any(|line| line == expected), "{expected} in {full:#?}");
    }
}

/// A report knows the one before it, to whatever recorder.
static FACADE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
static RECOVERING: KeyedBreakers = KeyedBreakers::new("recovering", CONFIG);
steadfast::register!(RECOVERING);

#[tokio::test(start_paused = true)]
async fn the_facade_is_told_when_a_key_is_out_of_trouble() {
    let _alone = FACADE.lock().await;
    let notes = Notes::default();
    let state = "Key(circuit_breaker_key_state, [service = recovering, key = a])";
    let breaker = RECOVERING.breaker("a");
    metrics::with_local_recorder(&notes, || {
        breaker.force_open();
        steadfast::metrics::report();
        assert!(notes.has(&format!("{state} 3")));
        breaker.reset();
    });
    advance(HOUR).await;
    metrics::with_local_recorder(&notes, || {
        steadfast::metrics::report();
        assert!(notes.has(&format!("{state} 0")), "a gauge keeps its last value");
        notes.0.lock().unwrap().clear();
        steadfast::metrics::report();
        assert!(!notes.has(&format!("{state} 0")), "once");
    });
}

/// Writes down what it is told.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

struct Note(Notes, String);

impl Note {
    fn write(&self, value: impl fmt::Display) {
        let Self(Notes(lines), name) = self;
        lines.lock().unwrap().push(format!("{name} {value}"));
    }
}

impl CounterFn for Note {
    fn increment(&self, value: u64) {
        self.write(format_args!("+{value}"));
    }
    fn absolute(&self, value: u64) {
        self.write(value);
    }
}

impl GaugeFn for Note {
    fn increment(&self, value: f64) {
        self.write(format_args!("+{value}"));
    }
    fn decrement(&self, value: f64) {
        self.write(format_args!("-{value}"));
    }
    fn set(&self, value: f64) {
        self.write(value);
    }
}

impl HistogramFn for Note {
    fn record(&self, value: f64) {
        self.write(value);
    }
}

impl Notes {
    fn of(&self, key: &Key) -> Arc<Note> {
        Arc::new(Note(self.clone(), key.to_string()))
    }

    fn describe(&self, name: &KeyName) {
        self.0.lock().unwrap().push(format!("describes {}", name.as_str()));
    }

    fn has(&self, line: &str) -> bool {
        self.0.lock().unwrap().iter().any(|note| note == line)
    }
}

impl Recorder for Notes {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, _: metrics::SharedString) {
        self.describe(&name);
    }
    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, _: metrics::SharedString) {
        self.describe(&name);
    }
    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, _: metrics::SharedString) {
        self.describe(&name);
    }
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.of(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.of(key))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.of(key))
    }
}

static REPORTED: CircuitBreaker = CircuitBreaker::new("reported", CONFIG);
steadfast::register!(REPORTED);
static REPORTED_RATE: RateLimit = RateLimit::new("rate, reported", RateLimitConfig::new(1, HOUR));
steadfast::register!(REPORTED_RATE);
static REPORTED_PLACES: Bulkhead = Bulkhead::new("places, reported", BulkheadConfig::new().max_concurrent(3));
steadfast::register!(REPORTED_PLACES);

#[test]
fn the_facade_is_told_the_same() {
    static POLICY: RetryPolicy =
        RetryPolicy::new().name("told").max_attempts(2).jitter(steadfast::Jitter::none()).backoff(Schedule::none());
    for _ in 0..5 {
        fail(&REPORTED);
    }
    _ = [REPORTED_RATE.try_acquire(), REPORTED_RATE.try_acquire()];
    let notes = Notes::default();
    let _alone = FACADE.blocking_lock();
    metrics::with_local_recorder(&notes, || {
        steadfast::metrics::describe();
        steadfast::metrics::report();
        POLICY.run(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut))).unwrap_err();
    });
    for line in [
        "describes circuit_breaker_failures_total",
        "describes circuit_breaker_state",
        "describes retry_delay_seconds",
        "describes rate_limit_calls_total",
        "describes bulkhead_in_flight",
        "Key(bulkhead_max_concurrent, [bulkhead = places, reported]) 3",
        "Key(bulkhead_in_flight, [bulkhead = places, reported]) 0",
        "Key(rate_limit_calls_total, [limit = rate, reported, outcome = rejected]) 1",
        "Key(rate_limit_window_seconds, [limit = rate, reported]) 3600",
        "Key(circuit_breaker_state, [service = reported]) 1",
        "Key(circuit_breaker_failures_total, [service = reported]) 2",
        "Key(circuit_breaker_rejections_total, [service = reported]) 3",
        "Key(circuit_breaker_transitions_total, [service = reported, state = open]) 1",
        "Key(retry_delay_seconds, [retry = told]) 0",
    ] {
        assert!(notes.has(line), "{line} in {:#?}", notes.0.lock().unwrap());
    }
}
