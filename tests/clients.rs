//! Errors of real clients, from real sockets and servers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "clients/http2.rs"]
mod http2;
#[path = "clients/lost_responses.rs"]
mod lost_responses;
#[path = "clients/mysql.rs"]
mod mysql;
#[path = "clients/peers.rs"]
mod peers;
#[path = "clients/postgres.rs"]
mod postgres;
#[path = "clients/redis.rs"]
mod redis;
#[path = "clients/servers.rs"]
mod servers;
#[path = "clients/sqlite.rs"]
mod sqlite;
#[path = "clients/table.rs"]
mod table;
