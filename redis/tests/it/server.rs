//! A Redis for one test.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::PathBuf,
    process::{self, Child, ChildStdout, Command, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::eventually;

pub(crate) struct Redis {
    child: Option<Child>,
    pub(crate) port: u16,
    folder: PathBuf,
    /// Of its certificate.
    secrets: Option<PathBuf>,
    options: Vec<String>,
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(options: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // Free now, and nobody else is given it soon.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = env::temp_dir().join(format!(
            "steadfast-redis-{}-{}",
            process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        ));
        fs::create_dir_all(&folder).unwrap();
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let mut redis = Self { child: None, port, folder, secrets: None, options };
        redis.run();
        redis
    }

    /// The same behind TLS, on another port; gives that, and the file of the authority to trust.
    pub(crate) fn with_tls() -> (Self, u16, PathBuf) {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
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
        redis.secrets = Some(folder);
        (redis, port, certificate)
    }

    /// Starts it where it was.
    pub(crate) fn run(&mut self) {
        // Who knocks at a port where nobody listens can be given that very port, and talk to itself for a moment: so it is its own word
        // that it is ready, and it begins again if it can't have the port.
        for _ in 0..20 {
            let mut child = self.spawn();
            if is_ready(child.stdout.take().unwrap()) {
                self.child = Some(child);
                return;
            }
            _ = child.kill();
            child.wait().unwrap();
            thread::sleep(Duration::from_millis(100));
        }
        panic!("redis-server ends as soon as it is started on port {}", self.port);
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
                panic!("redis-server can't be run ({error}): `cargo xtask test` installs it, or your system's package redis-server")
            })
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

    /// Another one, which copies what this one has.
    pub(crate) fn replica(&self) -> Self {
        let replica = Self::with(&["--replicaof", "127.0.0.1", &self.port.to_string()]);
        let info = || -> String { replica.command(&["INFO", "replication"]) };
        eventually(Duration::from_secs(10), "it has copied everything", || info().contains("master_link_status:up"));
        replica
    }

    /// Ends it without a warning.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            _ = child.kill();
            child.wait().unwrap();
        }
    }

    /// Nothing of ours stays for ever.
    #[track_caller]
    pub(crate) fn forgets_everything(&self, at_least: usize) {
        let keys: Vec<String> = self.command(&["KEYS", "*"]);
        assert!(keys.len() >= at_least, "{keys:?}");
        for key in keys {
            let left: i64 = self.command(&["PTTL", &key]);
            assert!(left > 0, "{key} stays for ever");
        }
    }

    /// Commands of clients so far.
    pub(crate) fn commands(&self) -> u64 {
        let info: String = self.command(&["INFO", "stats"]);
        let line = info.lines().find_map(|line| line.strip_prefix("total_commands_processed:")).unwrap();
        line.trim().parse().unwrap()
    }
}

/// Waits until it says that it is ready; not if it ends before, or says nothing for long.
fn is_ready(output: ChildStdout) -> bool {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if line.contains("Ready to accept connections") {
                _ = tell.send(());
            }
        }
    });
    told.recv_timeout(Duration::from_secs(10)).is_ok()
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
        for folder in self.secrets.iter().chain([&self.folder]) {
            _ = fs::remove_dir_all(folder);
        }
    }
}
