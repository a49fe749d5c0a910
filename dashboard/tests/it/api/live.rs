//! The stream of an open page, read as a page does.

use std::io::{BufRead, BufReader, Read};

use flate2::read::GzDecoder;
use serde_json::{Map, Value};
use steadfast::{BreakerConfig, CircuitBreaker, KeyedBreakers};
use steadfast_dashboard::Dashboard;

use super::{documents::Validator, get, list, program, served};
use crate::{CONFIG, Served, client, fail, succeed};

static LIVE: CircuitBreaker = CircuitBreaker::new("live", CONFIG);
steadfast::register!(LIVE);
static LIVE_KEYS: KeyedBreakers =
    KeyedBreakers::new("live keys", BreakerConfig::new().failure_threshold(1)).max_keys(1);
steadfast::register!(LIVE_KEYS);

/// Parses server-sent events.
pub(super) fn events(text: &str) -> Vec<(String, Value)> {
    let event = |event: &str| {
        let (name, data) = event.split_once('\n').unwrap();
        let data = data.strip_prefix("data: ").unwrap();
        (name.strip_prefix("event: ").unwrap().to_owned(), serde_json::from_str(data).unwrap())
    };
    text.split_terminator("\n\n").map(event).collect()
}

/// A page: the rows by their numbers, as the stream has sent them.
struct Page {
    reader: Box<dyn BufRead>,
    validator: Validator,
    rows: std::collections::BTreeMap<u64, Map<String, Value>>,
    counts: Value,
    log: Vec<Value>,
    /// True after the last message with the rows of the start.
    is_done: bool,
}

impl Page {
    fn open(served: &Served, encoding: &str) -> Self {
        let response = client().get(served.url("/api/live")).header("Accept-Encoding", encoding).send().unwrap();
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let is_compressed = response.headers().contains_key("content-encoding");
        assert_eq!(is_compressed, encoding == "gzip");
        let body: Box<dyn Read> = if is_compressed { Box::new(GzDecoder::new(response)) } else { Box::new(response) };
        Self {
            reader: Box::new(BufReader::new(body)),
            validator: Validator::new(),
            rows: std::collections::BTreeMap::new(),
            counts: Value::Null,
            log: Vec::new(),
            is_done: false,
        }
    }

    /// Reads the next event and applies it.
    fn step(&mut self) -> String {
        let mut lines = [(); 3].map(|()| {
            let mut line = String::new();
            self.reader.read_line(&mut line).unwrap();
            line
        });
        assert_eq!(lines[2], "\n", "{lines:?}");
        let (name, data) = events(&std::mem::take(&mut lines).concat()).remove(0);
        self.validator.check(&format!("live#/$defs/{name}"), &data);
        if !data["counts"].is_null() {
            self.counts = data["counts"].clone();
        }
        for row in data["rows"].as_array().into_iter().flatten() {
            let old = self.rows.insert(row["i"].as_u64().unwrap(), row.as_object().unwrap().clone());
            assert_eq!(old, None, "a new row");
        }
        for change in data["set"].as_array().into_iter().flatten() {
            let row = self.rows.get_mut(&change[0].as_u64().unwrap()).expect("a row that was sent");
            row.extend(change[1].as_object().unwrap().clone());
        }
        for removed in data["removed"].as_array().into_iter().flatten() {
            self.rows.remove(&removed.as_u64().unwrap()).expect("a row that was sent");
        }
        self.is_done |= data["done"] == true;
        self.log.extend(data["events"].as_array().into_iter().flatten().cloned());
        name
    }

    /// Reads until the condition is fulfilled.
    fn until(&mut self, condition: impl Fn(&Self) -> bool) {
        for _ in 0..1_000 {
            if condition(self) {
                return;
            }
            self.step();
        }
        panic!("{:#?}", self.rows);
    }

    fn row(&self, id: &str) -> Option<&Map<String, Value>> {
        self.rows.values().find(|row| row["id"] == id)
    }

    fn field(&self, id: &str, field: &str) -> Value {
        self.row(id).and_then(|row| row.get(field)).cloned().unwrap_or_default()
    }
}

#[test]
fn a_stream_begins_with_the_worst_rows_and_the_log() {
    let served = served();
    let mut page = Page::open(&served, "identity");
    assert_eq!([(); 3].map(|()| page.step()), ["start", "rows", "log"]);
    assert!(page.log.len() >= 9, "{:?}", page.log);
    page.until(|page| page.is_done);
    let all = get(&served, "/api/breakers");
    let entries = all.as_object().unwrap().values().filter_map(Value::as_array).flatten();
    assert_eq!(page.rows.len(), entries.count());
    assert!(page.counts["open"].as_u64().unwrap() >= 2, "{}", page.counts);
}

#[test]
fn applied_changes_give_the_same_rows_as_the_json() {
    for encoding in ["identity", "gzip"] {
        let served = served();
        let mut page = Page::open(&served, encoding);
        page.until(|page| page.is_done && !page.log.is_empty());
        LIVE_KEYS.breaker("first").force_open();
        succeed(&LIVE);
        fail(&LIVE);
        page.until(|page| page.field("breaker live", "failures") == LIVE.snapshot().failures);
        page.until(|page| page.field("key 9 live keys first", "condition") == "forced-open");
        fail(&LIVE);
        page.until(|page| page.field("breaker live", "condition") == "open");
        let is_logged =
            |page: &Page| page.log.iter().any(|event| event["id"] == "breaker live" && event["to"] == "open");
        page.until(is_logged);
        // A field that has its default again is null.
        LIVE.reset();
        page.until(|page| page.field("breaker live", "condition") == "closed");
        page.until(|page| page.field("breaker live", "outage").is_null());
        // The only key is replaced by another one.
        LIVE_KEYS.breaker("first").reset();
        LIVE_KEYS.breaker("second").force_open();
        page.until(|page| page.row("key 9 live keys first").is_none());
        page.until(|page| page.field("key 9 live keys second", "condition") == "forced-open");
        LIVE_KEYS.breaker("second").reset();
        page.until(|page| page.field("key 9 live keys second", "condition") == "closed");

        let all = get(&served, "/api/breakers?search=live");
        for entry in ["breakers", "keys", "groups"].into_iter().flat_map(|section| list(&all[section]).to_vec()) {
            let id = entry["id"].as_str().unwrap();
            for (field, value) in entry.as_object().unwrap() {
                let is_default = [Value::Null, 0.into(), false.into(), 0.0.into()].contains(value);
                let sent = page.field(id, field);
                assert!(sent == *value || sent.is_null() && is_default, "{id} {field}: {sent} {value}");
            }
        }
    }
}

#[test]
fn two_streams_share_numbers_and_see_the_same_rows() {
    let served = served();
    let mut pages = [Page::open(&served, "gzip"), Page::open(&served, "identity")];
    for page in &mut pages {
        page.until(|page| page.is_done && !page.log.is_empty());
    }
    succeed(&LIVE);
    let successes = LIVE.snapshot().successes;
    for page in &mut pages {
        page.until(|page| page.field("breaker live", "successes") == successes);
    }
    let numbers = |page: &Page| -> Vec<_> { page.rows.iter().map(|(i, row)| (*i, row["id"].clone())).collect() };
    assert_eq!(numbers(&pages[0]), numbers(&pages[1]));
}

#[test]
fn too_many_streams_get_503_with_a_reason() {
    program::run();
    let served = Served::new(&Dashboard::new());
    let open = || client().get(served.url("/api/live")).send().unwrap();
    let pages: Vec<_> = (0..64).map(|_| open()).collect();
    assert!(pages.iter().all(|page| page.status().is_success()));
    let body: Value = open().json().unwrap();
    assert_eq!(body, serde_json::json!({ "error": "too many open pages" }));
    assert!(client().get(served.url("/api/live?once=1")).send().unwrap().status().is_success());
}
