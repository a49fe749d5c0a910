//! Set-up and checks as code. CI calls the same commands that the README tells a person to call.

mod programs;

use std::{
    env,
    process::{Command, ExitCode},
};

use clap::{Parser, Subcommand};

/// Checks of the steadfast workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Clone, Subcommand)]
enum Task {
    /// Runs all tests: unit, behaviour, compile errors, documentation, the runtime without its default features, and the guard
    /// on the instructions that a success costs; installs the browser, the Prometheus and the Redis that they need, where these are missing
    Test,
    /// Runs all that has to pass before a change lands: formatting, lints, documentation, tests
    Ci,
    /// Writes the expected compile errors and counts of instructions anew; read them before you commit them
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
    /// Measures side by side with all peers, prints the tables and writes benches/RESULTS.md and its pictures; on a quiet
    /// machine, after some minutes of building
    Bench {
        /// What to measure: `--help` after `--` lists it
        #[arg(last = true)]
        arguments: Vec<String>,
    },
}

/// A command line, and what it is for.
struct Step {
    purpose: &'static str,
    cargo: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
}

const fn step(purpose: &'static str, cargo: &'static [&'static str]) -> Step {
    Step { purpose, cargo, environment: &[] }
}

const TEST: &[Step] = &[
    step("all tests of the workspace", &["test", "--workspace"]),
    step("the runtime without default features", &["test", "--package", "steadfast", "--no-default-features", "--lib"]),
];

const LINTS: &[Step] = &[
    step("formatting", &["fmt", "--all", "--check"]),
    step("lints", &["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]),
    step(
        "lints without default features",
        &["clippy", "--package", "steadfast", "--no-default-features", "--all-targets", "--", "--deny", "warnings"],
    ),
    Step {
        purpose: "documentation",
        cargo: &["doc", "--workspace", "--all-features", "--no-deps", "--document-private-items"],
        environment: &[("RUSTDOCFLAGS", "--deny warnings")],
    },
];

const BLESS: &[Step] = &[Step {
    purpose: "expected compile errors",
    cargo: &["test", "--package", "steadfast-ui-tests"],
    environment: &[("TRYBUILD", "overwrite")],
}];

const GUARD: &[Step] = &[step(
    "instructions of a success",
    &["run", "--profile", "counted", "--package", "steadfast-benches", "--bin", "instructions", "guard"],
)];
const BLESS_COUNTS: &[Step] = &[step(
    "expected counts of instructions",
    &["run", "--profile", "counted", "--package", "steadfast-benches", "--bin", "instructions", "bless"],
)];

const MEASURE: &[&str] = &["--release", "--package", "steadfast-benches", "--features", "peers"];

const LOOM: &[Step] = &[Step {
    purpose: "every interleaving",
    cargo: &["test", "--package", "steadfast", "--release", "--lib", "models"],
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
    Step { purpose: "the breaker beside its reference", cargo: REFERENCE, environment: MANY_CASES },
    Step { purpose: "random attributes", cargo: ATTRIBUTES, environment: MANY_CASES },
];

fn main() -> ExitCode {
    let succeeds = match Arguments::parse().task {
        Task::Test => programs::install(programs::OF_TESTS) && run(TEST) && guard(GUARD),
        Task::Ci => run(LINTS) && programs::install(programs::OF_TESTS) && run(TEST) && guard(GUARD),
        Task::Bless => run(BLESS) && guard(BLESS_COUNTS),
        Task::Loom => run(LOOM),
        Task::Check { long: false } => run(CHECK),
        Task::Check { long: true } => run(LONG) && run(LOOM),
        Task::Bench { arguments } => bench(&arguments),
    };
    if succeeds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(steps: &[Step]) -> bool {
    steps.iter().all(Step::succeeds)
}

/// Counts instructions, where the counts that are expected were made.
fn guard(steps: &[Step]) -> bool {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        eprintln!("==> instructions are not counted: what is expected holds for x86-64 Linux");
        return true;
    }
    programs::install(programs::OF_COUNTS) && run(steps)
}

fn bench(arguments: &[String]) -> bool {
    let build: Vec<_> = ["build"].into_iter().chain(MEASURE.iter().copied()).collect();
    let measure: Vec<_> =
        ["run"].into_iter().chain(MEASURE.iter().copied()).chain(["--bin", "measure", "--"]).collect();
    let measure: Vec<_> = measure.into_iter().chain(arguments.iter().map(String::as_str)).collect();
    programs::install(programs::OF_COUNTS) && cargo("all peers", &build, &[]) && cargo("measurements", &measure, &[])
}

impl Step {
    fn succeeds(&self) -> bool {
        cargo(self.purpose, self.cargo, self.environment)
    }
}

fn cargo(purpose: &str, arguments: &[&str], environment: &[(&str, &str)]) -> bool {
    eprintln!("==> {purpose}: cargo {}", arguments.join(" "));
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    match Command::new(program).args(arguments).envs(environment.iter().copied()).status() {
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
