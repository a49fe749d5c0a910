//! The payment service: a real HTTP server on loopback that can be told to fail in every way that services do.
//!
//! It runs on a thread and a tokio runtime of its own. So the callers' load does not slow it down, and it can go away
//! as a process does: its runtime is dropped, and with it every connection.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;

use crate::script::Mode;

/// Connections that the system takes before the service gets to them; it may cap this lower.
const BACKLOG: u32 = 1024;
const SLOW_ANSWER: Duration = Duration::from_millis(60);
const RETRY_AFTER_SECONDS: &str = "1";

pub(crate) struct PaymentService {
    address: SocketAddr,
    log: Log,
    port: Port,
}

/// The service's address stays its own throughout.
enum Port {
    Served(Process),
    /// Bound, but nobody listens: the system refuses connections, and gives the port to nobody else meanwhile.
    Held(TcpSocket),
}

impl PaymentService {
    /// Starts a healthy service on a free port of the loopback interface.
    pub(crate) fn start() -> io::Result<Self> {
        let socket = bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = socket.local_addr()?;
        let log = Log::new();
        let process = Process::start(socket, &log)?;
        Ok(Self { address, log, port: Port::Served(process) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A handle to the mode and the requests counted so far.
    pub(crate) fn log(&self) -> Log {
        self.log.clone()
    }

    /// Changes how the service behaves; returns once it does.
    pub(crate) async fn switch_to(self, mode: Mode) -> io::Result<Self> {
        let Self { address, log, port } = self;
        let port = match (port, mode) {
            (Port::Served(process), Mode::Refusing) => {
                process.kill().await?;
                Port::Held(bind(address)?)
            }
            (Port::Held(socket), mode) if mode != Mode::Refusing => {
                // Before the first request can come.
                log.set_mode(mode);
                Port::Served(Process::start(socket, &log)?)
            }
            (port, _) => port,
        };
        log.set_mode(mode);
        Ok(Self { address, log, port })
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Connections of the process before may linger on the port. (On Windows the option means something else, and is
    // not needed.)
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// One life of the service. Dropping it ends it, too.
struct Process {
    stop: oneshot::Sender<()>,
    stopped: oneshot::Receiver<io::Result<()>>,
}

impl Process {
    fn start(socket: TcpSocket, log: &Log) -> io::Result<Self> {
        // From here on the system takes connections, so there is nothing to wait for.
        let listener = socket.listen(BACKLOG)?.into_std()?;
        let app = Router::new().route("/charges", post(charge)).with_state(log.clone());
        let (stop, told_to_stop) = oneshot::channel();
        let (has_stopped, stopped) = oneshot::channel();
        thread::Builder::new().name("payment service".into()).spawn(move || {
            // Nobody may be waiting for the news.
            let _ = has_stopped.send(live(listener, app, told_to_stop));
        })?;
        Ok(Self { stop, stopped })
    }

    /// Ends the service without a word to its clients; returns once all its sockets are closed.
    async fn kill(self) -> io::Result<()> {
        drop(self.stop);
        self.stopped.await.map_err(|_| io::Error::other("the payment service panicked"))?
    }
}

fn live(listener: std::net::TcpListener, app: Router, told_to_stop: oneshot::Receiver<()>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        tokio::select! {
            ended = axum::serve(listener, app) => ended,
            _ = told_to_stop => Ok(()),
        }
    })
}

async fn charge(State(log): State<Log>) -> Response {
    let (mode, number) = log.request();
    match mode {
        Mode::Healthy => {
            tokio::time::sleep(Duration::from_millis(10 + number % 11)).await;
            receipt(number)
        }
        Mode::Slow => {
            tokio::time::sleep(SLOW_ANSWER).await;
            receipt(number)
        }
        Mode::Unavailable => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Mode::RateLimited => (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, RETRY_AFTER_SECONDS)]).into_response(),
        // A process that refuses connections answers nobody.
        Mode::Hanging | Mode::Refusing => std::future::pending().await,
    }
}

fn receipt(number: u64) -> Response {
    format!("receipt {number}").into_response()
}

/// What the service saw, and how it behaves now: under one lock, so that a request is filed under the mode it met.
#[derive(Clone)]
pub(crate) struct Log(Arc<Mutex<Entries>>);

struct Entries {
    mode: Mode,
    requests: Vec<(Instant, Mode)>,
}

impl Log {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Entries { mode: Mode::Healthy, requests: Vec::new() })))
    }

    /// When each request came, and the mode it met.
    pub(crate) fn requests(&self) -> Vec<(Instant, Mode)> {
        self.with(|entries| entries.requests.clone())
    }

    /// Forgets the requests so far: who plays without end cannot keep them all.
    pub(crate) fn forget(&self) {
        self.with(|entries| entries.requests.clear());
    }

    fn set_mode(&self, mode: Mode) {
        self.with(|entries| entries.mode = mode);
    }

    fn request(&self) -> (Mode, u64) {
        self.with(|entries| {
            let mode = entries.mode;
            entries.requests.push((Instant::now(), mode));
            (mode, entries.requests.len() as u64)
        })
    }

    fn with<R>(&self, act: impl FnOnce(&mut Entries) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
