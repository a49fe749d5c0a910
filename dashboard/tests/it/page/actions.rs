//! Manual control on the page: nothing by mistake, once for a double click, and an honest result.

use serde_json::json;
use thirtyfour::{By, Key};

use super::fake::FakePage;
use crate::TOKEN;

const SENT: &str = "return fake.requests.filter(({ path, method }) => path === 'api/overrides' && method === 'POST').map(({ body }) => body)";
const REASON: &str = "#details input[name=reason]";
const FORCE_OPEN: &str = "#details button[value=force_open]";
const DISABLE: &str = "#details button[value=disable]";
const RESET: &str = "#details button[value=reset]";
const CONFIRM: &str = "#question button[value=confirm]";
const RESULT: &str = "document.querySelector('#details .result').textContent";

/// Opens the details of a closed breaker and fills in the form.
async fn with_form(reason: &str) -> FakePage {
    let page = FakePage::live("outage").await;
    page.open_details("mail").await;
    page.browser.write("#details input[name=token]", TOKEN).await;
    if !reason.is_empty() {
        page.browser.write(REASON, reason).await;
    }
    page
}

impl FakePage {
    async fn sent(&self) -> Vec<serde_json::Value> {
        self.run(SENT).await.as_array().unwrap().clone()
    }

    /// Waits until the result of the action contains a text.
    async fn says(&self, text: &str) {
        self.until(&format!("return {RESULT}.toLowerCase().includes({})", json!(text.to_lowercase()))).await;
    }

    async fn double_click(&self, css: &str) {
        let button = self.browser.driver().find(By::Css(css)).await.unwrap();
        button.scroll_into_view().await.unwrap();
        self.browser.driver().action_chain().double_click_element(&button).perform().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_happens_by_mistake() {
    let page = with_form("").await;
    assert_eq!(page.run("return document.querySelector('#details select[name=expires]').value").await, "900");
    // Enter in a field chooses no action.
    page.browser.write(REASON, "migration").await;
    page.browser.press(Key::Enter).await;
    page.advance(1).await;
    assert_eq!(page.sent().await, Vec::<serde_json::Value>::new());
    assert_eq!(page.run("return document.querySelector('#question')?.open ?? false").await, json!(false));
    // A question with the focus on its refusal comes before what rejects calls.
    page.browser.click(FORCE_OPEN).await;
    page.until("return document.querySelector('#question')?.open && document.querySelector('#question').innerText.includes('mail')").await;
    page.browser.press(Key::Enter).await;
    page.until("return !document.querySelector('#question').open").await;
    assert_eq!(page.sent().await, Vec::<serde_json::Value>::new());
    // A drag that ends beside the dialog does not close it.
    let reason = page.browser.driver().find(By::Css(REASON)).await.unwrap();
    let mouse = page.browser.driver().action_chain();
    mouse.click_and_hold_element(&reason).move_to(2, 2).release().perform().await.unwrap();
    page.advance(1).await;
    assert_eq!(page.run("return document.querySelector('#details').open").await, json!(true));
    // What was typed survives the closing of the details.
    page.browser.press(Key::Escape).await;
    page.until("return !document.querySelector('#details').open").await;
    page.open_details("mail").await;
    assert_eq!(page.run(&format!("return document.querySelector('{REASON}').value")).await, "migration");
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_double_click_acts_once() {
    let page = with_form("double").await;
    page.double_click(DISABLE).await;
    page.says("disabled").await;
    page.advance(1).await;
    let sent = page.sent().await;
    assert_eq!(sent.len(), 1, "{sent:?}");
    let expected = json!({ "breaker": "mail", "action": "disable", "reason": "double", "expires_in": 900 });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(sent[0][field], *value, "{field}");
    }
    let id = sent[0]["request_id"].as_str().unwrap();
    assert!((8..=64).contains(&id.len()), "{id}");
    assert!(sent[0]["expected_transitions"].is_null() || sent[0]["expected_transitions"] == 0, "{}", sent[0]);

    // The second click of a double click does not answer the question.
    page.browser.write(REASON, "again").await;
    page.advance(2).await;
    page.double_click(FORCE_OPEN).await;
    page.advance(1).await;
    assert_eq!(page.sent().await.len(), 1);
    // It may have hit the button that refuses, which lies above the form.
    if page.run("return document.querySelector('#question').open").await == false {
        page.browser.click(FORCE_OPEN).await;
    }
    page.until("return document.querySelector('#question').open").await;
    page.double_click(CONFIRM).await;
    page.until("return !document.querySelector('#question').open").await;
    page.says("forced open").await;
    assert_eq!(page.sent().await.len(), 2);
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_a_circuit_that_is_open_by_itself_is_asked_and_needs_a_reason() {
    let page = FakePage::live("outage").await;
    page.open_details("payments").await;
    page.browser.write("#details input[name=token]", TOKEN).await;
    page.until(&format!("return document.querySelector('{RESET}').textContent === 'Close now'")).await;
    page.browser.click(RESET).await;
    page.says("enter a reason").await;
    page.browser.write(REASON, "fixed").await;
    page.browser.click(RESET).await;
    page.until("return document.querySelector('#question').open && /without a trial call/.test(document.querySelector('#question').innerText)").await;
    assert_eq!(page.sent().await, Vec::<serde_json::Value>::new());
    page.run("fake.routes['api/overrides'] = () => { Object.assign(fake.rows.find(({ id }) => id === 'breaker payments'), { state: 'closed', condition: 'closed', since: fake.now() }); \
              return fake.json(200, { state: 'closed', applied: 1, expires_at: null, n: 1 }); }").await;
    page.browser.click(CONFIRM).await;
    page.says("applied").await;
    assert_eq!(page.sent().await[0]["reason"], "fixed");
    // The circuit opens again: the result is not shown as a present state.
    page.advance(2).await;
    page.run("Object.assign(fake.rows.find(({ id }) => id === 'breaker payments'), { state: 'open', condition: 'open', since: fake.now() })").await;
    page.advance(2).await;
    page.says("it is open").await;
    assert_eq!(page.run("return document.querySelector('#details .result.good')").await, json!(null));
    page.browser.press(Key::Escape).await;
    page.until("return !document.querySelector('#details').open").await;

    // An override is ended without a question.
    page.open_details("fraud check").await;
    page.until(&format!("return document.querySelector('{RESET}').textContent === 'End the override'")).await;
    page.browser.click(RESET).await;
    page.says("applied").await;
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_called_unknown_and_asked_again() {
    let page = with_form("lost").await;
    page.run("fake.routes['api/overrides'] = () => { throw new TypeError('Failed to fetch'); }").await;
    page.browser.click(DISABLE).await;
    page.says("unknown").await;
    page.run("fake.routes['api/overrides'] = () => fake.json(200, { state: 'disabled', applied: 1, expires_at: fake.now() + 900, n: 7 })").await;
    page.advance(30).await;
    page.says("applied").await;
    let sent = page.sent().await;
    assert!(sent.len() > 1);
    assert!(sent.iter().all(|body| body["request_id"] == sent[0]["request_id"]), "{sent:?}");
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_never_arrives_is_called_unknown() {
    let page = with_form("never").await;
    page.run("fake.routes['api/overrides'] = () => fake.never").await;
    page.browser.click(DISABLE).await;
    page.advance(12).await;
    page.says("unknown").await;
    page.advance(120).await;
    page.says("unknown").await;
    // What was typed is kept for the next attempt.
    assert_eq!(page.run(&format!("return document.querySelector('{REASON}').value")).await, "never");
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_action_says_so_and_keeps_the_reason() {
    let page = with_form("refused").await;
    page.run("fake.routes['api/overrides'] = () => fake.json(401, { error: 'wrong token' })").await;
    page.browser.click(DISABLE).await;
    page.says("not applied").await;
    assert_eq!(page.run(&format!("return document.querySelector('{REASON}').value")).await, "refused");
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_of_two_operators_sees_what_the_first_did() {
    let page = with_form("mine").await;
    page.run(
        "fake.routes['api/overrides'] = ({ body }) => { \
           if (fake.rows.find(({ id }) => id === 'breaker mail').transitions === (body.expected_transitions ?? 0)) return fake.json(200, { state: 'disabled', applied: 1, expires_at: fake.now() + 900, n: 8 }); \
           return fake.json(409, { error: 'changed meanwhile', state: 'forced-open', since: fake.now() - 20, operator: 'maria', reason: 'her reason' }); }; \
         Object.assign(fake.rows.find(({ id }) => id === 'breaker mail'), { transitions: 5, state: 'forced-open', condition: 'forced-open', operator_reason: 'her reason', since: fake.now() - 20 })",
    )
    .await;
    page.browser.click(DISABLE).await;
    page.until("return /maria/.test(document.querySelector('#details').innerText) && /her reason/.test(document.querySelector('#details').innerText)").await;
    let before = page.sent().await.len();
    assert_eq!(page.run("return document.querySelector('#question').open").await, json!(true));
    page.advance(5).await;
    assert_eq!(page.sent().await.len(), before, "nothing is sent before the operator decides");
    page.browser.click(CONFIRM).await;
    page.says("applied").await;
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_details_show_that_the_connection_is_lost() {
    let page = FakePage::live("outage").await;
    page.open_details("payments").await;
    page.run("for (const path of ['api/item', 'api/live']) fake.routes[path] = () => { throw new TypeError('network error'); }; return fake.drop()").await;
    page.advance(20).await;
    page.until("return /connection|not reached|no answer|\\d+ s ago|\\d+ s old/i.test(document.querySelector('#details').innerText)").await;
    // An item that has disappeared is told apart from a lost connection.
    page.run("fake.routes['api/item'] = () => fake.json(404, { error: 'not found' })").await;
    page.advance(5).await;
    page.until("return /not found|no longer|removed/i.test(document.querySelector('#details').innerText)").await;
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_that_was_not_seen_is_asked_even_without_a_name() {
    let page = with_form("mine").await;
    // The state and the number of changes are as before: an operator without a name has forced and reset it.
    page.run(
        "fake.routes['api/overrides'] = ({ body }) => (body.expected_override === 12 ? fake.json(200, { state: 'disabled', applied: 1, expires_at: null, n: 13 }) \
           : fake.json(409, { error: 'changed meanwhile', state: 'closed', since: fake.now() - 5, operator: null, reason: null, action: 'reset', at: fake.now() - 5, n: 12, key: null }))",
    )
    .await;
    page.browser.click(DISABLE).await;
    page.until("return document.querySelector('#question').open && /Another operator reset it/.test(document.querySelector('#question').innerText)").await;
    assert_eq!(page.sent().await[0]["expected_override"], json!(null));
    page.browser.click(CONFIRM).await;
    page.says("applied").await;
    assert_eq!(page.sent().await[1]["expected_override"], 12);
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_of_the_keys_during_a_question_is_told() {
    let page = FakePage::live("outage").await;
    page.open_details("suppliers").await;
    page.browser.write("#details input[name=token]", TOKEN).await;
    page.browser.write(REASON, "all of them").await;
    page.browser.click(FORCE_OPEN).await;
    page.until("return document.querySelector('#question').open").await;
    page.run(
        "fake.routes['api/events'] = ({ search }) => fake.json(200, { last: 20, events: [{ n: 20, at: fake.now(), kind: 'override', id: 'key 9 suppliers b', name: 'suppliers', key: 'b', \
           from: 'closed', to: 'disabled', reason: 'hers', operator: 'alice', action: 'disable', expires_at: null }].filter(({ n }) => n > Number(search.get('after') ?? 0)) }); \
         fake.rows.find(({ id }) => id === 'group suppliers').last_override = 20",
    )
    .await;
    page.advance(2).await;
    page.browser.click(CONFIRM).await;
    page.until("return document.querySelector('#question').open && /alice disabled the key “b”.*“hers”/.test(document.querySelector('#question').innerText)").await;
    assert_eq!(page.sent().await, Vec::<serde_json::Value>::new());
    page.browser.click(CONFIRM).await;
    page.says("applied").await;
    assert_eq!(page.sent().await[0]["expected_override"], 20);
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_progress_survives_the_closing_of_the_details() {
    let page = with_form("slow").await;
    page.run("fake.routes['api/overrides'] = () => new Promise((resolve) => (window.answer = () => resolve(fake.json(200, { state: 'disabled', applied: 1, expires_at: null, n: 7 }))))").await;
    page.browser.click(DISABLE).await;
    page.says("sending").await;
    page.browser.press(Key::Escape).await;
    page.until("return !document.querySelector('#details').open").await;
    page.open_details("mail").await;
    page.says("sending").await;
    page.browser.click(DISABLE).await;
    page.advance(1).await;
    assert_eq!(page.sent().await.len(), 1, "the form is not free");
    page.run("window.answer()").await;
    page.says("applied").await;
    page.until("return document.querySelector('#details .actions').getAttribute('aria-busy') === 'false'").await;
    assert_eq!(page.sent().await.len(), 1);
    page.close().await;
}
