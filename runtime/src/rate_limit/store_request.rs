//! A request to an external store. The request owns its data, so that another caller can take it over while it is in flight.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Sleep, sleep};

use super::{RateLimitConfig, RateLimitDecision, RateLimitRequest, queue::GRACE, settings::RateLimitSettings};
use crate::{by_address::ByAddress, keyed_store::key::Key, panics::contain};

pub(super) struct StoreRequest {
    /// The moment at which the request was sent.
    pub(super) sent: u64,
    /// The version of the settings in the request.
    pub(super) version: u32,
    /// The number of permits that the request is for.
    permits: u32,
    response: Pin<Box<dyn Future<Output = RateLimitDecision> + Send>>,
    /// The time limit for the response once another caller has taken the request over: the response may depend on a runtime that has been
    /// shut down.
    timeout: Option<Pin<Box<Sleep>>>,
}

impl StoreRequest {
    /// Sends a request to the store; `None` if the settings have none.
    pub(super) fn send(settings: &RateLimitSettings, key: Option<Key>, permits: u32, sent: u64) -> Option<Self> {
        // The version is read first: at worst, a rejection is attributed to older settings, and another request is sent.
        let (version, config) = (settings.version(), settings.config());
        let config @ RateLimitConfig { store: Some(ByAddress(store)), .. } = config? else { return None };
        let name = settings.name;
        let response = Box::pin(async move {
            let overflow = key.as_ref().is_some_and(Key::is_overflow);
            let key = key.as_ref().and_then(Key::text).map(AsRef::as_ref);
            store.acquire(&RateLimitRequest { name, key, overflow, permits, config }).await
        });
        Some(Self { sent, version, permits, response, timeout: None })
    }

    /// Returns true if a later caller may be able to use the response: the request is for these settings and was sent a short time ago.
    pub(super) fn is_usable(&self, now: u64, version: u32) -> bool {
        // The difference is absolute, since by a different clock `sent` may be later than `now`.
        self.version == version && now.abs_diff(self.sent) < GRACE
    }

    /// Returns true if the request is for this number of permits.
    pub(super) const fn is_for(&self, permits: u32) -> bool {
        self.permits == permits
    }

    /// Returns the request for another caller that takes it over, with a time limit that starts now.
    pub(super) fn taken_over(mut self) -> Self {
        self.timeout = Some(Box::pin(sleep(Duration::from_micros(GRACE))));
        self
    }

    /// Polls the response. If the request was taken over, returns `None` when the time limit has passed or the store panics.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<RateLimitDecision>> {
        let Some(timeout) = &mut self.timeout else { return self.response.as_mut().poll(context).map(Some) };
        let mut polled = Poll::Pending;
        if !contain(|| polled = self.response.as_mut().poll(context)) {
            return Poll::Ready(None);
        }
        match polled {
            Poll::Ready(decision) => Poll::Ready(Some(decision)),
            Poll::Pending => timeout.as_mut().poll(context).map(|()| None),
        }
    }
}

impl fmt::Debug for StoreRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreRequest").field("sent", &self.sent).finish_non_exhaustive()
    }
}
