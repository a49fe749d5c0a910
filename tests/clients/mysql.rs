//! Errors of MySQL, through `sqlx`. A server that is written by hand sends the error packets.

use std::net::SocketAddr;

use sqlx::{
    AssertSqlSafe, ConnectOptions as _,
    error::DatabaseError,
    mysql::{MySqlConnectOptions, MySqlSslMode},
    raw_sql,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    database_rows::assert_row,
    peers::{refusing, server},
};

const SQLX: &str = "sqlx";
/// The statement that fails.
const STATEMENT: &str = "UPDATE accounts";

/// Sends a packet: its length, its number, its content.
async fn send(connection: &mut TcpStream, number: u8, content: &[u8]) -> Option<()> {
    let length = u32::try_from(content.len()).unwrap().to_le_bytes();
    connection.write_all(&[&length[..3], &[number], content].concat()).await.ok()
}

async fn receive(connection: &mut TcpStream) -> Option<Vec<u8>> {
    let mut header = [0; 4];
    connection.read_exact(&mut header).await.ok()?;
    let mut content = vec![0; u32::from_le_bytes([header[0], header[1], header[2], 0]).try_into().unwrap()];
    connection.read_exact(&mut content).await.ok()?;
    Some(content)
}

fn error_packet(number: u16, state: &str) -> Vec<u8> {
    [&[0xff], &number.to_le_bytes()[..], b"#", state.as_bytes(), b"no"].concat()
}

/// Accepts the login, all preparations of the session, and answers [`STATEMENT`] with an error.
async fn serve(mut connection: TcpStream, error: Vec<u8>) -> Option<()> {
    const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];

    greet(&mut connection).await?;
    receive(&mut connection).await?;
    send(&mut connection, 2, OK).await?;
    loop {
        let request = receive(&mut connection).await?;
        let is_statement = String::from_utf8_lossy(&request).contains(STATEMENT);
        send(&mut connection, 1, if is_statement { &error } else { OK }).await?;
    }
}

/// Sends the first packet, which offers version 4.1 of the protocol, with transactions, and the authentication by a plugin.
async fn greet(connection: &mut TcpStream) -> Option<()> {
    let capabilities = 0x0008_a208_u32.to_le_bytes();
    let greeting = [
        b"\x0a8.0.36\0\x01\0\0\0abcdefgh\0",
        &capabilities[..2],
        &[45, 2, 0],
        &capabilities[2..],
        &[21],
        &[0; 10],
        b"123456789012\0mysql_native_password\0",
    ]
    .concat();
    send(connection, 0, &greeting).await
}

async fn failing(number: u16, state: &'static str) -> SocketAddr {
    server(move |connection| async move {
        serve(connection, error_packet(number, state)).await;
    })
    .await
}

async fn update(address: SocketAddr) -> sqlx::Error {
    let options = MySqlConnectOptions::new()
        .host("127.0.0.1")
        .port(address.port())
        .username("owner")
        .ssl_mode(MySqlSslMode::Disabled);
    let statement = async || {
        let mut connection = options.connect().await?;
        raw_sql(AssertSqlSafe(STATEMENT.to_owned())).execute(&mut connection).await
    };
    statement().await.unwrap_err()
}

#[tokio::test]
async fn a_statement_is_transient_or_permanent_by_its_number() {
    let checks: [(&str, &[(u16, &str)]); 8] = [
        ("MySQL: too many connections (1040, 1203, 1226)", &[(1040, "08004"), (1203, "42000"), (1226, "42000")]),
        ("MySQL: lock not available in time (1205, 3572)", &[(1205, "HY000"), (3572, "HY000")]),
        ("MySQL: deadlock or another rollback (1213, 3101)", &[(1213, "40001"), (3101, "40000")]),
        ("MySQL: read-only server (1290, 1836)", &[(1290, "HY000"), (1836, "HY000")]),
        (
            "MySQL: out of disk space, memory or threads (1021, 1037, 1041, 1135)",
            &[(1021, "HY000"), (1037, "HY001"), (1041, "HY000"), (1135, "HY000")],
        ),
        ("MySQL: idle for too long (4031)", &[(4031, "HY000")]),
        (
            "MySQL: connection terminated by a shutdown or an operator (1053, 1927), not ready (1047)",
            &[(1053, "08S01"), (1927, "70100"), (1047, "08S01")],
        ),
        (
            "MySQL: another error of the database",
            // Also the interruption of a statement, its time limit, and wrong credentials.
            &[(1062, "23000"), (1064, "42000"), (1129, "HY000"), (1317, "70100"), (3024, "HY000"), (1045, "28000")],
        ),
    ];
    for (failure, errors) in checks {
        for &(number, state) in errors {
            let error = update(failing(number, state).await).await;
            let code = error.as_database_error().and_then(DatabaseError::code);
            assert_eq!(code.as_deref(), Some(state), "{number}: {error:?}");
            assert_row(SQLX, failure, error);
        }
    }
}

#[tokio::test]
async fn a_broken_connection_is_transient() {
    assert_row(SQLX, "connection refused", update(refusing()).await);
    let closing = server(async |mut connection| {
        greet(&mut connection).await;
        receive(&mut connection).await;
    });
    assert_row(SQLX, "connection lost while connecting", update(closing.await).await);
}
