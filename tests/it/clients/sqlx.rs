//! Errors of `sqlx` with Postgres and with SQLite.

use std::{net::SocketAddr, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _, Error, PgConnection, SqliteConnection,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
    raw_sql,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{PERMANENT, TRANSIENT, answering, assert_verdict, closing, refusing, resetting, server, silent};

fn options(address: SocketAddr) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(address.port())
        .username("someone")
        .ssl_mode(PgSslMode::Disable)
}

/// Encodes a Postgres message: a letter, the length, the content.
fn message(letter: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 4).unwrap();
    [&[letter], &length.to_be_bytes()[..], content].concat()
}

fn error(code: &str) -> Vec<u8> {
    message(b'E', format!("SFATAL\0VFATAL\0C{code}\0Mno\0\0").as_bytes())
}

/// Starts a Postgres server that accepts every login and answers every statement with this error.
async fn failing(code: &'static str) -> SocketAddr {
    let ready = message(b'Z', b"I");
    let hello = [message(b'R', &[0; 4]), ready.clone()].concat();
    let refusal = [error(code), ready].concat();
    server(move |mut connection| {
        let (hello, refusal) = (hello.clone(), refusal.clone());
        async move {
            let mut answer = &hello;
            while connection.read(&mut [0; 4096]).await.is_ok_and(|length| length > 0) {
                connection.write_all(answer).await.unwrap();
                answer = &refusal;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_postgres_connection_error_is_transient_or_permanent_by_its_cause() {
    let checks = [
        ("refused", refusing().await, TRANSIENT),
        ("reset", resetting().await, TRANSIENT),
        ("closed", closing().await, TRANSIENT),
        ("starting", answering(error("57P03")).await, TRANSIENT),
        ("too many connections", answering(error("53300")).await, TRANSIENT),
        ("rejected", answering(error("08004")).await, TRANSIENT),
        ("wrong password", answering(error("28P01")).await, PERMANENT),
        ("no such database", answering(error("3D000")).await, PERMANENT),
    ];
    for (name, address, expected) in checks {
        let error = PgConnection::connect_with(&options(address)).await.unwrap_err();
        assert_verdict(error, expected, name);
    }
}

#[tokio::test]
async fn a_postgres_statement_error_is_transient_or_permanent_by_its_code() {
    let checks = [
        ("serialization failure", "40001", TRANSIENT),
        ("deadlock", "40P01", TRANSIENT),
        ("lock not available", "55P03", TRANSIENT),
        ("out of memory", "53200", TRANSIENT),
        ("shutting down", "57P01", TRANSIENT),
        ("crashed", "57P02", TRANSIENT),
        ("idle for too long", "57P05", TRANSIENT),
        ("database dropped", "57P04", PERMANENT),
        ("cancelled", "57014", PERMANENT),
        ("unique violation", "23505", PERMANENT),
        ("syntax error", "42601", PERMANENT),
        ("a number whose low byte is SQLite's code for busy", "22021", PERMANENT),
    ];
    for (name, code, expected) in checks {
        let mut connection = PgConnection::connect_with(&options(failing(code).await)).await.unwrap();
        let error = raw_sql("SELECT 1").execute(&mut connection).await.unwrap_err();
        assert_eq!(error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref(), Some(code));
        assert_verdict(error, expected, name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pool_timeout_is_transient_and_a_closed_pool_is_permanent() {
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_secs(5)).connect_lazy_with(options(silent().await));
    let error = pool.acquire().await.unwrap_err();
    assert!(matches!(error, Error::PoolTimedOut), "{error:?}");
    assert_verdict(error, TRANSIENT, "timeout");
    pool.close().await;
    assert_verdict(pool.acquire().await.unwrap_err(), PERMANENT, "closed");
}

async fn fail(connection: &mut SqliteConnection, sql: &'static str) -> (Error, String) {
    let error = raw_sql(sql).execute(connection).await.unwrap_err();
    let code = error.as_database_error().unwrap().code().unwrap().into_owned();
    (error, code)
}

async fn run(connection: &mut SqliteConnection, sql: &'static str) {
    raw_sql(sql).execute(connection).await.unwrap();
}

#[tokio::test]
async fn a_sqlite_error_is_transient_or_permanent_by_its_code() {
    let path = format!("{}/clients-{}.sqlite", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::ZERO);
    let mut one = options.connect().await.unwrap();
    let mut other = options.connect().await.unwrap();
    run(&mut one, "CREATE TABLE payments (id INTEGER PRIMARY KEY)").await;

    run(&mut one, "BEGIN IMMEDIATE; INSERT INTO payments VALUES (1)").await;
    let busy = fail(&mut other, "INSERT INTO payments VALUES (2)").await;
    run(&mut one, "COMMIT").await;

    run(&mut other, "BEGIN; SELECT * FROM payments").await;
    run(&mut one, "INSERT INTO payments VALUES (3)").await;
    let snapshot = fail(&mut other, "INSERT INTO payments VALUES (4)").await;

    let unique = fail(&mut one, "INSERT INTO payments VALUES (1)").await;
    let syntax = fail(&mut one, "INSERT payments").await;

    one.close().await.unwrap();
    other.close().await.unwrap();
    std::fs::remove_file(path).unwrap();

    let checks = [
        ("busy", busy, "5", TRANSIENT),
        ("busy snapshot", snapshot, "517", TRANSIENT),
        ("locked", locked().await, "262", TRANSIENT),
        ("unique violation", unique, "1555", PERMANENT),
        ("syntax error", syntax, "1", PERMANENT),
    ];
    for (name, (error, code), expected_code, expected) in checks {
        assert_eq!(code, expected_code, "{name}");
        assert_verdict(error, expected, name);
    }
}

/// Returns the error of a read while another connection with the same shared cache writes.
async fn locked() -> (Error, String) {
    let options = SqliteConnectOptions::new().in_memory(true).filename("file:locked").shared_cache(true);
    let mut one = options.connect().await.unwrap();
    let mut other = options.connect().await.unwrap();
    run(&mut one, "CREATE TABLE payments (id INTEGER PRIMARY KEY)").await;
    run(&mut one, "BEGIN; INSERT INTO payments VALUES (1)").await;
    fail(&mut other, "SELECT * FROM payments").await
}
