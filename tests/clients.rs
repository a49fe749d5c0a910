//! Errors of real clients, from real sockets and servers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[cfg(unix)]
#[path = "clients/database_rows.rs"]
mod database_rows;
#[cfg(unix)]
#[path = "clients/database_servers.rs"]
mod database_servers;
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
#[path = "clients/sqlite.rs"]
mod sqlite;
