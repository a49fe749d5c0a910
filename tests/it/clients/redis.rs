//! Errors of `redis`.

use std::{net::SocketAddr, time::Duration};

use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use super::{PERMANENT, TRANSIENT, answering as sending, assert_verdict, closing, refusing, resetting, server, silent};

/// Requests a key, with a timeout of five seconds, and returns the error.
async fn get(address: SocketAddr) -> RedisError {
    let request = async || -> RedisResult<String> {
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(5)));
        let client = Client::open(format!("redis://{address}/"))?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        redis::cmd("GET").arg("key").query_async(&mut connection).await
    };
    request().await.unwrap_err()
}

/// Starts a Redis server that answers `GET` with `line` and every other command with `OK`.
async fn answering(line: &'static str) -> SocketAddr {
    server(move |connection| async move {
        let mut connection = BufReader::new(connection);
        while let Some(name) = command(&mut connection).await {
            let answer = if name.eq_ignore_ascii_case("get") { line } else { "+OK" };
            if connection.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
                break;
            }
        }
    })
    .await
}

/// Reads a command and returns its name. A command is an array of strings, each preceded by a line with its length.
async fn command(connection: &mut BufReader<TcpStream>) -> Option<String> {
    let mut name = None;
    for _ in 0..number(connection).await? {
        let mut argument = vec![0; number(connection).await? + 2];
        connection.read_exact(&mut argument).await.ok()?;
        name.get_or_insert(String::from_utf8(argument).ok()?.trim_end().to_owned());
    }
    name
}

/// Reads a line that consists of a sign and a number, and returns the number.
async fn number(connection: &mut BufReader<TcpStream>) -> Option<usize> {
    let mut line = String::new();
    connection.read_line(&mut line).await.ok()?;
    line.trim_end().get(1..)?.parse().ok()
}

#[tokio::test]
async fn an_error_reply_is_transient_or_permanent_by_its_code() {
    let checks = [
        ("-LOADING Redis is loading the dataset in memory", TRANSIENT),
        ("-TRYAGAIN Multiple keys request during rehashing of slot", TRANSIENT),
        ("-CLUSTERDOWN The cluster is down", TRANSIENT),
        ("-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", TRANSIENT),
        ("-READONLY You can't write against a read only replica.", TRANSIENT),
        ("-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", TRANSIENT),
        ("-BUSYGROUP Consumer Group name already exists", PERMANENT),
        ("-WRONGTYPE Operation against a key holding the wrong kind of value", PERMANENT),
        ("-NOAUTH Authentication required.", PERMANENT),
        ("-NOPERM User default has no permissions to run the 'get' command", PERMANENT),
        ("-OOM command not allowed when used memory > 'maxmemory'.", PERMANENT),
        ("-MOVED 3999 127.0.0.1:6381", PERMANENT),
        ("-ERR unknown command 'GET'", PERMANENT),
        ("*0", PERMANENT),
    ];
    for (line, expected) in checks {
        assert_verdict(get(answering(line).await).await, expected, line);
    }
}

#[tokio::test]
async fn a_broken_connection_is_transient_and_another_protocol_is_permanent() {
    let checks = [
        ("refused", refusing().await, TRANSIENT),
        ("reset", resetting().await, TRANSIENT),
        ("closed", closing().await, TRANSIENT),
        ("another protocol", sending("HTTP/1.1 400 Bad Request\r\n\r\n").await, PERMANENT),
    ];
    for (name, address, expected) in checks {
        assert_verdict(get(address).await, expected, name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_transient() {
    let error = get(silent().await).await;
    assert!(error.is_timeout(), "{error:?}");
    assert_verdict(error, TRANSIENT, "timeout");
}

#[cfg(unix)]
#[test]
fn a_missing_socket_is_transient() {
    let client = Client::open(format!("redis+unix://{}/missing.sock", env!("CARGO_TARGET_TMPDIR"))).unwrap();
    let error = client.get_connection().err().unwrap();
    assert!(error.is_connection_refusal(), "{error:?}");
    assert_verdict(error, TRANSIENT, "no such socket");
}
