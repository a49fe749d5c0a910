//! The comparison of independent processes with a fleet, as a user starts it, on a real Redis.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

struct Redis {
    process: Child,
    port: u16,
}

impl Redis {
    fn start() -> Self {
        // Another process may take the port before Redis binds it.
        for _ in 0..10 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut process = Self::spawn(port);
            if is_ready(process.stdout.take().unwrap()) {
                return Self { process, port };
            }
            _ = process.kill();
            process.wait().unwrap();
        }
        panic!("redis-server exits right after its start");
    }

    fn spawn(port: u16) -> Child {
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--requirepass", "sesame"]);
        command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap_or_else(|error| {
            panic!(
                "redis-server can't be run ({error}): `cargo xtask test` installs it, or your system's package redis-server"
            )
        })
    }

    /// Returns the response of Redis that lists all keys.
    fn keys(&self) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(b"AUTH sesame\r\nKEYS *\r\nQUIT\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

/// Waits until Redis reports that it is ready. Returns false if it exits first, or after 30 s.
fn is_ready(output: ChildStdout) -> bool {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if line.contains("Ready to accept connections") {
                _ = sender.send(());
            }
        }
    });
    receiver.recv_timeout(Duration::from_secs(30)).is_ok()
}

impl Drop for Redis {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

fn demo(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_steadfast-demo")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn three_processes_run_alone_and_as_a_fleet() {
    let redis = Redis::start();
    let address = format!("redis://:sesame@127.0.0.1:{}", redis.port);
    // Long enough for every breaker to open and to close again on a busy machine.
    let script = "healthy 300ms, 503 3s, healthy 8s";
    let output = demo(&["--instances", "3", "--redis", &address, "--script", script, "--rps", "60"]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    let row = |name: &str| -> Vec<String> {
        let line = out.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name}: {out}"));
        line.split(name)
            .nth(1)
            .unwrap()
            .trim_matches([' ', '│'])
            .split("  ")
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    let columns = |name| row(name).into_iter().filter(|cell| !cell.is_empty()).collect::<Vec<_>>();
    assert_eq!(columns("breakers that opened"), ["3 of 3", "3 of 3"], "{out}");
    assert_eq!(columns("│ failed"), ["0", "0"], "{out}");
    let callers: Vec<u32> = columns("│ callers").iter().map(|count| count.parse().unwrap()).collect();
    assert_eq!(callers, [678, 678], "{out}");
    // The fleet has shared its breaker.
    let keys = redis.keys();
    assert!(keys.contains(":payments}:state"), "{keys}");
    // All breakers have closed again.
    assert!(columns("recovery to last closed breaker").iter().all(|time| time != "-"), "{out}");
    assert!(!out.contains("sesame") && !err.contains("sesame"));
}

#[test]
fn an_unavailable_redis_is_reported_at_once() {
    let redis = Redis::start();
    let wrong = format!("redis://:tahini@127.0.0.1:{}", redis.port);
    for (address, expected) in [
        ("redis://:tahini@127.0.0.1:1", "Redis is unavailable"),
        (&*wrong, "password"),
        ("http://tahini", "not a Redis address"),
    ] {
        let output = demo(&["--redis", address]);
        let err = text(&output.stderr);
        assert!(!output.status.success() && err.contains(expected), "{err}");
        assert!(!err.contains("tahini"), "{err}");
    }
}
