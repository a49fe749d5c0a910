//! The state that the handlers share.

use std::sync::Arc;

use steadfast::prometheus::SteadfastCollector;
use tokio::sync::Semaphore;

use crate::{
    access::Access, feed::Feed, override_request::OverrideRequest, request_ids::RequestIds, sampler::Sampler,
    shutdown::Shutdown,
};

/// The callback of [`Dashboard::on_override`](crate::Dashboard::on_override).
pub(crate) type OnOverride = Arc<dyn Fn(&OverrideRequest) + Send + Sync>;

/// The state shared by the handlers.
#[derive(Clone)]
pub(crate) struct AppState(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) access: Arc<Access>,
    pub(crate) request_ids: RequestIds,
    pub(crate) on_override: Option<OnOverride>,
    /// The readings and the log.
    pub(crate) feed: Arc<Feed>,
    pub(crate) sampler: Sampler,
    /// The collector of `/metrics`.
    pub(crate) collector: SteadfastCollector,
    /// One permit for each page that may be open at the same time.
    pub(crate) streams: Arc<Semaphore>,
    /// Ends the streams.
    pub(crate) shutdown: Shutdown,
}
