//! The page in a real browser. Here: states, manual control, reconnection, mounting and retries against the real server; `fake` is a page
//! whose server and clock the tests control.

mod accessibility;
mod actions;
mod conditions;
mod details;
mod escaping;
mod fake;
mod figures;
mod groups;
mod limits;
mod navigation;
mod overview;
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
use thirtyfour::Key;

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
    let why = format!("return ({}).querySelector('.why').textContent", Browser::card("watched"));
    let why = browser.run(&why).await;
    assert!(why.as_str().unwrap().contains("2 failures in a row"), "{why}");
    browser.until("return document.title.startsWith('1 down')").await;

    // The recovery timeout is shortened only after the page has shown the open state; it then elapses without a call.
    WATCHED.reconfigure(CONFIG.recovery_timeout(Duration::from_nanos(1)));
    browser.shows("watched", "half-open", "Half-open").await;
    let trial = WATCHED.try_acquire().unwrap();
    assert_eq!(WATCHED.state(), HalfOpen);
    trial.success();
    browser.shows("watched", "closed", "Closed").await;
    let changes = "return fetch('api/history?id=breaker%20watched').then(answer => answer.json()).then(({ items }) => items['breaker watched'].changes.map(([, state]) => state))";
    assert_eq!(browser.run(changes).await, json!(["open", "half-open", "closed"]));
    let log = browser.run("return [...document.querySelectorAll('#log li')].filter(line => line.textContent.includes('watched')).map(line => line.dataset.state)").await;
    assert_eq!(log, json!(["closed", "half-open", "open"]));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn manual_control_requires_the_token() {
    let served = Served::new(&with_token());
    let browser = Browser::open(&served.url("/")).await;
    browser.open_details("operated").await;
    browser.write("input[name=reason]", "migration <b>until</b> 14:00").await;
    let says = async |text: &str| {
        browser.until(&format!("return document.querySelector('.result').textContent.startsWith('{text}')")).await;
    };
    for (token, result) in
        [("", "Not sent: enter the token"), ("a-wrong-token-of-16", "Not applied: the token is not valid")]
    {
        browser.write("input[name=token]", token).await;
        browser.click("button[value=disable]").await;
        says(result).await;
        assert_eq!(OPERATED.state(), Closed);
    }
    browser.write("input[name=token]", TOKEN).await;
    browser.click("button[value=force_open]").await;
    browser.click("#question button[value=confirm]").await;
    says("Applied").await;
    assert_eq!(OPERATED.state(), ForcedOpen);
    browser.shows("operated", "forced-open", "Forced open").await;
    let card = Browser::card("operated");
    browser
        .until(&format!(
            "return ({card}).textContent.includes('migration <b>until</b> 14:00') && !({card}).querySelector('p b')"
        ))
        .await;
    browser.click("button[value=reset]").await;
    browser.shows("operated", "closed", "Closed").await;
    let stored = browser
        .run("return JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}, location.href])")
        .await;
    assert!(!stored.as_str().unwrap().contains(TOKEN), "{stored}");
    // Chromium logs the response with status 401.
    assert_eq!(browser.console_errors("401 (Unauthorized)").await, Vec::<String>::new());
    browser.quit().await;

    let read_only = Served::new(&Dashboard::new());
    let browser = Browser::open(&read_only.url("/")).await;
    browser.open_details("operated").await;
    assert_eq!(
        browser.run("return document.querySelectorAll('#details form, input[name=token]').length").await,
        json!(0)
    );
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
    browser.click(".side .tabs [data-tab=limits]").await;
    let row = |name: &str| {
        format!(
            "[...document.querySelectorAll('#retries .item')].find(row => row.querySelector('.item-name span').textContent === '{name}')"
        )
    };
    let limited = row("retry of a rate limit");
    browser.until(&format!("return /1 failed|50 % failed/.test(({limited})?.innerText.replaceAll(/\\s/g, ' '))")).await;
    browser.run(&format!("({limited}).querySelector('.item-name').click()")).await;
    let details = "document.querySelector('#details').innerText.replaceAll(/\\s+/g, ' ')";
    for part in ["2 calls", "Rejected by a breaker or a limit", "50 %"] {
        browser.until(&format!("return {details}.includes('{part}')")).await;
    }
    browser.press(Key::Escape).await;

    let hanging = row("retry of hanging calls");
    browser.until(&format!("return /Not called yet/i.test(({hanging})?.textContent)")).await;
    let call = tokio::spawn(hangs());
    browser.until(&format!("return ({hanging})?.textContent.length > 0")).await;
    call.abort();
    // A call that was cancelled is a call.
    browser.until(&format!("return !/Not called yet/i.test(({hanging}).textContent)")).await;
    browser.run(&format!("({hanging}).querySelector('.item-name').click()")).await;
    browser.until(&format!("return /cancelled/i.test({details})")).await;
}
