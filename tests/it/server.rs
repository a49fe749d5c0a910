//! Retries against a real HTTP server that misbehaves as a script has it, counting the requests that arrive.

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

/// What the server does with a request.
#[derive(Clone)]
enum Answer {
    Status(&'static str),
    /// Closes the connection as one does who has no time for good-byes.
    Reset,
    /// Nothing, until the client goes.
    Hang,
}

struct Server {
    address: SocketAddr,
    /// The attempts of the client.
    attempts: AtomicU32,
    /// The requests that have arrived.
    requests: Arc<AtomicU32>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers one request after the other as the script says; the last answer goes on.
    fn start(script: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, is_over) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let thread = thread::spawn({
            let (requests, is_over) = (requests.clone(), is_over.clone());
            move || {
                for connection in listener.incoming() {
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                    let number = requests.fetch_add(1, Ordering::Relaxed) as usize;
                    answer(connection.unwrap(), &script[number.min(script.len() - 1)]);
                }
            }
        });
        Self { address, attempts: AtomicU32::new(0), requests, is_over, thread: Some(thread) }
    }

    fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        _ = TcpStream::connect(self.address);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn answer(mut connection: TcpStream, answer: &Answer) {
    if let Answer::Reset = answer {
        return; // closed with the request unread, which resets it
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
        Answer::Hang => _ = connection.read(&mut [0]), // until the client has closed it
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

/// A request of a client that is no more than what the test needs.
fn get(address: SocketAddr, patience: Duration) -> Result<StatusCode, HttpError> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(patience))?;
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

const PATIENCE: Duration = Duration::from_mins(1);

#[retry(max_attempts = 5, backoff = exponential(base = 1s, max = 60s), jitter = none, max_elapsed = 5m)]
fn fetch(server: &Server) -> Result<StatusCode, HttpError> {
    // The server never answers the first request, so the client need not wait for long.
    let is_first = server.attempts.fetch_add(1, Ordering::Relaxed) == 0;
    let patience = if is_first { Duration::from_millis(20) } else { PATIENCE };
    get(server.address, patience)
}

#[retry(max_attempts = 5, backoff = exponential(base = 1s, max = 60s), jitter = none, max_elapsed = 5m)]
fn fetch_patiently(server: &Server) -> Result<StatusCode, HttpError> {
    get(server.address, PATIENCE)
}

/// Asks it, and gives back what came of it, the requests that arrived, and the seconds slept.
fn ask(call: fn(&Server) -> Result<StatusCode, HttpError>, script: &[Answer]) -> (Result<u16, String>, u32, Vec<u64>) {
    let (server, clock) = (Server::start(script.to_vec()), FakeClock::new());
    let _entered = clock.enter();
    let result = call(&server).map(|status| status.as_u16()).map_err(|error| error.to_string());
    (result, server.requests(), clock.slept().iter().map(Duration::as_secs).collect())
}

#[test]
fn a_server_that_misbehaves() {
    use Answer::{Hang, Reset, Status};

    const OK: Answer = Status("204 No Content");
    const DOWN: Answer = Status("503 Service Unavailable");
    const BUSY: Answer = Status("429 Too Many Requests\r\nretry-after: 7");
    const TOO_BUSY: Answer = Status("429 Too Many Requests\r\nretry-after: 3600");

    for (name, script, expected) in [
        ("works", vec![OK], (Ok(204), 1, vec![])),
        ("is down for a while", vec![DOWN, DOWN, OK], (Ok(204), 3, vec![1, 2])),
        ("is down", vec![DOWN], (Err("503 Service Unavailable".to_owned()), 5, vec![1, 2, 4, 8])),
        ("asks to wait", vec![BUSY, OK], (Ok(204), 2, vec![7])),
        ("asks to wait and is down then", vec![BUSY, DOWN, BUSY, OK], (Ok(204), 4, vec![7, 2, 7])),
        ("asks to wait for too long", vec![TOO_BUSY, OK], (Err("429 Too Many Requests".to_owned()), 1, vec![])),
        ("resets the connection", vec![Reset, Reset, OK], (Ok(204), 3, vec![1, 2])),
        ("does not know it", vec![DOWN, Status("404 Not Found"), OK], (Err("404 Not Found".to_owned()), 2, vec![1])),
    ] {
        assert_eq!(ask(fetch_patiently, &script), expected, "{name}");
    }
    assert_eq!(ask(fetch, &[Hang, OK]), (Ok(204), 2, vec![1]), "hangs");
}

#[test]
fn a_server_that_asks_for_a_date() {
    let asked = SystemTime::now();
    let date = httpdate::fmt_http_date(asked + Duration::from_secs(100));
    let head: &'static str = format!("503 Service Unavailable\r\nretry-after: {date}").leak();
    let (result, requests, slept) = ask(fetch_patiently, &[Answer::Status(head), Answer::Status("204 No Content")]);
    assert_eq!((result, requests), (Ok(204), 2));
    // Whole seconds, less the time that has passed since, and the part of a second that a date leaves out.
    let least = 98_u64.saturating_sub(asked.elapsed().unwrap().as_secs());
    assert!((least..=100).contains(&slept[0]), "{slept:?}");
}
