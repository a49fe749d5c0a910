//! Errors of SQLite, through `sqlx`.

use std::time::Duration;

use sqlx::{
    ConnectOptions as _, Connection as _, Error, SqliteConnection, raw_sql,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};

use super::database_rows::assert_row;

const BUSY: &str = "SQLite: busy (5) or locked (6), with their extended codes";

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
        (BUSY, busy, "5"),
        (BUSY, snapshot, "517"),
        (BUSY, locked().await, "262"),
        ("SQLite: another error of the database", unique, "1555"),
        ("SQLite: another error of the database", syntax, "1"),
    ];
    for (failure, (error, code), expected_code) in checks {
        assert_eq!(code, expected_code, "{failure}: {error:?}");
        assert_row("sqlx", failure, error);
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
