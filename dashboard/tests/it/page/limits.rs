//! The rows and details of rate limits and bulkheads.

use std::time::Duration;

use serde_json::json;
use steadfast::{Bulkhead, BulkheadConfig, KeyedBulkheads, KeyedRateLimits, RateLimit, RateLimitConfig};
use steadfast_dashboard::Dashboard;
use thirtyfour::Key;

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

/// Returns a JavaScript expression for the row of a limit.
fn row(name: &str) -> String {
    format!(
        "[...document.querySelectorAll('#limits .item')].find(row => row.querySelector('.item-name span').textContent === {})",
        json!(name)
    )
}

/// Waits until the row of a limit shows a state: its colour, its icon, and its label for screen readers. Once the last minute is known, a
/// limit that has rejected calls in it shows their share.
async fn shows(browser: &Browser, name: &str, state: &str, label: &str) {
    let script = format!(
        "const row = {}; const label = row?.querySelector('.item-name').textContent ?? ''; \
         const rejects = '{state}' === 'full' && row?.dataset.state === 'failing' && label.includes(': Rejecting '); \
         return (rejects || row?.dataset.state === '{state}' && label.endsWith({})) && !!row.querySelector('svg path')",
        row(name),
        json!(label)
    );
    browser.until(&script).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_show_usage_and_capacity() {
    const EVIL: &str = "<img src=x onerror=window.pwned=1>";
    let served = Served::new(&Dashboard::new());
    let browser = Browser::open(&served.url("/")).await;
    // A small screen and the side of a large one show either the log or the limits.
    browser.click(".side .tabs [data-tab=limits]").await;
    for name in ["watched rate", "watched bulkhead", "watched tenants"] {
        shows(&browser, name, "free", "Free").await;
    }
    (0..5).for_each(|_| _ = RATE.try_acquire());
    let permits = [BULKHEAD.try_acquire().unwrap(), BULKHEAD.try_acquire().unwrap()];
    BULKHEAD.try_acquire().unwrap_err();
    RATES.reconfigure(RateLimitConfig::new(1, Duration::from_hours(1)));
    (0..3).for_each(|_| _ = RATES.limit(EVIL).try_acquire());
    RATES.limit("quiet");
    let of_host = BULKHEADS.bulkhead("host <b>").try_acquire_owned().unwrap();
    (0..3).for_each(|_| drop(BULKHEADS.bulkhead("host <b>").try_acquire().unwrap_err()));

    shows(&browser, "watched rate", "full", "At its limit").await;
    shows(&browser, "watched bulkhead", "full", "Full").await;
    shows(&browser, "watched tenants", "full", "1 at the limit").await;
    shows(&browser, "watched hosts", "full", "1 full").await;
    for (name, parts) in [
        ("watched rate", &["Rate limit", "2 calls per 1 h", "2 of 2 in use", "Admitted 2", "Rejected 3"][..]),
        (
            "watched bulkhead",
            &["Bulkhead", "At most 2 concurrent calls", "2 of 2 in flight", "Admitted 2", "Rejected 1"],
        ),
        ("watched hosts", &["At most 1 concurrent call for each of 1 key", "Admitted 1", "Rejected 3", "host <b>"]),
        ("watched tenants", &["1 call per 1 h for each of 2 keys", "Admitted 1", "Rejected 2", EVIL]),
    ] {
        browser.run(&format!("({}).querySelector('.item-name').click()", row(name))).await;
        for part in parts {
            // The figures of the last minute come before those since the start.
            let text = "document.querySelector('#details').innerText.replaceAll(/\\s+/g, ' ').replaceAll(/(Admitted|Rejected) \\S+ (?=\\d)/g, '$1 ')";
            let shown = format!(
                "return {text}.includes({0}) || [...document.querySelectorAll('#details [title]')].some(e => e.title === {0})",
                json!(part)
            );
            browser.until(&shown).await;
        }
        browser.press(Key::Escape).await;
        browser.until("return !document.querySelector('#details').open").await;
    }
    assert_eq!(
        browser.run("return [window.pwned ?? 0, document.querySelectorAll('main img').length]").await,
        json!([0, 0])
    );
    // Limits are found by name and by key.
    let shown = "return [...document.querySelectorAll('#limits .item')].filter(row => row.checkVisibility()).map(row => row.querySelector('.item-name span').textContent).join()";
    browser.write("#search", "watched rate").await;
    browser.until(&shown.replace("return", "return 'watched rate' ===")).await;
    browser.write("#search", "onerror=window").await;
    browser.until(&shown.replace("return", "return 'watched tenants' ===")).await;
    browser.write("#search", "no limit has this name").await;
    browser.until(&shown.replace("return", "return '' ===")).await;
    browser.click("#clear").await;
    drop((permits, of_host));

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
