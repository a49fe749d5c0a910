//! The page, seen by a browser.

use std::time::Duration;

use serde_json::json;
use steadfast::{
    BreakerState::{Closed, ForcedOpen, HalfOpen},
    Bulkhead, BulkheadConfig, CircuitBreaker, KeyedBreakers, KeyedRateLimits, Override, RateLimit, RateLimitConfig,
    rate_limit, retry,
};
use steadfast_dashboard::Dashboard;
use thirtyfour::Key;

use crate::{CONFIG, Served, TOKEN, browser::Browser, fail, succeed, with_token};

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
    LISTED = "listed";
    MARKUP = r#"<img src=x onerror="window.pwned=1">"#;
    MORE_MARKUP = "\"'><svg/onload=window.pwned=1>&amp;{{7*7}}\u{202e}gnp.exe";
}

#[retry(name = "ended by a limit", retry_if = |_| false)]
#[rate_limit(name = "ends a retry", limit = 1, per = 1h)]
fn ended() -> std::io::Result<()> {
    Ok(())
}

static KEYS: KeyedBreakers = KeyedBreakers::new("keyed by markup", CONFIG);
steadfast::register!(KEYS);

#[tokio::test(flavor = "multi_thread")]
async fn a_breaker_that_opens_shows_and_so_does_its_recovery() {
    let served = Served::new(&Dashboard::new());
    let browser = Browser::open(&served.url("/")).await;
    browser.shows("watched", "closed", "Closed").await;
    (0..2).for_each(|_| fail(&WATCHED));
    browser.shows("watched", "open", "Open").await;
    let why = browser.run(&format!("return ({}).querySelector('.why').textContent", Browser::card("watched"))).await;
    assert!(why.as_str().unwrap().starts_with("Open after 2 failures in a row"), "{why}");
    browser.until("return document.title.includes('open')").await;

    // Not before it was seen open. Then its recovery timeout is over, and no call has come.
    WATCHED.reconfigure(CONFIG.recovery_timeout(Duration::from_nanos(1)));
    browser.shows("watched", "half-open", "Half-open").await;
    let trial = WATCHED.try_acquire().unwrap();
    assert_eq!(WATCHED.state(), HalfOpen);
    trial.success();
    browser.shows("watched", "closed", "Closed").await;
    let strip = format!(
        "return [...({}).querySelectorAll('.strip rect')].map(rect => rect.className.baseVal)",
        Browser::card("watched")
    );
    assert_eq!(browser.run(&strip).await, json!(["closed", "open", "half-open", "closed"]));
    let said = browser.run("return document.querySelector('#log').innerText").await;
    assert!(said.as_str().unwrap().contains("watched half-open"), "{said}");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_click_with_the_token_forces_open_and_one_without_does_not() {
    let served = Served::new(&with_token());
    let browser = Browser::open(&served.url("/")).await;
    browser.open_details("operated").await;
    browser.write("input[name=reason]", "migration <b>until</b> 14:00").await;
    for (token, said) in [("", "Refused: wrong token"), ("a-wrong-token-of-16", "Refused: wrong token")] {
        browser.write("input[name=token]", token).await;
        browser.click("button[value=force_open]").await;
        browser.until(&format!("return document.querySelector('.result').textContent === '{said}'")).await;
        assert_eq!(OPERATED.state(), Closed);
    }
    browser.write("input[name=token]", TOKEN).await;
    browser.click("button[value=force_open]").await;
    browser.until("return document.querySelector('.result').textContent === 'Done: Forced open'").await;
    assert_eq!(OPERATED.state(), ForcedOpen);
    browser.shows("operated", "forced-open", "Forced open").await;
    let card = Browser::card("operated");
    browser
        .until(&format!(
            "return ({card}).textContent.includes('migration <b>until</b> 14:00') && !({card}).querySelector('.why b')"
        ))
        .await;
    browser.click("button[value=reset]").await;
    browser.shows("operated", "closed", "Closed").await;
    let stored = browser
        .run("return JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}, location.href])")
        .await;
    assert!(!stored.as_str().unwrap().contains(TOKEN), "{stored}");
    // Chromium itself notes the two answers that refuse.
    assert_eq!(browser.complaints("401 (Unauthorized)").await, Vec::<String>::new());
    browser.leave().await;

    let read_only = Served::new(&Dashboard::new());
    let browser = Browser::open(&read_only.url("/")).await;
    browser.open_details("operated").await;
    assert_eq!(browser.run("return document.querySelectorAll('form, input[name=token]').length").await, json!(0));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn markup_is_text_wherever_it_comes_from() {
    const EVIL: &str = r#"<script>window.pwned=1</script><img src=x onerror="window.pwned=1">"#;
    KEYS.breaker(EVIL).apply_override(&Override::force_open().reason(EVIL));
    MORE_MARKUP.apply_override(&Override::force_open().reason(EVIL));
    let served = Served::new(&Dashboard::new());
    let browser = Browser::open(&served.url("/")).await;
    browser.shows(MARKUP.name(), "closed", "Closed").await;
    browser.shows(MORE_MARKUP.name(), "forced-open", "Forced open").await;
    for name in [MARKUP.name(), MORE_MARKUP.name()] {
        browser.open_details(name).await;
        let title = browser.run("return document.querySelector('#details-name').textContent").await;
        assert_eq!(title, json!(steadfast::escaped(name)));
        browser.press(Key::Escape).await;
        browser.until("return !document.querySelector('#details').open").await;
    }
    let key = format!("({}).querySelector('.key')", Browser::card("keyed by markup"));
    browser.until(&format!("return {key}?.children[1].textContent === {}", json!(EVIL))).await;
    browser.run(&format!("{key}.click()")).await;
    browser.until("return document.querySelector('#details').open").await;
    let found = browser.run("return [window.pwned ?? 0, document.querySelectorAll('main img, dialog img, main script, dialog script').length]").await;
    assert_eq!(found, json!([0, 0]));
    let by_hand = browser.run("return fetch(new URL('api/breakers', document.baseURI)).then(a => a.text()).then(t => JSON.parse(t).breakers.length > 0)").await;
    assert_eq!(by_hand, json!(true));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_misleads_is_escaped_as_in_all_texts() {
    const EVIL: &str = "a\r\nb\\\u{1b}[31m\u{2028}\u{202e}c\u{0}";
    static HOSTS: KeyedBreakers = KeyedBreakers::new("keyed by what misleads", CONFIG);
    steadfast::register!(HOSTS);
    HOSTS.breaker(EVIL).apply_override(&Override::force_open().reason(EVIL));
    let served = Served::new(&Dashboard::new());
    let browser = Browser::open(&served.url("/")).await;
    let key = format!("({}).querySelector('.key')", Browser::card("keyed by what misleads"));
    browser.until(&format!("return {key}?.children[1].textContent === {}", json!(steadfast::escaped(EVIL)))).await;
    browser.run(&format!("{key}.click()")).await;
    browser.until("return document.querySelector('#details').open").await;
    let shown = browser.run("return document.querySelector('#details').textContent").await;
    assert!(!shown.as_str().unwrap().contains(|c: char| c.is_control() || "\u{2028}\u{202e}".contains(c)), "{shown:?}");
    assert_eq!(shown.as_str().unwrap().matches(&*steadfast::escaped(EVIL)).count(), 3, "the key, and the reason twice");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_catches_up_after_a_restart() {
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
    // And goes on from there.
    RESTARTED.reset();
    browser.shows("restarted", "closed", "Closed").await;
    // Chromium itself notes that nobody was there.
    assert_eq!(browser.complaints("net::ERR_").await, Vec::<String>::new());
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_works_below_a_path_with_and_without_a_slash() {
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
async fn all_is_done_by_keyboard_and_has_a_name() {
    let served = Served::new(&with_token());
    let browser = Browser::open(&served.url("/")).await;
    browser.shows("listed", "closed", "Closed").await;
    browser.press("/").await;
    browser.until("return document.activeElement.id === 'find'").await;
    browser.press("listed").await;
    browser.until("return document.querySelectorAll('#cards .card').length === 1").await;
    browser.until("return document.querySelector('#found').textContent.startsWith('1 of ')").await;
    // Over the sort order to the one card that is left.
    browser.press(Key::Tab).await;
    browser.press(Key::Tab).await;
    browser.until("return document.activeElement.textContent === 'listed'").await;
    browser.press(Key::Enter).await;
    browser.until("return document.querySelector('#details').open").await;
    browser.press(Key::Escape).await;
    browser.until("return document.activeElement.textContent === 'listed'").await;

    browser.open_details("listed").await;
    // Whatever can be used has a name for those who hear the page.
    let nameless = browser
        .run(
            "const named = e => e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.[0]?.textContent.trim() || e.closest('label')?.textContent.trim(); \
             return [...document.querySelectorAll('button, input, select, a, [role=img]')].filter(e => !named(e)).map(e => e.outerHTML)",
        )
        .await;
    assert_eq!(nameless, json!([]));
    let headings =
        browser.run("return [...document.querySelectorAll('h1, h2, h3')].map(h => h.tagName).join(' ')").await;
    assert!(headings.as_str().unwrap().starts_with("H1 H2 H3"), "{headings}");
    LISTED.force_open();
    browser.until("return document.querySelector('#announce').textContent.includes('listed is forced open')").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_orders_find_a_breaker() {
    static LAST: CircuitBreaker = CircuitBreaker::new("filtered", CONFIG);
    steadfast::register!(LAST);
    let served = Served::new(&Dashboard::new());
    let browser = Browser::open(&served.url("/")).await;
    LAST.disable();
    browser.shows("filtered", "disabled", "Disabled").await;
    browser.click(".tally[data-state=disabled]").await;
    browser
        .until("return [...document.querySelectorAll('.card')].every(card => card.dataset.state === 'disabled')")
        .await;
    browser.click(".tally[data-state=disabled]").await;
    browser.run("const sort = document.querySelector('#sort'); sort.value = 'name'; sort.dispatchEvent(new Event('change'))").await;
    let sorted = "const names = [...document.querySelectorAll('#cards h3')].map(h => h.textContent); \
                  const collator = (a, b) => a.localeCompare(b, undefined, { numeric: true }); \
                  return JSON.stringify(names) === JSON.stringify(names.toSorted(collator))";
    browser.until(sorted).await;
    browser.write("#find", "no breaker has this name").await;
    browser.until("return !document.querySelector('#none').hidden").await;
    browser.click("#clear").await;
    browser
        .until("return document.querySelectorAll('#cards .card').length > 10 && document.querySelector('#none').hidden")
        .await;
    browser.close().await;
}

/// Text whose contrast with what is behind it is below 4.5 (WCAG 2.2, level AA).
const FAINT: &str = r"
const channel = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const parse = color => color.match(/[\d.]+/g).map(Number);
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] === 1) return c; } return [255, 255, 255]; };
const own = e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
const shown = e => e.checkVisibility() && !e.closest('.hidden, .skip');
return [...document.querySelectorAll('body *')].filter(e => own(e) && shown(e)).flatMap(e => {
  const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))];
  const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  return contrast < 4.5 ? [`${e.className} ${e.textContent.slice(0, 30)} ${contrast.toFixed(2)}`] : [];
});";

#[tokio::test(flavor = "multi_thread")]
async fn it_is_readable_in_both_themes_and_on_a_phone() {
    let served = Served::new(&with_token());
    for (width, height, theme) in [(1440, 900, "light"), (1440, 900, "dark"), (390, 844, "dark"), (320, 640, "light")] {
        let browser = Browser::open_as(&served.url("/"), width, height, theme).await;
        browser.until("return document.querySelectorAll('#cards .card').length > 10").await;
        assert_eq!(browser.run(FAINT).await, json!([]), "{width} {theme}");
        let overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(browser.run(overflow).await, json!(0), "{width}");
        browser.open_details("watched").await;
        assert_eq!(browser.run(FAINT).await, json!([]), "details, {width} {theme}");
        assert_eq!(browser.run(overflow).await, json!(0), "details, {width}");
        browser.close().await;
    }
}

static RATE: RateLimit = RateLimit::new("watched rate", RateLimitConfig::new(2, Duration::from_hours(1)));
steadfast::register!(RATE);
static RATES: KeyedRateLimits =
    KeyedRateLimits::new("watched tenants", RateLimitConfig::new(1, Duration::from_millis(1_500)));
steadfast::register!(RATES);
static PLACES: Bulkhead = Bulkhead::new("watched places", BulkheadConfig::new().max_concurrent(2));
steadfast::register!(PLACES);

#[tokio::test(flavor = "multi_thread")]
async fn limits_show_what_there_is_and_what_there_may_be() {
    const EVIL: &str = "<img src=x onerror=window.pwned=1>";
    let served = Served::new(&Dashboard::new());
    let browser = Browser::open(&served.url("/")).await;
    browser.shows("watched rate", "free", "Free").await;
    browser.shows("watched places", "free", "Free").await;
    browser.shows("watched tenants", "free", "Free").await;
    (0..5).for_each(|_| _ = RATE.try_acquire());
    let places = [PLACES.try_acquire().unwrap(), PLACES.try_acquire().unwrap()];
    PLACES.try_acquire().unwrap_err();
    RATES.reconfigure(RateLimitConfig::new(1, Duration::from_hours(1)));
    (0..3).for_each(|_| _ = RATES.limit(EVIL).try_acquire());
    RATES.limit("quiet");

    browser.shows("watched rate", "full", "At its limit").await;
    browser.shows("watched places", "full", "Full").await;
    browser.shows("watched tenants", "full", "1 at the limit").await;
    for (name, parts) in [
        ("watched rate", &["Rate limit", "2 calls in 1 h", "Used now", "2 of 2", "Admitted2", "Rejected3"][..]),
        ("watched places", &["Bulkhead", "At most 2 at once", "In flight", "2 of 2", "Admitted2", "Rejected1"]),
        ("watched tenants", &["1 call in 1 h, for each of 2 keys", "1 of 2", "Admitted1", "Rejected2", EVIL]),
    ] {
        for part in parts {
            let text = format!("({}).textContent.replaceAll(/\\d+(\\.\\d)?\\/s/g, '')", Browser::card(name));
            browser.until(&format!("return {text}.includes({})", json!(part))).await;
        }
    }
    assert_eq!(
        browser.run("return [window.pwned ?? 0, document.querySelectorAll('main img').length]").await,
        json!([0, 0])
    );
    // What is found by name, a key's as well.
    browser.write("#find", "watched rate").await;
    browser.until("return document.querySelectorAll('#limit-cards .card').length === 1").await;
    browser.write("#find", "onerror=window").await;
    browser.until("return document.querySelector('#limit-cards h3').textContent === 'watched tenants'").await;
    browser.write("#find", "no limit has this name").await;
    browser.until("return document.querySelector('#limits').hidden").await;
    browser.click("#clear").await;
    drop(places);
    browser.shows("watched places", "free", "Free").await;

    let json = "return fetch(new URL('api/breakers', document.baseURI)).then(a => a.json()).then(all => \
                [all.rate_limits.find(l => l.name === 'watched rate'), all.bulkheads.find(b => b.name === 'watched places'), \
                 all.rate_limit_groups.find(l => l.name === 'watched tenants')])";
    let told = browser.run(json).await;
    let expected = json!({ "limit": 2, "per": 3600.0, "in_window": 2, "waiting": 0, "admitted": 2, "rejected": 3 });
    let has = |entry: &serde_json::Value, expected: &serde_json::Value| {
        expected.as_object().unwrap().iter().all(|(key, value)| entry[key].as_f64() == value.as_f64())
    };
    assert!(has(&told[0], &expected), "{told}");
    let expected = json!({ "max_concurrent": 2, "in_flight": 0, "waiting": 0, "admitted": 2, "rejected": 1 });
    assert!(has(&told[1], &expected), "{told}");
    let expected = json!({ "limit": 1, "per": 3600.0, "keys": 2, "reached": 1, "admitted": 1, "rejected": 2 });
    assert!(has(&told[2], &expected), "{told}");
    assert_eq!(told[2]["most_rejected"][0]["key"], EVIL);
    assert_eq!(told[2]["most_rejected"][1], json!(null), "what rejects nothing is not listed");
    browser.close().await;
}

/// Five hundred breakers, each declared as a user would.
macro_rules! crowd {
    ($($hundred:literal)*) => { $(crowd!(@tens $hundred 0 1 2 3 4 5 6 7 8 9);)* const HUNDREDS: &[u32] = &[$($hundred),*]; };
    (@tens $h:literal $($t:literal)*) => { $(crowd!(@ones $h $t 0 1 2 3 4 5 6 7 8 9);)* };
    (@ones $h:literal $t:literal $($o:literal)*) => {
        $(const _: () = {
            static BREAKER: CircuitBreaker = CircuitBreaker::new(concat!("crowd-", $h, $t, $o), CONFIG);
            steadfast::register!(BREAKER);
        };)*
    };
}

crowd! { 0 1 2 3 4 }

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_breakers_are_found_while_all_of_them_change() {
    let crowd: Vec<_> =
        steadfast::breakers().into_iter().filter(|breaker| breaker.name().starts_with("crowd-")).collect();
    assert_eq!(crowd.len(), HUNDREDS.len() * 100);
    let served = Served::new(&Dashboard::new());
    let browser = Browser::open(&served.url("/")).await;
    browser.until("return document.querySelectorAll('#cards .card').length >= 500").await;
    // All of them change all the time while the page is used.
    let calls = crowd.clone();
    let traffic = tokio::spawn(async move {
        loop {
            for breaker in &calls {
                succeed(breaker);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    browser
        .run(
            "window.slow = []; new PerformanceObserver(list => slow.push(...list.getEntries().map(e => e.duration))).observe({ type: 'longtask', buffered: false })",
        )
        .await;
    let mut filtered = Vec::new();
    for (name, found) in [("crowd-1", 100), ("crowd-12", 10), ("crowd-123", 1), ("crowd-4", 100), ("crowd-49", 10)] {
        let script = format!(
            "const find = document.querySelector('#find'); const begun = performance.now(); find.value = '{name}'; \
             find.dispatchEvent(new Event('input')); document.querySelector('#cards').getBoundingClientRect(); return performance.now() - begun"
        );
        filtered.push(browser.run(&script).await.as_f64().unwrap());
        browser.until(&format!("return document.querySelectorAll('#cards .card').length === {found}")).await;
        browser
            .run(
                "const find = document.querySelector('#find'); find.value = ''; find.dispatchEvent(new Event('input'))",
            )
            .await;
    }
    browser
        .until(&format!("return Number(({}).querySelector('dd span').textContent) > 20", Browser::card("crowd-250")))
        .await;
    traffic.abort();
    let slow: Vec<f64> = serde_json::from_value(browser.run("return slow").await).unwrap();
    eprintln!("500 breakers: filtered in {filtered:.1?} ms; tasks above 50 ms: {slow:.0?}");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_shows_how_its_calls_have_ended() {
    let served = Served::new(&Dashboard::new());
    let browser = Browser::open(&served.url("/")).await;
    ended().unwrap();
    ended().unwrap_err();
    let row =
        "[...document.querySelectorAll('#retry-list li')].find(row => row.innerText.startsWith('ended by a limit'))";
    browser.until(&format!("return ({row})?.innerText.includes('1 rejected by a breaker or a limit')")).await;
    let said = browser.run(&format!("return ({row}).innerText")).await;
    let said: Vec<_> = said.as_str().unwrap().split_whitespace().collect();
    assert!(said.join(" ").contains("2 calls 50 % at once · 0 % retried · 50 % failed"), "{said:?}");
}
