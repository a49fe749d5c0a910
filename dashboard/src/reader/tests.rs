//! Readings of breakers, at times that are made up.

use std::time::Duration;

use serde_json::{Value, json};
use steadfast::{BreakerConfig, CircuitBreaker, KeyedBreakers};

use super::*;
use crate::{changes, entry::fields::Object};

const CONFIG: BreakerConfig = BreakerConfig::new().failure_threshold(3);
static READ: CircuitBreaker = CircuitBreaker::new("read", CONFIG.durations(true));
steadfast::register!(READ);
static IDLE: CircuitBreaker = CircuitBreaker::new("never called", CONFIG);
steadfast::register!(IDLE);
static KEYS: KeyedBreakers = KeyedBreakers::new("read keys", CONFIG).max_keys(100);
steadfast::register!(KEYS);

fn row<'r>(reading: &'r Reading, id: &str) -> Option<&'r Arc<Row>> {
    reading.rows.iter().find(|row| &**row.entry.id() == id)
}

/// Returns the fields of an entry.
fn json_of(reading: &Reading, id: &str) -> Value {
    let mut out = Vec::new();
    let mut object = Object::begin(&mut out);
    if let Some(row) = row(reading, id) {
        row.entry.write_all(&mut object);
    }
    object.end();
    serde_json::from_slice(&out).unwrap_or_default()
}

fn succeed(calls: u32) {
    for _ in 0..calls {
        _ = READ.try_acquire().map(steadfast::Permit::success);
    }
}

/// One test, because its parts use the same breakers.
#[test]
fn readings_share_rows_count_the_last_minute_and_find_state_changes() {
    let log = Arc::new(Log::default());
    let mut reader = Reader::new(log.clone());
    let begun = SystemTime::now();
    let at = |seconds: u64| begun + Duration::from_secs(seconds);

    succeed(5);
    let first = reader.read(at(0));
    assert_eq!(json_of(&first, "breaker read")["last_minute"], Value::Null, "unknown before the second sample");

    // What has not changed is shared, even if the reading is a sample.
    let second = reader.read(at(3));
    assert!(Arc::ptr_eq(&first.rows, &second.rows));
    succeed(7);
    let third = reader.read(at(10));
    let minute = &json_of(&third, "breaker read")["last_minute"];
    assert_eq!([&minute["seconds"], &minute["successes"]], [10, 7]);
    assert!(minute["p99"].as_f64().is_some_and(|p99| p99 < 1.0), "{minute}");
    let fourth = reader.read(at(20));
    for (old, new) in [(&second, &third), (&third, &fourth)] {
        let kept = [old, new].map(|reading| row(reading, "breaker never called"));
        assert_eq!(kept[0].map(|row| row.i), kept[1].map(|row| row.i));
    }

    // Calls that succeed appear in the last minute with the next sample, and trouble at once.
    succeed(1);
    let fifth = reader.read(at(22));
    let minute = &json_of(&fifth, "breaker read")["last_minute"];
    assert_eq!([&minute["seconds"], &minute["successes"]], [20, 7]);
    _ = READ.try_acquire().map(steadfast::Permit::failure);
    let sixth = reader.read(at(23));
    let minute = &json_of(&sixth, "breaker read")["last_minute"];
    assert_eq!([&minute["seconds"], &minute["successes"], &minute["failures"]], [23, 8, 1]);

    // A check finds changed states, and leaves other rows as they are.
    assert!(Arc::ptr_eq(&sixth.rows, &reader.check(at(23)).rows));
    READ.force_open();
    KEYS.breaker("a").force_open();
    let seventh = reader.check(at(24));
    for id in ["breaker read", "key 9 read keys a"] {
        assert_eq!(json_of(&seventh, id)["condition"], "forced-open", "{id}");
    }
    let events = log.after(0, None, 10).events;
    let ids: Vec<_> = events.iter().map(|event| (&*event.event.id, event.event.to)).collect();
    assert_eq!(ids, [("breaker read", Some("forced-open")), ("key 9 read keys a", Some("forced-open"))]);
    assert_eq!(seventh.events, 2);
    let message = changes::between(&sixth, &seventh).map(|message| String::from_utf8_lossy(&message).into_owned());
    assert!(message.is_some_and(|message| !message.contains("never called")));

    keys_are_counted_and_the_worst_have_rows(&mut reader, at(30), &log);
}

fn keys_are_counted_and_the_worst_have_rows(reader: &mut Reader, now: SystemTime, log: &Log) {
    for key in 0..50 {
        KEYS.breaker(&key);
    }
    for key in 30..33 {
        KEYS.breaker(&key).disable();
    }
    let reading = reader.read(now);
    let group = json_of(&reading, "group read keys");
    assert_eq!([&group["keys"], &group["closed"], &group["disabled"], &group["forced_open"]], [51, 47, 3, 1]);
    assert_eq!(json!(reading.counts)["disabled"], 3);
    let keys = reading.rows.iter().filter_map(|row| row.entry.as_breaker()).filter(|breaker| breaker.is_keyed());
    assert_eq!(keys.count(), MAX_KEYS_PER_NAME);
    for key in 30..33 {
        assert!(row(&reading, &format!("key 9 read keys {key}")).is_some(), "{key}");
    }
    let before = log.last();
    // Keys without a row are in the log as well.
    for key in 0..50 {
        KEYS.breaker(&key).force_open();
    }
    let reading = reader.check(now);
    assert_eq!(log.last(), before + 50);
    assert_eq!(json!(reading.counts)["forced-open"], 52, "with `read` and the key `a`");
}
