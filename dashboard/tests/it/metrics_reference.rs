//! The reference of the metrics, `docs/metrics.md`, and the list in the module documentation of `steadfast::prometheus`, compared with the
//! metrics of a program that has one of everything.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use steadfast_dashboard::Dashboard;

use crate::{Served, everything::traffic, prometheus::open_metrics, rules::file};

/// The type, the unit and the labels of a metric. The values of a label are empty if they are names or keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Metric {
    kind: String,
    unit: String,
    pub(crate) labels: BTreeMap<String, BTreeSet<String>>,
}

/// Returns the metrics that the tables of a document list, by name.
///
/// The cells of a row are the name, the type, the unit and the labels, which are separated by semicolons: `` `service`; `outcome`:
/// `success`, `failure` ``.
fn listed(document: &str) -> BTreeMap<String, Metric> {
    let mut metrics = BTreeMap::new();
    for line in document.lines().filter(|line| line.trim_start_matches("//! ").starts_with("| `")) {
        let cells: Vec<_> = line.trim_start_matches("//! ").trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, unit, labels, ..] = cells[..] else { continue };
        if !["counter", "gauge", "histogram"].contains(&kind) {
            continue;
        }
        let quoted = |text: &str| -> Vec<String> { text.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
        let labels = labels.split(';').filter_map(|label| {
            let mut quoted = quoted(label).into_iter();
            Some((quoted.next()?, quoted.collect()))
        });
        let unit = if unit == "seconds" { "seconds" } else { "" };
        let metric = Metric { kind: kind.to_owned(), unit: unit.to_owned(), labels: labels.collect() };
        for name in quoted(name) {
            assert_eq!(metrics.insert(name, metric.clone()), None, "{line}");
        }
    }
    metrics
}

/// Returns the metrics of the reference.
pub(crate) fn reference() -> BTreeMap<String, Metric> {
    listed(&fs::read_to_string(file("../docs/metrics.md")).unwrap())
}

/// Returns the example queries of the reference: the lines of its `promql` blocks.
pub(crate) fn queries() -> Vec<String> {
    let document = fs::read_to_string(file("../docs/metrics.md")).unwrap();
    let blocks = document.split("```promql\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let queries: Vec<_> =
        blocks.flat_map(str::lines).filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    assert!(queries.len() > 20, "{queries:?}");
    queries
}

/// Returns the metrics of a scrape in the format of OpenMetrics.
fn exported(text: &str) -> BTreeMap<String, Metric> {
    let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
    // The lines of a family follow its `TYPE`. Its samples have its name, with a suffix for counters and histograms.
    let mut family = String::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) {
            family = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
            let metric = Metric { kind: kind.to_owned(), ..Metric::default() };
            assert_eq!(metrics.insert(family.clone(), metric), None, "{line}");
        } else if let Some(unit) = line.strip_prefix("# UNIT ").and_then(|line| line.split(' ').nth(1)) {
            unit.clone_into(&mut metrics.get_mut(&family).unwrap().unit);
        } else if let Some((_, labels)) = line.split_once('{').filter(|_| !line.starts_with('#')) {
            let labels = labels.rsplit_once('}').unwrap().0;
            for pair in labels.split("\",").map(|pair| pair.trim_end_matches('"')).filter(|pair| !pair.is_empty()) {
                let (label, value) = pair.split_once("=\"").unwrap();
                let values = metrics.get_mut(&family).unwrap().labels.entry(label.to_owned()).or_default();
                if !["service", "retry", "limit", "bulkhead", "function", "budget", "key"].contains(&label) {
                    values.insert(value.to_owned());
                }
            }
        }
    }
    for metric in metrics.values_mut().filter(|metric| metric.kind == "histogram") {
        metric.labels.remove("le");
    }
    metrics
}

#[test]
fn the_reference_lists_the_exported_metrics() {
    traffic();
    let text = open_metrics(&Served::new(&Dashboard::new()));
    let exported = exported(&text);
    let short = listed(&fs::read_to_string(file("../runtime/src/prometheus.rs")).unwrap());
    for (document, listed) in [("docs/metrics.md", reference()), ("runtime/src/prometheus.rs", short)] {
        for (name, metric) in &exported {
            assert_eq!(listed.get(name), Some(metric), "{name} in {document}");
        }
        let unknown: Vec<_> = listed.keys().filter(|name| !exported.contains_key(*name)).collect();
        assert!(unknown.is_empty(), "{unknown:?} in {document}");
    }
}

#[test]
fn the_reference_states_the_number_of_series() {
    traffic();
    let text = open_metrics(&Served::new(&Dashboard::new()));
    let series = |label: &str, of_key: bool| {
        let samples = text.lines().filter(|line| !line.starts_with('#') && line.contains(&format!("\"{label}\"")));
        samples.filter(|line| (line.contains("key=\"") || line.contains("overflow=")) == of_key).count()
    };
    let plain = series("every forced", false);
    let durations = series("every down", false) - plain;
    let function = concat!(env!("CARGO_CRATE_NAME"), "::everything::with_fallback");
    let document = fs::read_to_string(file("../docs/metrics.md")).unwrap();
    for (instance, count, for_each_key) in [
        ("circuit breaker", plain, None),
        ("with `hung_call`", series("every hung", false) - plain - durations, None),
        ("with `durations`, `slow_call` or `hung_call`", durations, None),
        ("circuit breaker with keys", series("every key", false), Some(series("every key", true) / 3)),
        ("retry", series("every retry", false), None),
        ("rate limit", series("every rate", false), None),
        ("rate limit with keys", series("every rate of a key", false), Some(series("every rate of a key", true) / 2)),
        ("bulkhead", series("every bulkhead", false), None),
        (
            "bulkhead with keys",
            series("every bulkhead of a key", false),
            Some(series("every bulkhead of a key", true) / 2),
        ),
        ("function with a fallback", series(function, false), None),
        ("timeout", series(&function.replace("with_fallback", "hangs"), false), None),
        ("retry budget", series("every budget", false), None),
    ] {
        let more = if instance.starts_with("with ") { " more" } else { "" };
        let for_each_key = for_each_key.map_or(String::new(), |count: usize| format!("{count} "));
        let row = format!("| {instance} | {count}{more} | {for_each_key}|");
        assert!(document.lines().any(|line| line == row), "{row}");
    }
}
