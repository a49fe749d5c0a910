//! Retries against a real HTTP server with scripted responses, which counts the requests that it receives.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderValue, StatusCode, header::RETRY_AFTER};
use steadfast::{Transient, retry, retry_after, testing::FakeClock};

/// The server's reaction to a request.
#[derive(Clone)]
enum Answer {
    Status(&'static str),
    /// Resets the connection.
    Reset,
    /// Sends nothing until the client closes the connection.
    Hang,
}

struct Server {
    address: SocketAddr,
    /// The number of attempts by the client.
    attempts: AtomicU32,
    /// The number of requests received.
    requests: Arc<AtomicU32>,
    is_stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server that answers each request with the next entry of the script; the last entry repeats.
    fn start(script: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, is_stopped) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let thread = thread::spawn({
            let (requests, is_stopped) = (requests.clone(), is_stopped.clone());
            move || {
                for connection in listener.incoming() {
                    if is_stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    let number = requests.fetch_add(1, Ordering::Relaxed) as usize;
                    answer(connection.unwrap(), &script[number.min(script.len() - 1)]);
                }
            }
        });
        Self { address, attempts: AtomicU32::new(0), requests, is_stopped, thread: Some(thread) }
    }

    fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Relaxed);
        _ = TcpStream::connect(self.address);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn answer(mut connection: TcpStream, answer: &Answer) {
    if let Answer::Reset = answer {
        return; // closing with the request unread resets the connection
    }
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if connection.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        request.push(byte[0]);
    }
    match answer {
        Answer::Status(head) => {
            _ = write!(connection, "HTTP/1.1 {head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            _ = connection.shutdown(Shutdown::Write);
        }
        Answer::Reset => {}
        Answer::Hang => _ = connection.read(&mut [0]), // returns once the client has closed the connection
    }
}

#[derive(Debug, thiserror::Error, Transient)]
enum HttpError {
    #[error("connection: {0}")]
    #[transient(inherit)]
    Connection(#[from] io::Error),
    #[error("{status}")]
    #[transient(retry_after = after)]
    Transient { status: StatusCode, after: Option<Duration> },
    #[error("{0}")]
    Permanent(StatusCode),
}

/// A minimal HTTP client.
fn get(address: SocketAddr, read_timeout: Duration) -> Result<StatusCode, HttpError> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(read_timeout))?;
    write!(connection, "GET / HTTP/1.1\r\nhost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let (head, _) = answer.split_once("\r\n\r\n").ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    let status = StatusCode::from_str(status).map_err(io::Error::other)?;
    let headers: HeaderMap = lines
        .filter_map(|line| line.strip_prefix("retry-after: "))
        .map(|value| (RETRY_AFTER, HeaderValue::from_str(value).unwrap()))
        .collect();
    match status {
        status if status.is_success() => Ok(status),
        status if status.is_transient() => Err(HttpError::Transient { status, after: retry_after(&headers) }),
        status => Err(HttpError::Permanent(status)),
    }
}

const READ_TIMEOUT: Duration = Duration::from_mins(1);

#[retry(max_attempts = 5, backoff = exponential(base = 1s, max = 60s), jitter = none, max_elapsed = 5m)]
fn fetch(server: &Server) -> Result<StatusCode, HttpError> {
    // The server never answers the first request, so a short timeout suffices.
    let is_first = server.attempts.fetch_add(1, Ordering::Relaxed) == 0;
    let read_timeout = if is_first { Duration::from_millis(20) } else { READ_TIMEOUT };
    get(server.address, read_timeout)
}

#[retry(max_attempts = 5, backoff = exponential(base = 1s, max = 60s), jitter = none, max_elapsed = 5m)]
fn fetch_with_long_timeout(server: &Server) -> Result<StatusCode, HttpError> {
    get(server.address, READ_TIMEOUT)
}

/// Calls a server with this script; returns the result, the number of requests received, and the sleeps in seconds.
fn run(call: fn(&Server) -> Result<StatusCode, HttpError>, script: &[Answer]) -> (Result<u16, String>, u32, Vec<u64>) {
    let (server, clock) = (Server::start(script.to_vec()), FakeClock::new());
    let _entered = clock.enter();
    let result = call(&server).map(|status| status.as_u16()).map_err(|error| error.to_string());
    (result, server.requests(), clock.slept().iter().map(Duration::as_secs).collect())
}

#[test]
fn attempts_follow_the_answers_of_the_server() {
    use Answer::{Hang, Reset, Status};

    const OK: Answer = Status("204 No Content");
    const DOWN: Answer = Status("503 Service Unavailable");
    const BUSY: Answer = Status("429 Too Many Requests\r\nretry-after: 7");
    const TOO_BUSY: Answer = Status("429 Too Many Requests\r\nretry-after: 3600");

    for (name, script, expected) in [
        ("succeeds", vec![OK], (Ok(204), 1, vec![])),
        ("fails twice", vec![DOWN, DOWN, OK], (Ok(204), 3, vec![1, 2])),
        ("always fails", vec![DOWN], (Err("503 Service Unavailable".to_owned()), 5, vec![1, 2, 4, 8])),
        ("sends retry-after", vec![BUSY, OK], (Ok(204), 2, vec![7])),
        ("sends retry-after, then fails", vec![BUSY, DOWN, BUSY, OK], (Ok(204), 4, vec![7, 2, 7])),
        (
            "sends a retry-after that is too long",
            vec![TOO_BUSY, OK],
            (Err("429 Too Many Requests".to_owned()), 1, vec![]),
        ),
        ("resets the connection", vec![Reset, Reset, OK], (Ok(204), 3, vec![1, 2])),
        ("answers 404", vec![DOWN, Status("404 Not Found"), OK], (Err("404 Not Found".to_owned()), 2, vec![1])),
    ] {
        assert_eq!(run(fetch_with_long_timeout, &script), expected, "{name}");
    }
    assert_eq!(run(fetch, &[Hang, OK]), (Ok(204), 2, vec![1]), "hangs");
}

#[test]
fn a_retry_after_date_is_honoured() {
    let requested = SystemTime::now();
    let date = httpdate::fmt_http_date(requested + Duration::from_secs(50));
    let head: &'static str = format!("503 Service Unavailable\r\nretry-after: {date}").leak();
    let (result, requests, slept) =
        run(fetch_with_long_timeout, &[Answer::Status(head), Answer::Status("204 No Content")]);
    assert_eq!((result, requests), (Ok(204), 2));
    // Whole seconds, less the time since the request and the fraction of a second that an HTTP date omits.
    let least = 48_u64.saturating_sub(requested.elapsed().unwrap().as_secs());
    assert!((least..=50).contains(&slept[0]), "{slept:?}");
}
