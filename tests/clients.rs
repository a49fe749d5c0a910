//! Errors of real clients, from real sockets and servers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "clients/http2.rs"]
mod http2;
#[path = "clients/hyper.rs"]
mod hyper;
#[path = "clients/io.rs"]
mod io;
#[path = "clients/reqwest.rs"]
mod reqwest;
#[path = "clients/servers.rs"]
mod servers;
#[path = "clients/table.rs"]
mod table;
#[path = "clients/tonic.rs"]
mod tonic;
