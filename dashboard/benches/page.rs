//! Measurements of the page in a real browser: how soon it shows a card, what it costs the browser, the server and the network.
//!
//! `PAGE_BREAKERS=1000 cargo bench -p steadfast-dashboard --bench page` prints one row of the table; the number of breakers is 10, 1000
//! or 10000, and is compiled in, since each breaker is a static. With 10,000 breakers there are 10,000 keys as well. `-- idle` counts the
//! reconnects of a page without calls, in ten minutes. The measurements need Chromium and its driver, except `-- server`, which measures
//! the server alone.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "shared with the tests; a failure ends the benchmark"
)]

#[path = "../tests/it/browser.rs"]
mod browser;
#[path = "../tests/it/process.rs"]
mod process;
#[path = "page/server.rs"]
mod server;
#[path = "page/traffic.rs"]
mod traffic;
#[path = "page/wire.rs"]
mod wire;

use std::{
    collections::BTreeMap,
    env,
    net::SocketAddr,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use steadfast::{BreakerConfig, CircuitBreaker};
use steadfast_dashboard::Dashboard;
use tokio::{runtime::Builder, time};

use self::{
    browser::{Browser, LIVE},
    wire::Length,
};

const CONFIG: BreakerConfig = BreakerConfig::new().failure_threshold(5);

/// The time over which rates are measured.
const PERIOD: Duration = Duration::from_secs(10);
/// The time without calls over which reconnects are counted.
const IDLE: Duration = Duration::from_mins(10);
/// The period of the timer whose delays show how long readings hold the application's worker.
const TICK: Duration = Duration::from_millis(5);

/// Declares ten breakers for each digit of the list, a thousand for three.
macro_rules! breakers {
    ([] $($digit:literal)*) => {
        const _: () = {
            static BREAKER: CircuitBreaker = CircuitBreaker::new(concat!("service-" $(, $digit)*), CONFIG);
            steadfast::register!(BREAKER);
        };
    };
    ([$first:literal $($rest:literal)*] $($digit:literal)*) => {
        breakers!([$($rest)*] $($digit)* 0);
        breakers!([$($rest)*] $($digit)* 1);
        breakers!([$($rest)*] $($digit)* 2);
        breakers!([$($rest)*] $($digit)* 3);
        breakers!([$($rest)*] $($digit)* 4);
        breakers!([$($rest)*] $($digit)* 5);
        breakers!([$($rest)*] $($digit)* 6);
        breakers!([$($rest)*] $($digit)* 7);
        breakers!([$($rest)*] $($digit)* 8);
        breakers!([$($rest)*] $($digit)* 9);
    };
}

include!(concat!("page/breakers/", env!("PAGE_BREAKERS"), ".rs"));

/// A script that notes the time of the first card, from the start of the navigation to the frame that contains it.
const WATCH_FIRST_CARD: &str = "
    new MutationObserver((_, observer) => {
      if (!document.querySelector('#cards .card')) return;
      observer.disconnect();
      requestAnimationFrame(() => (window.firstCard = performance.now()));
    }).observe(document, { childList: true, subtree: true });";

fn main() {
    // `cargo test --all-targets` runs benchmarks without `--bench`.
    if !env::args().any(|argument| argument == "--bench") {
        return;
    }
    if env::args().any(|argument| argument == "idle") {
        return measure_idle();
    }
    if env::args().any(|argument| argument == "server") {
        server::measure();
        std::process::exit(0);
    }
    let load = traffic::start();
    let (application, delays) = serve();
    let tester = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let page = tester.block_on(measure_page(application, &delays));
    let first = wire::length(application, "/api/live?once=1");
    let stream = wire::stream(application, first.accepted, PERIOD);
    let metrics = wire::length(application, "/metrics");
    let rows = [
        ("first card", format!("{:.0} ms", page.first_card)),
        ("main thread, tasks a second", format!("{:.0} ms", page.tasks)),
        ("main thread, processor time a second", format!("{:.0} ms", page.processor)),
        ("memory of the page's scripts", mib(page.heap)),
        ("elements", format!("{:.0}", page.elements)),
        ("delay of the application's worker, p99", format!("{:.1} ms", page.delay)),
        ("messages of the present state", both(&first)),
        ("stream a second, compressed", kib(stream)),
        ("/metrics", both(&metrics)),
    ];
    println!("\n| {load} | |\n|---|---|");
    for (name, value) in rows {
        println!("| {name} | {value} |");
    }
    // Ends the traffic and the server.
    std::process::exit(0);
}

/// Counts the streams that the page opens, and collects what it says about them.
const WATCH_STREAMS: &str = "
    window.opened = 0;
    window.statuses = [];
    const count = (url) => (opened += String(url).includes('/api/live'));
    const { fetch: realFetch, EventSource: RealSource } = window;
    window.fetch = (input, options) => (count(input.url ?? input), realFetch(input, options));
    window.EventSource = class extends RealSource { constructor(url) { super(url); count(url); } };
    new MutationObserver(() => {
      const state = document.querySelector('#live')?.dataset.state;
      if (state && statuses.at(-1) !== state) statuses.push(state);
    }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ['data-state'] });";

/// Prints the number of reconnects of the page of a program without calls, in ten minutes.
fn measure_idle() {
    let (application, _) = serve();
    let tester = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    tester.block_on(async {
        let browser = Browser::start(1440, 900, "light").await;
        browser.inject(WATCH_STREAMS).await;
        browser.go(&format!("http://{application}/")).await;
        browser.until(LIVE).await;
        time::sleep(IDLE).await;
        let found = browser.run("return [opened - 1, statuses.join(' ')]").await;
        println!("idle for {} s: {} reconnects; the page says: {}", IDLE.as_secs(), found[0], found[1]);
        browser.quit().await;
    });
    std::process::exit(0);
}

/// The delays of a timer on the application's only worker.
type Delays = Arc<Mutex<Vec<f64>>>;

/// Serves the dashboard in a runtime with one worker, like a small application.
fn serve() -> (SocketAddr, Delays) {
    let (sender, receiver) = mpsc::channel();
    let delays = Delays::default();
    let noted = delays.clone();
    thread::spawn(move || {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move {
            loop {
                let begun = Instant::now();
                time::sleep(TICK).await;
                noted.lock().unwrap().push((begun.elapsed().saturating_sub(TICK)).as_secs_f64() * 1e3);
            }
        });
        runtime.block_on(async {
            let server = Dashboard::new().bind("127.0.0.1:0").await.unwrap();
            sender.send(server.address()).unwrap();
            tokio::spawn(server.run()).await.unwrap().unwrap();
        });
    });
    (receiver.recv().unwrap(), delays)
}

/// The cost of the page in the browser, in milliseconds, bytes and numbers.
struct Page {
    first_card: f64,
    tasks: f64,
    processor: f64,
    heap: f64,
    elements: f64,
    delay: f64,
}

async fn measure_page(application: SocketAddr, delays: &Delays) -> Page {
    let browser = Browser::start(1440, 900, "light").await;
    browser.inject(WATCH_FIRST_CARD).await;
    let mut first_cards = Vec::new();
    for _ in 0..5 {
        browser.go("about:blank").await;
        browser.go(&format!("http://{application}/")).await;
        browser.until("return window.firstCard > 0").await;
        browser.until(LIVE).await;
        first_cards.push(browser.run("return window.firstCard").await.as_f64().unwrap());
    }
    eprintln!("first cards: {first_cards:.0?} ms");
    // The work after loading is not part of the rates.
    time::sleep(PERIOD / 2).await;
    browser.cdp("Performance.enable", json!({})).await;
    delays.lock().unwrap().clear();
    let (before, begun) = (metrics(&browser).await, Instant::now());
    time::sleep(PERIOD).await;
    let (after, seconds) = (metrics(&browser).await, begun.elapsed().as_secs_f64());
    let delay = at_share(&mut delays.lock().unwrap(), 0.99);
    let elements = browser.run("return document.querySelectorAll('*').length").await.as_f64().unwrap();
    let rate = |name: &str| (after[name] - before[name]) / seconds * 1e3;
    let page = Page {
        first_card: at_share(&mut first_cards, 0.5),
        tasks: rate("TaskDuration"),
        processor: rate("ThreadTime"),
        heap: after["JSHeapUsedSize"],
        elements,
        delay,
    };
    browser.quit().await;
    page
}

/// Returns the metrics of Chromium's `Performance.getMetrics` by their names.
async fn metrics(browser: &Browser) -> BTreeMap<String, f64> {
    let answer = browser.cdp("Performance.getMetrics", json!({})).await;
    let metrics = answer["metrics"].as_array().unwrap();
    metrics
        .iter()
        .map(|metric| (metric["name"].as_str().unwrap().to_owned(), metric["value"].as_f64().unwrap()))
        .collect()
}

/// Sorts the values and returns the one at a share of them.
fn at_share(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "an index")]
    let index = (values.len() as f64 * share) as usize;
    values.get(index).copied().unwrap_or_default()
}

fn both(length: &Length) -> String {
    format!("{}, {} compressed", kib(length.plain), kib(length.accepted))
}

fn kib(bytes: f64) -> String {
    format!("{:.1} KiB", bytes / 1024.0)
}

fn mib(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / 1_048_576.0)
}
