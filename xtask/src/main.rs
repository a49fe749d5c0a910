//! Set-up and checks as code. CI calls the same commands that the README tells a person to call.

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

#[derive(Clone, Copy, Subcommand)]
enum Task {
    /// Runs all tests: unit, behaviour, compile errors, documentation, and the runtime without its default features
    Test,
    /// Runs all that has to pass before a change lands: formatting, lints, documentation, tests
    Ci,
    /// Writes the expected compile errors anew; read them before you commit them
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
    let steps: &[&[Step]] = match Arguments::parse().task {
        Task::Test => &[TEST],
        Task::Ci => &[LINTS, TEST],
        Task::Bless => &[BLESS],
        Task::Loom => &[LOOM],
        Task::Check { long: false } => &[CHECK],
        Task::Check { long: true } => &[LONG, LOOM],
    };
    let failed = steps.iter().copied().flatten().any(|step| !step.succeeds());
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

impl Step {
    fn succeeds(&self) -> bool {
        let Self { purpose, cargo, environment } = self;
        eprintln!("==> {purpose}: cargo {}", cargo.join(" "));
        let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        match Command::new(program).args(*cargo).envs(environment.iter().copied()).status() {
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
}
