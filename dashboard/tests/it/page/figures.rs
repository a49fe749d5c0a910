//! What the page claims from the figures of the last minute: what fails, and what the callers got.

use serde_json::{Value, json};

use super::fake::FakePage;
use crate::browser::Browser;

/// Changes the last minute of a breaker, and waits until the head is drawn again.
async fn minute(page: &FakePage, name: &str, minute: Value) {
    let mut minute = minute;
    minute["seconds"] = json!(60);
    let change = format!("return fake.change('breaker {name}', {{ callers: null, last_minute: {minute} }})");
    page.run(&change).await;
    page.advance(1).await;
    page.run("return fake.frame()").await;
}

/// Returns the texts at the top: the head, its state, the lines below it, the outcomes, and the title of the tab.
async fn top(page: &FakePage) -> [String; 5] {
    let script = "return [document.querySelector('#overview-head').textContent, document.querySelector('#overview').dataset.state, \
                  document.querySelector('#overview-text').innerText, document.querySelector('#overview-outcomes').innerText, document.title]";
    let texts = page.run(script).await;
    let text = |index: usize| texts[index].as_str().unwrap().replace('\u{a0}', " ");
    [0, 1, 2, 3, 4].map(text)
}

async fn card_text(page: &FakePage, name: &str) -> String {
    page.browser.reveal(name).await;
    let text = page.run(&format!("return ({}).innerText", Browser::card(name))).await;
    text.as_str().unwrap().replace('\u{a0}', " ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_breaker_that_admits_calls_which_fail_is_named() {
    let page = FakePage::live("healthy").await;
    assert_eq!(top(&page).await[1], "closed");
    // Fewer calls than ten, and fewer failures than half, are no outage.
    minute(&page, "mail", json!({ "failures": 9 })).await;
    minute(&page, "stock", json!({ "successes": 51, "failures": 49 })).await;
    assert_eq!(top(&page).await[1], "closed");
    minute(&page, "payments", json!({ "failures": 600 })).await;
    let [head, state, text, _, title] = top(&page).await;
    assert_eq!(head, "1 breaker failing");
    assert_eq!(state, "open");
    assert!(text.contains("payments: 100 % of 600 calls fail"), "{text}");
    assert!(title.starts_with("1 failing · "), "{title}");
    // Disabled and hung breakers admit all calls as well.
    for (name, condition) in [("search", "disabled"), ("prices", "hung")] {
        page.run(&format!("return fake.change('breaker {name}', {{ condition: '{condition}' }})")).await;
        minute(&page, name, json!({ "successes": 20, "failures": 20 })).await;
    }
    let [head, _, text, ..] = top(&page).await;
    assert!(head.starts_with("3 breakers failing"), "{head}");
    assert!(text.contains("search: 50 % of 40 calls fail"), "{text}");
    page.run("return fake.change('breaker mail', { condition: 'open', state: 'open' })").await;
    page.advance(1).await;
    assert!(top(&page).await[0].starts_with("1 breaker down, 3 failing"));
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ignored_errors_and_cancelled_calls_are_no_successes() {
    let page = FakePage::open().await;
    page.run("fake.use('healthy'); fake.rows = fake.rows.slice(0, 1); return fake.sendAll()").await;
    minute(&page, "payments", json!({ "ignored": 600 })).await;
    let card = card_text(&page, "payments").await;
    assert!(card.contains("100 % ignored errors") && !card.contains("succeeded"), "{card}");
    assert_eq!(top(&page).await[3].replace('\n', " "), "0 % answered 100 % ignored errors");
    minute(&page, "payments", json!({ "cancelled": 398 })).await;
    let card = card_text(&page, "payments").await;
    assert!(card.contains("398 calls") && card.contains("100 % cancelled"), "{card}");
    let conditions = "return Promise.all([import('/js/functions.js'), import('/js/retry.js')]).then(([{ FUNCTIONS }, { RETRIES }]) => [
        FUNCTIONS.fallback.condition({ cancelled: 5, last_minute: { cancelled: 5 } }).label,
        RETRIES.retry.condition({ calls: 5, cancelled: 5, last_minute: { calls: 5, cancelled: 5 } }).label])";
    assert_eq!(page.run(conditions).await, json!(["All calls cancelled", "All calls cancelled"]));
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn breakers_are_not_counted_as_keys_before_all_rows_have_arrived() {
    let page = FakePage::open().await;
    page.run("fake.use('outage of 1000'); window.all = fake.messages(); return fake.send('start', all.start)").await;
    page.run("return fake.send('rows', all.rows[0])").await;
    let [head, _, text, ..] = top(&page).await;
    assert!(head.starts_with("987 down") && !head.contains("key") && !text.contains("key"), "{head} {text}");
    page.run("return (async () => { for (const rows of all.rows.slice(1)) await fake.send('rows', rows); })()").await;
    page.advance(1).await;
    let [head, ..] = top(&page).await;
    assert!(head.contains("breakers and 20 keys"), "{head}");
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_percentages_are_rounded_in_the_same_way() {
    let page = FakePage::open().await;
    let script = "return Promise.all([import('/js/format.js'), import('/js/shares.js'), import('/js/summary.js')]).then(([{ percent }, { shares, shareOf }, { breakerSummary }]) => ({
        pairs: [[992, 8], [8, 992], [995, 5], [5, 995], [994, 6], [1, 199], [1, 0]].map(([one, other]) => [percent(one / (one + other)), shareOf(one, one + other), ...shares([one, other])]),
        three: shares([992, 4, 4]),
        ramp: breakerSummary({ condition: 'ramping', state: 'closed', admitted_share: 0.997, last_minute: null }, 1e9, []).headline,
    }))";
    let shown = page.run(script).await.to_string().replace('\u{a0}', "");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let expected = [
        ["99%", "1%"],
        ["1%", "99%"],
        [">99%", "<1%"],
        ["<1%", ">99%"],
        ["99%", "1%"],
        ["<1%", ">99%"],
        ["100%", "0%"],
    ];
    for (pair, [one, other]) in shown["pairs"].as_array().unwrap().iter().zip(expected) {
        assert_eq!(*pair, json!([one, one, one, other]));
    }
    assert_eq!(shown["three"], json!(["99%", "<1%", "<1%"]));
    assert!(shown["ramp"].as_str().unwrap().contains(">99% of calls"), "{}", shown["ramp"]);
    page.close().await;
}
