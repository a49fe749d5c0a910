//! The lines at the top: they name what is worst, and what else fails; and a page that is left or reconnects says so.

use serde_json::json;

use super::fake::FakePage;

const TEXT: &str = "document.querySelector('#overview').innerText.replaceAll(/\\s+/g, ' ')";

#[tokio::test(flavor = "multi_thread")]
async fn the_headline_names_the_worst_breaker_and_counts_overrides_apart() {
    let page = FakePage::open().await;
    // The override is older than every outage.
    page.run(
        "fake.use('outage'); const forced = fake.rows.find(({ condition }) => condition === 'forced-open'); \
         forced.since -= 5000; forced.outage.since -= 5000; return fake.sendAll()",
    )
    .await;
    page.advance(1).await;
    let text = page.run(&format!("return {TEXT}")).await;
    let text = text.as_str().unwrap();
    assert!(text.starts_with("5 down: 2 breakers and 3 keys, 1 failing, 1 hung payments for 32 min"), "{text}");
    for part in ["1 forced open by an operator: fraud check", "1 observing (1 would be open): prices", "1 hung: search"]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(page.run("return document.title").await.as_str().unwrap().starts_with("5 down"));
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_retries_whose_calls_fail_are_named() {
    let page = FakePage::live("healthy").await;
    page.advance(1).await;
    let badges = "return [...document.querySelectorAll('.badge')].map(badge => !badge.hidden && badge.textContent)";
    assert_eq!(page.run(badges).await, json!([false, false]));
    page.run(
        "return fake.change('rate_limit geocoder', { last_minute: { seconds: 60, admitted: 100, rejected: 300 } })",
    )
    .await;
    page.run("return fake.change('retry charge', { last_minute: { seconds: 60, calls: 10, failed: 9 } })").await;
    page.advance(1).await;
    let text = page.run(&format!("return {TEXT}")).await;
    let text = text.as_str().unwrap();
    for part in ["No breaker is down", "Limits reject calls: geocoder 75 %", "Retries fail: charge 90 %"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert_eq!(page.run(badges).await, json!(["2", "2"]));
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_common_cause_of_many_outages_is_named() {
    let page = FakePage::open().await;
    page.run("fake.use('outage of 1000'); for (const row of fake.rows) if (row.outage) row.outage.since = fake.now() - 100 - row.i % 30; return fake.sendAll()")
        .await;
    page.advance(1).await;
    let text = page.run(&format!("return {TEXT}")).await;
    let text = text.as_str().unwrap();
    assert!(text.contains("began within 1 min") && text.contains("with “connection refused (os error 111)”"), "{text}");
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn durations_stand_still_while_messages_are_missing() {
    let page = FakePage::live("outage").await;
    page.run("fake.routes['api/live'] = () => { throw new TypeError('network error'); }").await;
    page.advance(6).await;
    let head = "return document.querySelector('#cards .card .head').textContent";
    page.advance(3).await;
    let stopped = page.run(head).await;
    page.until("return /last data .* ago/i.test(document.querySelector('#live').textContent)").await;
    page.advance(20).await;
    assert_eq!(page.run(head).await, stopped);
    // The notice stays in sight.
    page.browser.resize(390, 844).await;
    page.run("window.scrollTo(0, 2000)").await;
    page.until("return window.scrollY > 1000 && document.querySelector('#live').getBoundingClientRect().top >= 0")
        .await;
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_program_is_told() {
    let page = FakePage::live("healthy").await;
    page.advance(1).await;
    page.until("return document.querySelector('#uptime').textContent.replace('\\u00a0', ' ') === 'up 1 h'").await;
    page.run("fake.started = fake.now(); return fake.sendAll()").await;
    page.advance(2).await;
    let text = page.run(&format!("return {TEXT}")).await;
    assert!(text.as_str().unwrap().contains("The program was restarted 2 s ago"), "{text}");
    page.until("return document.querySelector('#log').textContent.includes('Program started')").await;
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_to_details_does_not_carry_the_search() {
    let page = FakePage::live("outage").await;
    page.browser.search("pay").await;
    page.until("return location.hash === '#search=pay'").await;
    page.open_details("payments").await;
    page.until("return location.hash === '#breaker=payments'").await;
    // The search is still there for this browser.
    page.run("history.back()").await;
    page.until("return location.hash === '#search=pay' && document.querySelector('#search').value === 'pay'").await;
    page.close().await;
}
