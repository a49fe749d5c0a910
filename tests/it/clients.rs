//! Which errors of client libraries are worth another attempt: real errors, from servers on this machine.

mod redis;
mod reqwest;
mod sqlx;
mod tonic;

use std::{error::Error, net::SocketAddr, time::Duration};

use anyhow::Context as _;
use steadfast::{BreakerConfig, CircuitBreaker, CircuitOpen, RetryPolicy, Schedule, Transient};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
};

/// Whether to try again, and the wait that the error asks for.
type Verdict = (bool, Option<Duration>);

const TRANSIENT: Verdict = (true, None);
const PERMANENT: Verdict = (false, None);

/// Asks the error, and then an `anyhow::Error` and a boxed error with it inside.
#[track_caller]
fn assert_says<E: Error + Transient + Send + Sync + 'static>(error: E, expected: Verdict, name: &str) {
    let says = |error: &dyn Transient| (error.is_transient(), error.retry_after());

    assert_eq!(says(&error), expected, "{name}: {error:?}");
    let error = anyhow::Error::new(error).context("while calling");
    assert_eq!(says(&error), expected, "{name}, inside of an anyhow::Error: {error:?}");
    let error: Box<dyn Error + Send + Sync> = error.into();
    assert_eq!(says(&error), expected, "{name}, inside of a boxed error: {error:?}");
}

/// An address at which nobody listens. It stays taken until the end of the process, so that no other test is given it.
async fn refusing() -> SocketAddr {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    std::mem::forget(socket);
    address
}

/// A server that treats each connection so, until the end of the test.
async fn server<F: Future<Output = ()> + Send>(treat: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            treat(connection).await;
        }
    });
    address
}

/// A server that answers the first bytes that come with these, and closes the connection.
async fn answering(answer: impl AsRef<[u8]> + Clone + Send + Sync + 'static) -> SocketAddr {
    server(move |mut connection| {
        let answer = answer.clone();
        async move {
            // What happens to the connection after the answer is no concern of the server.
            _ = connection.read(&mut [0; 4096]).await;
            _ = connection.write_all(answer.as_ref()).await;
            _ = connection.shutdown().await;
        }
    })
    .await
}

/// A server that closes each connection without an answer.
async fn closing() -> SocketAddr {
    answering([]).await
}

/// A server that resets each connection once something comes.
async fn resetting() -> SocketAddr {
    server(async |mut connection| {
        _ = connection.read(&mut [0; 1]).await;
        connection.set_zero_linger().unwrap();
    })
    .await
}

/// A server that never answers.
async fn silent() -> SocketAddr {
    server(async |_connection| std::future::pending().await).await
}

/// A rejection that knows when to come back.
fn rejection() -> CircuitOpen {
    let breaker = CircuitBreaker::new("down", BreakerConfig::new().failure_threshold(1));
    breaker.try_acquire().unwrap().failure();
    breaker.try_acquire().expect_err("open")
}

#[tokio::test]
async fn a_policy_takes_anyhow_errors() {
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
