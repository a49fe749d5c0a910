//! The JSON endpoints and the stream, in a program with one of everything.

mod documents;
mod endpoints;
mod filters;
mod live;
mod program;

use std::fmt::Write;

use serde_json::Value;
use steadfast_dashboard::Dashboard;

use crate::{Served, client};

/// A dashboard of the program with one of everything.
fn served() -> Served {
    program::run();
    Served::new(&Dashboard::new())
}

fn get(served: &Served, path: &str) -> Value {
    let response = client().get(served.url(path)).send().unwrap();
    assert!(response.status().is_success(), "{path}: {}", response.status());
    response.json().unwrap()
}

/// Returns the status and the text of the error of a request that fails.
fn error(served: &Served, path: &str) -> (u16, String) {
    let response = client().get(served.url(path)).send().unwrap();
    let (status, body) = (response.status().as_u16(), response.json::<Value>().unwrap());
    (status, body["error"].as_str().unwrap().to_owned())
}

/// Returns the names of the entries of a section, sorted.
fn names(body: &Value, section: &str) -> Vec<String> {
    let mut names: Vec<_> = list(&body[section]).iter().map(|entry| text(&entry["name"])).collect();
    names.sort();
    names
}

fn list(value: &Value) -> &[Value] {
    let Some(list) = value.as_array() else { panic!("a list: {value}") };
    list
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text: {value}")).to_owned()
}

/// Returns a text for the query of a URL.
fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        write!(encoded, "%{byte:02x}").unwrap();
        encoded
    })
}
