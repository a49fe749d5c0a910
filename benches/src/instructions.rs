//! Counts instructions with callgrind: they do not depend on what else the machine is doing, so a test can hold them.
//!
//! One run under valgrind makes many calls of each contestant. Callgrind writes down what each function has cost that
//! [`contest`](crate::contest) calls from where it measures; the first calls come from elsewhere.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
    fs,
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    by_hand,
    contest::{Contestant, Side},
    ours,
};

/// The calls of each contestant that are counted.
pub const CALLS: u64 = 1_000;

/// How much a count may grow.
const TOLERANCE: f64 = 1.10;

/// What the guard holds: the paths of a success, and that of a rejection.
#[must_use]
pub fn guarded() -> Vec<Contestant> {
    vec![
        Contestant::new(Side::Floor, "bare", "", by_hand::bare),
        Contestant::new(Side::Ours, "CircuitBreaker::call", ours::BREAKER, ours::call),
        Contestant::new(Side::Ours, "#[circuit_breaker]", ours::BREAKER, ours::consecutive),
        Contestant::new(Side::Ours, "#[circuit_breaker], async", ours::BREAKER, ours::consecutive_async),
        Contestant::new(Side::Ours, "window of calls", ours::BY_CALLS, ours::by_calls),
        Contestant::new(Side::Ours, "open, rejected", ours::BREAKER, ours::open).rejects(),
        Contestant::new(Side::Ours, "RetryPolicy::run", ours::RETRY, ours::run),
        Contestant::new(Side::Ours, "#[retry]", ours::RETRY, ours::retried),
        Contestant::new(Side::Ours, "#[retry], async", ours::RETRY, ours::retried_async),
        Contestant::new(Side::Ours, "stack", ours::BREAKER, ours::stack),
        Contestant::new(Side::Ours, "stack, async", ours::BREAKER, ours::stack_async),
    ]
}

/// What runs under valgrind.
pub fn make_calls(contestants: &[Contestant]) -> Result<()> {
    for contestant in contestants {
        contestant.warm_up()?;
        contestant.check(contestant.call(0..CALLS), &(0..CALLS))?;
    }
    Ok(())
}

/// Runs `program` under valgrind, which has to [`make_calls`], and returns the instructions of a call by the function's path.
pub fn count(program: &Path, arguments: &[&str], scratch: &Path) -> Result<BTreeMap<String, f64>> {
    fs::create_dir_all(scratch)?;
    let profile = scratch.join("callgrind.out");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--demangle=no"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(program)
        .args(arguments)
        .output()
        .context("valgrind could not be run: `cargo xtask` installs it, or apt-get install valgrind")?;
    ensure!(output.status.success(), "under valgrind: {}", String::from_utf8_lossy(&output.stderr));
    parse(&fs::read_to_string(&profile)?)
}

/// Holds the counts to those in `file`.
pub fn guard(counts: &BTreeMap<String, f64>, file: &Path) -> Result<()> {
    let expected: BTreeMap<String, f64> = toml::from_str(&fs::read_to_string(file)?)?;
    let mut grown = Vec::new();
    for contestant in guarded() {
        let name = contestant.name;
        let found = counts.get(contestant.symbol).with_context(|| format!("`{name}` was not counted"))?;
        let expected = expected.get(name).with_context(|| format!("no count is expected of `{name}`"))?;
        let ratio = found / expected;
        println!("{name:28} {found:6.1} instructions, {expected:.1} expected, ratio {ratio:.2}");
        if ratio > TOLERANCE {
            grown.push(format!("{name}: {expected:.1} -> {found:.1}"));
        }
    }
    if grown.is_empty() {
        return Ok(());
    }
    bail!(
        "the path of a call has grown by more than 10 %: {}\nif that is meant, or the compiler is another: \
         cargo xtask bless",
        grown.join(", ")
    )
}

/// Writes the counts down as those to expect.
pub fn bless(counts: &BTreeMap<String, f64>, file: &Path) -> Result<()> {
    let mut text =
        "# Instructions of a call, the work and all around it: counted by callgrind, x86-64 Linux, Rust 1.95.\n\
                    # `cargo xtask test` fails where one grows by more than 10 %; `cargo xtask bless` writes \
                    them anew.\n"
            .to_owned();
    for contestant in guarded() {
        let found = counts.get(contestant.symbol).with_context(|| format!("`{}` was not counted", contestant.name))?;
        writeln!(text, "\"{}\" = {found:.1}", contestant.name)?;
    }
    Ok(fs::write(file, text)?)
}

/// Callgrind's format: a function's name, then its own costs and, after each `calls=`, what the function that is named by
/// `cfn=` has cost for the caller. Names are given once, then by number.
/// <https://valgrind.org/docs/manual/cl-format.html>
fn parse(profile: &str) -> Result<BTreeMap<String, f64>> {
    let mut names = HashMap::new();
    let mut costs: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let (mut measures, mut callee, mut calls) = (false, String::new(), None);
    for line in profile.lines() {
        if let Some(name) = line.strip_prefix("fn=") {
            measures = resolve(&mut names, name)?.contains("contest::measured_calls");
        } else if let Some(name) = line.strip_prefix("cfn=") {
            callee = resolve(&mut names, name)?;
        } else if let Some(count) = line.strip_prefix("calls=") {
            let count = count.split(' ').next().context("a count of calls")?;
            calls = Some(count.parse::<u64>()?);
        } else if let Some(calls) = calls.take().filter(|_| measures) {
            let cost = line.split(' ').nth(1).context("a cost")?.parse::<u64>()?;
            let sum = costs.entry(callee.clone()).or_default();
            *sum = (sum.0 + calls, sum.1 + cost);
        }
    }
    ensure!(!costs.is_empty(), "callgrind has seen no call");
    #[expect(clippy::cast_precision_loss, reason = "far below 2⁵³")]
    let per_call = costs.into_iter().map(|(name, (calls, cost))| (name, cost as f64 / calls as f64)).collect();
    Ok(per_call)
}

fn resolve(names: &mut HashMap<String, String>, name: &str) -> Result<String> {
    let (number, name) = name.split_once(')').context("a number")?;
    if let Some(name) = name.strip_prefix(' ') {
        names.insert(number.to_owned(), format!("{:#}", rustc_demangle::demangle(name)));
    }
    names.get(number).cloned().context("a name that was given before")
}
