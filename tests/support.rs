//! What several test binaries need: each includes this file.

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use prometheus_client::{encoding::prometheus_text, registry::Registry};
use steadfast::prometheus::SteadfastCollector;

/// Waits until the condition holds.
///
/// # Panics
///
/// Panics if it does not hold within a minute.
pub(crate) fn wait_until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_mins(1), "the condition does not hold within a minute");
        thread::yield_now();
    }
}

/// Scrapes the metrics, and returns the lines that contain `label`, with the label removed.
pub(crate) fn scrape(collector: SteadfastCollector, label: &str) -> Vec<String> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(collector));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry).unwrap();
    text.lines().filter(|line| line.contains(label)).map(|line| line.replace(label, "")).collect()
}

/// Scrapes the metrics, and returns the keys in the lines that contain `label`.
pub(crate) fn keys_in_scrape(label: &str) -> BTreeSet<String> {
    let lines = scrape(SteadfastCollector::new(), label);
    let keys = lines.iter().filter_map(|line| Some(line.split_once("key=\"")?.1.split_once('"')?.0.to_owned()));
    keys.collect()
}
