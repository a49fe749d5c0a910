//! The dashboard as others meet it: over HTTP, in a real browser, and scraped by a real Prometheus.
//!
//! The browser and Prometheus are Debian's; `cargo xtask test` installs them where they are missing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod attacks;
mod browser;
mod page;
mod prometheus;
mod rules;

use std::{
    fs, io,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use axum::Router;
use steadfast::{BreakerConfig, CircuitBreaker};
use steadfast_dashboard::{Dashboard, Server, Token};
use tokio::runtime::Runtime;

const TOKEN: &str = "a-token-of-the-tests";
const CONFIG: BreakerConfig = BreakerConfig::new().failure_threshold(2).half_open_max_calls(1);

/// A dashboard that is served until this is dropped: with all its connections, as when a process ends.
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

    /// On a runtime of its own, which the one of a test may not wait for: so from a thread.
    fn start(serve: impl FnOnce(&Runtime) -> SocketAddr + Send) -> Self {
        let runtime = Runtime::new().unwrap();
        let address = thread::scope(|scope| scope.spawn(|| serve(&runtime)).join()).unwrap();
        Self { address, runtime: Some(runtime) }
    }

    /// An address that was in use a moment ago may be so for another.
    fn bind(runtime: &Runtime, address: &str, dashboard: &Dashboard) -> Server {
        for _ in 0..1_000 {
            match runtime.block_on(dashboard.clone().bind(address)) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => thread::yield_now(),
                bound => return bound.unwrap(),
            }
        }
        panic!("{address} stays in use")
    }

    /// Below a path of a service.
    fn nested(path: &str, dashboard: Dashboard) -> Self {
        Self::start(|runtime| {
            let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
            let address = listener.local_addr().unwrap();
            let app = Router::new().nest(path, dashboard.router());
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

fn fail(breaker: &CircuitBreaker) {
    _ = breaker.call(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut)));
}

/// Asks again and again until there is an answer: for 30 s, the bound of a hang.
fn comes<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "it has not come");
        thread::sleep(Duration::from_millis(10));
    }
}

fn succeed(breaker: &CircuitBreaker) {
    breaker.call(|| Ok::<_, io::Error>(())).unwrap();
}

/// A program that ends with this.
struct Running(Child);

impl Running {
    /// Starts it; one that is missing says how to get it.
    fn start(program: &str, arguments: &[&str], output: Stdio) -> Self {
        let mut command = Command::new(program);
        let started = command.args(arguments).stdin(Stdio::null()).stdout(output).stderr(Stdio::null()).spawn();
        Self(started.unwrap_or_else(|error| missing(program, &error)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn missing(program: &str, error: &io::Error) -> ! {
    panic!("{program} cannot be run ({error}): `cargo xtask test` installs what the tests need")
}

/// A new empty folder, which goes with this.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("steadfast-dashboard-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}
