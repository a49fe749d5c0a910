//! Use by keyboard and screen reader, filters, contrast, small screens, and many breakers.

use std::time::Duration;

use serde_json::json;
use steadfast::CircuitBreaker;
use steadfast_dashboard::Dashboard;
use thirtyfour::Key;

use super::accessibility::low_contrast;
use crate::{CONFIG, Served, browser::Browser, with_token};

static LISTED: CircuitBreaker = CircuitBreaker::new("listed", CONFIG);
steadfast::register!(LISTED);

#[tokio::test(flavor = "multi_thread")]
async fn every_control_works_by_keyboard_and_has_an_accessible_name() {
    let served = Served::new(&with_token());
    let browser = Browser::open(&served.url("/")).await;
    browser.shows("listed", "closed", "Closed").await;
    browser.press("/").await;
    browser.until("return document.activeElement.id === 'search'").await;
    browser.search("").await;
    browser.press("listed").await;
    browser.until("return document.querySelectorAll('#cards .card').length === 1").await;
    browser.until("return document.querySelector('#match-count').textContent.startsWith('1 of ')").await;
    // The first Tab moves the focus to the sort order, the second to the choice of the table, the third to the only matching card.
    browser.press(Key::Tab).await;
    browser.press(Key::Tab).await;
    browser.press(Key::Tab).await;
    browser.until("return document.activeElement.textContent === 'listed'").await;
    browser.press(Key::Enter).await;
    browser.until("return document.querySelector('#details').open").await;
    browser.press(Key::Escape).await;
    browser.until("return document.activeElement.textContent === 'listed'").await;

    browser.open_details("listed").await;
    // Screen readers announce these names.
    let nameless = browser
        .run(
            "const named = e => e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.[0]?.textContent.trim() || e.closest('label')?.textContent.trim(); \
             return [...document.querySelectorAll('button, input, select, a, [role=img]')].filter(e => e.checkVisibility() && !named(e)).map(e => e.outerHTML)",
        )
        .await;
    assert_eq!(nameless, json!([]));
    // No level of headings is left out.
    let headings =
        browser.run("return [...document.querySelectorAll('h1, h2, h3')].map(h => Number(h.tagName[1]))").await;
    let levels: Vec<u64> = serde_json::from_value(headings).unwrap();
    assert!(levels[0] == 1 && levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
    LISTED.force_open();
    browser.until("return document.querySelector('#announcement').textContent.includes('listed is forced open')").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn breakers_can_be_filtered_and_sorted() {
    static FILTERED: CircuitBreaker = CircuitBreaker::new("filtered", CONFIG);
    steadfast::register!(FILTERED);
    let served = Served::new(&Dashboard::new());
    let browser = Browser::open(&served.url("/")).await;
    FILTERED.disable();
    browser.shows("filtered", "disabled", "Disabled").await;
    browser.search("").await;
    browser.click(".state-filter[data-state=disabled]").await;
    browser
        .until("return [...document.querySelectorAll('.card')].every(card => card.dataset.state === 'disabled')")
        .await;
    browser.click(".state-filter[data-state=disabled]").await;
    browser.run("const sort = document.querySelector('#sort'); sort.value = 'name'; sort.dispatchEvent(new Event('change'))").await;
    let sorted = "const names = [...document.querySelectorAll('#cards h3')].map(h => h.textContent); \
                  const collator = (a, b) => a.localeCompare(b, undefined, { numeric: true }); \
                  return JSON.stringify(names) === JSON.stringify(names.toSorted(collator))";
    browser.until(sorted).await;
    browser.write("#search", "no breaker has this name").await;
    browser.until("return !document.querySelector('#no-match').hidden").await;
    browser.click("#clear").await;
    browser
        .until("return document.querySelectorAll('#cards .card').length > 10 && document.querySelector('#no-match').hidden")
        .await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_readable_in_both_themes_and_on_small_screens() {
    let served = Served::new(&with_token());
    for (width, height, theme) in [(1440, 900, "light"), (1440, 900, "dark"), (390, 844, "dark"), (320, 640, "light")] {
        let browser = Browser::open_as(&served.url("/"), width, height, theme).await;
        browser.until("return document.querySelectorAll('#cards .card').length > 1").await;
        assert_eq!(low_contrast(&browser).await, json!([]), "{width} {theme}");
        let overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(browser.run(overflow).await, json!(0), "{width}");
        browser.open_details("watched").await;
        assert_eq!(low_contrast(&browser).await, json!([]), "details, {width} {theme}");
        assert_eq!(browser.run(overflow).await, json!(0), "details, {width}");
        browser.close().await;
    }
}

/// Five hundred breakers, each declared in a static of its own.
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
async fn breakers_are_found_by_name_while_five_hundred_of_them_change() {
    let crowd: Vec<_> =
        steadfast::breakers().into_iter().filter(|breaker| breaker.name().starts_with("crowd-")).collect();
    assert_eq!(crowd.len(), HUNDREDS.len() * 100);
    let served = Served::new(&Dashboard::new());
    let browser = Browser::open(&served.url("/")).await;
    let matches =
        |text: &str| format!("return document.querySelector('#match-count').textContent.startsWith('{text}')");
    browser.until("return parseInt(document.querySelector('#match-count').textContent) >= 500").await;
    // Only the cards that are seen are in the document.
    let drawn = browser.run("return document.querySelectorAll('#cards .card').length").await;
    assert!(drawn.as_u64().unwrap() < 100, "{drawn}");
    // Every breaker changes every 50 ms while the page is used.
    let calls = crowd.clone();
    let traffic = tokio::spawn(async move {
        loop {
            for breaker in &calls {
                _ = breaker.call(|| Ok::<_, std::io::Error>(()));
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
            "const search = document.querySelector('#search'); const begun = performance.now(); search.value = '{name}'; \
             search.dispatchEvent(new Event('input')); document.querySelector('#cards').getBoundingClientRect(); return performance.now() - begun"
        );
        filtered.push(browser.run(&script).await.as_f64().unwrap());
        browser.until(&matches(&format!("{found} of "))).await;
        browser.search("").await;
    }
    steadfast::breaker("crowd-250").unwrap().force_open();
    browser.shows("crowd-250", "forced-open", "Forced open").await;
    traffic.abort();
    let slow: Vec<f64> = serde_json::from_value(browser.run("return slow").await).unwrap();
    eprintln!("500 breakers: filtered in {filtered:.1?} ms; main-thread tasks above 50 ms: {slow:.0?}");
    browser.close().await;
}
