//! A live web page that shows the circuit breakers, retries, rate limits and bulkheads of a program that uses [`steadfast`].
//!
//! Every breaker of the program is listed, even before its first call: its state, the reason and the remaining time if it is open,
//! its counts compared with the threshold, and its recent events. The same data is served as JSON at `/api/breakers`, described by the
//! JSON Schemas in the folder `schema`, and as Prometheus metrics at `/metrics`.
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
//! let app: Router = Router::new().merge(Dashboard::new().router_at("/breakers"));
//! ```
//!
//! # Manual control
//!
//! The dashboard is read-only unless a [`Token`] is configured. With the token, an operator can force a breaker open, disable it or
//! reset it, with a reason and an expiry, on the page or by HTTP:
//!
//! ```console
//! curl -X POST http://127.0.0.1:9090/api/overrides -H "X-Steadfast-Token: $TOKEN" -H "Content-Type: application/json" \
//!     -d '{"breaker": "payments", "action": "force_open", "reason": "migration until 14:00", "expires_in": 600}'
//! ```
//!
//! An override without `expires_in` ends after 15 minutes; `null` stands for no expiry. The name of keyed breakers without a `key` stands for
//! all their present keys. A request with a `request_id` can be repeated without a second effect, and one with `expected_transitions` is
//! rejected with 409 if the breaker has changed since the operator looked at it.
//!
//! The resulting state change is emitted as an [event](steadfast::events) with the reason. The request is recorded in the log of the page,
//! and passed to [`Dashboard::on_override`].
//!
//! # Security
//!
//! Everyone who can connect can read, unless [`Dashboard::view_token`] or [`Dashboard::authorize`] restricts it.
//!
//! There is no cookie and no session. An override requires the token in a header, which is compared in constant time, and a JSON body,
//! which no form on another site can send. If the browser sends the origin of a request, it must be the origin of the page itself. The
//! number of attempts with a wrong token is not limited, since a limit would let anyone lock out the operators: use a random token. The
//! page loads nothing from other hosts, runs no script but its own files, and cannot be put into a frame unless it is
//! [embeddable](Dashboard::embeddable). Names and keys are inserted as text only, never as markup.
//!
//! Unless [remote access is allowed](Dashboard::allow_remote), the dashboard's own server listens on a loopback address only, and answers
//! only requests sent to `localhost`, `127.0.0.1`, `[::1]` or the address at which it listens. This prevents DNS rebinding, in which another site makes its own host name
//! resolve to this machine. [`Dashboard::hosts`] sets other host names.
//!
//! The dashboard's own server accepts at most 256 connections, and closes those that are idle, slow or do not read: see
//! [`Server::run`]. A request whose body is not complete within 10 s is answered with 408. If the dashboard is mounted in a service, the
//! server of that service has to limit the connections.

mod about;
mod access;
mod changes;
mod compress;
mod connection;
mod dashboard;
mod data;
mod entry;
mod feed;
mod filter;
mod guard;
mod history;
mod identity;
mod item;
mod keys;
mod log;
mod message;
mod metrics;
mod opening;
mod override_request;
mod override_target;
mod overrides;
mod page;
mod reader;
mod reading;
mod request_ids;
mod responses;
mod sampler;
mod server;
mod shutdown;
mod state;
mod stream;
mod token;

pub use self::{
    dashboard::Dashboard,
    override_request::{OverrideAction, OverrideRequest},
    server::{Server, serve},
    token::{Token, WeakToken},
};
