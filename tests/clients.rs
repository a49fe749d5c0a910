//! Errors of real clients, from real sockets and servers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "clients/http2.rs"]
mod http2;
