//! The alert rules and the Grafana board.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use serde_json::Value;

use crate::missing;

/// A file of this crate.
pub(crate) fn file(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).to_str().unwrap().to_owned()
}

/// Runs Prometheus' own tool, which must be content.
pub(crate) fn promtool(arguments: &[&str]) -> String {
    let output = Command::new("promtool").args(arguments).output().unwrap_or_else(|error| missing("promtool", &error));
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn the_rules_are_sound_and_do_as_they_say() {
    promtool(&["check", "rules", &file("prometheus/alerts.yml")]);
    promtool(&["test", "rules", &file("prometheus/alerts.test.yml")]);
}

/// The metrics that a query is about.
fn metrics(query: &str) -> BTreeSet<&str> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = ["circuit_breaker_", "retry_", "rate_limit_", "bulkhead_"];
    words.filter(|word| ours.iter().any(|prefix| word.starts_with(prefix))).collect()
}

#[test]
fn the_board_asks_for_metrics_that_there_are() {
    let board: Value = serde_json::from_str(&fs::read_to_string(file("grafana/steadfast.json")).unwrap()).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let queries: Vec<_> = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap())
        .map(|target| target["expr"].as_str().unwrap())
        .collect();
    assert!(queries.len() >= panels.len() && panels.len() >= 10);
    let mut registry = prometheus_client::registry::Registry::default();
    registry.register_collector(Box::new(steadfast::prometheus::SteadfastCollector::new()));
    let mut text = String::new();
    prometheus_client::encoding::prometheus_text::encode(&mut text, &registry).unwrap();
    let rules = fs::read_to_string(file("prometheus/alerts.yml")).unwrap();
    for query in queries.into_iter().chain(rules.lines().filter(|line| !line.contains('#'))) {
        for metric in metrics(query) {
            let family = metric.strip_suffix("_bucket").unwrap_or(metric);
            assert!(text.contains(&format!("# TYPE {family} ")), "{metric} in {query}");
        }
    }
    // That Prometheus takes each query, once Grafana has filled in its variables, is for the real one to say.
    let all: Vec<_> = panels.iter().map(|panel| panel["gridPos"]["y"].as_u64().unwrap()).collect();
    assert!(all.is_sorted(), "panels stand in the order in which they are read");
}
