//! Control characters in names, keys and reasons: texts contain them escaped, on one line; accessors return them unchanged.

use std::{
    error::Error,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use prometheus_client::{encoding::prometheus_text::encode, registry::Registry};
use steadfast::{
    BreakerConfig, Bulkhead, BulkheadConfig, CircuitBreaker, Fallback, KeyedBreakers, KeyedRateLimits, Override,
    RateLimitConfig, RetryPolicy, Schedule, Timeout, events, prometheus::SteadfastCollector,
};

const HOSTILE: &str = "evil\r\n2026-01-01 ERROR forged\u{1b}[2J\u{2028}\u{202e}gpj\u{0}";
const ESCAPED: &str = r"evil\r\n2026-01-01 ERROR forged\u{1b}[2J\u{2028}\u{202e}gpj\u{0}";

static BREAKER: CircuitBreaker = CircuitBreaker::new(HOSTILE, BreakerConfig::new());
steadfast::register!(BREAKER);
static HOSTS: KeyedBreakers = KeyedBreakers::new("escaped hosts", BreakerConfig::new());
steadfast::register!(HOSTS);
static TENANTS: KeyedRateLimits =
    KeyedRateLimits::new("escaped tenants", RateLimitConfig::new(1, Duration::from_mins(1)));
steadfast::register!(TENANTS);
static POOL: Bulkhead = Bulkhead::new(HOSTILE, BulkheadConfig::new().max_concurrent(1));
steadfast::register!(POOL);

#[track_caller]
fn assert_escaped(text: &str) {
    assert!(text.contains(ESCAPED), "{text:?}");
    assert!(!text.contains(|c: char| c.is_control() || "\u{2028}\u{202e}".contains(c)), "{text:?}");
}

#[test]
fn rejections_and_snapshots_are_escaped() {
    let forced = Override::force_open().reason(HOSTILE);
    BREAKER.apply_override(&forced);
    let open = BREAKER.try_acquire().unwrap_err();
    assert_escaped(&open.to_string());
    assert_escaped(&BREAKER.to_string());
    assert_escaped(&io::Error::from(open.clone()).to_string());
    assert_escaped(&(Box::new(open.clone()) as Box<dyn Error>).to_string());
    assert_eq!((open.name(), open.operator_reason()), (HOSTILE, Some(HOSTILE)));
    assert_eq!(BREAKER.snapshot().operator_reason.as_deref(), Some(HOSTILE));

    let host = HOSTS.breaker(HOSTILE);
    host.force_open();
    let open = host.try_acquire().unwrap_err();
    assert_escaped(&open.to_string());
    assert_escaped(&host.snapshot().to_string());
    assert_escaped(&format!("{host:?}").replace("\\0", "\\u{0}"));
    assert_eq!((open.key(), host.key()), (Some(HOSTILE), HOSTILE));
    let json = serde_json::to_value(host.snapshot()).unwrap();
    assert_eq!(json["key"], HOSTILE, "JSON has the key unescaped");

    let tenant = TENANTS.limit(HOSTILE);
    tenant.try_acquire().unwrap();
    let limited = tenant.try_acquire().unwrap_err();
    assert_escaped(&limited.to_string());
    assert_escaped(&tenant.snapshot().to_string());
    assert_eq!(limited.key(), Some(HOSTILE));

    let _permit = POOL.try_acquire().unwrap();
    assert_escaped(&POOL.try_acquire().unwrap_err().to_string());
    assert_escaped(&POOL.to_string());
}

#[tokio::test]
async fn events_are_escaped() {
    let texts = Arc::new(Mutex::new(Vec::new()));
    let _subscription = events::subscribe({
        let texts = texts.clone();
        move |event| {
            // Events of other tests have other texts.
            let event = event.to_string();
            if event.contains(ESCAPED) || event.contains(HOSTILE) {
                texts.lock().unwrap().push(event);
            }
        }
    });
    let count = |prefix: &str| texts.lock().unwrap().iter().filter(|text| text.starts_with(prefix)).count();
    let breaker = CircuitBreaker::new(HOSTILE, BreakerConfig::new());
    breaker.apply_override(&Override::force_open().reason(HOSTILE));
    breaker.try_acquire().unwrap_err();
    let fail = || Err::<(), _>(io::Error::other(HOSTILE));
    RetryPolicy::new()
        .name(HOSTILE)
        .max_attempts(2)
        .backoff(Schedule::none())
        .retry_if(|_: &io::Error| true)
        .run(fail)
        .unwrap_err();
    Fallback::new(HOSTILE).run(fail, |_| Ok::<_, io::Error>(())).unwrap();
    Timeout::new(Duration::from_nanos(1))
        .name(HOSTILE)
        .run_async(async || std::future::pending::<io::Result<()>>().await)
        .await
        .unwrap_err();
    let full = Bulkhead::new(HOSTILE, BulkheadConfig::new().max_concurrent(1));
    let _permit = full.try_acquire().unwrap();
    full.try_acquire().unwrap_err();
    let tenant = TENANTS.limit(&format!("event {HOSTILE}"));
    _ = (tenant.try_acquire(), tenant.try_acquire());
    for prefix in ["circuit", "retry", "fallback", "timeout: `evil", "bulkhead", "rate limit"] {
        crate::support::wait_until(|| count(prefix) > 0);
    }
    for text in &*texts.lock().unwrap() {
        assert_escaped(text);
    }
}

#[test]
fn metric_labels_are_escaped() {
    let host = HOSTS.breaker(&format!("label {HOSTILE}"));
    host.force_open();
    _ = host.try_acquire();
    let mut registry = Registry::default();
    registry.register_collector(Box::new(SteadfastCollector::new()));
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    let line = text.lines().find(|line| line.contains("label evil")).unwrap();
    // The exposition format escapes each backslash once more.
    assert_escaped(&line.replace(r"\\", r"\"));
    assert!(text.lines().any(|line| line.contains(&format!("service=\"{}\"", ESCAPED.replace('\\', r"\\")))));
}
