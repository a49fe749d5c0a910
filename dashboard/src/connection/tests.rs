//! Timeouts of a connection, on tokio's paused clock, which advances to the next timer whenever every task is idle.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::*;
use crate::{Dashboard, Token};

const LIMITS: ConnectionLimits = ConnectionLimits::DEFAULT;
const TOKEN: &str = "a-token-of-the-tests";

/// Returns the client's end of a connection with a buffer of `buffer` bytes, and a task that returns how long the connection was served.
fn connect(buffer: usize) -> (DuplexStream, JoinHandle<Duration>) {
    let (client, stream) = duplex(buffer);
    let token = Token::new(TOKEN).expect("long enough");
    let router = Dashboard::new().token(token).router();
    let served = tokio::spawn(async move {
        let begun = Instant::now();
        serve(stream, SocketAddr::from(([127, 0, 0, 1], 1)), router, LIMITS).await;
        begun.elapsed()
    });
    (client, served)
}

async fn read_to(client: &mut DuplexStream, end: &str) -> String {
    let (mut text, mut buffer) = (String::new(), [0; 1024]);
    while !text.contains(end) {
        let read = client.read(&mut buffer).await.expect("a stream in memory");
        assert_ne!(read, 0, "the connection is closed: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    text
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_disconnected() {
    let (_client, served) = connect(1024);
    assert_eq!(served.await.expect("no panic"), LIMITS.head_timeout);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_its_head_too_slowly_is_disconnected() {
    let (mut client, served) = connect(1024);
    let head = "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: a long value that takes more than ten seconds\r\n";
    for byte in head.bytes() {
        if client.write_all(&[byte]).await.is_err() {
            break;
        }
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(served.await.expect("no panic"), LIMITS.head_timeout);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_its_body_too_slowly_gets_408_and_is_disconnected() {
    let (mut client, served) = connect(1024);
    let head = format!(
        "POST /api/overrides HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n\
         Content-Length: 1000\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.expect("it fits");
    while client.write_all(b" ").await.is_ok() && !served.is_finished() {
        sleep(Duration::from_secs(1)).await;
    }
    assert!(served.await.expect("no panic") <= crate::guard::RESPONSE_TIMEOUT + LIMITS.head_timeout);
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("a stream in memory");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_kept_alive_until_the_head_timeout() {
    let (mut client, served) = connect(1024);
    for _ in 0..3 {
        client.write_all(b"GET /icon.svg HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("still open");
        assert!(read_to(&mut client, "</svg>").await.starts_with("HTTP/1.1 200 OK"));
        sleep(LIMITS.head_timeout / 2).await;
    }
    assert_eq!(served.await.expect("no panic"), LIMITS.head_timeout * 2);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_its_response_is_disconnected() {
    let (mut client, served) = connect(64);
    client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("it fits");
    assert_eq!(served.await.expect("no panic"), LIMITS.write_timeout);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_does_not_read_its_events_is_disconnected() {
    let (mut client, served) = connect(4096);
    client.write_all(b"GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("it fits");
    read_to(&mut client, "event: start").await;
    // The keep-alive comments fill the buffer.
    served.await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn a_page_that_reads_its_events_stays_connected() {
    let (mut client, served) = connect(1024);
    client.write_all(b"GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("it fits");
    let hour = timeout(Duration::from_hours(1), async {
        loop {
            read_to(&mut client, "\n\n").await;
        }
    });
    hour.await.expect_err("the stream never ends");
    assert!(!served.is_finished());
    drop(client);
    served.await.expect("no panic");
}
