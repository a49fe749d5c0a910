//! Programs, apart from the Rust toolchain, that tests and measurements need. Missing ones are installed from Debian packages.

use std::{env, fs, process::Command};

/// A program and the Debian package that contains it.
type Program = (&'static str, &'static str);

/// For the tests: a browser, Postgres, Prometheus and Redis.
pub(crate) const FOR_TESTS: &[Program] = &[
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
    ("initdb", "postgresql"),
    ("postgres", "postgresql"),
    ("prometheus", "prometheus"),
    ("promtool", "prometheus"),
    ("redis-server", "redis-server"),
];

/// For measuring fleets.
pub(crate) const FOR_FLEETS: &[Program] = &[("redis-server", "redis-server")];

/// For counting instructions.
pub(crate) const FOR_COUNTS: &[Program] = &[("valgrind", "valgrind")];

/// Installs the missing programs; returns true if all are installed. The output of apt-get is shown only if it fails.
pub(crate) fn install(needed: &[Program]) -> bool {
    let mut packages: Vec<_> =
        needed.iter().filter(|(program, _)| !is_installed(program)).map(|(_, package)| *package).collect();
    packages.dedup();
    if packages.is_empty() {
        return true;
    }
    eprintln!("==> installing with apt-get: {}", packages.join(", "));
    let install = [&["install", "--yes", "--quiet", "--no-install-recommends"], &packages[..]].concat();
    // The first attempt uses the present package lists, and fails if there are none.
    if apt_get(&install).is_ok() {
        return true;
    }
    let Err(output) = apt_get(&["update"]).and_then(|()| apt_get(&install)) else { return true };
    eprintln!("{output}");
    eprintln!("==> not installed. Install these packages with your system's package manager: {}", packages.join(", "));
    false
}

/// Runs apt-get; the error is its output.
fn apt_get(arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new("apt-get");
    // root does not need sudo, which may not be installed.
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

/// Returns true if the program is on the `PATH`, or in one of the folders of Postgres, which Debian does not put on the `PATH`.
fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let postgres = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders = env::split_paths(&path).chain(postgres.map(|version| version.path().join("bin")));
    folders.any(|folder| folder.join(program).is_file())
}
