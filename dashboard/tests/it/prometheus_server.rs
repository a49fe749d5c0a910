//! A real Prometheus that scrapes dashboards.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use reqwest::Url;
use serde_json::Value;
use tokio::net::TcpSocket;

use crate::{Folder, Running, Served, client, rules::file};

/// A target of a Prometheus: a dashboard, and the settings of its scrape.
pub(crate) struct Target<'a> {
    pub(crate) job: &'a str,
    pub(crate) served: &'a Served,
    /// Labels of the target, as YAML.
    pub(crate) labels: &'a str,
    pub(crate) honor_labels: bool,
    /// The names of the metrics that are kept, as a regular expression.
    pub(crate) kept: &'a str,
}

/// A Prometheus that scrapes one target per second.
pub(crate) struct Prometheus {
    address: String,
    /// Reserves the port: while this socket is bound to it, the system assigns the port to no other process.
    _port: TcpSocket,
    _running: Running,
    _folder: Folder,
}

impl Prometheus {
    /// Scrapes a dashboard as the job `shop`.
    pub(crate) fn scraping(served: &Served) -> Self {
        let target = Target { job: "shop", served, labels: "{}", honor_labels: false, kept: ".*" };
        Self::start(&[target], &[Path::new(&file("prometheus/alerts.yml"))])
    }

    pub(crate) fn start(targets: &[Target<'_>], rules: &[&Path]) -> Self {
        let folder = Folder::new();
        let config = folder.0.join("prometheus.yml");
        let seconds = targets.len();
        let mut text = format!(
            "global: {{scrape_interval: {seconds}s, scrape_timeout: {seconds}s, evaluation_interval: {seconds}s}}\n\
             rule_files: {rules:?}\nscrape_configs:\n"
        );
        for Target { job, served, labels, honor_labels, kept } in targets {
            writeln!(
                text,
                "  - job_name: {job}\n    honor_labels: {honor_labels}\n    \
                 static_configs: [{{targets: ['{}'], labels: {labels}}}]\n    \
                 metric_relabel_configs: [{{source_labels: [__name__], regex: '{kept}', action: keep}}]",
                served.address
            )
            .unwrap();
        }
        fs::write(&config, text).unwrap();
        // Prometheus does not report the port that it chose, so it gets one that this socket has bound. Two sockets may be bound to
        // the same address if both set SO_REUSEADDR and only one of them listens.
        let port = TcpSocket::new_v4().unwrap();
        port.set_reuseaddr(true).unwrap();
        port.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = port.local_addr().unwrap().to_string();
        let arguments = [
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", folder.0.join("data").display()),
            format!("--web.listen-address={address}"),
        ];
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let running = Running::start("prometheus", &arguments, Stdio::null());
        Self { address, _port: port, _running: running, _folder: folder }
    }

    /// Returns the answer of the HTTP API to a request.
    pub(crate) fn api(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let url = format!("http://{}/api/v1/{path}", self.address);
        let url = Url::parse_with_params(&url, parameters).unwrap();
        let answer = client().get(url).send().map_err(|error| error.to_string())?;
        let answer: Value = answer.json().map_err(|error| error.to_string())?;
        if answer["status"] == "success" { Ok(answer["data"].clone()) } else { Err(answer.to_string()) }
    }

    /// Returns the series of a query, each with its labels as `metric` and its value.
    pub(crate) fn series(&self, query: &str) -> Result<Vec<(Value, f64)>, String> {
        let data = self.api("query", &[("query", query)])?;
        let found = data["result"].as_array().ok_or_else(|| data.to_string())?;
        let number = |sample: &Value| sample["value"][1].as_str().and_then(|text| text.parse().ok());
        Ok(found.iter().filter_map(|sample| Some((sample["metric"].clone(), number(sample)?))).collect())
    }

    /// Returns the values of a query.
    pub(crate) fn query(&self, query: &str) -> Result<Vec<f64>, String> {
        Ok(self.series(query)?.into_iter().map(|(_, value)| value).collect())
    }

    /// Waits until a query returns these values.
    pub(crate) fn expect(&self, query: &str, expected: &[f64]) {
        self.poll(query, |series| series.iter().map(|(_, value)| value).eq(expected).then_some(()));
    }

    /// Sends a query until `select` returns a value for its series, and panics after a minute.
    pub(crate) fn poll<T>(&self, query: &str, mut select: impl FnMut(&[(Value, f64)]) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            let found = self.series(query);
            if let Some(selected) = found.as_deref().ok().and_then(&mut select) {
                return selected;
            }
            let in_time = begun.elapsed() < Duration::from_mins(1);
            assert!(in_time, "{query} returns {found:?}; targets: {:?}", self.api("targets", &[]));
            thread::sleep(Duration::from_millis(50));
        }
    }
}
