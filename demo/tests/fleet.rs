//! Several processes and a real Redis, as a user starts them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

struct Redis {
    process: Child,
    port: u16,
}

impl Redis {
    fn start() -> Self {
        // Free now, and nobody else is given it soon.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--requirepass", "sesame"]);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap_or_else(|error| {
            panic!(
                "redis-server can't be run ({error}): `cargo xtask test` installs it, or your system's package redis-server"
            )
        });
        let redis = Self { process, port };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(10), "Redis does not listen");
            thread::sleep(Duration::from_millis(10));
        }
        redis
    }

    /// The keys that there are, as Redis writes them.
    fn keys(&self) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(b"AUTH sesame\r\nKEYS *\r\nQUIT\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
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
fn three_processes_play_alone_and_as_a_fleet() {
    let redis = Redis::start();
    let address = format!("redis://:sesame@127.0.0.1:{}", redis.port);
    let script = "healthy 300ms, 503 700ms, healthy 2500ms";
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
    assert_eq!(columns("circuits that opened"), ["3 of 3", "3 of 3"], "{out}");
    assert_eq!(columns("│ failed"), ["0", "0"], "{out}");
    let callers: Vec<u32> = columns("│ callers").iter().map(|count| count.parse().unwrap()).collect();
    assert_eq!(callers, [210, 210], "{out}");
    // They have shared it.
    let keys = redis.keys();
    assert!(keys.contains(":payments}:state"), "{keys}");
    // Both have closed again.
    assert!(columns("to the last closed circuit").iter().all(|time| time != "-"), "{out}");
    assert!(!out.contains("sesame") && !err.contains("sesame"));
}

#[test]
fn a_redis_that_is_not_there_or_refuses_is_told_at_once() {
    let redis = Redis::start();
    let wrong = format!("redis://:tahini@127.0.0.1:{}", redis.port);
    for (address, expected) in
        [("redis://:tahini@127.0.0.1:1", "not available"), (&*wrong, "password"), ("http://tahini", "not the address")]
    {
        let output = demo(&["--redis", address]);
        let err = text(&output.stderr);
        assert!(!output.status.success() && err.contains(expected), "{err}");
        assert!(!err.contains("tahini"), "{err}");
    }
}
