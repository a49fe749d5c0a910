//! The cards of rate limits and bulkheads.

use std::time::Duration;

use serde_json::json;
use steadfast::{Bulkhead, BulkheadConfig, KeyedBulkheads, KeyedRateLimits, RateLimit, RateLimitConfig};
use steadfast_dashboard::Dashboard;

use crate::{Served, browser::Browser};

static RATE: RateLimit = RateLimit::new("watched rate", RateLimitConfig::new(2, Duration::from_hours(1)));
steadfast::register!(RATE);
static RATES: KeyedRateLimits =
    KeyedRateLimits::new("watched tenants", RateLimitConfig::new(1, Duration::from_millis(1_500)));
steadfast::register!(RATES);
static BULKHEAD: Bulkhead = Bulkhead::new("watched bulkhead", BulkheadConfig::new().max_concurrent(2));
steadfast::register!(BULKHEAD);
static BULKHEADS: KeyedBulkheads = KeyedBulkheads::new("watched hosts", BulkheadConfig::new().max_concurrent(1));
steadfast::register!(BULKHEADS);

#[tokio::test(flavor = "multi_thread")]
async fn cards_of_limits_show_usage_and_capacity() {
    const EVIL: &str = "<img src=x onerror=window.pwned=1>";
    let served = Served::new(&Dashboard::new());
    let browser = Browser::open(&served.url("/")).await;
    browser.shows("watched rate", "free", "Free").await;
    browser.shows("watched bulkhead", "free", "Free").await;
    browser.shows("watched tenants", "free", "Free").await;
    (0..5).for_each(|_| _ = RATE.try_acquire());
    let permits = [BULKHEAD.try_acquire().unwrap(), BULKHEAD.try_acquire().unwrap()];
    BULKHEAD.try_acquire().unwrap_err();
    RATES.reconfigure(RateLimitConfig::new(1, Duration::from_hours(1)));
    (0..3).for_each(|_| _ = RATES.limit(EVIL).try_acquire());
    RATES.limit("quiet");
    let of_host = BULKHEADS.bulkhead("host <b>").try_acquire_owned().unwrap();
    (0..3).for_each(|_| drop(BULKHEADS.bulkhead("host <b>").try_acquire().unwrap_err()));

    browser.shows("watched rate", "full", "At its limit").await;
    browser.shows("watched bulkhead", "full", "Full").await;
    browser.shows("watched tenants", "full", "1 at the limit").await;
    browser.shows("watched hosts", "full", "1 full").await;
    for (name, parts) in [
        ("watched rate", &["Rate limit", "2 calls per 1 h", "In use", "2 of 2", "Admitted2", "Rejected3"][..]),
        (
            "watched bulkhead",
            &["Bulkhead", "At most 2 concurrent calls", "In flight", "2 of 2", "Admitted2", "Rejected1"],
        ),
        (
            "watched hosts",
            &["At most 1 concurrent call for each of 1 key", "1 of 1", "Admitted1", "Rejected3", "host <b>"],
        ),
        ("watched tenants", &["1 call per 1 h for each of 2 keys", "1 of 2", "Admitted1", "Rejected2", EVIL]),
    ] {
        for part in parts {
            let text = format!("({}).textContent.replaceAll(/\\d+(\\.\\d)?\\/s/g, '')", Browser::card(name));
            browser.until(&format!("return {text}.includes({})", json!(part))).await;
        }
    }
    assert_eq!(
        browser.run("return [window.pwned ?? 0, document.querySelectorAll('main img').length]").await,
        json!([0, 0])
    );
    // Limits are found by name and by key.
    browser.write("#search", "watched rate").await;
    browser.until("return document.querySelectorAll('#limit-cards .card').length === 1").await;
    browser.write("#search", "onerror=window").await;
    browser.until("return document.querySelector('#limit-cards h3').textContent === 'watched tenants'").await;
    browser.write("#search", "no limit has this name").await;
    browser.until("return document.querySelector('#limits').hidden").await;
    browser.click("#clear").await;
    drop((permits, of_host));
    browser.shows("watched bulkhead", "free", "Free").await;

    let json = "return fetch(new URL('api/breakers', document.baseURI)).then(a => a.json()).then(all => \
                [all.rate_limits.find(l => l.name === 'watched rate'), all.bulkheads.find(b => b.name === 'watched bulkhead'), \
                 all.rate_limit_groups.find(l => l.name === 'watched tenants')])";
    let entries = browser.run(json).await;
    let expected = json!({ "limit": 2, "per": 3600.0, "in_window": 2, "waiting": 0, "admitted": 2, "rejected": 3 });
    let has = |entry: &serde_json::Value, expected: &serde_json::Value| {
        expected.as_object().unwrap().iter().all(|(key, value)| entry[key].as_f64() == value.as_f64())
    };
    assert!(has(&entries[0], &expected), "{entries}");
    let expected = json!({ "max_concurrent": 2, "in_flight": 0, "waiting": 0, "admitted": 2, "rejected": 1 });
    assert!(has(&entries[1], &expected), "{entries}");
    let expected = json!({ "limit": 1, "per": 3600.0, "keys": 2, "reached": 1, "admitted": 1, "rejected": 2 });
    assert!(has(&entries[2], &expected), "{entries}");
    assert_eq!(entries[2]["most_rejected"][0]["key"], EVIL);
    assert_eq!(entries[2]["most_rejected"][1], json!(null), "a key without rejections is not listed");
    browser.close().await;
}
