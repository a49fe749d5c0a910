//! The Prometheus alert rules and the Grafana dashboard.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use serde_json::Value;

use crate::missing;

/// Returns the path of a file of this crate.
pub(crate) fn file(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).to_str().unwrap().to_owned()
}

/// Runs `promtool`, checks that it succeeds, and returns its output.
pub(crate) fn promtool(arguments: &[&str]) -> String {
    let output = Command::new("promtool").args(arguments).output().unwrap_or_else(|error| missing("promtool", &error));
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{text}");
    text
}

#[test]
fn the_alert_rules_are_valid_and_pass_their_tests() {
    promtool(&["check", "rules", &file("prometheus/alerts.yml")]);
    promtool(&["test", "rules", &file("prometheus/alerts.test.yml")]);
}

/// Returns the names of steadfast's metrics in a query.
fn metrics(query: &str) -> BTreeSet<&str> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let prefixes = ["circuit_breaker_", "retry_", "rate_limit_", "bulkhead_"];
    words.filter(|word| prefixes.iter().any(|prefix| word.starts_with(prefix))).collect()
}

#[test]
fn alert_rules_and_the_grafana_dashboard_query_existing_metrics() {
    let grafana: Value = serde_json::from_str(&fs::read_to_string(file("grafana/steadfast.json")).unwrap()).unwrap();
    let panels = grafana["panels"].as_array().unwrap();
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
    // `prometheus.rs` sends the queries to a real Prometheus, with Grafana's variables filled in.
    let positions: Vec<_> = panels.iter().map(|panel| panel["gridPos"]["y"].as_u64().unwrap()).collect();
    assert!(positions.is_sorted(), "the file lists the panels from top to bottom");
}
