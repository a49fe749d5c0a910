//! The endpoints that read: `/api/breakers`, `/api/item`, `/api/keys`, `/api/history`, `/api/events`.

use std::{sync::Arc, time::SystemTime};

use crate::{
    entry::{
        Section,
        fields::{Object, write_json, write_list},
    },
    feed::Feed,
    filter::{Filter, Query},
    history::STEP,
    item::{Items, row_id, write_history},
    keys::KeySearch,
    log::MAX_EVENTS,
    reader::Reader,
    reading::Reading,
    responses::{error, json},
    state::{AppState, Inner},
};
use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};

/// The largest number of ids in one request for histories.
const MAX_IDS: usize = 100;
/// The number of events in one answer, if the request has no limit.
const DEFAULT_EVENTS: usize = 100;

/// Returns all entries that match the query: `GET /api/breakers`.
pub(crate) async fn breakers(State(AppState(inner)): State<AppState>, RawQuery(query): RawQuery) -> Response {
    let filter = match Filter::parse(query.as_deref()) {
        Ok(filter) => filter,
        Err(message) => return bad_request(&message),
    };
    let feed = started(&inner);
    let reading = feed.fresh_reading().await;
    let about = feed.about.clone();
    answer(feed.with_reader(move |reader| {
        let mut out = Vec::new();
        let mut object = Object::begin(&mut out);
        about.write(&mut object, reading.at);
        write_sections(&mut object, &filter, &reading, reader);
        object.end();
        Some(out)
    }))
    .await
}

/// Appends the sections, each with the worst entries first.
fn write_sections(object: &mut Object<'_>, filter: &Filter, reading: &Reading, reader: &Reader) {
    let rows = reading.worst_first();
    for section in Section::ALL.into_iter().filter(|section| filter.has_section(*section)) {
        let of_section = rows.iter().map(|row| &row.entry).filter(|entry| entry.section() == section);
        let found: Vec<_> = of_section.filter(|entry| filter.matches(entry)).collect();
        // A key that is asked for is looked up if it is not among the worst.
        let is_listed = |name: &str| found.iter().any(|entry| entry.name() == name);
        let looked_up: Vec<_> = match &filter.key {
            Some(key) if section == Section::Keys => {
                let groups = steadfast::all_keyed_breakers().into_iter().filter(|group| !is_listed(group.name()));
                let items = Items::new(reader, SystemTime::now());
                let breakers = groups.filter_map(|group| group.get(key));
                let entries = breakers.map(|breaker| items.breaker_entry(&*breaker, breaker.snapshot()));
                entries.filter(|entry| filter.matches(entry)).collect()
            }
            _ => Vec::new(),
        };
        let all = found.into_iter().chain(&looked_up).take(filter.limit);
        write_list(object.key(section.name()), all, |out, entry| {
            let mut object = Object::begin(out);
            entry.write_all(&mut object);
            object.end();
        });
    }
}

/// Returns one entry in full: `GET /api/item`.
pub(crate) async fn item(State(AppState(inner)): State<AppState>, RawQuery(query): RawQuery) -> Response {
    let id = match Query::parse(query.as_deref(), &["id"]).and_then(|query| query.required("id").map(str::to_owned)) {
        Ok(id) => id,
        Err(message) => return bad_request(&message),
    };
    let feed = started(&inner);
    answer(feed.with_reader(move |reader| {
        let item = Items::new(reader, SystemTime::now()).find(&id)?;
        let mut out = Vec::new();
        item.write(&mut out, reader);
        Some(out)
    }))
    .await
}

/// Returns keys of one name: `GET /api/keys`.
pub(crate) async fn keys(State(AppState(inner)): State<AppState>, RawQuery(query): RawQuery) -> Response {
    let search = match KeySearch::parse(query.as_deref()) {
        Ok(search) => search,
        Err(message) => return bad_request(&message),
    };
    answer(started(&inner).with_reader(move |reader| search.run(reader))).await
}

/// Returns the samples of some items: `GET /api/history`. Ids without a row are left out.
pub(crate) async fn history(State(AppState(inner)): State<AppState>, RawQuery(query): RawQuery) -> Response {
    let ids: Vec<String> = match Query::parse(query.as_deref(), &["id"]) {
        Ok(query) => query.all("id").map(str::to_owned).collect(),
        Err(message) => return bad_request(&message),
    };
    if ids.len() > MAX_IDS {
        return bad_request(&format!("at most {MAX_IDS} ids in one request"));
    }
    answer(started(&inner).with_reader(move |reader| {
        let mut out = Vec::new();
        let mut object = Object::begin(&mut out);
        object.value("now", &Feed::now());
        object.value("step", &STEP.as_secs());
        let mut items = Object::begin(object.key("items"));
        for id in &ids {
            if let Some(track) = row_id(id).and_then(|id| reader.track(&id)) {
                write_history(items.key(id), Some(track), reader.ticks());
            }
        }
        items.end();
        object.end();
        Some(out)
    }))
    .await
}

/// Returns events of the log: `GET /api/events`.
pub(crate) async fn events(State(AppState(inner)): State<AppState>, RawQuery(query): RawQuery) -> Response {
    let parameters = Query::parse(query.as_deref(), &["after", "kind", "limit"]).and_then(|query| {
        let kind = query.event_kind()?;
        Ok((query.number("after")?.unwrap_or(0), kind, query.limit(DEFAULT_EVENTS, 2 * MAX_EVENTS)?))
    });
    let (after, kind, limit) = match parameters {
        Ok(parameters) => parameters,
        Err(message) => return bad_request(&message),
    };
    let feed = started(&inner);
    // State changes are found by readings.
    feed.fresh_reading().await;
    let mut out = Vec::new();
    write_json(&mut out, &feed.log.after(after, kind, limit));
    json(out)
}

/// Returns the feed, after its sampler was started.
fn started(inner: &Inner) -> Arc<Feed> {
    inner.sampler.ensure(&inner.feed);
    inner.feed.clone()
}

/// Returns a result as JSON, or 404 without one.
async fn answer(result: impl Future<Output = Option<Option<Vec<u8>>>>) -> Response {
    match result.await.flatten() {
        Some(body) => json(body),
        None => error(StatusCode::NOT_FOUND, "not found"),
    }
}

pub(crate) fn bad_request(message: &str) -> Response {
    error(StatusCode::BAD_REQUEST, message)
}
