//! A headless Chromium, controlled by `WebDriver`.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use thirtyfour::{LoggingPrefsLogLevel, prelude::*};
use tokio::time::sleep;

use crate::process::{Folder, Running};

pub(crate) struct Browser {
    driver: WebDriver,
    _chromedriver: Running,
    _profile: Folder,
}

/// A script that returns true while the page receives data.
pub(crate) const LIVE: &str = "return document.querySelector('#live')?.dataset.state === 'live'";

/// The maximum time to wait for a condition.
const HANG: Duration = Duration::from_secs(30);

impl Browser {
    pub(crate) async fn open(url: &str) -> Self {
        Self::open_as(url, 1440, 900, "light").await
    }

    pub(crate) async fn open_as(url: &str, width: u32, height: u32, theme: &str) -> Self {
        let browser = Self::start(width, height, theme).await;
        browser.go(url).await;
        browser.until(LIVE).await;
        browser
    }

    /// Starts a browser without a page.
    pub(crate) async fn start(width: u32, height: u32, theme: &str) -> Self {
        let mut chromedriver = Running::start("chromedriver", &["--port=0"], Stdio::piped());
        let output = BufReader::new(chromedriver.0.stdout.take().unwrap());
        let port = output.lines().map_while(Result::ok).find_map(|line| {
            line.strip_suffix('.')?.split_once("started successfully on port ")?.1.parse::<u16>().ok()
        });
        let port = port.expect("chromedriver prints its port");
        let profile = Folder::new();
        let mut chrome = DesiredCapabilities::chrome();
        for argument in [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-proxy-server",
            &format!("--user-data-dir={}", profile.0.display()),
        ] {
            chrome.add_arg(argument).unwrap();
        }
        chrome.set_browser_log_level(LoggingPrefsLogLevel::All).unwrap();
        let driver = WebDriver::new(format!("http://127.0.0.1:{port}"), chrome).await.unwrap();
        let browser = Self { driver, _chromedriver: chromedriver, _profile: profile };
        browser.resize(width, height).await;
        browser.theme(theme).await;
        browser
    }

    /// Loads a page.
    pub(crate) async fn go(&self, url: &str) {
        self.driver.goto(url).await.unwrap();
    }

    /// Changes the size of the window. One that is narrower than 600 px is that of a phone.
    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.cdp("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Changes the colour scheme of the system to `light` or `dark`.
    pub(crate) async fn theme(&self, theme: &str) {
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": theme }] });
        self.cdp("Emulation.setEmulatedMedia", media).await;
    }

    /// Runs `script` in each page that is loaded from now on, before the page's own scripts.
    pub(crate) async fn inject(&self, script: &str) {
        self.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script })).await;
    }

    /// Sends a command of the `Chrome DevTools` protocol and returns its answer.
    pub(crate) async fn cdp(&self, method: &str, parameters: Value) -> Value {
        self.driver.cdp().send_raw(method, parameters).await.unwrap()
    }

    /// Returns the driver, for what the other functions do not cover.
    pub(crate) fn driver(&self) -> &WebDriver {
        &self.driver
    }

    /// Runs a script and returns its value.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.driver.execute(script, vec![]).await.unwrap().json().clone()
    }

    /// Waits until a script returns true.
    pub(crate) async fn until(&self, script: &str) {
        let begun = Instant::now();
        while self.run(script).await != json!(true) {
            if begun.elapsed() > HANG {
                let text = self.run("return document.body.innerText").await;
                panic!("{script} is not true after {HANG:?}; the page shows {text}");
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Returns a JavaScript expression for the card with this name, which the page shows escaped.
    pub(crate) fn card(name: &str) -> String {
        format!(
            "[...document.querySelectorAll('#cards .card')].find(card => card.querySelector('h3').textContent === {})",
            json!(steadfast::escaped(name))
        )
    }

    /// Writes a text into the field that searches for names and keys.
    pub(crate) async fn search(&self, text: &str) {
        let script = "const search = document.querySelector('#search'); search.value = TEXT; search.dispatchEvent(new Event('input'))";
        self.run(&script.replace("TEXT", &json!(text).to_string())).await;
    }

    /// Waits until the card with this name is in the document. The page draws only the cards that are seen, so it searches for the name if
    /// there are too many.
    pub(crate) async fn reveal(&self, name: &str) {
        let card = Self::card(name);
        let name = json!(name);
        let script = format!(
            "const search = document.querySelector('#search'); if (!{card} && search.value !== {name}) \
             {{ search.value = {name}; search.dispatchEvent(new Event('input')); }} return !!{card}"
        );
        self.until(&script).await;
    }

    /// Waits until a card shows a state: its colour, its label and its icon.
    pub(crate) async fn shows(&self, name: &str, state: &str, label: &str) {
        self.reveal(name).await;
        let card = Self::card(name);
        let script = format!(
            "const card = {card}; const pill = card?.querySelector('.pill'); \
             return card?.dataset.state === '{state}' && pill.textContent === '{label}' && !!pill.querySelector('svg path')"
        );
        self.until(&script).await;
    }

    pub(crate) async fn click(&self, css: &str) {
        self.driver.find(By::Css(css)).await.unwrap().click().await.unwrap();
    }

    pub(crate) async fn write(&self, css: &str, text: &str) {
        let field = self.driver.find(By::Css(css)).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Sends keys to the focused element.
    pub(crate) async fn press(&self, keys: impl Into<TypingData>) {
        self.driver.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }

    pub(crate) async fn open_details(&self, name: &str) {
        self.reveal(name).await;
        self.run(&format!("({}).querySelector('.name').click()", Self::card(name))).await;
        self.until("return document.querySelector('#details').open").await;
    }

    /// Returns the messages of the console that do not contain `expected`; all of them if `expected` is empty.
    pub(crate) async fn console_errors(&self, expected: &str) -> Vec<String> {
        let log = self.driver.browser_log().await.unwrap();
        log.into_iter()
            .map(|entry| entry.message)
            .filter(|text| expected.is_empty() || !text.contains(expected))
            .collect()
    }

    /// Checks that the console is empty, and quits.
    pub(crate) async fn close(self) {
        assert_eq!(self.console_errors("").await, Vec::<String>::new());
        self.driver.quit().await.unwrap();
    }

    /// Quits without checking the console.
    pub(crate) async fn quit(self) {
        self.driver.quit().await.unwrap();
    }
}
