//! What tests need beside Rust: a browser, Prometheus and Redis, from Debian's packages where they are missing.

use std::{env, process::Command};

/// A program, and the Debian package that has it.
const NEEDED: [(&str, &str); 5] = [
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
    ("prometheus", "prometheus"),
    ("promtool", "prometheus"),
    ("redis-server", "redis-server"),
];

/// Installs what is missing, and says so; false if that fails.
pub(crate) fn install() -> bool {
    let mut packages: Vec<_> =
        NEEDED.iter().filter(|(program, _)| !is_there(program)).map(|(_, package)| *package).collect();
    packages.dedup();
    if packages.is_empty() {
        return true;
    }
    eprintln!("==> the tests of the dashboard and of fleets need {}: installing by apt-get", packages.join(", "));
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
