//! A live web page that shows the circuit breakers, retries, rate limits and bulkheads of a program that uses [`steadfast`].
//!
//! Every breaker of the program is listed, even before its first call: its state, the reason and the remaining time if it is open,
//! its counts compared with the threshold, and its recent events. The same data is served as JSON at `/api/breakers` and as
//! Prometheus metrics at `/metrics`.
//!
//! The dashboard can run its own server, reachable from this machine only:
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! steadfast_dashboard::serve("127.0.0.1:9090").await
//! # }
//! ```
//!
//! Or it can be mounted in an existing axum service:
//!
//! ```
//! use axum::Router;
//! use steadfast_dashboard::Dashboard;
//!
//! let app: Router = Router::new().nest("/breakers", Dashboard::new().router());
//! ```
//!
//! # Manual control
//!
//! The dashboard is read-only unless a [`Token`] is configured. With the token, an operator can force a breaker open, disable it or
//! reset it, with a reason and an optional expiry, on the page or by HTTP:
//!
//! ```console
//! curl -X POST http://127.0.0.1:9090/api/overrides -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \
//!     -d '{"breaker": "payments", "action": "force_open", "reason": "migration until 14:00", "expires_in": 600}'
//! ```
//!
//! The resulting state change is emitted as an [event](steadfast::events) with the reason, and the request is passed to
//! [`Dashboard::on_override`].
//!
//! # Security
//!
//! There is no cookie and no session. An override requires the token in a header, compared in constant time; a body of type JSON,
//! which no form on another site can send; and, where the browser sends it, the origin of the page itself. The page loads nothing
//! from other hosts, runs no script but its own files, and cannot be put into a frame unless it is
//! [embeddable](Dashboard::embeddable). Names and keys are inserted as text only, never as markup. The dashboard's own server
//! listens on loopback addresses only, unless [remote access is allowed](Dashboard::allow_remote), and answers only requests sent to
//! such a host name, so that a foreign name that resolves to this machine cannot read it (DNS rebinding).
//!
//! The dashboard's own server accepts at most 256 connections, and closes those that are silent, slow or do not read: see
//! [`Server::run`]. A request whose body is not complete within 10 s is answered with 408. In a service with its own server, that
//! server has to limit its connections.
//!
//! When the dashboard is mounted in a service, that service decides who may *see* it: add an authentication layer around the router.

mod connection;
mod entry;
mod guard;
mod overrides;
mod page;
mod server;
mod snapshot;
mod stream;
mod token;

use std::{fmt, io, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use prometheus_client::{encoding::prometheus_text, registry::Registry};
use steadfast::prometheus::SteadfastCollector;
use tokio::{net::ToSocketAddrs, sync::Semaphore};

use self::snapshot::SnapshotCache;
pub use self::{
    overrides::{OverrideAction, OverrideRequest},
    server::Server,
    token::{Token, WeakToken},
};

/// The configuration of a dashboard. The [crate documentation](self) describes the page, manual control and security.
#[derive(Clone, Default)]
#[must_use = "a dashboard serves nothing until `router` or `bind` is called"]
pub struct Dashboard {
    token: Option<Token>,
    on_override: Option<OnOverride>,
    hosts: Option<Vec<String>>,
    allow_remote: bool,
    embeddable: bool,
}

/// Serves a read-only dashboard at `address` until the future is dropped.
///
/// # Errors
///
/// Returns an error if the address is not available or is not a loopback address: see [`Dashboard::bind`].
pub async fn serve(address: impl ToSocketAddrs) -> io::Result<()> {
    Dashboard::new().bind(address).await?.run().await
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
    /// of `callback` is caught, and the request is answered all the same.
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

    /// Returns the dashboard as an axum router, to be merged at `/` or nested below any path of a service.
    pub fn router(self) -> Router {
        let Self { token, on_override, hosts, embeddable, .. } = self;
        let state = AppState(Arc::new(Inner {
            token,
            on_override,
            snapshots: SnapshotCache::new(),
            streams: Semaphore::new(MAX_STREAMS).into(),
        }));
        Router::new()
            .route("/", get(page::index))
            .route("/style.css", get(page::style))
            .route("/theme.css", get(page::theme))
            .route("/icon.svg", get(page::icon))
            .route("/js/{file}", get(page::script))
            .route("/api/breakers", get(breakers))
            .route("/api/live", get(stream::live))
            .route("/api/overrides", post(overrides::post).layer(overrides::body_limit()))
            .route("/metrics", get(metrics))
            .layer(middleware::from_fn(guard::limit_time_and_catch_panics))
            .layer(middleware::map_response_with_state(embeddable, guard::add_security_headers))
            .layer(middleware::from_fn_with_state(hosts.map(Arc::from), guard::check_host))
            .with_state(state)
    }
}

/// The maximum number of open pages. Each holds a connection for its event stream.
const MAX_STREAMS: usize = 64;

type OnOverride = Arc<dyn Fn(&OverrideRequest) + Send + Sync>;

/// The state shared by the handlers.
#[derive(Clone)]
struct AppState(Arc<Inner>);

struct Inner {
    token: Option<Token>,
    on_override: Option<OnOverride>,
    snapshots: SnapshotCache,
    streams: Arc<Semaphore>,
}

async fn breakers(State(AppState(inner)): State<AppState>) -> Response {
    json(inner.snapshots.latest().by_section(inner.token.is_some()))
}

async fn metrics() -> Response {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(SteadfastCollector::new()));
    let mut text = String::new();
    match prometheus_text::encode(&mut text, &registry) {
        Ok(()) => with_content_type("text/plain; version=0.0.4; charset=utf-8", text),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn json(body: String) -> Response {
    with_content_type("application/json", body)
}

fn with_content_type(media_type: &'static str, body: impl IntoResponse) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(media_type))], body).into_response()
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
