//! The Prometheus alert rules: their tests, and the metrics and labels that they and the board query.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use crate::{
    board::{board, queries},
    metrics_reference::{Metric, reference},
    missing,
};

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

#[test]
fn each_alert_is_tested_firing_and_not_firing_and_is_documented() {
    let rules = fs::read_to_string(file("prometheus/alerts.yml")).unwrap();
    let tests = fs::read_to_string(file("prometheus/alerts.test.yml")).unwrap();
    let reference = fs::read_to_string(file("../docs/metrics.md")).unwrap();
    let (mut firing, mut silent) = (BTreeSet::new(), BTreeSet::new());
    let lines: Vec<_> = tests.lines().map(str::trim).collect();
    for pair in lines.windows(2) {
        let Some(alert) = pair[0].strip_prefix("alertname: ") else { continue };
        let set = if pair[1].starts_with("exp_alerts:") { &mut firing } else { &mut silent };
        set.insert(alert);
    }
    let alerts: BTreeSet<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() >= 18);
    assert_eq!(firing, alerts, "firing");
    assert_eq!(silent, alerts, "not firing");
    for alert in alerts {
        assert!(reference.contains(&format!("`{alert}`")), "{alert} in docs/metrics.md");
    }
}

/// Returns the metrics in a query, each with its label matchers.
fn selectors(query: &str) -> Vec<(&str, &str)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let prefixes = ["circuit_breaker_", "retry_", "rate_limit_", "bulkhead_", "fallback_", "timeouts_"];
    let mut found = Vec::new();
    let mut rest = query;
    while let Some(start) = rest.find(is_name) {
        let word = &rest[start..];
        let end = word.find(|c| !is_name(c)).unwrap_or(word.len());
        let name = &word[..end];
        rest = &word[end..];
        if prefixes.iter().any(|prefix| name.starts_with(prefix)) {
            let matchers = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            found.push((name, matchers.map_or("", |(matchers, _)| matchers)));
            rest = matchers.map_or(rest, |(_, rest)| rest);
        }
    }
    found
}

/// Checks that the matchers of a selector are labels of the metric with values that they can have.
fn check_matchers(metric: &Metric, matchers: &str, query: &str) {
    for matcher in matchers.split("\",").map(|matcher| matcher.trim_end_matches('"')).filter(|text| !text.is_empty()) {
        let (label, values) = matcher.split_once("=\"").or_else(|| matcher.split_once("~\"")).unwrap();
        let values = values.split('|').filter(|value| !value.starts_with('$'));
        let label = label.trim_end_matches(['=', '!', '~']);
        if ["job", "instance"].contains(&label) {
            continue;
        }
        let known = metric.labels.get(label).unwrap_or_else(|| panic!("{label} in {query}"));
        for value in values {
            assert!(known.contains(value), "{label} is never {value}: {query}");
        }
    }
}

#[test]
fn alert_rules_and_the_board_query_existing_metrics_and_label_values() {
    let known: BTreeMap<String, Metric> = reference();
    let rules = fs::read_to_string(file("prometheus/alerts.yml")).unwrap();
    let board = queries(&board());
    assert!(board.len() >= 40, "{board:?}");
    // Texts of alerts contain names of metrics as well.
    let rules = rules.lines().filter(|line| !line.trim_start().starts_with('#'));
    let mut used = BTreeSet::new();
    for query in board.iter().map(|(_, query)| query.as_str()).chain(rules) {
        for (name, matchers) in selectors(query) {
            let family = name.strip_suffix("_bucket").unwrap_or(name);
            let metric = known.get(family).unwrap_or_else(|| panic!("{name} in {query}"));
            check_matchers(metric, matchers, query);
            used.insert(family.to_owned());
        }
    }
    for short in ["circuit_breaker_failures_total", "circuit_breaker_rejections_total"] {
        assert!(!used.contains(short), "{short} repeats another metric");
    }
}
