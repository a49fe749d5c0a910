//! The classification of real errors of client libraries as transient or permanent, with servers on this machine.

mod reqwest;
mod tonic;

use std::{error::Error, net::SocketAddr, time::Duration};

use anyhow::Context as _;
use steadfast::{BreakerConfig, CircuitBreaker, CircuitOpen, RetryPolicy, Schedule, Transient};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
};

/// The values of `is_transient` and `retry_after`.
type Verdict = (bool, Option<Duration>);

const TRANSIENT: Verdict = (true, None);
const PERMANENT: Verdict = (false, None);

/// Checks the verdict on an error by itself, inside an `anyhow::Error` and inside a boxed error.
#[track_caller]
fn assert_verdict<E: Error + Transient + Send + Sync + 'static>(error: E, expected: Verdict, name: &str) {
    let verdict = |error: &dyn Transient| (error.is_transient(), error.retry_after());

    assert_eq!(verdict(&error), expected, "{name}: {error:?}");
    let error = anyhow::Error::new(error).context("while calling");
    assert_eq!(verdict(&error), expected, "{name}, inside an anyhow::Error: {error:?}");
    let error: Box<dyn Error + Send + Sync> = error.into();
    assert_eq!(verdict(&error), expected, "{name}, inside a boxed error: {error:?}");
}

/// Returns an address that refuses connections. The address stays bound until the process ends, so that no other test gets it.
async fn refusing() -> SocketAddr {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    std::mem::forget(socket);
    address
}

/// Starts a server that handles each connection with `handle`, until the test ends.
async fn server<F: Future<Output = ()> + Send>(handle: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            handle(connection).await;
        }
    });
    address
}

/// Starts a server that sends `answer` after the first bytes it receives, and closes the connection.
async fn answering(answer: impl AsRef<[u8]> + Clone + Send + Sync + 'static) -> SocketAddr {
    server(move |mut connection| {
        let answer = answer.clone();
        async move {
            // Errors of a connection that the client has closed are ignored.
            _ = connection.read(&mut [0; 4096]).await;
            _ = connection.write_all(answer.as_ref()).await;
            _ = connection.shutdown().await;
        }
    })
    .await
}

/// Starts a server that closes each connection without an answer.
async fn closing() -> SocketAddr {
    answering([]).await
}

/// Starts a server that resets each connection at its first byte.
async fn resetting() -> SocketAddr {
    server(async |mut connection| {
        _ = connection.read(&mut [0; 1]).await;
        connection.set_zero_linger().unwrap();
    })
    .await
}

/// Starts a server that never answers.
async fn silent() -> SocketAddr {
    server(async |_connection| std::future::pending().await).await
}

/// Returns a rejection with a `retry_after`.
fn rejection() -> CircuitOpen {
    let breaker = CircuitBreaker::new("down", BreakerConfig::new().failure_threshold(1));
    breaker.try_acquire().unwrap().failure();
    breaker.try_acquire().expect_err("open")
}

#[tokio::test]
async fn a_policy_retries_anyhow_errors() {
    let address = refusing().await;
    let policy = RetryPolicy::new().max_attempts(3).backoff(Schedule::none());
    let mut attempts = 0;
    let result = policy.run(|| {
        attempts += 1;
        std::net::TcpStream::connect(address).context("while connecting")
    });
    result.unwrap_err();
    assert_eq!(attempts, 3);
}
