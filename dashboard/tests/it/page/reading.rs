//! Use while items change: the order, the focus, a selection, announcements, links.

use serde_json::json;
use thirtyfour::Key;

use super::fake::FakePage;
use crate::browser::Browser;

const NAMES: &str = "return [...document.querySelectorAll('#cards .card .name')].map(name => name.textContent.trim())";

/// A script that opens the closed breaker `stock`, which is far down in the order of severity.
const OPEN_STOCK: &str = "return fake.change('breaker stock', { condition: 'open', state: 'open', since: fake.now(), until: fake.now() + 30, \
    admitted_share: 0, transitions: 1, reason: 'open after 5 failures in a row', outage: { since: fake.now(), reason: 'open after 5 failures in a row', failed_recoveries: 0, error: null } })";

#[tokio::test(flavor = "multi_thread")]
async fn the_order_stands_still_while_the_focus_is_in_the_list() {
    let page = FakePage::live("healthy").await;
    let before = page.run(NAMES).await;
    page.run("document.querySelectorAll('#cards .card .name')[2].focus(); window.focused = document.activeElement")
        .await;
    page.run(OPEN_STOCK).await;
    page.advance(5).await;
    page.browser.shows("stock", "open", "Open").await;
    assert_eq!(page.run(NAMES).await, before);
    assert_eq!(page.run("return document.activeElement === focused && focused.isConnected").await, json!(true));
    // A button sorts again; the focus is not lost by it.
    let sort = "[...document.querySelectorAll('button')].find(button => /sort again/i.test(button.textContent) && button.checkVisibility())";
    page.until(&format!("return !!({sort})")).await;
    page.run(&format!("({sort}).click()")).await;
    page.advance(1).await;
    page.until("return document.querySelector('#cards .card .name').textContent.includes('stock')").await;
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selection_survives_changes() {
    let page = FakePage::live("outage").await;
    page.browser.shows("payments", "open", "Open").await;
    let card = Browser::card("payments");
    page.run(&format!("getSelection().selectAllChildren(({card}).querySelector('.name'))")).await;
    for number in 1..=20 {
        page.run(&format!("return fake.change('breaker payments', {{ rejections: {} }})", 9_000 + number)).await;
        page.advance(1).await;
    }
    assert_eq!(page.run("return getSelection().toString().trim()").await, "payments");
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn announcements_are_gathered() {
    let page = FakePage::live("healthy").await;
    let watch = "window.spoken = []; for (const region of document.querySelectorAll('[aria-live], [role=status], [role=alert]')) \
                 new MutationObserver(() => spoken.push(region.textContent)).observe(region, { childList: true, characterData: true, subtree: true })";
    page.run(watch).await;
    // Ten changes a second for 20 seconds.
    let storm = "return (async () => { \
        const names = fake.rows.filter(row => row.kind === 'breaker'); \
        for (let round = 0; round < 200; round += 1) { \
          const row = names[round % names.length]; \
          const isOpen = row.condition === 'open'; \
          await fake.change(row.id, isOpen ? { condition: 'closed', state: 'closed', outage: null, admitted_share: 1 } : { condition: 'open', state: 'open', since: fake.now(), admitted_share: 0, outage: { since: fake.now(), reason: 'open after 5 failures in a row', failed_recoveries: 0, error: null } }); \
          await fake.advance(0.1); \
        } \
        await fake.advance(11); return fake.frame(); })()";
    page.run(storm).await;
    let spoken = page.run("return spoken.filter(text => text.trim())").await;
    let spoken = spoken.as_array().unwrap();
    assert!((1..=6).contains(&spoken.len()), "{} announcements: {spoken:?}", spoken.len());
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn escape_and_enter_in_quick_succession_leave_the_details_alive() {
    let page = FakePage::live("outage").await;
    page.browser.shows("payments", "open", "Open").await;
    page.run(&format!("({}).querySelector('.name').focus()", Browser::card("payments"))).await;
    page.browser.press(Key::Enter).await;
    page.until("return document.querySelector('#details').open").await;
    page.browser.press(Key::Escape + Key::Enter).await;
    page.until("return document.querySelector('#details').open").await;
    page.run("return fake.change('breaker payments', { rejections: 123456, condition: 'disabled', state: 'disabled', operator_reason: 'seen after reopening' })").await;
    page.advance(3).await;
    page.until("return document.querySelector('#details').textContent.includes('seen after reopening')").await;
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_opens_the_details() {
    for (hash, name) in [
        ("#breaker=payments", "payments"),
        ("#breaker=suppliers&key=supplier-001.example.org", "supplier-001.example.org"),
        ("#retry=charge", "charge"),
        ("#rate_limit=geocoder", "geocoder"),
        ("#bulkhead=database", "database"),
    ] {
        let page = FakePage::open_with("", hash).await;
        page.show("outage").await;
        page.advance(1).await;
        page.until("return document.querySelector('#details').open").await;
        page.until(&format!("return document.querySelector('#details-name').textContent.includes({})", json!(name)))
            .await;
        // Closing the details removes them from the address, and opening others puts them there.
        page.browser.press(Key::Escape).await;
        page.until("return !document.querySelector('#details').open && !/breaker=|key=|retry=|rate_limit=|bulkhead=/.test(location.hash)").await;
        page.open_details("fraud check").await;
        page.until("return decodeURIComponent(location.hash.replaceAll('+', ' ')).includes('breaker=fraud check')")
            .await;
        page.close().await;
    }
}
