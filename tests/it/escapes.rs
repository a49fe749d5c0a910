//! Names, keys and reasons are shown on one line, whatever is in them, and are the same by their accessors.

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

const EVIL: &str = "evil\r\n2026-01-01 ERROR forged\u{1b}[2J\u{2028}\u{202e}gpj\u{0}";
const SHOWN: &str = r"evil\r\n2026-01-01 ERROR forged\u{1b}[2J\u{2028}\u{202e}gpj\u{0}";

static BREAKER: CircuitBreaker = CircuitBreaker::new(EVIL, BreakerConfig::new());
steadfast::register!(BREAKER);
static HOSTS: KeyedBreakers = KeyedBreakers::new("escaped hosts", BreakerConfig::new());
steadfast::register!(HOSTS);
static TENANTS: KeyedRateLimits =
    KeyedRateLimits::new("escaped tenants", RateLimitConfig::new(1, Duration::from_mins(1)));
steadfast::register!(TENANTS);
static PLACES: Bulkhead = Bulkhead::new(EVIL, BulkheadConfig::new().max_concurrent(1));
steadfast::register!(PLACES);

#[track_caller]
fn assert_shown(text: &str) {
    assert!(text.contains(SHOWN), "{text:?}");
    assert!(!text.contains(|c: char| c.is_control() || "\u{2028}\u{202e}".contains(c)), "{text:?}");
}

#[test]
fn rejections_and_snapshots() {
    let forced = Override::force_open().reason(EVIL);
    BREAKER.apply_override(&forced);
    let open = BREAKER.try_acquire().unwrap_err();
    assert_shown(&open.to_string());
    assert_shown(&BREAKER.to_string());
    assert_shown(&io::Error::from(open.clone()).to_string());
    assert_shown(&(Box::new(open.clone()) as Box<dyn Error>).to_string());
    assert_eq!((open.name(), open.operator_reason()), (EVIL, Some(EVIL)));
    assert_eq!(BREAKER.snapshot().operator_reason.as_deref(), Some(EVIL));

    let host = HOSTS.breaker(EVIL);
    host.force_open();
    let open = host.try_acquire().unwrap_err();
    assert_shown(&open.to_string());
    assert_shown(&host.snapshot().to_string());
    assert_shown(&format!("{host:?}").replace("\\0", "\\u{0}"));
    assert_eq!((open.key(), host.key()), (Some(EVIL), EVIL));
    let json = serde_json::to_value(host.snapshot()).unwrap();
    assert_eq!(json["key"], EVIL, "JSON has the key itself");

    let tenant = TENANTS.limit(EVIL);
    tenant.try_acquire().unwrap();
    let limited = tenant.try_acquire().unwrap_err();
    assert_shown(&limited.to_string());
    assert_shown(&tenant.snapshot().to_string());
    assert_eq!(limited.key(), Some(EVIL));

    let _permit = PLACES.try_acquire().unwrap();
    assert_shown(&PLACES.try_acquire().unwrap_err().to_string());
    assert_shown(&PLACES.to_string());
}

#[tokio::test]
async fn events() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let _subscription = events::subscribe({
        let heard = heard.clone();
        move |event| {
            // Those of the other tests may be about other texts.
            let text = event.to_string();
            if text.contains(SHOWN) || text.contains(EVIL) {
                heard.lock().unwrap().push(text);
            }
        }
    });
    let count = |begin: &str| heard.lock().unwrap().iter().filter(|text| text.starts_with(begin)).count();
    let breaker = CircuitBreaker::new(EVIL, BreakerConfig::new());
    breaker.apply_override(&Override::force_open().reason(EVIL));
    breaker.try_acquire().unwrap_err();
    let fail = || Err::<(), _>(io::Error::other(EVIL));
    RetryPolicy::new()
        .name(EVIL)
        .max_attempts(2)
        .backoff(Schedule::none())
        .retry_if(|_: &io::Error| true)
        .run(fail)
        .unwrap_err();
    Fallback::new(EVIL).run(fail, |_| Ok::<_, io::Error>(())).unwrap();
    Timeout::new(Duration::from_nanos(1))
        .name(EVIL)
        .run_async(async || std::future::pending::<io::Result<()>>().await)
        .await
        .unwrap_err();
    let full = Bulkhead::new(EVIL, BulkheadConfig::new().max_concurrent(1));
    let _permit = full.try_acquire().unwrap();
    full.try_acquire().unwrap_err();
    let tenant = TENANTS.limit(&format!("event {EVIL}"));
    _ = (tenant.try_acquire(), tenant.try_acquire());
    for begin in ["circuit", "retry", "fallback", "timeout: `evil", "bulkhead", "rate limit"] {
        crate::until(|| count(begin) > 0);
    }
    for text in &*heard.lock().unwrap() {
        assert_shown(text);
    }
}

#[test]
fn labels_of_metrics() {
    let host = HOSTS.breaker(&format!("label {EVIL}"));
    host.force_open();
    _ = host.try_acquire();
    let mut registry = Registry::default();
    registry.register_collector(Box::new(SteadfastCollector::new()));
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    let line = text.lines().find(|line| line.contains("label evil")).unwrap();
    // The format escapes the backslash once more.
    assert_shown(&line.replace(r"\\", r"\"));
    assert!(text.lines().any(|line| line.contains(&format!("service=\"{}\"", SHOWN.replace('\\', r"\\")))));
}
