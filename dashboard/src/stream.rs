//! Keeps a page up to date by server-sent events: everything once, and then what changes.

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

use crate::{Inner, Shared, reading::Reading};

/// How often a page hears of what has changed: soon enough to look immediate, seldom enough to cost nothing.
const EVERY: Duration = Duration::from_millis(250);
/// A page that hears nothing for longer than a few of these connects anew; a connection that has broken is noticed here.
const ALIVE: Duration = Duration::from_secs(5);
/// How long a page waits before it connects again.
const RETRY: Duration = Duration::from_secs(1);

pub(crate) async fn live(State(Shared(inner)): State<Shared>) -> Response {
    let Ok(place) = inner.streams.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many pages are open\n").into_response();
    };
    let page = Page { inner, shown: None, _place: place };
    let events = stream::unfold(page, async |mut page| {
        let event = page.next().await;
        Some((Ok::<_, Infallible>(event), page))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE)).into_response()
}

/// A page that somebody has open. It asks when it has taken the last answer, so nothing piles up for one that is slow.
struct Page {
    inner: Arc<Inner>,
    shown: Option<Arc<Reading>>,
    _place: OwnedSemaphorePermit,
}

impl Page {
    async fn next(&mut self) -> Event {
        let Some(mut shown) = self.shown.take() else {
            let latest = self.inner.readings.latest();
            let all = latest.all(self.inner.token.is_some());
            self.shown = Some(latest);
            return Event::default().event("all").retry(RETRY).data(all);
        };
        loop {
            time::sleep(EVERY).await;
            let latest = self.inner.readings.latest();
            let changes = latest.since(&shown);
            shown = latest;
            if let Some(changes) = changes {
                self.shown = Some(shown);
                return Event::default().event("changes").data(changes);
            }
        }
    }
}
