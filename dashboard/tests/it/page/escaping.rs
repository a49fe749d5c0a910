//! Names, keys and reasons that contain markup or misleading characters.

use serde_json::json;
use steadfast::{CircuitBreaker, KeyedBreakers, Override};
use steadfast_dashboard::Dashboard;
use thirtyfour::Key;

use crate::{CONFIG, Served, browser::Browser};

static MARKUP: CircuitBreaker = CircuitBreaker::new(r#"<img src=x onerror="window.pwned=1">"#, CONFIG);
steadfast::register!(MARKUP);
static MORE_MARKUP: CircuitBreaker =
    CircuitBreaker::new("\"'><svg/onload=window.pwned=1>&amp;{{7*7}}\u{202e}gnp.exe", CONFIG);
steadfast::register!(MORE_MARKUP);
static KEYS: KeyedBreakers = KeyedBreakers::new("keyed by markup", CONFIG);
steadfast::register!(KEYS);

#[tokio::test(flavor = "multi_thread")]
async fn markup_is_shown_as_text() {
    const EVIL: &str = r#"<script>window.pwned=1</script><img src=x onerror="window.pwned=1">"#;
    KEYS.breaker(EVIL).apply_override(&Override::force_open().reason(EVIL));
    MORE_MARKUP.apply_override(&Override::force_open().reason(EVIL));
    let served = Served::new(&Dashboard::new());
    let browser = Browser::open(&served.url("/")).await;
    browser.shows(MARKUP.name(), "closed", "Closed").await;
    browser.shows(MORE_MARKUP.name(), "forced-open", "Forced open").await;
    for name in [MARKUP.name(), MORE_MARKUP.name()] {
        browser.open_details(name).await;
        let title = browser.run("return document.querySelector('#details-name').textContent").await;
        assert_eq!(title, json!(steadfast::escaped(name)));
        browser.press(Key::Escape).await;
        browser.until("return !document.querySelector('#details').open").await;
    }
    let key = format!("({}).querySelector('.key')", Browser::card("keyed by markup"));
    browser.reveal("keyed by markup").await;
    // The text is shortened in its middle; the tooltip is whole.
    let shows =
        format!("return {key}?.title === {} && {key}.children[1].textContent.startsWith('<script>')", json!(EVIL));
    browser.until(&shows).await;
    browser.run(&format!("{key}.click()")).await;
    browser.until("return document.querySelector('#details').open").await;
    let found = browser.run("return [window.pwned ?? 0, document.querySelectorAll('main img, dialog img, main script, dialog script').length]").await;
    assert_eq!(found, json!([0, 0]));
    let json_loads = browser.run("return fetch(new URL('api/breakers', document.baseURI)).then(a => a.text()).then(t => JSON.parse(t).breakers.length > 0)").await;
    assert_eq!(json_loads, json!(true));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn misleading_characters_are_escaped_as_by_the_library() {
    const EVIL: &str = "a\r\nb\\\u{1b}[31m\u{2028}\u{202e}c\u{0}";
    static HOSTS: KeyedBreakers = KeyedBreakers::new("keyed by misleading characters", CONFIG);
    steadfast::register!(HOSTS);
    HOSTS.breaker(EVIL).apply_override(&Override::force_open().reason(EVIL));
    let served = Served::new(&Dashboard::new());
    let browser = Browser::open(&served.url("/")).await;
    let key = format!("({}).querySelector('.key')", Browser::card("keyed by misleading characters"));
    browser.reveal("keyed by misleading characters").await;
    browser.until(&format!("return {key}?.title === {}", json!(steadfast::escaped(EVIL)))).await;
    browser.run(&format!("{key}.click()")).await;
    browser.until("return document.querySelector('#details').open").await;
    let shown = browser.run("return document.querySelector('#details').textContent").await;
    assert!(!shown.as_str().unwrap().contains(|c: char| c.is_control() || "\u{2028}\u{202e}".contains(c)), "{shown:?}");
    // In the key and in reasons.
    assert!(shown.as_str().unwrap().matches(&*steadfast::escaped(EVIL)).count() > 1, "{shown}");
    browser.close().await;
}
