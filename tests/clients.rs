//! Errors of real clients, from real sockets and servers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "clients/http2.rs"]
mod http2;
#[cfg(unix)]
#[path = "clients/lost_responses.rs"]
mod lost_responses;
#[cfg(unix)]
#[path = "clients/mysql.rs"]
mod mysql;
#[cfg(unix)]
#[path = "clients/peers.rs"]
mod peers;
#[cfg(unix)]
#[path = "clients/postgres.rs"]
mod postgres;
#[cfg(unix)]
#[path = "clients/redis.rs"]
mod redis;
#[cfg(unix)]
#[path = "clients/servers.rs"]
mod servers;
#[cfg(unix)]
#[path = "clients/sqlite.rs"]
mod sqlite;
#[cfg(unix)]
#[path = "clients/table.rs"]
mod table;
