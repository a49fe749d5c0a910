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
//! There is no cookie and no session. An override requires the token in a header, which is compared in constant time, and a JSON body,
//! which no form on another site can send. If the browser sends the origin of a request, it must be the origin of the page itself. The
//! page loads nothing from other hosts, runs no script but its own files, and cannot be put into a frame unless it is
//! [embeddable](Dashboard::embeddable). Names and keys are inserted as text only, never as markup.
//!
//! Unless [remote access is allowed](Dashboard::allow_remote), the dashboard's own server listens on a loopback address only, and answers
//! only requests sent to `localhost`, `127.0.0.1` or `[::1]`. This prevents DNS rebinding, in which another site makes its own host name
//! resolve to this machine. [`Dashboard::hosts`] sets other host names.
//!
//! The dashboard's own server accepts at most 256 connections, and closes those that are idle, slow or do not read: see
//! [`Server::run`]. A request whose body is not complete within 10 s is answered with 408. If the dashboard is mounted in a service, the
//! server of that service has to limit the connections.
//!
//! When the dashboard is mounted in a service, that service decides who may *see* it: add an authentication layer around the router.

mod api;
mod connection;
mod dashboard;
mod entry;
mod guard;
mod metrics;
mod override_request;
mod page;
mod server;
mod snapshot;
mod stream;
mod token;

pub use self::{
    dashboard::Dashboard,
    override_request::{OverrideAction, OverrideRequest},
    server::{Server, serve},
    token::{Token, WeakToken},
};
