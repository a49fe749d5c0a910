//! The JSON and Prometheus endpoints.

use std::sync::Arc;

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use prometheus_client::{encoding::prometheus_text, registry::Registry};
use steadfast::prometheus::SteadfastCollector;
use tokio::sync::Semaphore;

use crate::{
    access::Access, feed::Feed, override_request::OverrideRequest, request_ids::RequestIds,
    responses::with_content_type, sampler::Sampler,
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
    /// One permit for each page that may be open at the same time.
    pub(crate) streams: Arc<Semaphore>,
}

/// Returns the metrics in the text format of Prometheus: `GET /metrics`.
pub(crate) async fn metrics() -> Response {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(SteadfastCollector::new()));
    let mut text = String::new();
    match prometheus_text::encode(&mut text, &registry) {
        Ok(()) => with_content_type("text/plain; version=0.0.4; charset=utf-8", text),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
