//! A live web page over the circuit breakers, retries, rate limits and bulkheads of a program that uses [`steadfast`].
//!
//! Every breaker of the program is on it, before its first call: its state, why it is open and for how long still, its counts
//! beside what opens it, and what happened of late. Beside the page there are the same as JSON at `/api/breakers` and metrics
//! for Prometheus at `/metrics`.
//!
//! Served by itself, on this machine only:
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! steadfast_dashboard::serve("127.0.0.1:9090").await
//! # }
//! ```
//!
//! Or as a part of a service that has routes already:
//!
//! ```
//! use axum::Router;
//! use steadfast_dashboard::Dashboard;
//!
//! let app: Router = Router::new().nest("/breakers", Dashboard::new().router());
//! ```
//!
//! # An operator's hand
//!
//! The page only shows, unless a [`Token`] is configured: with it, whoever knows the token can force a breaker open, disable and
//! reset it, for a time and with a reason, from the page or with
//!
//! ```console
//! curl -X POST http://127.0.0.1:9090/api/actions -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \
//!     -d '{"breaker": "payments", "action": "force_open", "reason": "migration until 14:00", "expires_in": 600}'
//! ```
//!
//! What was done is told as the [event](steadfast::events) of the change of state that it makes, with the reason, and to
//! [`Dashboard::on_action`].
//!
//! # What keeps others out
//!
//! The page has no cookie and no session. An action takes the token in a header, compared in constant time; a body of type
//! JSON, which no form of a foreign page can send; and where a browser says where it comes from, the origin of the page itself.
//! The page loads nothing from elsewhere, runs no code but its own files, and cannot be put into a frame, unless it is
//! [embeddable](Dashboard::embeddable). Names and keys are only ever shown as text. Served by itself it answers only on loopback
//! addresses, unless [told otherwise](Dashboard::allow_remote), and only to requests that name such a host, so that no foreign
//! name that resolves to this machine reads it.
//!
//! Served by itself, it has at most 256 connections, and closes those that are silent, slow or do not read: see [`Server::run`].
//! A request whose body does not come within 10 s is answered with 408. In a service with a server of its own, limits of
//! connections are for that one.
//!
//! Who may *see* the page when it is mounted in a service is for that service to decide: put its own layer around the router.

mod actions;
mod connection;
mod entry;
mod guard;
mod page;
mod reading;
mod server;
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

use self::reading::Readings;
pub use self::{
    actions::{Action, ActionKind},
    server::Server,
    token::{Token, WeakToken},
};

/// A live page over all breakers, retries, rate limits and bulkheads of the program. See the [crate](self) for what it shows and who may act.
#[derive(Clone, Default)]
#[must_use = "it serves nothing until it is mounted or bound"]
pub struct Dashboard {
    token: Option<Token>,
    on_action: Option<OnAction>,
    hosts: Option<Vec<String>>,
    allow_remote: bool,
    embeddable: bool,
}

/// Serves a dashboard that only shows, at that address.
///
/// # Errors
///
/// The address cannot be listened at, or is not one of this machine alone: see [`Dashboard::bind`].
pub async fn serve(address: impl ToSocketAddrs) -> io::Result<()> {
    Dashboard::new().bind(address).await?.run().await
}

impl Dashboard {
    /// One that only shows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets whoever knows the token force breakers open, disable and reset them.
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// Calls `callback` with everything that was asked to be done with a right token, after it was tried. The operator is answered
    /// even if `callback` panics.
    pub fn on_action(mut self, callback: impl Fn(&Action) + Send + Sync + 'static) -> Self {
        self.on_action = Some(Arc::new(callback));
        self
    }

    /// Answers only requests that were sent to one of these host names, without a port.
    ///
    /// Without it, a router answers whatever the request names, and [`bind`](Self::bind) allows `localhost`, `127.0.0.1`
    /// and `[::1]`, or any name once [remote](Self::allow_remote) machines may connect.
    pub fn hosts<H: Into<String>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        self.hosts = Some(hosts.into_iter().map(Into::into).collect());
        self
    }

    /// Lets [`bind`](Self::bind) listen at addresses that other machines reach. Everybody who does sees the page.
    pub fn allow_remote(mut self) -> Self {
        self.allow_remote = true;
        self
    }

    /// Lets pages of the same origin show it in a frame.
    pub fn embeddable(mut self) -> Self {
        self.embeddable = true;
        self
    }

    /// As routes, to be mounted in a service: at `/` of a router of its own, or nested below any path.
    pub fn router(self) -> Router {
        let Self { token, on_action, hosts, embeddable, .. } = self;
        let state = Shared(Arc::new(Inner {
            token,
            on_action,
            readings: Readings::new(),
            streams: Semaphore::new(STREAMS).into(),
        }));
        Router::new()
            .route("/", get(page::index))
            .route("/style.css", get(page::style))
            .route("/icon.svg", get(page::icon))
            .route("/js/{file}", get(page::script))
            .route("/api/breakers", get(breakers))
            .route("/api/live", get(stream::live))
            .route("/api/actions", post(actions::act).layer(actions::limit()))
            .route("/metrics", get(metrics))
            .layer(middleware::from_fn(guard::answer_in_any_case))
            .layer(middleware::map_response_with_state(embeddable, guard::protect))
            .layer(middleware::from_fn_with_state(hosts.map(Arc::from), guard::check_host))
            .with_state(state)
    }
}

/// Pages that are kept up to date at a time. Each is a connection that stays.
const STREAMS: usize = 64;

type OnAction = Arc<dyn Fn(&Action) + Send + Sync>;

/// What the handlers share.
#[derive(Clone)]
struct Shared(Arc<Inner>);

struct Inner {
    token: Option<Token>,
    on_action: Option<OnAction>,
    readings: Readings,
    streams: Arc<Semaphore>,
}

async fn breakers(State(Shared(inner)): State<Shared>) -> Response {
    json(inner.readings.latest().by_kind(inner.token.is_some()))
}

async fn metrics() -> Response {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(SteadfastCollector::new()));
    let mut text = String::new();
    match prometheus_text::encode(&mut text, &registry) {
        Ok(()) => with_type("text/plain; version=0.0.4; charset=utf-8", text),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn json(body: String) -> Response {
    with_type("application/json", body)
}

fn with_type(media_type: &'static str, body: impl IntoResponse) -> Response {
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
