//! The details: what they say about old data, overrides, recent changes of state, and limits.

use serde_json::json;

use super::fake::FakePage;

const TEXT: &str = "document.querySelector('#details').innerText.replaceAll(/\\s+/g, ' ')";
/// The text of a labelled fact.
const FACT: &str = "(label => [...document.querySelectorAll('#details .facts > div')].find(fact => fact.firstChild.textContent === label)?.lastChild.textContent ?? '')";

impl FakePage {
    /// Waits until the details contain a text.
    async fn details_say(&self, text: &str) {
        self.until(&format!("return {TEXT}.includes({})", json!(text))).await;
    }

    async fn text(&self) -> String {
        self.run(&format!("return {TEXT}")).await.as_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn details_without_a_connection_claim_nothing_new() {
    let page = FakePage::live("outage").await;
    page.run("fake.rows.find(({ id }) => id === 'breaker payments').last_minute = null; return fake.sendAll()").await;
    page.run("for (const path of ['api/item', 'api/live']) fake.routes[path] = () => { throw new TypeError('network error'); }; return fake.drop()").await;
    page.advance(20).await;
    page.open_details("payments").await;
    page.advance(2).await;
    page.details_say("Connection lost").await;
    for label in ["Callers get", "Next"] {
        page.until(&format!("return {FACT}('{label}').startsWith('Not known')")).await;
    }
    let text = page.text().await;
    for claim in ["None since the start", "Not measured yet", "next call is a trial call"] {
        assert!(!text.contains(claim), "{claim} is in {text}");
    }
    // The duration is that of the last data.
    let since = format!("return {FACT}('Since')");
    let before = page.run(&since).await;
    page.advance(30).await;
    assert_eq!(page.run(&since).await, before);
    page.details_say("52 s ago").await;
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_from_before_the_present_state_is_called_so() {
    let page = FakePage::live("outage").await;
    page.run("const row = fake.rows.find(({ id }) => id === 'breaker fraud check'); Object.assign(row, { since: fake.now() - 14, last_minute: { seconds: 60, successes: 97, failures: 0, rejections: 3 } }); return fake.sendAll()").await;
    page.open_details("fraud check").await;
    page.details_say("most of it before this state began 14 s ago").await;
    page.advance(30).await;
    page.details_say("part of it before this state began 44 s ago").await;
    page.advance(30).await;
    page.until(&format!("return !{TEXT}.includes('before this state')")).await;
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_of_an_override_is_named() {
    let page = FakePage::live("outage").await;
    page.run(
        "fake.routes['api/events'] = () => fake.json(200, { last: 2, events: [ \
           { n: 1, at: fake.now() - 60, kind: 'override', id: 'breaker fraud check', name: 'fraud check', to: 'forced-open', action: 'force_open', operator: 'eve', reason: 'migration until 14:00', expires_at: null }, \
           { n: 2, at: fake.now() - 60, kind: 'override', id: 'group suppliers', name: 'suppliers', to: 'forced-open', action: 'force_open', operator: 'maria', reason: 'db move', expires_at: fake.now() + 600 }] }); \
         Object.assign(fake.rows.find(({ id }) => id === 'group suppliers'), { forced_open: 140, closed: 0, open: 0 }); \
         for (const row of fake.rows.filter(({ kind }) => kind === 'key')) Object.assign(row, { state: 'forced-open', condition: 'forced-open', operator_reason: 'db move', until: fake.now() + 600 }); \
         return fake.sendAll()",
    )
    .await;
    page.open_details("fraud check").await;
    page.until(&format!("return {FACT}('Why').includes('Operator eve: “migration until 14:00”')")).await;
    page.until("return /→ Forced open by eve/.test(document.querySelector('#details .events').innerText)").await;
    page.until("return document.querySelector('#details button[value=reset]').textContent === 'End the override'")
        .await;
    page.browser.press(thirtyfour::Key::Escape).await;
    page.until("return !document.querySelector('#details').open").await;
    page.open_details("suppliers").await;
    for part in ["Forced open by maria at", "“db move”", "The override expires at", "End the overrides"] {
        page.details_say(part).await;
    }
    let card = super::Browser::card("suppliers");
    page.until(&format!("return /db move/.test(({card}).innerText)")).await;
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_rejects_calls_is_not_free() {
    let page = FakePage::live("outage").await;
    page.run("Object.assign(fake.rows.find(({ id }) => id === 'rate_limit geocoder'), { in_window: 3, waiting: 0, last_minute: { seconds: 60, admitted: 656, rejected: 1922 } }); return fake.sendAll()").await;
    page.browser.click(".side .tabs [data-tab=limits]").await;
    let row = "[...document.querySelectorAll('#limits .item')].find(row => row.querySelector('.item-name span').textContent === 'geocoder')";
    page.until(&format!("return ({row}).dataset.state === 'failing'")).await;
    page.run(&format!("({row}).querySelector('.item-name').click()")).await;
    page.details_say("Rejecting 75 %").await;
    page.details_say("75 % of calls were rejected in the last minute").await;
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_search_of_the_page_continues_among_the_keys() {
    let page = FakePage::live("healthy").await;
    page.run("fake.routes['api/keys'] = ({ search }) => { const keys = fake.rows.filter(({ key }) => key?.includes(search.get('search'))); return fake.json(200, { total: 140, matches: keys.length, keys }); }").await;
    page.browser.write("#search", "supplier-013").await;
    page.advance(1).await;
    page.open_details("suppliers").await;
    page.until("return document.querySelectorAll('#details .key-row').length === 1").await;
    assert_eq!(page.run("return document.querySelector('#details .key-search input').value").await, "supplier-013");
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_is_named_as_it_was_written() {
    let page = FakePage::open_with("", "#breaker=suppliers&key=supplier-999").await;
    page.show("healthy").await;
    page.until("return document.querySelector('#details-name')?.textContent === 'suppliers · supplier-999'").await;
    page.details_say("may be misspelt").await;
    assert_eq!(page.run("return document.querySelector('#details .lead').checkVisibility()").await, json!(false));
    page.close().await;
}
