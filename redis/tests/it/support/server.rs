//! A Redis server for one test.

use std::{
    env,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{self, Child, ChildStdout, Command, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
};

use rustix::process::{Pid, Signal, kill_process};

use super::wait::{HANG, until};

pub(crate) struct Redis {
    child: Option<Child>,
    watchdog: Option<Child>,
    pub(crate) port: u16,
    reserved: Vec<Reserved>,
    folder: PathBuf,
    /// The folder of the TLS certificate.
    certificates: Option<PathBuf>,
    options: Vec<String>,
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(options: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("steadfast-redis-{}-{number}", process::id()));
        let options: Vec<_> = options.iter().map(|&option| option.to_owned()).collect();
        // Another program may already use the port: Redis then exits, and another port is tried.
        for _ in 0..20 {
            fs::create_dir_all(&folder).unwrap();
            let reserved = Reserved::new();
            let (port, folder, options) = (reserved.port, folder.clone(), options.clone());
            let mut redis = Self {
                child: None,
                watchdog: None,
                port,
                reserved: vec![reserved],
                folder,
                certificates: None,
                options,
            };
            if redis.try_start() {
                return redis;
            }
        }
        panic!("redis-server exits as soon as it is started");
    }

    /// Starts a server that also accepts TLS. Returns its TLS port and the file of the certificate authority to trust.
    pub(crate) fn with_tls() -> (Self, u16, PathBuf) {
        let reserved = Reserved::new();
        let port = reserved.port;
        let folder = env::temp_dir().join(format!("steadfast-redis-{}-tls", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.join(name));
        fs::write(&certificate, signed.cert.pem()).unwrap();
        fs::write(&key, signed.signing_key.serialize_pem()).unwrap();
        let text = |path: &PathBuf| path.to_str().unwrap().to_owned();
        let mut redis = Self::with(&[
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            &text(&certificate),
            "--tls-key-file",
            &text(&key),
            "--tls-ca-cert-file",
            &text(&certificate),
            "--tls-auth-clients",
            "no",
        ]);
        redis.certificates = Some(folder);
        redis.reserve(reserved);
        (redis, port, certificate)
    }

    /// Starts the server again, on the same port.
    pub(crate) fn restart(&mut self) {
        until("redis-server starts again", || self.try_start());
    }

    /// Starts the server and waits until it is ready. Returns false if it exits before that.
    fn try_start(&mut self) -> bool {
        let mut child = self.spawn();
        let is_ready = is_ready(child.stdout.take().unwrap());
        self.watchdog = Some(watchdog(child.id()));
        self.child = Some(child);
        if !is_ready {
            self.kill();
        }
        is_ready
    }

    fn spawn(&self) -> Child {
        Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendfsync", "always", "--repl-diskless-sync-delay", "0"])
            .args(["--dir", self.folder.to_str().unwrap()])
            .args(&self.options)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("`redis-server` cannot be started ({error}): `cargo xtask test` installs it, as does the system package `redis-server`")
            })
    }

    /// Keeps a port reserved until this server is dropped.
    pub(crate) fn reserve(&mut self, port: Reserved) {
        self.reserved.push(port);
    }

    pub(crate) fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn connection(&self) -> redis::Connection {
        redis::Client::open(self.address()).unwrap().get_connection().unwrap()
    }

    pub(crate) fn command<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query(&mut self.connection()).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child.as_ref().unwrap()), signal).unwrap();
    }

    /// Starts a replica of this server.
    pub(crate) fn replica(&self) -> Self {
        let replica = Self::with(&["--replicaof", "127.0.0.1", &self.port.to_string()]);
        let info = || -> String { replica.command(&["INFO", "replication"]) };
        until("the replica is in sync", || info().contains("master_link_status:up"));
        replica
    }

    /// Kills the server without a shutdown.
    pub(crate) fn kill(&mut self) {
        // The watchdog is killed first. Otherwise it would later kill any process that has got the server's id.
        for mut child in [self.watchdog.take(), self.child.take()].into_iter().flatten() {
            _ = child.kill();
            _ = child.wait();
        }
    }

    /// Returns the time of the server's clock, in microseconds since 1970.
    pub(crate) fn micros(&self) -> u64 {
        let (seconds, micros): (u64, u64) = self.command(&["TIME"]);
        seconds * 1_000_000 + micros
    }

    /// Returns the number of calls of a command so far, including those in scripts.
    pub(crate) fn calls_of(&self, command: &str) -> u64 {
        let info: String = self.command(&["INFO", "commandstats"]);
        let line = info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.and_then(|line| line.split(',').next()).map_or(0, |calls| calls.parse().unwrap())
    }

    /// Asserts that there are at least `at_least` keys and that all of them have an expiry.
    #[track_caller]
    pub(crate) fn assert_all_keys_expire(&self, at_least: usize) {
        let keys: Vec<String> = self.command(&["KEYS", "*"]);
        assert!(keys.len() >= at_least, "{keys:?}");
        for key in keys {
            let left: i64 = self.command(&["PTTL", &key]);
            assert!(left > 0, "{key} has no expiry");
        }
    }
}

/// Waits until the server prints that it is ready. Returns false if it exits or hangs before that.
fn is_ready(output: ChildStdout) -> bool {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if line.contains("Ready to accept connections") {
                _ = sender.send(());
            }
        }
    });
    receiver.recv_timeout(HANG).is_ok()
}

/// Starts a process that kills the server with the id `process` as soon as the test process has ended, for whatever reason.
fn watchdog(process: u32) -> Child {
    let script = "read -r _; kill -9 $0";
    let mut command = Command::new("sh");
    command.args(["-c", script, &process.to_string()]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
}

/// A port that no other test on this machine uses until this value is dropped.
///
/// It is below the ephemeral ports, so that the system does not assign it to a connection, not even to that of a client that tries to
/// connect to this port while Redis is down.
pub(crate) struct Reserved {
    pub(crate) port: u16,
    _file: File,
}

impl Reserved {
    pub(crate) fn new() -> Self {
        let folder = env::temp_dir().join(format!("steadfast-ports-{}", rustix::process::getuid().as_raw()));
        fs::create_dir_all(&folder).unwrap();
        // Each process starts at another port, so that two rarely try the same one.
        let start = process::id().wrapping_mul(37);
        let ports = (0..10_000).map(|number| u16::try_from(20_000 + (start.wrapping_add(number)) % 10_000).unwrap());
        for port in ports {
            let file = File::create(folder.join(port.to_string())).unwrap();
            if file.try_lock().is_ok() {
                return Self { port, _file: file };
            }
        }
        panic!("no port is free");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
        for folder in self.certificates.iter().chain([&self.folder]) {
            _ = fs::remove_dir_all(folder);
        }
    }
}
