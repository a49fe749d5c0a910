//! Postgres and Redis servers on Unix sockets. Each ends with the process of the tests, for whatever reason.

use std::{
    env, fs,
    io::{self, BufRead as _, BufReader, Read as _},
    os::unix::{
        fs::{MetadataExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

/// A server process in a folder of its own.
pub(crate) struct Server {
    /// The shell that starts the server, and ends it when its standard input is closed.
    shell: Child,
    folder: PathBuf,
    socket: &'static str,
}

impl Server {
    /// The Postgres server of all tests in this process.
    pub(crate) fn postgres() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(Self::new_postgres)
    }

    /// Starts another Postgres server. It trusts each user except `guarded`, who needs a password.
    pub(crate) fn new_postgres() -> Self {
        const SCRIPT: &str = r#"
            exec 2>&1
            "$1/initdb" --pgdata data --username owner --auth trust --no-locale --no-sync || exit
            printf 'local all guarded scram-sha-256\nlocal all all trust\n' >data/pg_hba.conf
            "$1/postgres" -D data -k "$PWD" -F -c listen_addresses= -c max_connections=30 \
                -c max_locks_per_transaction=10 -c deadlock_timeout=1ms -c shared_buffers=1MB &
            exec >/dev/null 2>&1
            read -r _
            kill -QUIT $!
            wait
            rm -rf "$PWD"
        "#;
        let programs = postgres_programs();
        Self::start(SCRIPT, &[programs.to_str().unwrap()], "is ready to accept connections", ".s.PGSQL.5432")
    }

    /// Starts a Redis server with these options.
    pub(crate) fn redis(options: &[&str]) -> Self {
        const SCRIPT: &str = r#"
            redis-server --port 0 --unixsocket "$PWD/socket" --save '' --dir "$PWD" "$@" 2>&1 &
            exec >/dev/null 2>&1
            read -r _
            kill -KILL $!
            wait
            rm -rf "$PWD"
        "#;
        Self::start(SCRIPT, options, "ready to accept connections at", "socket")
    }

    /// Runs a script in a new folder until the server prints that it is ready. The script closes its own output, which then ends with the
    /// server.
    fn start(script: &str, arguments: &[&str], ready: &'static str, socket: &'static str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("steadfast-clients-{}-{number}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut command = Command::new("sh");
        // Signals to the group of the tests, as by Ctrl-C, do not reach the shell, which ends the server afterwards.
        command.args(["-c", script, "sh"]).args(arguments).current_dir(&folder).process_group(0);
        // Postgres does not run as root.
        if fs::metadata(&folder).unwrap().uid() == 0 {
            let (user, group) = unprivileged_user();
            chown(&folder, Some(user), Some(group)).unwrap();
            command.uid(user).gid(group);
        }
        let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(shell.stdout.take().unwrap());
        let mut log = String::new();
        while !log.contains(ready) {
            let length = output.read_line(&mut log).unwrap();
            assert!(length > 0, "the server is not started; `cargo xtask test` installs it:\n{log}");
        }
        // The rest is read, so that the server never waits for its output.
        thread::spawn(move || io::copy(&mut output.by_ref(), &mut io::sink()));
        Self { shell, folder, socket }
    }

    /// The folder of the server, which contains its socket.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join(self.socket)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Waiting closes the standard input first.
        _ = self.shell.wait();
    }
}

/// The folder of `initdb` and `postgres`. Debian does not put them on the `PATH`.
fn postgres_programs() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let debian =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let mut folders = env::split_paths(&path).chain(debian);
    folders.find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file()).expect(
        "`initdb` and `postgres` cannot be found: `cargo xtask test` installs them, as does the system package `postgresql`",
    )
}

/// The numbers of the user `postgres`, or `nobody`, and of its group.
fn unprivileged_user() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let numbers = ["postgres", "nobody"].into_iter().find_map(|name| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    });
    numbers.expect("a user other than root")
}
