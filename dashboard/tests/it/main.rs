//! The dashboard over HTTP, in a real browser and with a real Prometheus.
//!
//! The tests need Debian's packages of Chromium and Prometheus; `cargo xtask test` installs them if they are missing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod api;
mod board;
mod browser;
mod calls;
mod everything;
mod exposure;
mod metrics_reference;
mod mounting;
mod overrides;
mod page;
mod process;
mod prometheus;
mod prometheus_server;
mod rules;
mod target_labels;
mod viewers;

use std::{
    io,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use axum::Router;
use reqwest::blocking::Client;
use steadfast::{BreakerConfig, CircuitBreaker};
use steadfast_dashboard::{Dashboard, Server, Token};
use tokio::runtime::Runtime;

use self::process::{Folder, Running, missing};

const TOKEN: &str = "a-token-of-the-tests";
const CONFIG: BreakerConfig = BreakerConfig::new().failure_threshold(2).half_open_max_calls(1);

/// A dashboard that is served until this value is dropped. The drop closes all connections, as the end of a process would.
struct Served {
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Served {
    fn new(dashboard: &Dashboard) -> Self {
        Self::at("127.0.0.1:0", dashboard)
    }

    fn at(address: &str, dashboard: &Dashboard) -> Self {
        Self::start(|runtime| {
            let server = Self::bind(runtime, address, dashboard);
            let address = server.address();
            runtime.spawn(server.run());
            address
        })
    }

    /// Serves on a separate runtime. It is started from a new thread, since the runtime of an async test must not be blocked.
    fn start(serve: impl FnOnce(&Runtime) -> SocketAddr + Send) -> Self {
        let runtime = Runtime::new().unwrap();
        let address = thread::scope(|scope| scope.spawn(|| serve(&runtime)).join()).unwrap();
        Self { address, runtime: Some(runtime) }
    }

    /// Binds the address, and retries while the system still considers a previously used one as in use.
    fn bind(runtime: &Runtime, address: &str, dashboard: &Dashboard) -> Server {
        for _ in 0..1_000 {
            match runtime.block_on(dashboard.clone().bind(address)) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => thread::yield_now(),
                bound => return bound.unwrap(),
            }
        }
        panic!("{address} stays in use")
    }

    /// Serves the dashboard below a path of a service.
    fn nested(path: &str, dashboard: Dashboard) -> Self {
        Self::app(Router::new().nest(path, dashboard.router()))
    }

    /// Serves a service that the dashboard is mounted in.
    fn app(app: Router) -> Self {
        Self::start(|runtime| {
            let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
            let address = listener.local_addr().unwrap();
            runtime.spawn(async move { axum::serve(listener, app).await });
            address
        })
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn with_token() -> Dashboard {
    Dashboard::new().token(Token::new(TOKEN).unwrap())
}

/// A client that ignores the proxy settings of the environment.
fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

fn fail(breaker: &CircuitBreaker) {
    _ = breaker.call(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut)));
}

/// Polls `condition` until it returns a value, and panics after 30 s.
fn wait_for<T>(mut condition: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "the condition is not fulfilled after 30 s");
        thread::sleep(Duration::from_millis(10));
    }
}

fn succeed(breaker: &CircuitBreaker) {
    breaker.call(|| Ok::<_, io::Error>(())).unwrap();
}
