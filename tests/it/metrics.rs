//! Metrics: the Prometheus collector and the `metrics` facade.

use std::{
    collections::BTreeSet,
    fmt, io,
    sync::{Arc, Mutex},
    time::Duration,
};

use metrics::{Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, Unit};
use steadfast::{
    BreakerConfig, Bulkhead, BulkheadConfig, CircuitBreaker, KeyedBreakers, KeyedRateLimits, RateLimit,
    RateLimitConfig, RetryPolicy, Schedule, prometheus::SteadfastCollector,
};
use tokio::time::advance;

use crate::support::{keys_in_scrape, scrape};

const SECOND: Duration = Duration::from_secs(1);
/// The window of rate limits: long enough to be unaffected by tests under other clocks that scrape at the same time.
const HOUR: Duration = Duration::from_hours(1);
const CONFIG: BreakerConfig = BreakerConfig::new().failure_threshold(2).half_open_max_calls(1);

fn fail(breaker: &CircuitBreaker) {
    _ = breaker.call(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut)));
}

static MEASURED: CircuitBreaker = CircuitBreaker::new("measured", CONFIG);
steadfast::register!(MEASURED);

#[tokio::test(start_paused = true)]
async fn a_scrape_contains_a_breaker() {
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

static NAMED: CircuitBreaker = CircuitBreaker::new("named, measured", CONFIG);
steadfast::register!(NAMED);

#[test]
fn a_collector_can_have_another_label_and_a_prefix() {
    (0..3).for_each(|_| fail(&NAMED));
    let collector = SteadfastCollector::new().label("breaker").prefix("my_app").without_short_names();
    let lines = scrape(collector, "breaker=\"named, measured\"");
    for expected in [
        "my_app_circuit_breaker_state{} 1",
        "my_app_circuit_breaker_calls_total{,outcome=\"failure\"} 2",
        "my_app_circuit_breaker_calls_total{,outcome=\"rejected\"} 1",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected} in {lines:#?}");
    }
    assert!(lines.iter().all(|line| line.starts_with("my_app_")), "{lines:#?}");
    for repeated in ["circuit_breaker_failures_total", "circuit_breaker_rejections_total"] {
        assert!(!lines.iter().any(|line| line.contains(repeated)), "{repeated} in {lines:#?}");
    }
    assert_eq!(scrape(collector, "service=\""), Vec::<String>::new());
    // The labels of other metrics are unchanged.
    assert!(scrape(collector, "limit=\"rate, measured\"").iter().any(|line| line == "my_app_rate_limit_waiting{} 0"));
}

#[test]
fn names_that_prometheus_does_not_allow_are_errors() {
    for label in ["", "my label", "2nd", "__name__", "outcome", "instance", "a\"b"] {
        let error = SteadfastCollector::new().try_label(label).unwrap_err();
        assert!(error.to_string().starts_with("`label` must"), "{label}: {error}");
        steadfast::metrics::Reporter::new().try_label(label).unwrap_err();
    }
    for prefix in ["", "my-app", "2nd", "steadfast_", "a:b", "a{b"] {
        let error = SteadfastCollector::new().try_prefix(prefix).unwrap_err();
        assert!(error.to_string().starts_with("`prefix` must"), "{prefix}: {error}");
        steadfast::metrics::Reporter::new().try_prefix(prefix).unwrap_err();
    }
}

static TENANTS: KeyedBreakers = KeyedBreakers::new("tenants", CONFIG);
steadfast::register!(TENANTS);

#[test]
fn the_keys_with_the_most_rejections_have_series() {
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
    // The key is escaped as in all texts, and once more by the exposition format.
    let quoted = r#"circuit_breaker_key_rejections_total{,key="a \"quoted\\\\\\nkey\""} 1"#;
    assert!(all.iter().any(|line| line == quoted), "{all:#?}");
}

static HEALTHY: KeyedBreakers = KeyedBreakers::new("healthy keys", CONFIG);
steadfast::register!(HEALTHY);
static HEALTHY_USERS: KeyedRateLimits = KeyedRateLimits::new("healthy users", RateLimitConfig::new(2, HOUR));
steadfast::register!(HEALTHY_USERS);

/// Returns the keys that have series in a scrape.
#[test]
fn healthy_keys_have_no_series() {
    for scrape in 0..50 {
        for number in 0..100 {
            let key = format!("{scrape}-{number}");
            HEALTHY.breaker(&key).call(|| Ok::<_, io::Error>(())).unwrap();
            HEALTHY_USERS.limit(&key).try_acquire().unwrap();
        }
        for label in ["service=\"healthy keys\"", "limit=\"healthy users\""] {
            assert_eq!(keys_in_scrape(label), BTreeSet::new());
        }
    }
    let lines = scrape(SteadfastCollector::new(), "service=\"healthy keys\"");
    assert!(lines.iter().any(|line| line == "circuit_breaker_keys{,state=\"closed\"} 5000"), "{lines:#?}");
}

static UNHEALTHY: KeyedBreakers = KeyedBreakers::new("unhealthy", CONFIG).max_keys(1_000);
steadfast::register!(UNHEALTHY);

#[tokio::test(start_paused = true)]
async fn a_key_has_series_while_it_is_unhealthy_and_for_some_time_after() {
    let keys = || keys_in_scrape("service=\"unhealthy\"");
    let fails = || _ = UNHEALTHY.breaker("a").call(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut)));
    let succeeds = || UNHEALTHY.breaker("a").call(|| Ok::<_, io::Error>(())).is_ok();
    let series = BTreeSet::from(["a".to_owned()]);
    assert!(succeeds() && keys().is_empty());
    fails();
    assert_eq!(keys(), series, "failures above zero");
    assert!(succeeds() && keys().is_empty());
    fails();
    fails();
    assert_eq!(keys(), series, "open");
    advance(30 * SECOND).await;
    assert!(succeeds());
    assert_eq!(keys(), series, "recently closed");
    advance(HOUR / 6).await;
    assert_eq!(keys(), BTreeSet::new());
}

#[steadfast::retry(name = "scraped", max_attempts = 3, backoff = fixed(2ms), jitter = none)]
fn retried(succeeds: bool) -> io::Result<()> {
    if succeeds { Ok(()) } else { Err(io::ErrorKind::TimedOut.into()) }
}

#[steadfast::retry(name = "scraped", retry_if = |_| false)]
#[steadfast::rate_limit(name = "scraped retries", limit = 1, per = 1h)]
fn rejected_by_limit() -> io::Result<()> {
    Ok(())
}

#[test]
fn a_scrape_contains_retries() {
    let scrape = || scrape(SteadfastCollector::new(), "retry=\"scraped\"");
    let before = scrape();
    assert!(before.iter().any(|line| line == "retry_calls_total{,outcome=\"exhausted\"} 0"), "{before:#?}");
    retried(true).unwrap();
    retried(false).unwrap_err();
    rejected_by_limit().unwrap();
    rejected_by_limit().unwrap_err();
    let lines = scrape();
    for expected in [
        "retry_calls_total{,outcome=\"first_try\"} 2",
        "retry_calls_total{,outcome=\"rejected\"} 1",
        "retry_calls_total{,outcome=\"exhausted\"} 1",
        "retry_calls_total{,outcome=\"retried\"} 0",
        "retry_calls_total{,outcome=\"cancelled\"} 0",
        "retry_calls_total{,outcome=\"panicked\"} 0",
        "retry_attempts_total{} 5",
        "retry_rejections_total{} 1",
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
async fn a_scrape_contains_rate_limits() {
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
    let admitted = (0..5).filter(|_| RATE.try_acquire().is_ok()).count();
    assert_eq!(admitted, 2);
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
fn the_rate_limits_with_the_most_rejections_have_series() {
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

static POOL: Bulkhead = Bulkhead::new("bulkhead, measured", BulkheadConfig::new().max_concurrent(2).max_wait(SECOND));
steadfast::register!(POOL);

#[tokio::test(start_paused = true)]
async fn a_scrape_contains_bulkheads() {
    let scrape = || scrape(SteadfastCollector::new(), "bulkhead=\"bulkhead, measured\"");
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
    let _held = [POOL.try_acquire().unwrap(), POOL.try_acquire().unwrap()];
    POOL.try_acquire().unwrap_err();
    let mut waiting = std::pin::pin!(POOL.acquire_async());
    tokio::select! {
        biased;
        _ = &mut waiting => unreachable!("the bulkhead is full"),
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

/// Serialises the tests that report: a report resets the key gauges of the previous report, even if that went to another recorder.
static FACADE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
static RECOVERED: KeyedBreakers = KeyedBreakers::new("recovered", CONFIG);
steadfast::register!(RECOVERED);

#[tokio::test(start_paused = true)]
async fn the_facade_reports_a_key_once_more_after_it_recovered() {
    let _lock = FACADE.lock().await;
    let recorded = RecordedMetrics::default();
    let state = "Key(circuit_breaker_key_state, [service = recovered, key = a])";
    let breaker = RECOVERED.breaker("a");
    metrics::with_local_recorder(&recorded, || {
        breaker.force_open();
        steadfast::metrics::report();
        assert!(recorded.has(&format!("{state} 3")));
        breaker.reset();
    });
    advance(HOUR).await;
    metrics::with_local_recorder(&recorded, || {
        steadfast::metrics::report();
        assert!(recorded.has(&format!("{state} 0")), "a gauge keeps its last value");
        recorded.0.lock().unwrap().clear();
        steadfast::metrics::report();
        assert!(!recorded.has(&format!("{state} 0")), "reported once");
    });
}

/// A recorder that keeps all calls as text.
#[derive(Clone, Default)]
struct RecordedMetrics(Arc<Mutex<Vec<String>>>);

struct RecordedMetric(RecordedMetrics, String);

impl RecordedMetric {
    fn write(&self, value: impl fmt::Display) {
        let Self(RecordedMetrics(lines), name) = self;
        lines.lock().unwrap().push(format!("{name} {value}"));
    }
}

impl CounterFn for RecordedMetric {
    fn increment(&self, value: u64) {
        self.write(format_args!("+{value}"));
    }
    fn absolute(&self, value: u64) {
        self.write(value);
    }
}

impl GaugeFn for RecordedMetric {
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

impl HistogramFn for RecordedMetric {
    fn record(&self, value: f64) {
        self.write(value);
    }
}

impl RecordedMetrics {
    fn of(&self, key: &Key) -> Arc<RecordedMetric> {
        Arc::new(RecordedMetric(self.clone(), key.to_string()))
    }

    fn describe(&self, name: &KeyName) {
        self.0.lock().unwrap().push(format!("describes {}", name.as_str()));
    }

    fn has(&self, line: &str) -> bool {
        self.0.lock().unwrap().iter().any(|note| note == line)
    }
}

impl Recorder for RecordedMetrics {
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
static REPORTED_POOL: Bulkhead = Bulkhead::new("bulkhead, reported", BulkheadConfig::new().max_concurrent(3));
steadfast::register!(REPORTED_POOL);

#[test]
fn the_facade_reports_the_same_metrics() {
    static POLICY: RetryPolicy =
        RetryPolicy::new().name("reported").max_attempts(2).jitter(steadfast::Jitter::none()).backoff(Schedule::none());
    for _ in 0..5 {
        fail(&REPORTED);
    }
    _ = [REPORTED_RATE.try_acquire(), REPORTED_RATE.try_acquire()];
    let recorded = RecordedMetrics::default();
    let _lock = FACADE.blocking_lock();
    metrics::with_local_recorder(&recorded, || {
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
        "Key(bulkhead_max_concurrent, [bulkhead = bulkhead, reported]) 3",
        "Key(bulkhead_in_flight, [bulkhead = bulkhead, reported]) 0",
        "Key(rate_limit_calls_total, [limit = rate, reported, outcome = rejected]) 1",
        "Key(rate_limit_window_seconds, [limit = rate, reported]) 3600",
        "Key(circuit_breaker_state, [service = reported]) 1",
        "Key(circuit_breaker_failures_total, [service = reported]) 2",
        "Key(circuit_breaker_rejections_total, [service = reported]) 3",
        "Key(circuit_breaker_transitions_total, [service = reported, state = open]) 1",
        "Key(retry_delay_seconds, [retry = reported]) 0",
    ] {
        assert!(recorded.has(line), "{line} in {:#?}", recorded.0.lock().unwrap());
    }
}

static RENAMED: CircuitBreaker = CircuitBreaker::new("renamed, reported", CONFIG);
steadfast::register!(RENAMED);

#[test]
fn a_reporter_can_have_another_label_and_a_prefix() {
    static REPORTER: steadfast::metrics::Reporter =
        steadfast::metrics::Reporter::new().label("breaker").prefix("my_app").without_short_names().top_keys(1);
    static POLICY: RetryPolicy = RetryPolicy::new()
        .name("renamed, retried")
        .max_attempts(2)
        .jitter(steadfast::Jitter::none())
        .backoff(Schedule::none());
    (0..3).for_each(|_| fail(&RENAMED));
    let recorded = RecordedMetrics::default();
    let _lock = FACADE.blocking_lock();
    metrics::with_local_recorder(&recorded, || {
        REPORTER.describe();
        REPORTER.report();
        POLICY.run(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut))).unwrap_err();
    });
    for line in [
        "describes my_app_circuit_breaker_calls_total",
        "describes my_app_retry_delay_seconds",
        "Key(my_app_circuit_breaker_state, [breaker = renamed, reported]) 1",
        "Key(my_app_circuit_breaker_calls_total, [breaker = renamed, reported, outcome = failure]) 2",
        "Key(my_app_retry_delay_seconds, [retry = renamed, retried]) 0",
    ] {
        assert!(recorded.has(line), "{line} in {:#?}", recorded.0.lock().unwrap());
    }
    let lines = recorded.0.lock().unwrap();
    assert!(lines.iter().all(|line| line.contains("my_app_") && !line.contains("service = ")), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("failures_total, [breaker")), "{lines:#?}");
    drop(lines);
    // The next default report restores the default name of the delays.
    metrics::with_local_recorder(&recorded, || {
        steadfast::metrics::report();
        POLICY.run(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut))).unwrap_err();
    });
    assert!(recorded.has("Key(retry_delay_seconds, [retry = renamed, retried]) 0"));
}
