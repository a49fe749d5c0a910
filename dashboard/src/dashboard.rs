//! The builder of a dashboard, and the routes of the dashboard.

use std::{fmt, sync::Arc};

use axum::{
    Router, middleware,
    routing::{get, post},
};
use steadfast::prometheus::SteadfastCollector;
use tokio::sync::Semaphore;

use crate::{
    api::{self, AppState, Inner, OnOverride},
    guard, metrics,
    override_request::OverrideRequest,
    page,
    snapshot::SnapshotCache,
    stream,
    token::Token,
};

/// The configuration of a dashboard. The [crate documentation](crate) describes the page, manual control and security.
#[derive(Clone, Default)]
#[must_use = "a dashboard serves nothing until `router` or `bind` is called"]
pub struct Dashboard {
    token: Option<Token>,
    on_override: Option<OnOverride>,
    pub(crate) hosts: Option<Vec<String>>,
    pub(crate) allow_remote: bool,
    embeddable: bool,
    collector: SteadfastCollector,
}

impl Dashboard {
    /// Creates a read-only dashboard.
    pub fn new() -> Self {
        Self::default()
    }

    /// Enables manual control: requests with this token can force breakers open, disable and reset them.
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// Calls `callback` after each override that was requested with a valid token, [applied](OverrideRequest::applied) or not. A panic
    /// of `callback` is caught and does not affect the response.
    pub fn on_override(mut self, callback: impl Fn(&OverrideRequest) + Send + Sync + 'static) -> Self {
        self.on_override = Some(Arc::new(callback));
        self
    }

    /// Answers only requests sent to one of these host names, given without a port; other requests get 421.
    ///
    /// By default, a [`router`](Self::router) accepts any host name, and [`bind`](Self::bind) accepts `localhost`, `127.0.0.1` and
    /// `[::1]`, or any host name if [`allow_remote`](Self::allow_remote) is set.
    pub fn hosts<H: Into<String>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        self.hosts = Some(hosts.into_iter().map(Into::into).collect());
        self
    }

    /// Permits [`bind`](Self::bind) to listen at addresses that other machines can reach. Anyone who can connect can see the page.
    pub fn allow_remote(mut self) -> Self {
        self.allow_remote = true;
        self
    }

    /// Permits pages of the same origin to show the dashboard in a frame.
    pub fn embeddable(mut self) -> Self {
        self.embeddable = true;
        self
    }

    /// Sets the collector of `/metrics`, with its names, labels and number of keys with series.
    ///
    /// ```
    /// use steadfast::prometheus::SteadfastCollector;
    /// use steadfast_dashboard::Dashboard;
    ///
    /// let dashboard = Dashboard::new().collector(SteadfastCollector::new().label("breaker").top_keys(50));
    /// ```
    pub fn collector(mut self, collector: SteadfastCollector) -> Self {
        self.collector = collector;
        self
    }

    /// Returns the dashboard as an axum router, to be merged at `/` or nested below any path of a service.
    pub fn router(self) -> Router {
        let Self { token, on_override, hosts, embeddable, collector, .. } = self;
        let state = AppState(Arc::new(Inner {
            token,
            on_override,
            snapshots: SnapshotCache::new(),
            collector,
            streams: Semaphore::new(stream::MAX_STREAMS).into(),
        }));
        Router::new()
            .route("/", get(page::index))
            .route("/style.css", get(page::style))
            .route("/theme.css", get(page::theme))
            .route("/icon.svg", get(page::icon))
            .route("/js/{file}", get(page::script))
            .route("/api/breakers", get(api::breakers))
            .route("/api/live", get(stream::live))
            .route("/api/overrides", post(api::override_breaker).layer(api::body_limit()))
            .route("/metrics", get(metrics::metrics))
            .layer(middleware::from_fn(guard::limit_time_and_catch_panics))
            .layer(middleware::map_response_with_state(embeddable, guard::add_security_headers))
            .layer(middleware::from_fn_with_state(hosts.map(Arc::from), guard::check_host))
            .with_state(state)
    }
}

impl fmt::Debug for Dashboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dashboard")
            .field("token", &self.token)
            .field("hosts", &self.hosts)
            .field("allow_remote", &self.allow_remote)
            .finish_non_exhaustive()
    }
}
