//! The page in a real browser. Here: states, manual control, reconnection, mounting and retries against the real server; `fake` is a page
//! whose server and clock the tests control.

mod accessibility;
mod actions;
mod escaping;
mod fake;
mod limits;
mod pictures;
mod proxy;
mod reading;
mod truth;
mod usability;

use std::time::Duration;

use serde_json::json;
use steadfast::{
    BreakerState::{Closed, ForcedOpen, HalfOpen},
    CircuitBreaker, rate_limit, retry,
};
use steadfast_dashboard::Dashboard;

use crate::{CONFIG, Served, TOKEN, browser::Browser, fail, with_token};

macro_rules! breakers {
    ($($static:ident = $name:expr;)*) => {
        $(static $static: CircuitBreaker = CircuitBreaker::new($name, CONFIG); steadfast::register!($static);)*
    };
}

breakers! {
    WATCHED = "watched";
    OPERATED = "operated";
    RESTARTED = "restarted";
    NESTED = "nested";
}

#[retry(name = "retry of a rate limit", retry_if = |_| false)]
#[rate_limit(name = "one call per hour", limit = 1, per = 1h)]
fn rate_limited() -> std::io::Result<()> {
    Ok(())
}

#[retry(name = "retry of hanging calls")]
async fn hangs() -> std::io::Result<()> {
    std::future::pending().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_card_follows_a_breaker_through_opening_and_recovery() {
    let served = Served::new(&Dashboard::new());
    let browser = Browser::open(&served.url("/")).await;
    browser.shows("watched", "closed", "Closed").await;
    (0..2).for_each(|_| fail(&WATCHED));
    browser.shows("watched", "open", "Open").await;
    let summary = format!("return ({}).querySelector('.summary').textContent", Browser::card("watched"));
    let summary = browser.run(&summary).await;
    assert!(summary.as_str().unwrap().starts_with("Open after 2 failures in a row"), "{summary}");
    browser.until("return document.title.includes('open')").await;

    // The recovery timeout is shortened only after the page has shown the open state; it then elapses without a call.
    WATCHED.reconfigure(CONFIG.recovery_timeout(Duration::from_nanos(1)));
    browser.shows("watched", "half-open", "Half-open").await;
    let trial = WATCHED.try_acquire().unwrap();
    assert_eq!(WATCHED.state(), HalfOpen);
    trial.success();
    browser.shows("watched", "closed", "Closed").await;
    let timeline = format!(
        "return [...({}).querySelectorAll('.timeline rect')].map(rect => rect.className.baseVal)",
        Browser::card("watched")
    );
    assert_eq!(browser.run(&timeline).await, json!(["closed", "open", "half-open", "closed"]));
    let log = browser.run("return document.querySelector('#log').innerText").await;
    assert!(log.as_str().unwrap().contains("watched half-open"), "{log}");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn manual_control_requires_the_token() {
    let served = Served::new(&with_token());
    let browser = Browser::open(&served.url("/")).await;
    browser.open_details("operated").await;
    browser.write("input[name=reason]", "migration <b>until</b> 14:00").await;
    for token in ["", "a-wrong-token-of-16"] {
        browser.write("input[name=token]", token).await;
        browser.click("button[value=force_open]").await;
        browser.until("return document.querySelector('.result').textContent === 'Not applied: wrong token'").await;
        assert_eq!(OPERATED.state(), Closed);
    }
    browser.write("input[name=token]", TOKEN).await;
    browser.click("button[value=force_open]").await;
    browser.until("return document.querySelector('.result').textContent === 'Applied: Forced open'").await;
    assert_eq!(OPERATED.state(), ForcedOpen);
    browser.shows("operated", "forced-open", "Forced open").await;
    let card = Browser::card("operated");
    browser
        .until(&format!(
            "return ({card}).textContent.includes('migration <b>until</b> 14:00') && !({card}).querySelector('.summary b')"
        ))
        .await;
    browser.click("button[value=reset]").await;
    browser.shows("operated", "closed", "Closed").await;
    let stored = browser
        .run("return JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}, location.href])")
        .await;
    assert!(!stored.as_str().unwrap().contains(TOKEN), "{stored}");
    // Chromium logs the two responses with status 401.
    assert_eq!(browser.console_errors("401 (Unauthorized)").await, Vec::<String>::new());
    browser.quit().await;

    let read_only = Served::new(&Dashboard::new());
    let browser = Browser::open(&read_only.url("/")).await;
    browser.open_details("operated").await;
    assert_eq!(browser.run("return document.querySelectorAll('form, input[name=token]').length").await, json!(0));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_reconnects_after_a_restart_of_the_server() {
    let served = Served::new(&Dashboard::new());
    let address = served.address.to_string();
    let browser = Browser::open(&served.url("/")).await;
    browser.shows("restarted", "closed", "Closed").await;
    drop(served);
    browser.until("return document.querySelector('#live').dataset.state === 'lost'").await;
    RESTARTED.force_open();
    let _served = Served::at(&address, &Dashboard::new());
    browser.until("return document.querySelector('#live').dataset.state === 'live'").await;
    browser.shows("restarted", "forced-open", "Forced open").await;
    // Later changes arrive as well.
    RESTARTED.reset();
    browser.shows("restarted", "closed", "Closed").await;
    // Chromium logs the failed attempts to connect.
    assert_eq!(browser.console_errors("net::ERR_").await, Vec::<String>::new());
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_works_below_a_path() {
    let served = Served::nested("/ops/breakers", with_token());
    let browser = Browser::open(&served.url("/ops/breakers")).await;
    browser.shows("nested", "closed", "Closed").await;
    NESTED.force_open();
    browser.shows("nested", "forced-open", "Forced open").await;
    browser.open_details("nested").await;
    browser.write("input[name=token]", TOKEN).await;
    browser.click("button[value=reset]").await;
    browser.shows("nested", "closed", "Closed").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_shows_the_outcomes_of_its_calls() {
    let served = Served::new(&Dashboard::new());
    let browser = Browser::open(&served.url("/")).await;
    rate_limited().unwrap();
    rate_limited().unwrap_err();
    let row = "[...document.querySelectorAll('#retry-list li')].find(row => row.innerText.startsWith('retry of a rate limit'))";
    browser.until(&format!("return ({row})?.innerText.includes('1 rejected by a breaker or a limit')")).await;
    let text = browser.run(&format!("return ({row}).innerText")).await;
    let words: Vec<_> = text.as_str().unwrap().split_whitespace().collect();
    assert!(words.join(" ").contains("2 calls 50 % first try · 0 % retried · 50 % failed"), "{words:?}");
    assert!(words.join(" ").contains("1 rejected by a breaker or a limit · 1 attempt rejected"), "{words:?}");

    let row = row.replace("retry of a rate limit", "retry of hanging calls");
    browser.until(&format!("return ({row})?.innerText.includes('No calls yet')")).await;
    let call = tokio::spawn(hangs());
    browser.until(&format!("return ({row})?.innerText.includes('No call has ended yet')")).await;
    call.abort();
    browser.until(&format!("return ({row})?.innerText.includes('1 cancelled')")).await;
}
