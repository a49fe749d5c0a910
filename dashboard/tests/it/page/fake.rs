//! A page whose server and clock are controlled by the test: no time passes, and no message arrives, unless the test says so.
//!
//! The files of the page come from a real dashboard; fake/server.js replaces `fetch` and the timers before the page's scripts run, and
//! fake/items.js has made-up items.

use serde_json::{Value, json};

use crate::{
    Served,
    browser::{Browser, LIVE},
    with_token,
};

const SCRIPTS: [&str; 2] = [include_str!("fake/server.js"), include_str!("fake/items.js")];

/// A page in a browser, with the server that delivers its files.
pub(super) struct FakePage {
    pub(super) browser: Browser,
    served: Served,
}

impl FakePage {
    /// Loads the page, which waits for its first message.
    pub(super) async fn open() -> Self {
        Self::open_with("", "").await
    }

    /// Loads the page at `#hash`, after a script that changes the browser.
    pub(super) async fn open_with(script: &str, hash: &str) -> Self {
        let browser = Browser::start(1440, 900, "light").await;
        let page = Self { browser, served: Served::new(&with_token()) };
        for script in SCRIPTS.into_iter().chain([script]).filter(|script| !script.is_empty()) {
            page.browser.inject(script).await;
        }
        page.browser.go(&page.served.url(&format!("/{hash}"))).await;
        page.browser.until("return fake.opened() === 1").await;
        page
    }

    /// Loads the page and sends it the items of a scenario.
    pub(super) async fn live(scenario: &str) -> Self {
        let page = Self::open().await;
        page.show(scenario).await;
        page
    }

    /// Sends the items of a scenario, and waits until the page shows that it is live.
    pub(super) async fn show(&self, scenario: &str) {
        self.browser.run(&format!("fake.use({}); return fake.sendAll()", json!(scenario))).await;
        self.browser.run("return fake.frame()").await;
        self.browser.until(LIVE).await;
    }

    /// Lets seconds pass without a message.
    pub(super) async fn advance(&self, seconds: u32) {
        self.browser.run(&format!("return fake.advance({seconds})")).await;
    }

    /// Opens the details of the breaker with this name.
    pub(super) async fn open_details(&self, name: &str) {
        self.browser.open_details(name).await;
        self.browser.run("return fake.frame()").await;
    }

    pub(super) async fn run(&self, script: &str) -> Value {
        self.browser.run(script).await
    }

    pub(super) async fn until(&self, script: &str) {
        self.browser.until(script).await;
    }

    /// Checks that the console is empty, and quits.
    pub(super) async fn close(self) {
        self.browser.close().await;
    }
}
