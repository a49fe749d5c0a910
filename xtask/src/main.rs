//! Set-up and checks as code. CI calls the same commands that the README tells a person to call.

mod cargo;
mod programs;
mod test_run;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cargo::{Step, step};

/// Checks of the steadfast workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Clone, Subcommand)]
enum Task {
    /// Runs all tests to the end and lists the failures: unit, behaviour, compile errors, documentation, the runtime without its
    /// default features, and the guard on the instructions that a success costs; installs the browser, the Prometheus and the Redis
    /// that they need, where these are missing. With cargo-nextest where that is installed
    Test,
    /// Runs all that has to pass before a change lands: formatting, lints, documentation, tests
    Ci,
    /// Writes the expected compile errors and counts of instructions again; read them before you commit them
    Bless,
    /// Explores every interleaving of the model-checked cores, which takes some minutes
    Loom,
    /// Runs the proofs: the breaker beside its reference, random attributes, and the models; takes a few seconds, or many
    /// minutes and 100,000 cases each with `--long`
    Check {
        /// 100,000 cases each, and every interleaving of the models
        #[arg(long)]
        long: bool,
    },
    /// Prints how long a fleet takes for what it does over a real Redis, and what that costs; judges nothing. Each subject takes up to
    /// some minutes
    Measure {
        /// `trips`, `message`, `recoveries`, `faults`, `cost`, `flood`; all of them if none is named
        subjects: Vec<String>,
    },
    /// Measures side by side with all peers, prints the tables and writes benches/RESULTS.md and its pictures; on a quiet
    /// machine, after some minutes of building
    Bench {
        /// What to measure: `--help` after `--` lists it
        #[arg(last = true)]
        arguments: Vec<String>,
    },
}

const LINTS: &[Step] = &[
    step("formatting", &["fmt", "--all", "--check"]),
    step("lints", &["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]),
    step(
        "lints without default features",
        &["clippy", "--package", "steadfast", "--no-default-features", "--all-targets", "--", "--deny", "warnings"],
    ),
    Step {
        purpose: "documentation",
        arguments: &["doc", "--workspace", "--all-features", "--no-deps", "--document-private-items"],
        environment: &[("RUSTDOCFLAGS", "--deny warnings")],
    },
];

const BLESS: &[Step] = &[Step {
    purpose: "expected compile errors",
    arguments: &["test", "--package", "steadfast-ui-tests"],
    environment: &[("TRYBUILD", "overwrite")],
}];

/// Counts the instructions of a success and compares them with those in benches/instructions.toml.
pub(crate) const GUARD: &[Step] = &[step(
    "instructions of a success",
    &["run", "--profile", "counted", "--package", "steadfast-benches", "--bin", "instructions", "guard"],
)];
const BLESS_COUNTS: &[Step] = &[step(
    "expected counts of instructions",
    &["run", "--profile", "counted", "--package", "steadfast-benches", "--bin", "instructions", "bless"],
)];

const PEERS: &[&str] = &["--release", "--package", "steadfast-benches", "--features", "peers"];

const LOOM: &[Step] = &[Step {
    purpose: "every interleaving",
    arguments: &["test", "--package", "steadfast", "--release", "--lib", "models"],
    environment: &[("LOOM_MAX_PREEMPTIONS", "100")],
}];

const REFERENCE: &[&str] =
    &["test", "--package", "steadfast-tests", "--release", "--test", "it", "the_breaker_does_as_its_model"];
const ATTRIBUTES: &[&str] = &["test", "--package", "steadfast-macros", "--release", "fuzz"];

const CHECK: &[Step] = &[
    step("the breaker beside its reference", REFERENCE),
    step("random attributes", ATTRIBUTES),
    step("models", &["test", "--package", "steadfast", "--release", "--lib", "models"]),
];

const MANY_CASES: &[(&str, &str)] = &[("PROPTEST_CASES", "100000")];
const LONG: &[Step] = &[
    Step { purpose: "the breaker beside its reference", arguments: REFERENCE, environment: MANY_CASES },
    Step { purpose: "random attributes", arguments: ATTRIBUTES, environment: MANY_CASES },
];

fn main() -> ExitCode {
    let succeeds = match Arguments::parse().task {
        Task::Test => test_run::run_all(),
        Task::Ci => cargo::run_all(LINTS) && test_run::run_all(),
        Task::Bless => cargo::run_all(BLESS) && guard(BLESS_COUNTS),
        Task::Loom => cargo::run_all(LOOM),
        Task::Check { long: false } => cargo::run_all(CHECK),
        Task::Check { long: true } => cargo::run_all(LONG) && cargo::run_all(LOOM),
        Task::Measure { subjects } => measure(&subjects),
        Task::Bench { arguments } => bench(&arguments),
    };
    if succeeds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Counts instructions, where the expected counts hold.
fn guard(steps: &[Step]) -> bool {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        eprintln!("==> instructions are not counted: the expected counts hold for x86-64 Linux");
        return true;
    }
    programs::install(programs::OF_COUNTS) && cargo::run_all(steps)
}

fn measure(subjects: &[String]) -> bool {
    let bench = ["bench", "--package", "steadfast-redis", "--bench", "measure", "--"];
    let bench: Vec<_> = bench.into_iter().chain(subjects.iter().map(String::as_str)).collect();
    programs::install(programs::OF_FLEETS) && cargo::run("figures of fleets", &bench, &[])
}

fn bench(arguments: &[String]) -> bool {
    let build: Vec<_> = ["build"].into_iter().chain(PEERS.iter().copied()).collect();
    let measure: Vec<_> = ["run"].into_iter().chain(PEERS.iter().copied()).chain(["--bin", "measure", "--"]).collect();
    let measure: Vec<_> = measure.into_iter().chain(arguments.iter().map(String::as_str)).collect();
    programs::install(programs::OF_COUNTS)
        && cargo::run("all peers", &build, &[])
        && cargo::run("measurements", &measure, &[])
}
