//! The page claims only what it knows: before the first data, on slow and lost connections, and about each condition.

use serde_json::json;

use super::fake::FakePage;
use crate::browser::LIVE;

/// A script that collects each status of the page in `statuses`, from the first one on.
const WATCH_STATUS: &str = "
    window.statuses = [];
    new MutationObserver(() => {
      const state = document.querySelector('#live')?.dataset.state;
      if (state && statuses.at(-1) !== state) statuses.push(state);
    }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ['data-state'] });";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_claimed_before_the_first_data() {
    let page = FakePage::open().await;
    page.advance(8).await;
    let claims = "const text = [document.title, ...[...document.querySelectorAll('.state-filter, main')].map(e => e.innerText)].join(' '); \
                  return text.match(/\\b0\\b|\\bnone\\b|\\bno (breaker|calls)|all closed|open/gi) ?? []";
    let filters = "return [...document.querySelectorAll('.state-filter')].map(e => e.innerText).filter(text => /[0-9]/.test(text))";
    assert_eq!(page.run(filters).await, json!([]));
    let shown = page.run(claims).await;
    let shown: Vec<_> = shown.as_array().unwrap().iter().filter(|word| *word != "open" && *word != "Open").collect();
    assert!(shown.is_empty(), "{shown:?}");
    assert_eq!(page.run("return document.querySelector('#live').dataset.state").await, "connecting");
    // A program without breakers is told apart from one whose breakers are not known.
    page.show("empty").await;
    page.until("return /no breaker|nothing|declare/i.test(document.querySelector('main').innerText)").await;
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_line_does_not_start_the_stream_again() {
    let page = FakePage::open().await;
    page.run("fake.use('outage of 1000'); fake.routes['api/live'] = () => fake.never").await;
    page.run("window.all = fake.messages(); return fake.sendSlowly('start', all.start, 5)").await;
    page.run("return fake.sendSlowly('rows', all.rows[0], 40)").await;
    // The first rows are drawn before the others arrive.
    page.until("return document.querySelectorAll('#cards .card').length > 0").await;
    page.run("return fake.sendSlowly('rows', all.rows[1], 40)").await;
    page.run("return (async () => { for (const rows of all.rows.slice(2)) await fake.send('rows', rows); })()").await;
    page.advance(1).await;
    page.until(LIVE).await;
    assert_eq!(page.run("return fake.opened()").await, json!(1));
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_program_stays_live_for_ten_minutes() {
    let page = FakePage::open_with(WATCH_STATUS, "").await;
    page.show("healthy").await;
    page.run("return fake.idle(600)").await;
    assert_eq!(page.run("return [fake.opened(), statuses]").await, json!([1, ["connecting", "live"]]));
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_is_not_renewed_is_shown_as_old() {
    let page = FakePage::live("healthy").await;
    // One lost ping is no fault.
    page.advance(9).await;
    page.until(LIVE).await;
    page.run("fake.routes['api/live'] = () => { throw new TypeError('network error'); }").await;
    page.advance(31).await;
    page.until("return ['stale', 'lost'].includes(document.querySelector('#live').dataset.state)").await;
    page.until("return /\\d+\\ss ago/.test(document.body.innerText)").await;
    // The title of the tab does not go on with a false all-clear.
    let title = page.run("return document.title").await;
    page.run("fake.routes['api/live'] = fake.live").await;
    page.advance(10).await;
    page.run("return fake.sendAll()").await;
    page.advance(1).await;
    page.until(LIVE).await;
    let live = page.run("return document.title").await;
    assert_ne!(title, live, "the title tells that the data is old");
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buffering_proxy_is_replaced_by_polling() {
    let page = FakePage::open().await;
    page.run("fake.use('outage')").await;
    page.advance(12).await;
    page.until("return document.querySelector('#live').dataset.state === 'polling'").await;
    page.until("return document.querySelectorAll('#cards .card').length > 5").await;
    // Later states arrive as well.
    page.run("Object.assign(fake.rows[0], { condition: 'disabled', state: 'disabled', transitions: 96 })").await;
    page.advance(6).await;
    page.browser.shows("payments", "disabled", "Disabled").await;
    page.close().await;
}

/// A script that makes a proxy of the server: it passes on what a stream begins with, and holds back what follows.
const HOLD_BACK: &str = "
    fake.routes['api/live'] = (request) => {
      const response = fake.live(request);
      if (!request.search.has('once')) fake.sendAll();
      return response;
    };";

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_holds_the_stream_back_is_polled_until_events_arrive_in_time() {
    let page = FakePage::open_with(WATCH_STATUS, "").await;
    page.show("outage").await;
    page.run(HOLD_BACK).await;
    page.advance(20).await;
    page.until("return document.querySelector('#live').dataset.state === 'polling'").await;
    // For ten minutes, streams begin and become silent, or bring old events.
    for minute in 0..10 {
        page.advance(55).await;
        if minute % 2 == 1 {
            page.run("return fake.send('ping', { now: fake.now() - 30 })").await;
        }
        page.advance(5).await;
    }
    let statuses = page.run("return statuses").await;
    assert_eq!(statuses.as_array().unwrap().last().unwrap(), "polling");
    assert_eq!(statuses.as_array().unwrap().iter().filter(|status| *status == "live").count(), 1, "{statuses}");
    assert_eq!(statuses.as_array().unwrap().iter().filter(|status| *status == "polling").count(), 1, "{statuses}");
    // What is shown is the present state.
    page.run("Object.assign(fake.rows[0], { condition: 'disabled', state: 'disabled', transitions: 96 })").await;
    page.advance(6).await;
    page.browser.shows("payments", "disabled", "Disabled").await;
    // Streams are tried beside polling. The first event that arrives in time makes the page live again, with all that has come before.
    page.run("return fake.change('breaker shipping quotes', { condition: 'closed', state: 'closed', outage: null })")
        .await;
    page.run("return fake.idle(90)").await;
    page.until(LIVE).await;
    page.browser.shows("shipping quotes", "closed", "Closed").await;
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_arrive_late_are_not_called_live() {
    let page = FakePage::live("outage").await;
    page.run(HOLD_BACK).await;
    page.advance(5).await;
    page.run("return fake.send('ping', { now: fake.now() - 1 })").await;
    page.until(LIVE).await;
    page.advance(10).await;
    page.run("return fake.send('ping', { now: fake.now() - 10 })").await;
    page.advance(3).await;
    page.until("return document.querySelector('#live').dataset.state === 'polling'").await;
    // A single stop of the line or of the server is over soon.
    page.advance(2).await;
    page.run("return fake.send('ping', { now: fake.now() })").await;
    page.until(LIVE).await;
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reason_for_no_data_is_named() {
    let page = FakePage::live("healthy").await;
    for (status, error, shown) in [(503, "too many open pages", "too many"), (401, "token required", "token")] {
        let route = format!(
            "fake.routes['api/live'] = (request) => request.search.has('once') && {status} === 503 ? fake.once() : fake.json({status}, {{ error: '{error}' }})"
        );
        page.run(&route).await;
        page.run("return fake.drop()").await;
        page.advance(10).await;
        page.until(&format!("return document.body.innerText.toLowerCase().includes({})", json!(shown))).await;
        page.until("return document.querySelector('#live').dataset.state !== 'live'").await;
        page.run("fake.routes['api/live'] = fake.live").await;
        page.advance(60).await;
        page.run("return fake.sendAll()").await;
        // The stream has brought nothing for some time, so it has to show that it is not held back.
        page.run("return fake.idle(5)").await;
        page.until(LIVE).await;
    }
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocked_storage_and_missing_locks_do_no_harm() {
    let blocked = "
        for (const name of ['localStorage', 'sessionStorage', 'indexedDB', 'caches']) {
          Object.defineProperty(window, name, { get() { throw new DOMException('denied', 'SecurityError'); } });
        }
        Object.defineProperty(navigator, 'locks', { value: undefined });
        window.BroadcastChannel = undefined;";
    let page = FakePage::open_with(blocked, "").await;
    page.show("outage").await;
    page.browser.shows("payments", "open", "Open").await;
    page.browser.click("#theme").await;
    page.browser.shows("payments", "open", "Open").await;
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn percentages_are_rounded_and_never_claim_all_or_nothing() {
    let page = FakePage::open().await;
    let cases =
        json!([[0.0, "0"], [0.29, "29"], [0.57, "57"], [0.285, "29"], [0.004, "< 1"], [0.996, "> 99"], [1.0, "100"]]);
    let script = format!(
        "return import('/js/format.js').then(({{ percent }}) => {cases}.map(([share, expected]) => [percent(share).replace(/\\s*%$/, '').replaceAll(/\\s/g, ' '), expected]))"
    );
    for pair in page.run(&script).await.as_array().unwrap() {
        assert_eq!(pair[0], pair[1]);
    }
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_shows_the_condition_that_callers_feel() {
    let page = FakePage::live("outage").await;
    for (name, condition, label, parts) in [
        ("payments", "open", "Open", &["32 min", "47", "5 failures in a row"][..]),
        ("shipping quotes", "half-open", "Half-open", &["Down for 29 min 40 s", "1 of 2"]),
        ("fraud check", "forced-open", "Forced open", &["migration until 14:00"]),
        ("search", "hung", "Hung", &["3 of 3 calls in flight did not return in time"]),
        ("recommendations", "ramping", "Ramping", &["30"]),
        ("prices", "observing", "Observing", &[]),
        ("ledger export", "disabled", "Disabled", &["OPS-311"]),
        ("mail", "closed", "Closed", &[]),
    ] {
        let card = super::Browser::card(name);
        page.until(&format!("return ({card})?.dataset.state === '{condition}'")).await;
        let text = page.run(&format!("return ({card}).innerText")).await;
        let text = text.as_str().unwrap().replace('\u{a0}', " ");
        let pill = page.run(&format!("return ({card}).querySelector('.pill').textContent")).await;
        assert!(pill.as_str().unwrap().to_lowercase().contains(&label.to_lowercase()), "{name}: {pill}");
        for part in parts {
            assert!(text.contains(part), "{name}: {part} is not in {text}");
        }
        // Only a closed circuit admits all calls.
        if !matches!(condition, "closed" | "disabled" | "observing") {
            assert!(!text.contains("Calls are admitted") && !text.contains("Calls go through"), "{name}: {text}");
        }
    }
    page.close().await;
}
