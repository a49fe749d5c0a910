//! The clock is paused: it moves to the next timer whenever everything waits.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::*;
use crate::{Dashboard, Token};

const LIMITS: Limits = Limits::DEFAULT;
const TOKEN: &str = "a-token-of-the-tests";

/// A client, and the end of its connection.
fn connect(buffer: usize) -> (DuplexStream, JoinHandle<Duration>) {
    let (client, stream) = duplex(buffer);
    let token = Token::new(TOKEN).expect("long enough");
    let router = Dashboard::new().token(token).router();
    let served = tokio::spawn(async move {
        let begun = Instant::now();
        serve(stream, router, LIMITS).await;
        begun.elapsed()
    });
    (client, served)
}

async fn read_to(client: &mut DuplexStream, end: &str) -> String {
    let (mut text, mut buffer) = (String::new(), [0; 1024]);
    while !text.contains(end) {
        let read = client.read(&mut buffer).await.expect("a stream in memory");
        assert_ne!(read, 0, "the connection is over: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    text
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_let_go() {
    let (_client, served) = connect(1024);
    assert_eq!(served.await.expect("no panic"), LIMITS.head);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_its_head_byte_by_byte_is_let_go() {
    let (mut client, served) = connect(1024);
    let head = "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: a long, long value of no use to anybody\r\n";
    for byte in head.bytes() {
        if client.write_all(&[byte]).await.is_err() {
            break;
        }
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(served.await.expect("no panic"), LIMITS.head);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_its_body_byte_by_byte_is_answered_and_let_go() {
    let (mut client, served) = connect(1024);
    let head = format!(
        "POST /api/actions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n\
         Content-Length: 1000\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.expect("it fits");
    while client.write_all(b" ").await.is_ok() && !served.is_finished() {
        sleep(Duration::from_secs(1)).await;
    }
    assert!(served.await.expect("no panic") <= crate::guard::ANSWERED_WITHIN + LIMITS.head);
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("a stream in memory");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_kept_for_another_request_and_then_let_go() {
    let (mut client, served) = connect(1024);
    for _ in 0..3 {
        client.write_all(b"GET /icon.svg HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("still open");
        assert!(read_to(&mut client, "</svg>").await.starts_with("HTTP/1.1 200 OK"));
        sleep(LIMITS.head / 2).await;
    }
    assert_eq!(served.await.expect("no panic"), LIMITS.head * 2);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_take_its_answer_is_let_go() {
    let (mut client, served) = connect(64);
    client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("it fits");
    assert_eq!(served.await.expect("no panic"), LIMITS.stall);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_does_not_take_what_changes_is_let_go() {
    let (mut client, served) = connect(4096);
    client.write_all(b"GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("it fits");
    read_to(&mut client, "event: all").await;
    // The signs of life fill what is between the two.
    served.await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn a_page_that_listens_stays() {
    let (mut client, served) = connect(1024);
    client.write_all(b"GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("it fits");
    let hour = timeout(Duration::from_hours(1), async {
        loop {
            read_to(&mut client, "\n\n").await;
        }
    });
    hour.await.expect_err("it never ends");
    assert!(!served.is_finished());
    drop(client);
    served.await.expect("no panic");
}
