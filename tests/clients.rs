//! Errors of real clients, from real sockets and servers.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "clients/database_rows.rs"]
mod database_rows;
#[path = "clients/database_servers.rs"]
mod database_servers;
#[path = "clients/http2.rs"]
mod http2;
#[path = "clients/hyper.rs"]
mod hyper;
#[path = "clients/io.rs"]
mod io;
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
#[path = "clients/reqwest.rs"]
mod reqwest;
#[path = "clients/sqlite.rs"]
mod sqlite;
#[path = "clients/table.rs"]
mod table;
#[path = "clients/tonic.rs"]
mod tonic;
