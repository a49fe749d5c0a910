//! What Prometheus and the `metrics` facade are told.

use std::{
    fmt, io,
    sync::{Arc, Mutex},
    time::Duration,
};

use metrics::{Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, Unit};
use prometheus_client::{encoding::prometheus_text, registry::Registry};
use steadfast::{BreakerConfig, CircuitBreaker, KeyedBreakers, RetryPolicy, Schedule, prometheus::SteadfastCollector};
use tokio::time::advance;

const SECOND: Duration = Duration::from_secs(1);
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
    let quoted = r#"circuit_breaker_key_rejections_total{,key="a \"quoted\\\nkey\""} 1"#;
    assert!(all.iter().any(|line| line == quoted), "{all:#?}");
}

#[steadfast::retry(name = "patient", max_attempts = 3, backoff = fixed(2ms), jitter = none)]
fn patient(works: bool) -> io::Result<()> {
    if works { Ok(()) } else { Err(io::ErrorKind::TimedOut.into()) }
}

#[test]
fn a_scrape_tells_of_retries() {
    let scrape = || scrape(SteadfastCollector::new(), "retry=\"patient\"");
    let before = scrape();
    assert!(before.iter().any(|line| line == "retry_calls_total{,outcome=\"exhausted\"} 0"), "{before:#?}");
    patient(true).unwrap();
    patient(false).unwrap_err();
    let lines = scrape();
    for expected in [
        "retry_calls_total{,outcome=\"first_try\"} 1",
        "retry_calls_total{,outcome=\"exhausted\"} 1",
        "retry_calls_total{,outcome=\"retried\"} 0",
        "retry_attempts_total{} 4",
        "retry_delay_seconds_count{} 2",
        "retry_delay_seconds_sum{} 0.004",
        "retry_delay_seconds_bucket{,le=\"0.001\"} 0",
        "retry_delay_seconds_bucket{,le=\"0.01\"} 2",
        "retry_delay_seconds_bucket{,le=\"+Inf\"} 2",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected} in {lines:#?}");
    }
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

#[test]
fn the_facade_is_told_the_same() {
    static POLICY: RetryPolicy =
        RetryPolicy::new().name("told").max_attempts(2).jitter(steadfast::Jitter::none()).backoff(Schedule::none());
    for _ in 0..5 {
        fail(&REPORTED);
    }
    let notes = Notes::default();
    metrics::with_local_recorder(&notes, || {
        steadfast::metrics::describe();
        steadfast::metrics::report();
        POLICY.run(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut))).unwrap_err();
    });
    for line in [
        "describes circuit_breaker_failures_total",
        "describes circuit_breaker_state",
        "describes retry_delay_seconds",
        "Key(circuit_breaker_state, [service = reported]) 1",
        "Key(circuit_breaker_failures_total, [service = reported]) 2",
        "Key(circuit_breaker_rejections_total, [service = reported]) 3",
        "Key(circuit_breaker_transitions_total, [service = reported, state = open]) 1",
        "Key(retry_delay_seconds, [retry = told]) 0",
    ] {
        assert!(notes.has(line), "{line} in {:#?}", notes.0.lock().unwrap());
    }
}
