//! axe-core and contrast, in both themes, on a large and a small screen, for each scenario.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::fake::FakePage;
use crate::browser::Browser;

/// The widths and heights of a large and a small screen.
const SCREENS: [(u32, u32); 2] = [(1280, 800), (390, 844)];
const THEMES: [&str; 2] = ["light", "dark"];

/// A script that returns what axe-core finds, one line each. The policy of the page does not apply to the scripts of `WebDriver`. While
/// details are open, the rest of the page is inert. Only colours differ between the themes.
const VIOLATIONS: &str = "
const shown = document.querySelector('#details').open ? '#details' : document;
const rules = THEME === 'light' ? {} : { runOnly: ['color-contrast'] };
return fake.withTimers(() => axe.run(shown, { resultTypes: ['violations'], preload: false, ...rules })).then(({ violations }) =>
  violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id}: ${target} ${failureSummary.replaceAll(/\\s+/g, ' ')}`)));";

/// A script that returns what has to be scrolled sideways. Tables, code and the line of filters on a small screen may.
const WIDE: &str = "
const scrolls = e => ['auto', 'scroll'].includes(getComputedStyle(e).overflowX) && !e.matches('pre, code, #state-filters') && !e.querySelector('table, pre, code');
return [document.documentElement, ...[...document.querySelectorAll('body *')].filter(e => e.checkVisibility() && scrolls(e))]
  .filter(e => e.scrollWidth > e.clientWidth).map(e => `${e.scrollWidth - e.clientWidth} px of ${e.tagName} ${e.id} ${e.className} are beside it`);";

/// The source of axe-core.
fn axe_core() -> String {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../npm/node_modules/axe-core/axe.min.js");
    fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!("{} cannot be read ({error}): `cargo xtask test` installs what the tests need", file.display())
    })
}

/// Checks the page after a message has arrived, so that its data is not old.
async fn check(page: &FakePage, theme: &str, what: &str, found: &mut Vec<String>) {
    page.run("return fake.send('ping', { now: fake.now() })").await;
    page.advance(1).await;
    check_as_is(page, theme, what, found).await;
}

async fn check_as_is(page: &FakePage, theme: &str, what: &str, found: &mut Vec<String>) {
    page.browser.theme(theme).await;
    page.run("return fake.frame()").await;
    let violations: Vec<String> =
        serde_json::from_value(page.run(&VIOLATIONS.replace("THEME", &json!(theme).to_string())).await).unwrap();
    found.extend(violations.into_iter().map(|violation| format!("{what}, {theme}: {violation}")));
    let wide: Vec<String> = serde_json::from_value(page.run(WIDE).await).unwrap();
    found.extend(wide.into_iter().map(|wide| format!("{what}, {theme}: {wide}")));
}

/// Checks the page in a scenario, with the details of the items with these ids.
async fn check_all(scenario: &str, details: &[&str]) {
    let page = FakePage::open_with(&axe_core(), "").await;
    page.show(scenario).await;
    let mut found = Vec::new();
    for (width, height) in SCREENS {
        page.browser.resize(width, height).await;
        for view in ["cards", "table"] {
            let is_chosen = format!(
                "return String({}) === document.querySelector('#view').getAttribute('aria-pressed')",
                view == "table"
            );
            if page.run(&is_chosen).await == false {
                page.run("document.querySelector('#view').click()").await;
                page.until(&is_chosen).await;
            }
            page.advance(2).await;
            for theme in THEMES {
                check(&page, theme, &format!("{view}, {width}"), &mut found).await;
            }
        }
        // The part that is beside the breakers on a large screen.
        page.run("[...document.querySelectorAll('[data-tab=limits]')].find(tab => tab.checkVisibility()).click()")
            .await;
        for theme in THEMES {
            check(&page, theme, &format!("limits and retries, {width}"), &mut found).await;
        }
        page.run("document.querySelector('.pages [data-tab=breakers]').click()").await;
        for id in details {
            open(&page, id).await;
            for theme in THEMES {
                check(&page, theme, &format!("details of {id}, {width}"), &mut found).await;
            }
            page.run("document.querySelector('#details').close()").await;
        }
    }
    // Data that is not renewed looks different.
    page.run("fake.routes['api/live'] = () => { throw new TypeError('network error'); }").await;
    page.advance(60).await;
    for theme in THEMES {
        check_as_is(&page, theme, "old data", &mut found).await;
    }
    assert!(found.is_empty(), "{} violations in the scenario {scenario}:\n{}", found.len(), found.join("\n"));
    page.close().await;
}

/// Opens details by the address, as a link does.
async fn open(page: &FakePage, id: &str) {
    page.run(&format!("location.hash = {}", json!(id))).await;
    page.until("return document.querySelector('#details').open").await;
    page.advance(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_in_an_empty_program() {
    check_all("empty", &[]).await;
}

const DETAILS: [&str; 8] = [
    "#breaker=payments",
    "#breaker=mail",
    "#breaker=suppliers",
    "#breaker=suppliers&key=supplier-001.example.org",
    "#retry=charge",
    "#rate_limit=geocoder",
    "#bulkhead=database",
    "#function=cached prices",
];

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_in_a_healthy_program() {
    check_all("healthy", &DETAILS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_in_an_outage() {
    check_all("outage", &DETAILS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_in_an_outage_of_a_thousand_breakers() {
    check_all("outage of 1000", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_while_a_token_is_required() {
    let page = FakePage::open_with(&axe_core(), "").await;
    page.run("fake.routes['api/live'] = () => fake.json(401, { error: 'token required' }); return fake.drop()").await;
    page.advance(5).await;
    page.until("return document.querySelector('#live').dataset.state === 'denied' && document.querySelector('#token-form').checkVisibility()").await;
    let mut found = Vec::new();
    for (width, height) in SCREENS {
        page.browser.resize(width, height).await;
        for theme in THEMES {
            check_as_is(&page, theme, &format!("denied, {width}"), &mut found).await;
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    page.close().await;
}

/// Functions for the contrast of colours, by the definitions of WCAG 2.2.
const CONTRAST: &str = r"
const channel = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
const parse = color => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255]; };
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const over = (top, bottom) => [0, 1, 2].map(i => top[i] * top[3] + bottom[i] * (1 - top[3])).concat(1);
const behind = e => { const layers = []; for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); layers.push(c); if (c[3] === 1) break; } return layers.reduceRight((below, layer) => over(layer, below), [255, 255, 255, 1]); };
const contrast = (one, other) => { const [a, b] = [light(one), light(other)]; return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); };
";

/// A script that returns the contrast of the marks that carry meaning: `[what, state, contrast, required]`.
const MARKS: &str = r"
const rows = [];
for (const card of document.querySelectorAll('#cards .card')) {
  const { state } = card.dataset;
  const pill = card.querySelector('.pill');
  rows.push(['label', state, contrast(over(parse(getComputedStyle(pill).color), behind(pill)), behind(pill)), 4.5]);
  const icon = pill.querySelector('svg');
  if (icon) { const style = getComputedStyle(icon.querySelector('path') ?? icon); const color = style.fill !== 'none' ? style.fill : style.stroke; rows.push(['icon', state, contrast(over(parse(color), behind(pill)), behind(pill)), 3]); }
  for (const name of ['--fill', '--state']) {
    const probe = document.createElement('i');
    probe.style.color = `var(${name})`;
    card.append(probe);
    rows.push([name, state, contrast(parse(getComputedStyle(probe).color), behind(card)), name === '--fill' ? 3 : 4.5]);
    probe.remove();
  }
}
for (const rect of document.querySelectorAll('#cards .strip rect')) {
  const style = getComputedStyle(rect);
  if (style.fill === 'none' || rect.matches('.known') || style.fill.startsWith('url') || !rect.checkVisibility()) continue;
  rows.push(['strip', rect.dataset.state, contrast(over(parse(style.fill), behind(rect.closest('svg').parentElement)), behind(rect.closest('svg').parentElement)), 3]);
}
for (const control of document.querySelectorAll('input, select, button.secondary')) {
  if (!control.checkVisibility()) continue;
  const style = getComputedStyle(control);
  if (style.borderTopStyle === 'none' || parseFloat(style.borderTopWidth) === 0) continue;
  rows.push(['border', control.id || control.className || control.name, contrast(over(parse(style.borderTopColor), behind(control.parentElement)), behind(control.parentElement)), 3]);
}
const seen = new Map();
for (const [what, state, value, required] of rows) { const key = `${what} ${state}`; if (!(seen.get(key)?.[2] <= value)) seen.set(key, [what, state, Math.round(value * 100) / 100, required]); }
return [...seen.values()];
";

#[tokio::test(flavor = "multi_thread")]
async fn states_are_told_apart_in_both_themes() {
    let page = FakePage::live("outage").await;
    page.advance(3).await;
    page.run("return fake.frame()").await;
    let mut low = Vec::new();
    for theme in THEMES {
        page.browser.theme(theme).await;
        let marks = page.run(&format!("{CONTRAST}{MARKS}")).await;
        for mark in marks.as_array().unwrap() {
            let [what, state, contrast, required] = [0, 1, 2, 3].map(|index| &mark[index]);
            eprintln!("{theme}: {what} {state} {contrast} (at least {required})");
            if contrast.as_f64() < required.as_f64() {
                low.push(format!("{theme}: {what} {state} {contrast}, required {required}"));
            }
        }
        let of_texts = page.run(&format!("{CONTRAST}{TEXTS}")).await;
        low.extend(of_texts.as_array().unwrap().iter().map(|text| format!("{theme}: {text}")));
        // A state is not told by colour alone.
        let unlabelled = "return [...document.querySelectorAll('#cards .card')].filter(card => !card.querySelector('.pill').textContent.trim() || !card.querySelector('.pill svg')).map(card => card.innerText)";
        assert_eq!(page.run(unlabelled).await, json!([]));
    }
    assert!(low.is_empty(), "{}", low.join("\n"));
    page.close().await;
}

/// A script that returns the texts whose contrast with their background is below 4.5, the minimum of WCAG 2.2 level AA.
const TEXTS: &str = r"
const own = e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
const shown = e => e.checkVisibility() && !e.closest('.hidden, .skip');
return [...document.querySelectorAll('body *')].filter(e => own(e) && shown(e)).flatMap(e => {
  const value = contrast(over(parse(getComputedStyle(e).color), behind(e)), behind(e));
  return value < 4.5 ? [`${e.className} ${e.textContent.slice(0, 30)} ${value.toFixed(2)}`] : [];
});";

/// Returns the texts of a real page with too little contrast.
pub(super) async fn low_contrast(browser: &Browser) -> Value {
    browser.run(&format!("{CONTRAST}{TEXTS}")).await
}
