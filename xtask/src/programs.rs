//! Programs that tests and measurements need beside Rust, installed from Debian's packages where they are missing.

use std::{env, process::Command};

/// A program and the Debian package that contains it.
type Program = (&'static str, &'static str);

/// Needed by the tests: a browser, Prometheus and Redis.
pub(crate) const OF_TESTS: &[Program] = &[
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
    ("prometheus", "prometheus"),
    ("promtool", "prometheus"),
    ("redis-server", "redis-server"),
];

/// Needed to measure fleets.
pub(crate) const OF_FLEETS: &[Program] = &[("redis-server", "redis-server")];

/// Needed to count instructions.
pub(crate) const OF_COUNTS: &[Program] = &[("valgrind", "valgrind")];

/// Installs what is missing, in silence but for one line; returns whether everything is there. What apt-get prints is shown only
/// if it fails.
pub(crate) fn install(needed: &[Program]) -> bool {
    let mut packages: Vec<_> =
        needed.iter().filter(|(program, _)| !is_there(program)).map(|(_, package)| *package).collect();
    packages.dedup();
    if packages.is_empty() {
        return true;
    }
    eprintln!("==> installing with apt-get: {}", packages.join(", "));
    let install = [&["install", "--yes", "--quiet", "--no-install-recommends"], &packages[..]].concat();
    // Package lists that are old may still do; without any, the first attempt fails.
    if apt_get(&install).is_ok() {
        return true;
    }
    let Err(output) = apt_get(&["update"]).and_then(|()| apt_get(&install)) else { return true };
    eprintln!("{output}");
    eprintln!("==> not installed. Put these into the PATH, as your system has them: {}", packages.join(", "));
    false
}

/// Runs apt-get; the error is what it printed.
fn apt_get(arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new("apt-get");
    // Root needs no sudo, and may not have it.
    if !is_root() {
        command = Command::new("sudo");
        command.arg("apt-get");
    }
    let output = command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").output();
    let output = output.map_err(|error| format!("apt-get could not be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err([output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn is_there(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
