//! valgrind, whose callgrind counts instructions.

use std::process::{Command, Stdio};

/// Whether it can be run. Where it is missing and there is an `apt-get`, it is installed.
pub(crate) fn is_there() -> bool {
    if runs("valgrind", &["--version"]) {
        return true;
    }
    eprintln!("==> valgrind is missing: apt-get install valgrind");
    // A machine that has never asked for a list of packages knows none.
    let installs = || runs("apt-get", &["install", "--yes", "--no-install-recommends", "valgrind"]);
    if installs() || runs("apt-get", &["update"]) && installs() {
        return true;
    }
    eprintln!("==> valgrind could not be installed: install it, it counts the instructions that a success costs");
    false
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    let command = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).status();
    command.is_ok_and(|status| status.success())
}
