//! Messages from readings that are made by hand.

use steadfast::{BreakerConfig, CircuitBreaker};

use super::*;
use crate::entry::{
    Entry,
    breaker::{BreakerEntry, Context},
};

const CONFIG: BreakerConfig = BreakerConfig::new().failure_threshold(3);

/// Returns the row of a breaker with a number of failures.
fn row(i: u32, failures: u32) -> Arc<Row> {
    let breaker = CircuitBreaker::new("a", CONFIG);
    for _ in 0..failures {
        if let Ok(permit) = breaker.try_acquire() {
            permit.failure();
        }
    }
    let (snapshot, now) = (breaker.snapshot(), std::time::SystemTime::now());
    let entry = BreakerEntry::new("breaker a".into(), snapshot, Context::default(), now, None);
    Arc::new(Row { i, entry: Entry::Breaker(entry) })
}

fn reading(rows: &[&Arc<Row>]) -> Reading {
    Reading { at: 1.5, rows: rows.iter().map(|row| Arc::clone(row)).collect(), ..Reading::default() }
}

fn text(message: Option<Vec<u8>>) -> Option<String> {
    message.and_then(|message| String::from_utf8(message).ok())
}

#[test]
fn equal_readings_have_no_changes() {
    let (first, second) = (row(0, 0), row(1, 1));
    let before = reading(&[&first, &second]);
    assert_eq!(between(&before, &before), None);
    assert_eq!(between(&before, &reading(&[&first, &second])), None);
}

#[test]
fn only_changed_fields_are_sent_and_defaults_as_null() {
    let (calm, failed, kept) = (row(3, 0), row(3, 1), row(4, 0));
    let (calm, failed) = (reading(&[&calm, &kept]), reading(&[&failed, &kept]));
    let changes = |fields: &str| Some(format!("event: changes\ndata: {{\"now\":1.5,\"set\":[[3,{{{fields}}}]]}}\n\n"));
    assert_eq!(text(between(&calm, &failed)), changes(r#""consecutive_failures":1,"failures":1"#));
    assert_eq!(text(between(&failed, &calm)), changes(r#""consecutive_failures":null,"failures":null"#));
}

#[test]
fn new_rows_are_sent_whole_and_removed_ones_by_number() {
    let rows = [row(0, 0), row(1, 0), row(2, 0)];
    let (before, after) = (reading(&[&rows[0], &rows[1]]), reading(&[&rows[1], &rows[2]]));
    let message = text(between(&before, &after)).unwrap_or_default();
    assert!(
        message.starts_with("event: changes\ndata: {\"now\":1.5,\"rows\":[{\"i\":2,\"id\":\"breaker a\","),
        "{message}"
    );
    assert!(message.ends_with("],\"removed\":[0]}\n\n"), "{message}");
    assert!(!message.contains("\"set\""), "{message}");
}

#[test]
fn counts_are_sent_if_they_change() {
    let before = reading(&[]);
    let mut after = reading(&[]);
    after.counts.add(crate::entry::condition::Condition::Open);
    let message = text(between(&before, &after)).unwrap_or_default();
    assert!(message.starts_with("event: changes\ndata: {\"now\":1.5,\"counts\":{\"open\":1,"), "{message}");
}

#[test]
fn a_row_leaves_out_defaults() {
    let message = text(Some(rows(&[row(7, 0)], true))).unwrap_or_default();
    assert_eq!(
        message,
        "event: rows\ndata: {\"rows\":[{\"i\":7,\"id\":\"breaker a\",\"kind\":\"breaker\",\"name\":\"a\",\"condition\":\"closed\",\
         \"state\":\"closed\",\"admitted_share\":1.0,\"config\":{\"threshold\":{\"rule\":\"consecutive_failures\",\"failures\":3},\
         \"recovery_timeout\":30.0,\"half_open_max_calls\":3,\"half_open_successes\":3,\"observe_only\":false}}],\"done\":true}\n\n"
    );
}
