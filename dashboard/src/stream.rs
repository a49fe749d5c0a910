//! The live stream of an open page as server-sent events: the rows, then the changes.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    task::spawn_blocking,
    time::Instant,
};

use crate::{
    changes,
    compress::{GZIP_HEADER, accepts_gzip},
    data::bad_request,
    feed::{Feed, Published},
    filter::Query,
    message::Message,
    opening::Opening,
    reading::Reading,
    responses::error,
    state::AppState,
};

/// The maximum number of open pages. Each holds a connection for its event stream.
pub(crate) const MAX_STREAMS: usize = 64;
/// The time after which a `ping` is sent if there is no other event. Writing one also detects a broken connection.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// The number of events of the log that are sent at the start.
const FIRST_EVENTS: u64 = 40;

/// Streams the updates for one page: `GET /api/live`. With `?once=1`, the answer ends after the present state.
pub(crate) async fn live(
    State(AppState(inner)): State<AppState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let is_once = match Query::parse(query.as_deref(), &["once"]).and_then(|query| query.flag("once")) {
        Ok(is_once) => is_once,
        Err(message) => return bad_request(&message),
    };
    inner.sampler.ensure(&inner.feed);
    if is_once {
        return event_stream(Body::from(whole(&inner.feed).await));
    }
    if inner.shutdown.has_begun() {
        return error(StatusCode::SERVICE_UNAVAILABLE, "the service shuts down");
    }
    let Ok(permit) = inner.streams.clone().try_acquire_owned() else {
        return error(StatusCode::SERVICE_UNAVAILABLE, "too many open pages");
    };
    let is_compressed = accepts_gzip(&headers);
    let updates = Updates::open(inner.feed.clone(), is_compressed, permit).await;
    let parts = stream::unfold(updates, async |mut updates| {
        let part = updates.next().await;
        Some((Ok::<_, Infallible>(part), updates))
    });
    let mut response = event_stream(Body::from_stream(parts.take_until(inner.shutdown.begun())));
    if is_compressed {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    response
}

fn event_stream(body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        // Otherwise, nginx and others would hold back the first events.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, body).into_response()
}

/// Returns the first messages of a stream in one text.
async fn whole(feed: &Arc<Feed>) -> Bytes {
    let (opening, _) = feed.open().await;
    let log = newest_events(feed, &opening.reading);
    let text = spawn_blocking(move || {
        let chunks = (0..opening.chunks()).filter_map(|index| opening.chunk(index, false));
        [opening.start(false)].into_iter().chain(chunks).chain([log.bytes(false)]).collect::<Vec<_>>().concat()
    });
    text.await.unwrap_or_default().into()
}

/// Returns the event `log` with the newest events.
fn newest_events(feed: &Feed, reading: &Reading) -> Message {
    let after = reading.events.saturating_sub(FIRST_EVENTS);
    Message::new(changes::log(&feed.log.after(
        after,
        None,
        usize::try_from(reading.events - after).unwrap_or(usize::MAX),
    )))
}

/// The updates for one page. The next part is made only after the previous one was accepted by the connection, so that nothing queues up for
/// a slow client: it gets the difference between the reading that it has and the latest one.
struct Updates {
    feed: Arc<Feed>,
    publications: watch::Receiver<Arc<Published>>,
    is_compressed: bool,
    /// The first messages, and the index of the next of them that has rows; `None` after the last.
    opening: Option<(Arc<Opening>, usize)>,
    /// The reading that the client has.
    sent: Arc<Reading>,
    /// Parts that are to be sent before anything else.
    parts: VecDeque<Bytes>,
    ping_at: Instant,
    _permit: OwnedSemaphorePermit,
}

impl Updates {
    async fn open(feed: Arc<Feed>, is_compressed: bool, permit: OwnedSemaphorePermit) -> Self {
        let (opening, publications) = feed.open().await;
        let mut parts = VecDeque::new();
        if is_compressed {
            // ORDERING: Relaxed: a count that nothing else is inferred from.
            feed.compressed_streams.fetch_add(1, Ordering::Relaxed);
            parts.push_back(Bytes::from_static(GZIP_HEADER));
        }
        parts.push_back(opening.start(is_compressed));
        let ping_at = Instant::now() + PING_INTERVAL;
        let sent = opening.reading.clone();
        Self { feed, publications, is_compressed, opening: Some((opening, 0)), sent, parts, ping_at, _permit: permit }
    }

    /// Returns the next part of the response.
    async fn next(&mut self) -> Bytes {
        loop {
            if let Some(part) = self.parts.pop_front() {
                self.ping_at = Instant::now() + PING_INTERVAL;
                return part;
            }
            match self.opening.take() {
                Some((opening, index)) => self.open_further(opening, index).await,
                None => self.wait().await,
            }
        }
    }

    /// Adds the next message with rows. The newest events of the log follow the first.
    async fn open_further(&mut self, opening: Arc<Opening>, index: usize) {
        if index == 1 {
            self.parts.push_back(newest_events(&self.feed, &opening.reading).bytes(self.is_compressed));
        }
        let is_compressed = self.is_compressed;
        let shared = opening.clone();
        let chunk = spawn_blocking(move || shared.chunk(index, is_compressed)).await;
        self.parts.extend(chunk.ok().flatten());
        if index < opening.chunks() {
            self.opening = Some((opening, index + 1));
        }
    }

    /// Waits for changes, and adds them; adds a `ping` after a time without any.
    async fn wait(&mut self) {
        let Some(published) = self.feed.next(&mut self.publications, self.ping_at).await else {
            self.parts.push_back(Message::new(changes::ping(Feed::now())).bytes(self.is_compressed));
            return;
        };
        let is_compressed = self.is_compressed;
        if published.from == Some(self.sent.number) {
            let messages = [&published.changes, &published.log];
            self.parts.extend(messages.into_iter().flatten().map(|message| message.bytes(is_compressed)));
        } else {
            // Publications were missed while a part was being written, or the messages were not made.
            let (feed, sent, latest) = (self.feed.clone(), self.sent.clone(), published.reading.clone());
            let parts = spawn_blocking(move || {
                let changes = changes::between(&sent, &latest).map(Message::new);
                let messages = [changes, feed.log_between(&sent, &latest)];
                messages.into_iter().flatten().map(|message| message.bytes(is_compressed)).collect::<Vec<_>>()
            });
            self.parts.extend(parts.await.unwrap_or_default());
        }
        self.sent = published.reading.clone();
    }
}

impl Drop for Updates {
    fn drop(&mut self) {
        if self.is_compressed {
            // ORDERING: Relaxed: as above.
            self.feed.compressed_streams.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
