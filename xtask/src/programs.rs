//! What tests and measurements need beside Rust, from Debian's packages where it is missing.

use std::{env, process::Command};

/// A program, and the Debian package that has it.
type Program = (&'static str, &'static str);

/// What the tests need: a browser, Prometheus and Redis.
pub(crate) const OF_TESTS: &[Program] = &[
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
    ("prometheus", "prometheus"),
    ("promtool", "prometheus"),
    ("redis-server", "redis-server"),
];

/// What counts instructions.
pub(crate) const OF_COUNTS: &[Program] = &[("valgrind", "valgrind")];

/// Installs what is missing, and says so; false if that fails.
pub(crate) fn install(needed: &[Program]) -> bool {
    let mut packages: Vec<_> =
        needed.iter().filter(|(program, _)| !is_there(program)).map(|(_, package)| *package).collect();
    packages.dedup();
    if packages.is_empty() {
        return true;
    }
    eprintln!("==> this needs {}: installing by apt-get", packages.join(", "));
    let install = [&["install", "--yes", "--no-install-recommends"], &packages[..]].concat();
    // Package lists that are old may still do; without any, the first attempt fails.
    let installed = apt_get(&install) || (apt_get(&["update"]) && apt_get(&install));
    if !installed {
        eprintln!("==> not installed. Put these into the PATH, as your system has them: {}", packages.join(", "));
    }
    installed
}

fn apt_get(arguments: &[&str]) -> bool {
    let mut command = Command::new("apt-get");
    // Root needs no sudo, and may not have it.
    if !is_root() {
        command = Command::new("sudo");
        command.arg("apt-get");
    }
    let status = command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").status();
    status.is_ok_and(|status| status.success())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn is_there(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
