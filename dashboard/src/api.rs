//! The JSON and Prometheus endpoints.

use std::sync::Arc;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use prometheus_client::{encoding::prometheus_text, registry::Registry};
use steadfast::prometheus::SteadfastCollector;
use tokio::sync::Semaphore;

use crate::{
    access::Access,
    log::Log,
    override_request::OverrideRequest,
    request_ids::RequestIds,
    responses::{json, with_content_type},
    snapshot::SnapshotCache,
};

/// The callback of [`Dashboard::on_override`](crate::Dashboard::on_override).
pub(crate) type OnOverride = Arc<dyn Fn(&OverrideRequest) + Send + Sync>;

/// The state shared by the handlers.
#[derive(Clone)]
pub(crate) struct AppState(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    /// The title of the page: the name of the program, unless one is configured.
    pub(crate) title: String,
    /// The name of the instance: the host and the process, unless one is configured.
    pub(crate) instance: String,
    pub(crate) access: Arc<Access>,
    pub(crate) request_ids: RequestIds,
    pub(crate) log: Arc<Log>,
    pub(crate) on_override: Option<OnOverride>,
    pub(crate) snapshots: SnapshotCache,
    /// One permit for each page that may be open at the same time.
    pub(crate) streams: Arc<Semaphore>,
}

/// Returns every entry: `GET /api/breakers`.
pub(crate) async fn breakers(State(AppState(inner)): State<AppState>) -> Response {
    json(inner.snapshots.latest().by_section(inner.access.can_override()))
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
