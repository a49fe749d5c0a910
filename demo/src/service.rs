//! The payment service: a real HTTP server on the loopback interface with switchable failure modes.
//!
//! It runs on its own thread and tokio runtime. The callers' load therefore does not slow it down, and stopping it has the effect of
//! a killed process: dropping the runtime closes every connection.

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

/// The length of the queue of connections that the service has not accepted yet; the system may limit it further.
const BACKLOG: u32 = 1024;
const SLOW_ANSWER: Duration = Duration::from_millis(60);
/// The time after which a hanging service answers a request, even if it has recovered in the meantime.
pub(crate) const HANG: Duration = Duration::from_secs(30);
const RETRY_AFTER_SECONDS: &str = "1";

pub(crate) struct PaymentService {
    address: SocketAddr,
    log: RequestLog,
    port: Port,
}

/// The port of the service, which stays reserved while the service does not run.
enum Port {
    Served(ServerThread),
    /// Bound without listening: the system refuses connections and gives the port to no other process.
    Reserved(TcpSocket),
}

impl PaymentService {
    /// Starts a healthy service on a free port of the loopback interface.
    pub(crate) fn start() -> io::Result<Self> {
        let socket = bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = socket.local_addr()?;
        let log = RequestLog::new();
        let server = ServerThread::start(socket, &log)?;
        Ok(Self { address, log, port: Port::Served(server) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns a handle to the log of requests.
    pub(crate) fn log(&self) -> RequestLog {
        self.log.clone()
    }

    /// Switches the mode, and returns once it is in effect.
    pub(crate) async fn switch_to(self, mode: Mode) -> io::Result<Self> {
        let Self { address, log, port } = self;
        let port = match (port, mode) {
            (Port::Served(server), Mode::Refusing) => {
                server.stop().await?;
                Port::Reserved(bind(address)?)
            }
            (Port::Reserved(socket), mode) if mode != Mode::Refusing => {
                // The mode must be set before the first request can arrive.
                log.set_mode(mode);
                Port::Served(ServerThread::start(socket, &log)?)
            }
            (port, _) => port,
        };
        log.set_mode(mode);
        Ok(Self { address, log, port })
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Closed connections may remain on the port in TIME_WAIT. (On Windows the option has another meaning and is not needed.)
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// The thread of a running server. Dropping this value stops the server.
struct ServerThread {
    stop: oneshot::Sender<()>,
    stopped: oneshot::Receiver<io::Result<()>>,
}

impl ServerThread {
    fn start(socket: TcpSocket, log: &RequestLog) -> io::Result<Self> {
        // The system queues connections from here on, so there is no need to wait for the thread.
        let listener = socket.listen(BACKLOG)?.into_std()?;
        let app = Router::new().route("/charges", post(charge)).with_state(log.clone());
        let (stop, stop_signal) = oneshot::channel();
        let (result_sender, stopped) = oneshot::channel();
        thread::Builder::new().name("payment service".into()).spawn(move || {
            // Sending fails if the `ServerThread` was dropped.
            let _ = result_sender.send(run_server(listener, app, stop_signal));
        })?;
        Ok(Self { stop, stopped })
    }

    /// Stops the server without a graceful shutdown; returns once all its sockets are closed.
    async fn stop(self) -> io::Result<()> {
        drop(self.stop);
        self.stopped.await.map_err(|_| io::Error::other("the payment service panicked"))?
    }
}

fn run_server(listener: std::net::TcpListener, app: Router, stop_signal: oneshot::Receiver<()>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        tokio::select! {
            ended = axum::serve(listener, app) => ended,
            _ = stop_signal => Ok(()),
        }
    })
}

async fn charge(State(log): State<RequestLog>) -> Response {
    let (mode, number) = log.record_request();
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
        // In the mode `Refusing` no server runs, so no request arrives.
        Mode::Hanging | Mode::Refusing => {
            tokio::time::sleep(HANG).await;
            receipt(number)
        }
    }
}

fn receipt(number: u64) -> Response {
    format!("receipt {number}").into_response()
}

/// The received requests and the current mode. One lock protects both, so that each request is recorded with the mode that answers it.
#[derive(Clone)]
pub(crate) struct RequestLog(Arc<Mutex<LogState>>);

struct LogState {
    mode: Mode,
    requests: Vec<(Instant, Mode)>,
}

impl RequestLog {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(LogState { mode: Mode::Healthy, requests: Vec::new() })))
    }

    /// Returns the time and the mode of each request.
    pub(crate) fn requests(&self) -> Vec<(Instant, Mode)> {
        self.with(|state| state.requests.clone())
    }

    /// Removes all requests, so that the log of an endless run does not grow without bound.
    pub(crate) fn clear(&self) {
        self.with(|state| state.requests.clear());
    }

    fn set_mode(&self, mode: Mode) {
        self.with(|state| state.mode = mode);
    }

    /// Records a request; returns the mode that answers it, and its number.
    fn record_request(&self) -> (Mode, u64) {
        self.with(|state| {
            let mode = state.mode;
            state.requests.push((Instant::now(), mode));
            (mode, state.requests.len() as u64)
        })
    }

    fn with<R>(&self, access: impl FnOnce(&mut LogState) -> R) -> R {
        access(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
