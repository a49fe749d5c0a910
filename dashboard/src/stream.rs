//! Server-sent events for an open page: every entry once, then the changes.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::StatusCode,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use tokio::{sync::OwnedSemaphorePermit, time};

use crate::{
    api::{AppState, Inner},
    snapshot::RegistrySnapshot,
};

/// The maximum number of open pages. Each holds a connection for its event stream.
pub(crate) const MAX_STREAMS: usize = 64;
/// The time between two checks for changes: short enough to appear immediate, long enough to cost little.
const UPDATE_INTERVAL: Duration = Duration::from_millis(250);
/// The time between two keep-alive comments. Writing one also detects a broken connection.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// The delay before a client reconnects.
const RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// Streams the updates for one page: `GET /api/live`.
pub(crate) async fn live(State(AppState(inner)): State<AppState>) -> Response {
    let Ok(permit) = inner.streams.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many open pages\n").into_response();
    };
    let updates = Updates { inner, sent: None, _permit: permit };
    let events = stream::unfold(updates, async |mut updates| {
        let event = updates.next().await;
        Some((Ok::<_, Infallible>(event), updates))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE_INTERVAL)).into_response()
}

/// The updates for one page. An update is computed only after the previous one was written, so no updates queue up for a slow client.
struct Updates {
    inner: Arc<Inner>,
    /// The snapshot that the client has; `None` before the first event.
    sent: Option<Arc<RegistrySnapshot>>,
    _permit: OwnedSemaphorePermit,
}

impl Updates {
    async fn next(&mut self) -> Event {
        let Some(mut sent) = self.sent.take() else {
            let latest = self.inner.snapshots.latest();
            let all = latest.all(self.inner.access.can_override());
            self.sent = Some(latest);
            return Event::default().event("all").retry(RECONNECT_DELAY).data(all);
        };
        loop {
            time::sleep(UPDATE_INTERVAL).await;
            let latest = self.inner.snapshots.latest();
            let changes = latest.changes_since(&sent);
            sent = latest;
            if let Some(changes) = changes {
                self.sent = Some(sent);
                return Event::default().event("changes").data(changes);
            }
        }
    }
}
