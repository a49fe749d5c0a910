//! Programs and folders that a test starts and creates, and that end with it.

use std::{
    env, fs, io,
    path::PathBuf,
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

/// A child process that is killed on drop.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// Starts a program; panics with installation instructions if it is missing.
    pub(crate) fn start(program: &str, arguments: &[&str], output: Stdio) -> Self {
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

pub(crate) fn missing(program: &str, error: &io::Error) -> ! {
    panic!("{program} cannot be run ({error}): `cargo xtask test` installs what the tests need")
}

/// A new empty folder that is deleted on drop.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("steadfast-dashboard-{}-{number}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}
