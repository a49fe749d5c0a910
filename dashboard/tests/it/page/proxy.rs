//! The page behind a real nginx with its defaults, and in many tabs of one browser.

use std::{fs, net::TcpListener, path::Path, process::Stdio, time::Instant};

use serde_json::json;
use steadfast::CircuitBreaker;
use steadfast_dashboard::Dashboard;

use crate::{
    CONFIG, Served,
    browser::{Browser, LIVE},
    process::{Folder, Running},
};

static PROXIED: CircuitBreaker = CircuitBreaker::new("proxied", CONFIG);
steadfast::register!(PROXIED);
static TABBED: CircuitBreaker = CircuitBreaker::new("tabbed", CONFIG);
steadfast::register!(TABBED);

/// An nginx with nothing configured but its address, its target and its folder.
struct Nginx {
    url: String,
    _running: Running,
    _folder: Folder,
}

impl Nginx {
    fn start(target: &Served) -> Self {
        let folder = Folder::new();
        let path = folder.0.display();
        // nginx cannot choose a free port by itself.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folders: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {path}/{name};"))
            .concat();
        let config = format!(
            "daemon off; master_process off; pid {path}/pid; error_log {path}/error.log; events {{}} \
             http {{ access_log off; {folders} server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {}; }} }} }}",
            target.url("")
        );
        let file = folder.0.join("nginx.conf");
        fs::write(&file, config).unwrap();
        // Debian does not put the folder on the `PATH` of ordinary users.
        let program = if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" };
        let arguments = ["-c", file.to_str().unwrap(), "-e", "stderr"];
        let running = Running::start(program, &arguments, Stdio::null());
        let url = format!("http://127.0.0.1:{port}");
        crate::wait_for(|| std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        Self { url, _running: running, _folder: folder }
    }
}

/// A script that returns the number of streams that have ended, each of which was followed by another one.
const ENDED: &str =
    "return performance.getEntriesByType('resource').filter(({ name }) => name.includes('/api/live')).length";

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_live_behind_nginx_with_its_defaults() {
    let served = Served::new(&Dashboard::new());
    let nginx = tokio::task::spawn_blocking(move || (Nginx::start(&served), served)).await.unwrap();
    let browser = Browser::start(1440, 900, "light").await;
    browser.inject("new MutationObserver((_, observer) => { if (document.querySelector('#live')?.dataset.state === 'live') { window.liveAt ??= performance.now(); observer.disconnect(); } }).observe(document, { subtree: true, childList: true, attributes: true })").await;
    browser.go(&nginx.0.url).await;
    browser.until(LIVE).await;
    eprintln!("live behind nginx after {:.0} ms", browser.run("return window.liveAt").await.as_f64().unwrap());
    browser.shows("proxied", "closed", "Closed").await;
    let begun = Instant::now();
    PROXIED.force_open();
    browser.shows("proxied", "forced-open", "Forced open").await;
    eprintln!("a change arrives behind nginx after {} ms", begun.elapsed().as_millis());
    assert_eq!(browser.run(ENDED).await, json!(0));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn seven_tabs_of_a_browser_are_live() {
    let served = Served::new(&Dashboard::new());
    let browser = Browser::open(&served.url("/")).await;
    let driver = browser.driver();
    let mut tabs = vec![driver.window().await.unwrap()];
    for _ in 1..7 {
        let tab = driver.new_tab().await.unwrap();
        driver.switch_to_window(tab.clone()).await.unwrap();
        browser.go(&served.url("/")).await;
        browser.until(LIVE).await;
        browser.shows("tabbed", "closed", "Closed").await;
        assert_eq!(browser.run(ENDED).await, json!(0));
        tabs.push(tab);
    }
    TABBED.force_open();
    for tab in &tabs {
        driver.switch_to_window(tab.clone()).await.unwrap();
        browser.shows("tabbed", "forced-open", "Forced open").await;
    }
    // The others go on when the tab that reads the stream is closed.
    driver.switch_to_window(tabs[0].clone()).await.unwrap();
    driver.close_window().await.unwrap();
    TABBED.reset();
    for tab in &tabs[1..] {
        driver.switch_to_window(tab.clone()).await.unwrap();
        browser.shows("tabbed", "closed", "Closed").await;
    }
    browser.close().await;
}
