//! Runs all tests, then lists the failures, one line each.

use std::collections::BTreeSet;

use crate::{
    GUARD,
    cargo::{self, Step, step},
    guard, programs,
};

/// All tests except the examples in the documentation. nextest runs each in its own process and terminates those that hang.
const BY_NEXTEST: Step = step(
    "all tests",
    &["nextest", "run", "--workspace", "--no-fail-fast", "--status-level", "fail", "--show-progress", "none"],
);
const BY_CARGO: Step =
    step("all tests", &["test", "--workspace", "--tests", "--examples", "--no-fail-fast", "--quiet"]);
const EXAMPLES_IN_DOCS: Step =
    step("examples in the documentation", &["test", "--workspace", "--doc", "--no-fail-fast", "--quiet"]);
const WITHOUT_DEFAULT_FEATURES: Step = step(
    "the runtime without default features",
    &["test", "--package", "steadfast", "--no-default-features", "--lib", "--no-fail-fast", "--quiet"],
);

/// Runs all steps even if some fail, and prints a report; returns true if all passed.
pub(crate) fn run_all() -> bool {
    let mut failures = Vec::new();
    if !programs::install(programs::FOR_TESTS) {
        failures.push("programs for the tests: not installed, see above".to_owned());
    }
    if !programs::install_axe_core() {
        failures.push("axe-core for the tests: not installed, see above".to_owned());
    }
    let has_nextest = cargo::has_subcommand("nextest");
    let tests = if has_nextest { BY_NEXTEST } else { BY_CARGO };
    for step in [tests, EXAMPLES_IN_DOCS, WITHOUT_DEFAULT_FEATURES] {
        failures.extend(failures_of(&step));
    }
    if !guard(GUARD) {
        failures.push("instructions of a successful call: see above".to_owned());
    }
    report(&failures)
}

fn report(failures: &[String]) -> bool {
    if failures.is_empty() {
        eprintln!("==> all tests passed");
        return true;
    }
    eprintln!("==> {} failed:", failures.len());
    for failure in failures {
        eprintln!("    {failure}");
    }
    false
}

/// Runs a step and returns the names of the failed tests, or the name of the step if it failed for another reason, such as a
/// compile error.
fn failures_of(step: &Step) -> Vec<String> {
    let (succeeded, lines) = cargo::run_and_read(step);
    if succeeded {
        return Vec::new();
    }
    let names = failed_test_names(&lines);
    if names.is_empty() {
        return vec![format!("{}: see above", step.purpose)];
    }
    names.into_iter().map(|name| format!("{}: {name}", step.purpose)).collect()
}

/// Returns the names of failed tests in the output of nextest or of the standard test harness.
fn failed_test_names(lines: &[String]) -> BTreeSet<String> {
    let mut names: BTreeSet<_> = lines.iter().filter_map(|line| nextest_failure(line)).collect();
    let mut in_list = false;
    for line in lines {
        match line.strip_prefix("    ") {
            // The harness prints the heading twice: before the outputs, and before the list of names.
            _ if line == "failures:" => in_list = true,
            Some(name) if in_list => _ = names.insert(name.to_owned()),
            _ if in_list && !line.is_empty() => in_list = false,
            _ => {}
        }
    }
    names
}

/// Returns the name in a line such as `FAIL [   0.012s] (3/9) package::binary module::test`.
fn nextest_failure(line: &str) -> Option<String> {
    const NOT_FAILED: [&str; 6] = ["PASS", "SLOW", "LEAK", "SKIP", "START", "Summary"];
    let (status, rest) = line.trim_start().split_once(" [")?;
    if NOT_FAILED.contains(&status) || status.contains(' ') {
        return None;
    }
    let (time, rest) = rest.split_once(']')?;
    if !time.trim().ends_with('s') || !time.trim_start().starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let rest = rest.trim_start();
    let name = match rest.strip_prefix('(') {
        Some(counted) => counted.split_once(')')?.1.trim_start(),
        None => rest,
    };
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(output: &str) -> Vec<String> {
        let lines: Vec<_> = output.lines().map(str::to_owned).collect();
        failed_test_names(&lines).into_iter().collect()
    }

    #[test]
    fn failures_are_found_in_the_output_of_nextest() {
        let output = "\
    Starting 3 tests across 1 binary
        FAIL [   0.004s] (1/3) steadfast-tests::it retry::stops
  stdout ───
    test retry::stops ... FAILED
     TIMEOUT [ 900.001s] (2/3) steadfast-redis::it recovery::rare calls
        PASS [   0.004s] (3/3) steadfast-tests::it retry::goes_on
     Summary [ 900.010s] 3 tests run: 1 passed, 1 failed, 1 timed out, 0 skipped
        FAIL [   0.004s] (1/3) steadfast-tests::it retry::stops";
        assert_eq!(names(output), ["steadfast-redis::it recovery::rare calls", "steadfast-tests::it retry::stops"]);
    }

    #[test]
    fn failures_are_found_in_the_output_of_the_standard_harness() {
        let output = "\
running 2 tests
.F
failures:

---- runtime/src/lib.rs - (line 20) stdout ----
Test executable failed

failures:
    runtime/src/lib.rs - (line 20)

test result: FAILED. 1 passed; 1 failed";
        assert_eq!(names(output), ["runtime/src/lib.rs - (line 20)"]);
    }

    #[test]
    fn a_run_without_failures_has_none() {
        assert!(names("running 1 test\n.\ntest result: ok. 1 passed; 0 failed").is_empty());
    }
}
