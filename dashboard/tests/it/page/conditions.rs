//! Conditions of real breakers, and keys that are not among the listed ones.

use std::time::Duration;

use serde_json::json;
use steadfast::{BreakerConfig, CircuitBreaker, KeyedBreakers};
use steadfast_dashboard::Dashboard;

use crate::{CONFIG, Served, browser::Browser, fail, succeed};

const AT_ONCE: Duration = Duration::from_nanos(1);
const RAMP: BreakerConfig = CONFIG.recovery_timeout(AT_ONCE).ramp_up(Duration::from_hours(1));

static RAMPING: CircuitBreaker = CircuitBreaker::new("condition: ramping", RAMP);
steadfast::register!(RAMPING);
static OBSERVING: CircuitBreaker = CircuitBreaker::new("condition: observing", CONFIG.observe_only(true));
steadfast::register!(OBSERVING);
static HUNG: CircuitBreaker = CircuitBreaker::new("condition: hung", CONFIG.hung_call(AT_ONCE));
steadfast::register!(HUNG);
static MANY: KeyedBreakers = KeyedBreakers::new("a crowd of tenants", CONFIG);
steadfast::register!(MANY);

#[tokio::test(flavor = "multi_thread")]
async fn real_breakers_show_what_their_callers_feel() {
    let served = Served::new(&Dashboard::new());
    let browser = Browser::open(&served.url("/")).await;
    (0..2).for_each(|_| fail(&RAMPING));
    succeed(&RAMPING);
    (0..2).for_each(|_| fail(&OBSERVING));
    // Observe only: the call is admitted though the circuit is open.
    succeed(&OBSERVING);
    let call = HUNG.try_acquire().unwrap();
    for (breaker, condition, label, shown) in [
        (&RAMPING, "ramping", "Ramping", r"10\s?%"),
        (&OBSERVING, "observing", "Observing", r"never rejects|observe only"),
        (&HUNG, "hung", "Hung", r"hang|hung"),
    ] {
        let card = Browser::card(breaker.name());
        browser.reveal(breaker.name()).await;
        browser.until(&format!("return {card}?.dataset.state === '{condition}'")).await;
        browser.until(&format!("return {card}.querySelector('.pill').textContent.startsWith('{label}')")).await;
        browser.until(&format!("return /{shown}/i.test({card}.innerText)")).await;
    }
    // Nobody else calls the breaker, so no call has been counted as hung.
    browser
        .until(&format!("return /1 of 1 call in flight did not return/.test({}.innerText)", Browser::card(HUNG.name())))
        .await;
    browser.open_details(HUNG.name()).await;
    let hung = "[...document.querySelectorAll('#details .figures-table tr')].find(row => row.firstChild.textContent === 'Hung')";
    browser.until(&format!("return {hung}?.lastChild.textContent === '1'")).await;
    drop(call);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_listed_is_found_and_followed() {
    let keys: Vec<_> = (0..60).map(|number| MANY.breaker(&format_args!("tenant-{number:02}"))).collect();
    // All are open, so 40 of them are not among the worst that are listed.
    for key in &keys {
        key.force_open();
    }
    let served = Served::new(&Dashboard::new());
    let browser = Browser::open(&served.url("/")).await;
    for number in [3, 31, 59] {
        browser.search(&format!("tenant-{number:02}")).await;
        let key = format!(
            "[...({})?.querySelectorAll('.key') ?? []].find(key => key.title === 'tenant-{number:02}')",
            Browser::card("a crowd of tenants")
        );
        browser.until(&format!("return {key}?.dataset.state === 'forced-open'")).await;
        browser.run(&format!("{key}.click()")).await;
        let title =
            format!("return document.querySelector('#details-name')?.textContent.includes('tenant-{number:02}')");
        browser.until(&title).await;
        browser.until("return document.querySelector('#details .content').dataset.state === 'forced-open'").await;
        // The details do not go on with what the key was when it was found.
        keys[number].reset();
        browser.until("return document.querySelector('#details .content').dataset.state === 'closed'").await;
        browser.run("document.querySelector('#details').close()").await;
    }
    assert_eq!(browser.run("return document.querySelector('#details').open").await, json!(false));
    browser.close().await;
}
