//! Instruction counts by callgrind. They do not depend on the load of the machine, so a test can guard them.
//!
//! One run under valgrind makes many calls of each contestant. Callgrind records the cost of each function called by
//! [`contestant`](crate::contestant)'s measured loop; first calls are made by another function.

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
    contestant::{Contestant, Role},
    ours,
};

/// The number of counted calls per contestant.
pub const CALLS: u64 = 1_000;

/// The factor by which a count may grow.
const TOLERANCE: f64 = 1.10;

/// Returns the guarded contestants: the success paths, and a rejection.
#[must_use]
pub fn guarded() -> Vec<Contestant> {
    vec![
        Contestant::new(Role::Baseline, "bare", "", by_hand::bare),
        Contestant::new(Role::Ours, "CircuitBreaker::call", ours::BREAKER, ours::call),
        Contestant::new(Role::Ours, "#[circuit_breaker]", ours::BREAKER, ours::consecutive),
        Contestant::new(Role::Ours, "#[circuit_breaker], async", ours::BREAKER, ours::consecutive_async),
        Contestant::new(Role::Ours, "window of calls", ours::BY_CALLS, ours::by_calls),
        Contestant::new(Role::Ours, "open, rejected", ours::BREAKER, ours::open).rejects(),
        Contestant::new(Role::Ours, "RetryPolicy::run", ours::RETRY, ours::run),
        Contestant::new(Role::Ours, "#[retry]", ours::RETRY, ours::retried),
        Contestant::new(Role::Ours, "#[retry], async", ours::RETRY, ours::retried_async),
        Contestant::new(Role::Ours, "stack", ours::BREAKER, ours::stack),
        Contestant::new(Role::Ours, "stack, async", ours::BREAKER, ours::stack_async),
        Contestant::new(Role::Ours, "fallback over a breaker", ours::BREAKER, ours::with_fallback),
        Contestant::new(Role::Ours, "fallback over a breaker, async", ours::BREAKER, ours::with_fallback_async),
    ]
}

/// Makes the calls whose instructions valgrind counts.
pub fn make_calls(contestants: &[Contestant]) -> Result<()> {
    for contestant in contestants {
        contestant.warm_up(1_000)?;
        contestant.check(contestant.call(0..CALLS), &(0..CALLS))?;
    }
    Ok(())
}

/// Runs `program`, which must call [`make_calls`], under valgrind. Returns the instructions per call by the path of the function.
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

/// Compares the counts with those in `file`.
pub fn guard(counts: &BTreeMap<String, f64>, file: &Path) -> Result<()> {
    let expected: BTreeMap<String, f64> = toml::from_str(&fs::read_to_string(file)?)?;
    let mut grown = Vec::new();
    for contestant in guarded() {
        let name = contestant.name;
        let found = counts.get(contestant.symbol).with_context(|| format!("`{name}` was not counted"))?;
        let expected = expected.get(name).with_context(|| format!("`{name}` has no expected count"))?;
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
        "calls take over 10 % more instructions: {}\nif that is intended, or the compiler has changed, run \
         `cargo xtask bless`",
        grown.join(", ")
    )
}

/// Writes the counts to `file` as the expected counts.
pub fn bless(counts: &BTreeMap<String, f64>, file: &Path) -> Result<()> {
    let mut text =
        "# Instructions per call, including the work, counted by callgrind on x86-64 Linux with Rust 1.95.\n\
                    # `cargo xtask test` fails if one grows by more than 10 %; `cargo xtask bless` rewrites \
                    them.\n"
            .to_owned();
    for contestant in guarded() {
        let found = counts.get(contestant.symbol).with_context(|| format!("`{}` was not counted", contestant.name))?;
        writeln!(text, "\"{}\" = {found:.1}", contestant.name)?;
    }
    Ok(fs::write(file, text)?)
}

/// Parses callgrind's format: a function's name, then its own costs and, after each `calls=`, the inclusive cost of the function
/// named by `cfn=`. A name is written in full once, and afterwards referred to by its number.
/// <https://valgrind.org/docs/manual/cl-format.html>
fn parse(profile: &str) -> Result<BTreeMap<String, f64>> {
    let mut names = HashMap::new();
    let mut costs: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let (mut measures, mut callee, mut calls) = (false, String::new(), None);
    for line in profile.lines() {
        if let Some(name) = line.strip_prefix("fn=") {
            measures = resolve(&mut names, name)?.contains("contestant::measured_calls");
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
    ensure!(!costs.is_empty(), "callgrind has recorded no call");
    #[expect(clippy::cast_precision_loss, reason = "far below 2⁵³")]
    let per_call = costs.into_iter().map(|(name, (calls, cost))| (name, cost as f64 / calls as f64)).collect();
    Ok(per_call)
}

fn resolve(names: &mut HashMap<String, String>, name: &str) -> Result<String> {
    let (number, name) = name.split_once(')').context("a number")?;
    if let Some(name) = name.strip_prefix(' ') {
        names.insert(number.to_owned(), format!("{:#}", rustc_demangle::demangle(name)));
    }
    names.get(number).cloned().context("a name spelled out before")
}
