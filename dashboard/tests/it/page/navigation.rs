//! Links, the browser's back button, the focus, the token for viewing, and the log after a lost connection.

use serde_json::json;

use super::fake::FakePage;
use crate::{
    TOKEN,
    browser::{Browser, LIVE},
};

const OPEN: &str = "return document.querySelector('#details').open";
const CLOSED: &str = "return !document.querySelector('#details').open";

#[tokio::test(flavor = "multi_thread")]
async fn back_closes_details_and_passes_over_closed_ones() {
    // The link is not encoded as the page would encode it.
    let page = FakePage::open_with("", "#breaker=shipping%20quotes").await;
    page.show("outage").await;
    page.until(OPEN).await;
    let entries = page.run("return history.length").await;
    page.run("document.querySelector('#details').close()").await;
    page.until("return location.hash === ''").await;
    assert_eq!(page.run("return history.length").await, entries);
    // An order is not an entry of its own.
    page.run("location.hash = '#sort=name'").await;
    page.until("return document.querySelector('#sort').value === 'name'").await;
    page.run("location.hash = '#sort=calls'").await;
    page.until("return document.querySelector('#sort').value === 'calls'").await;
    page.open_details("mail").await;
    page.run("document.querySelector('#details').close()").await;
    page.until("return location.hash === '#sort=calls'").await;
    // The entry of the closed details is used again.
    let entries = page.run("return history.length").await;
    page.open_details("search").await;
    assert_eq!(page.run("return history.length").await, entries);
    page.run("history.back()").await;
    page.until(CLOSED).await;
    page.run("history.forward()").await;
    page.until(OPEN).await;
    page.run("document.querySelector('#details').close()").await;
    page.until("return location.hash === '#sort=calls'").await;
    page.run("history.back()").await;
    page.until("return location.hash === '#sort=name' && document.querySelector('#sort').value === 'name'").await;
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_prototypes_are_no_orders_or_conditions() {
    let page = FakePage::open_with("", "#sort=toString&state=constructor&valueOf=1").await;
    page.show("outage").await;
    assert_eq!(page.run("return document.querySelector('#sort').value").await, "severity");
    page.until("return document.querySelectorAll('#cards .card').length > 5").await;
    assert_eq!(page.run("return /NaN/.test(document.body.innerText)").await, false);
    assert_eq!(page.run("return fake.opened()").await, 1);
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_focus_that_closed_details_return_holds_the_list_for_a_minute_at_most() {
    let page = FakePage::live("healthy").await;
    page.run("document.querySelector('#cards .name').focus(); document.querySelector('#cards .name').click()").await;
    page.until(OPEN).await;
    page.run("document.querySelector('#details').close()").await;
    page.until("return document.activeElement.classList.contains('name')").await;
    page.run("return fake.change('breaker stock', { condition: 'open', state: 'open' })").await;
    page.advance(61).await;
    page.until("return document.querySelector('#cards h3').textContent === 'stock'").await;
    assert_eq!(page.run("return document.activeElement.classList.contains('name')").await, true);
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_no_header_can_carry_is_not_sent() {
    let page = FakePage::open().await;
    let route = format!(
        "fake.routes['api/live'] = ({{ headers, search, signal }}) => headers.get('x-steadfast-token') === '{TOKEN}' ? fake.live({{ search, signal }}) : fake.json(401, {{ error: 'token required' }})"
    );
    page.run(&route).await;
    page.run("return fake.drop()").await;
    page.advance(10).await;
    page.until("return !document.querySelector('#token-form').hidden").await;
    let submit = |token: &str| {
        format!(
            "document.querySelector('#token').value = {}; document.querySelector('#token-form button').click()",
            json!(token)
        )
    };
    page.run(&submit("view\u{2013}token-0123456789")).await;
    page.until("return document.querySelector('#token-error').textContent.includes('characters')").await;
    assert_eq!(page.run("return document.querySelector('#token-form').hidden").await, false);
    page.run(&submit("wrong-token-0123456789")).await;
    page.advance(1).await;
    page.until("return document.querySelector('#token-error').textContent.includes('not accept')").await;
    page.run(&submit(TOKEN)).await;
    page.advance(3).await;
    page.show("healthy").await;
    page.until("return document.querySelector('#token-form').hidden").await;
    page.until(LIVE).await;
    // The links in the footer have no token; the page reads their data.
    page.run(
        "window.opened = {}; window.open = () => ({ location: opened }); document.querySelector('footer a').click()",
    )
    .await;
    page.until("return (opened.href ?? '').startsWith('blob:') || opened.href?.endsWith('api/breakers')").await;
    page.browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_no_gap_after_a_lost_connection() {
    let page = FakePage::live("outage").await;
    let events = "fake.kept = []; fake.event = (n, kind) => fake.kept.push({ n, kind, at: fake.now(), id: 'breaker mail', name: 'mail', key: null, from: 'closed', to: 'open', reason: 'r', \
                  operator: kind === 'override' ? 'maria' : null, action: kind === 'override' ? 'force_open' : null, expires_at: null });
                  fake.routes['api/events'] = () => fake.json(200, { last: 0, events: [...fake.events, ...fake.kept] });";
    page.run(events).await;
    // All events have been read for the filter, which is switched off again.
    let overrides = "document.querySelector('#log-overrides').click()";
    let lines = "return [...document.querySelectorAll('#log li')].map(line => line.innerText).filter(text => text.includes('maria') && text.includes('mail')).length";
    page.run(overrides).await;
    page.run("return fake.frame()").await;
    // More events are missed than the stream repeats.
    page.run("const last = fake.events.at(-1).n; fake.event(last + 1, 'override'); for (let n = 2; n < 90; n += 1) fake.event(last + n, 'state')").await;
    page.run("return fake.send('log', { events: fake.kept.slice(-40) })").await;
    page.until(&format!("{lines} === 1")).await;
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_found_by_its_name_shows_its_worst_keys() {
    let page = FakePage::live("outage").await;
    page.browser.search("suppliers").await;
    page.advance(1).await;
    let keys = format!("return ({})?.querySelectorAll('.key').length", Browser::card("suppliers"));
    page.until(&format!("{keys} === 3")).await;
    let text = page.run(&format!("return ({}).innerText", Browser::card("suppliers"))).await;
    assert!(!text.as_str().unwrap().contains("0 keys found"), "{text}");
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_spaces_are_told_apart() {
    let page = FakePage::open().await;
    let script = "return import('/js/format.js').then(({ keyText }) => ['', ' ', '  ', 'a ', 'a b'].map(key => keyText({ key })))";
    assert_eq!(page.run(script).await, json!(["“”", "“\u{a0}”", "“\u{a0}\u{a0}”", "“a\u{a0}”", "a b"]));
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_that_is_running_is_shown_in_reopened_details() {
    let page = FakePage::live("outage").await;
    page.open_details("mail").await;
    page.browser.write("#details input[name=token]", TOKEN).await;
    page.browser.write("#details input[name=reason]", "first").await;
    page.browser.click("#details button[value=disable]").await;
    page.until("return document.querySelector('#details .result').textContent.includes('Applied')").await;
    page.run("fake.routes['api/overrides'] = () => new Promise((resolve) => (fake.answer = () => resolve(fake.json(200, { state: 'disabled', applied: 1, expires_at: null, n: 2 }))))").await;
    page.advance(1).await;
    page.browser.write("#details input[name=reason]", "second").await;
    page.browser.click("#details button[value=disable]").await;
    page.until("return Boolean(fake.answer)").await;
    page.run("document.querySelector('#details').close()").await;
    page.until(CLOSED).await;
    page.open_details("mail").await;
    page.until("return document.querySelector('#details .result').textContent.includes('Sending')").await;
    page.browser.click("#details button[value=disable]").await;
    page.advance(1).await;
    page.run("fake.answer()").await;
    page.until("return document.querySelector('#details .result').textContent.includes('without expiry')").await;
    assert_eq!(page.run("return fake.requests.filter(({ path }) => path === 'api/overrides').length").await, 2);
    page.until("return document.querySelector('#details .actions').getAttribute('aria-busy') === 'false'").await;
    page.close().await;
}
