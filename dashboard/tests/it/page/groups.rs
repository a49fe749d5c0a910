//! Groups of keys: an overflow breaker beside the keys, keys that are not sampled, and keys of limits that are not listed.

use serde_json::{Value, json};

use super::fake::FakePage;

/// A script that shows a group of two keys at its maximum with an overflow breaker, all half-open.
const FULL: &str = "
    const trials = (key, fields) => ({ ...fake.breaker('full hosts', 'half-open', 1, key), ...fields });
    fake.rows = [
      { id: 'group full hosts', kind: 'group', name: 'full hosts', keys: 2, max_keys: 2, open: 0, half_open: 3, forced_open: 0, disabled: 0, closed: 0 },
      trials('a'), trials('b'), trials('', { id: 'overflow full hosts', key: null, overflow: true }),
    ].map((row, index) => ({ i: index, ...row }));
    fake.routes['api/keys'] = () => fake.json(200, { total: 3, matches: 3, keys: fake.rows.slice(1) });
    const { start, rows } = fake.messages();
    start.counts.closed = 0;
    await fake.send('start', start);
    return fake.send('rows', rows[0]);";

/// Returns the text of the page, or of a part of it, with simple spaces.
async fn text(page: &FakePage, part: &str) -> String {
    let script = format!("return document.querySelector('{part}').innerText.replaceAll(/\\s+/g, ' ')");
    page.run(&script).await.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_of_a_group_agree_when_the_overflow_has_a_breaker() {
    let page = FakePage::open().await;
    page.run(&format!("return (async () => {{ {FULL} }})()")).await;
    page.browser.shows("full hosts", "half-open", "3 half-open").await;
    page.run(
        "[...document.querySelectorAll('.state-filter')].find(filter => filter.dataset.state === 'half-open').click()",
    )
    .await;
    let list = text(&page, "main").await;
    assert!(list.contains("All 3 circuits are half-open"), "{list}");
    page.open_details("full hosts").await;
    page.advance(2).await;
    let details = text(&page, "#details").await;
    for part in [
        "Testing the recovery of 3 of 3 circuits: only their trial calls are admitted.",
        "2 of at most 2; the overflow circuit serves all others",
        "3 found, of 3 with the overflow",
    ] {
        assert!(details.contains(part), "{part} is not in {details}");
    }
    for text in [list, details] {
        assert!(!text.contains("3 of 2") && !text.contains("No key is open"), "{text}");
    }
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_samples_says_why() {
    let page = FakePage::live("healthy").await;
    let unlisted = "fake.routes['api/item'] = ({ search }) => fake.json(200, { ...fake.breaker('suppliers', 'closed', 1, 'quiet'), last_minute: null, callers: null, \
        settings: [], recent: [], history: { known_since: KNOWN, samples: [], changes: [] } })";
    for (known, shown) in [(json!(null), "Not sampled: only the 20 worst"), (json!(1.0), "Not measured yet")] {
        page.run(&unlisted.replace("KNOWN", &known.to_string())).await;
        page.run("location.hash = '#breaker=suppliers&key=quiet'").await;
        page.until("return document.querySelector('#details').open").await;
        page.advance(2).await;
        page.until(&format!("return document.querySelector('#details').innerText.includes('{shown}')")).await;
        page.run("document.querySelector('#details').close()").await;
        page.until("return !location.hash").await;
    }
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_a_limit_that_is_not_listed_is_found() {
    let page = FakePage::live("healthy").await;
    page.until("return document.querySelectorAll('#limits .item').length > 0").await;
    page.run("fake.routes['api/keys'] = ({ search }) => { const found = search.get('kind') === 'rate_limit' && search.get('search') === 't3'; \
        return fake.json(200, { total: 312, matches: Number(found), keys: found ? [{ name: 'tenants', key: 't3', limit: 50, per: 1 }] : [] }); }").await;
    page.run("document.querySelector('.side [data-tab=limits]').click()").await;
    page.browser.search("t3").await;
    page.advance(1).await;
    let shown = "return [...document.querySelectorAll('.side .item')].filter(row => row.checkVisibility()).map(row => row.querySelector('.item-name span').textContent)";
    assert_eq!(page.run(shown).await, json!(["tenants"]));
    let says = text(&page, "#no-match").await;
    assert!(says.contains("Limits & retries"), "{says}");
    page.browser.search("found nowhere").await;
    page.advance(1).await;
    assert_eq!(page.run(shown).await, Value::Array(Vec::new()));
    let says = text(&page, "#no-match").await;
    assert!(says.starts_with("No breaker matches.") && !says.contains("Limits"), "{says}");
    page.close().await;
}
