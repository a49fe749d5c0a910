//! The Grafana board: its queries return data in a program that has one of everything.

use std::fs;

use serde_json::Value;
use steadfast_dashboard::Dashboard;

use crate::{Served, everything::traffic, prometheus_server::Prometheus, rules::file};

/// Returns the board.
pub(crate) fn board() -> Value {
    serde_json::from_str(&fs::read_to_string(file("grafana/steadfast.json")).unwrap()).unwrap()
}

/// Returns the title of each panel with its queries. Rows have none.
pub(crate) fn queries(board: &Value) -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for panel in board["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row") {
        for target in panel["targets"].as_array().unwrap() {
            queries.push((panel["title"].as_str().unwrap().to_owned(), target["expr"].as_str().unwrap().to_owned()));
        }
    }
    queries
}

/// Replaces Grafana's variables as for the choice "All".
fn filled(query: &str) -> String {
    let variables = [("$__rate_interval", "1m"), ("$job", ".*"), ("$instance", ".*"), ("$service", ".*")];
    variables.iter().fold(query.to_owned(), |query, (variable, value)| query.replace(variable, value))
}

#[test]
fn every_query_of_the_board_and_of_the_reference_returns_data() {
    let served = Served::new(&Dashboard::new());
    let prometheus = Prometheus::scraping(&served);
    // Rates need a sample from before the calls.
    prometheus.expect(r#"circuit_breaker_hung_calls_total{service="every hung"}"#, &[0.0]);
    traffic();
    let of_reference =
        crate::metrics_reference::queries().into_iter().map(|query| ("docs/metrics.md".to_owned(), query));
    let mut without_data: Vec<_> =
        queries(&board()).into_iter().chain(of_reference).map(|(title, query)| (title, filled(&query))).collect();
    prometheus.poll("up", |_| {
        traffic();
        without_data.retain(|(title, query)| {
            let values = prometheus.query(query).unwrap_or_else(|error| panic!("{title}: {error}"));
            !values.iter().any(|value| value.is_finite())
        });
        eprintln!("without data: {without_data:?}");
        without_data.is_empty().then_some(())
    });
    // The values of the variables are names of the labels in the same metrics.
    for variable in &board()["templating"]["list"].as_array().unwrap()[1..] {
        let (name, query) = (variable["name"].as_str().unwrap(), variable["definition"].as_str().unwrap());
        let (selector, label) =
            query.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap().rsplit_once(", ").unwrap();
        assert_eq!(label, name);
        let values = prometheus.api(&format!("label/{label}/values"), &[("match[]", &filled(selector))]).unwrap();
        assert!(!values.as_array().unwrap().is_empty(), "{query}");
    }
}

#[test]
fn the_board_begins_with_what_is_down_and_what_callers_get() {
    let board = board();
    let panels = board["panels"].as_array().unwrap();
    let titles: Vec<_> = panels.iter().take(6).map(|panel| panel["title"].as_str().unwrap()).collect();
    assert_eq!(
        titles,
        ["Outages, and what callers get", "Down now", "Down", "Keys down", "Overridden", "What callers get"]
    );
    let positions: Vec<_> = panels.iter().map(|panel| panel["gridPos"]["y"].as_u64().unwrap()).collect();
    assert_eq!(positions[1], 1);
    let rows =
        panels.iter().filter(|panel| panel["type"] == "row").map(|panel| panel["gridPos"]["y"].as_u64().unwrap());
    assert!(rows.is_sorted(), "the file lists the rows from top to bottom");
    let variables = board["templating"]["list"].as_array().unwrap().iter().map(|variable| &variable["name"]);
    assert!(variables.eq(["datasource", "job", "instance", "service"]));
}
