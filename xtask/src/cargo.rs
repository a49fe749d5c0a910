//! Runs cargo commands.

use std::{
    env,
    ffi::OsString,
    io::{self, BufRead, BufReader, Write},
    process::{Command, ExitStatus, Stdio},
};

/// A cargo command line and its purpose.
pub(crate) struct Step {
    pub(crate) purpose: &'static str,
    pub(crate) arguments: &'static [&'static str],
    pub(crate) environment: &'static [(&'static str, &'static str)],
}

pub(crate) const fn step(purpose: &'static str, arguments: &'static [&'static str]) -> Step {
    Step { purpose, arguments, environment: &[] }
}

/// Runs the steps in order until one fails; returns true if all succeeded.
pub(crate) fn run_all(steps: &[Step]) -> bool {
    steps.iter().all(|step| run(step.purpose, step.arguments, step.environment))
}

/// Runs cargo with its output on the terminal; returns true if it succeeded.
pub(crate) fn run(purpose: &str, arguments: &[&str], environment: &[(&str, &str)]) -> bool {
    announce(purpose, arguments);
    let status = command(arguments, environment).status();
    succeeded(purpose, status)
}

/// Runs cargo and copies its output to standard error; returns true if it succeeded, and the lines of its output.
pub(crate) fn run_and_read(step: &Step) -> (bool, Vec<String>) {
    announce(step.purpose, step.arguments);
    let mut lines = Vec::new();
    let status = copy_output(&mut command(step.arguments, step.environment), &mut lines);
    (succeeded(step.purpose, status), lines)
}

/// Returns true if `cargo NAME` exists.
pub(crate) fn has_subcommand(name: &str) -> bool {
    let status = command(&[name, "--version"], &[]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn command(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.args(arguments).envs(environment.iter().copied());
    command
}

/// Copies both outputs of `command` to standard error, in the order in which they were written.
fn copy_output(command: &mut Command, lines: &mut Vec<String>) -> io::Result<ExitStatus> {
    let (output, input) = io::pipe()?;
    let mut child = command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input).spawn()?;
    // Reading ends only once this process has closed its own copies of the writing end of the pipe, which `command` holds.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    for line in BufReader::new(output).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        writeln!(io::stderr(), "{line}")?;
        lines.push(line);
    }
    child.wait()
}

fn announce(purpose: &str, arguments: &[&str]) {
    eprintln!("==> {purpose}: cargo {}", arguments.join(" "));
}

fn succeeded(purpose: &str, status: io::Result<ExitStatus>) -> bool {
    match status {
        Ok(status) if status.success() => true,
        Ok(status) => {
            eprintln!("==> {purpose}: failed, {status}");
            false
        }
        Err(error) => {
            eprintln!("==> {purpose}: cargo could not be run: {error}");
            false
        }
    }
}
