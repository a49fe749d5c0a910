//! Setup and checks as code. CI runs the same commands as the README.

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
    /// Runs all tests and lists the failures: unit and behaviour tests, compile errors, documentation examples, the runtime without
    /// its default features, and the guard on the instructions of a successful call. Installs Chromium, nginx, npm with axe-core,
    /// Postgres, Prometheus and Redis if they are missing. Uses cargo-nextest if it is installed
    Test,
    /// Runs the checks that every change must pass: formatting, lints, documentation, tests
    Ci,
    /// Rewrites the expected compile errors and instruction counts; review them before you commit them
    Bless,
    /// Explores all interleavings of the loom models; takes some minutes
    Loom,
    /// Runs the generated tests: the breaker against its model, random attributes, and the loom models; takes a few seconds, or many
    /// minutes with `--long`
    Check {
        /// Runs 100,000 cases of each, and all interleavings of the loom models
        #[arg(long)]
        long: bool,
    },
    /// Measures and prints, without pass or fail: latencies and costs of a fleet on a real Redis, and the cost of the dashboard's page
    /// in Chromium with 10, 1,000 and 10,000 breakers. Each subject takes up to several minutes
    Measure {
        /// `page`, `trips`, `message`, `recoveries`, `faults`, `cost`, `flood`; all of them by default
        subjects: Vec<String>,
    },
    /// Measures steadfast and all peers side by side, prints the tables and writes benches/RESULTS.md and its charts. Needs an idle
    /// machine; the builds before the measurements take some minutes
    Bench {
        /// Options of the measurement: `-- --help` lists them
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

/// Counts the instructions of a successful call and compares them with benches/instructions.toml.
pub(crate) const GUARD: &[Step] = &[step(
    "instructions of a successful call",
    &["run", "--profile", "counted", "--package", "steadfast-benches", "--bin", "instructions", "guard"],
)];
const BLESS_COUNTS: &[Step] = &[step(
    "expected instruction counts",
    &["run", "--profile", "counted", "--package", "steadfast-benches", "--bin", "instructions", "bless"],
)];

const PEERS: &[&str] = &["--release", "--package", "steadfast-benches", "--features", "peers"];

const LOOM: &[Step] = &[Step {
    purpose: "all interleavings",
    arguments: &["test", "--package", "steadfast", "--release", "--lib", "models"],
    environment: &[("LOOM_MAX_PREEMPTIONS", "100")],
}];

const MODEL: &[&str] =
    &["test", "--package", "steadfast-tests", "--release", "--test", "it", "the_breaker_behaves_like_its_model"];
const ATTRIBUTES: &[&str] = &["test", "--package", "steadfast-macros", "--release", "fuzz"];

const CHECK: &[Step] = &[
    step("the breaker against its model", MODEL),
    step("random attributes", ATTRIBUTES),
    step("loom models", &["test", "--package", "steadfast", "--release", "--lib", "models"]),
];

const MANY_CASES: &[(&str, &str)] = &[("PROPTEST_CASES", "100000")];
const LONG: &[Step] = &[
    Step { purpose: "the breaker against its model", arguments: MODEL, environment: MANY_CASES },
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

/// Counts instructions, on the platform for which the expected counts hold.
fn guard(steps: &[Step]) -> bool {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        eprintln!("==> skipped: the expected instruction counts hold for x86-64 Linux only");
        return true;
    }
    programs::install(programs::FOR_COUNTS) && cargo::run_all(steps)
}

fn measure(subjects: &[String]) -> bool {
    let (page, fleets): (Vec<_>, Vec<_>) = subjects.iter().map(String::as_str).partition(|&subject| subject == "page");
    let has_page = subjects.is_empty() || !page.is_empty();
    let has_fleets = subjects.is_empty() || !fleets.is_empty();
    (!has_page || measure_page()) && (!has_fleets || measure_fleets(&fleets))
}

/// Measures the page. Each number of breakers is compiled in, since each breaker is a static.
fn measure_page() -> bool {
    programs::install(programs::FOR_PAGE)
        && ["10", "1000", "10000"].into_iter().all(|breakers| {
            let bench = ["bench", "--package", "steadfast-dashboard", "--bench", "page"];
            cargo::run("measurement of the page", &bench, &[("PAGE_BREAKERS", breakers)])
        })
}

fn measure_fleets(subjects: &[&str]) -> bool {
    let bench = ["bench", "--package", "steadfast-redis", "--bench", "measure", "--"];
    programs::install(programs::FOR_FLEETS) && cargo::run("fleet measurements", &[&bench, subjects].concat(), &[])
}

fn bench(arguments: &[String]) -> bool {
    let build: Vec<_> = ["build"].into_iter().chain(PEERS.iter().copied()).collect();
    let measure: Vec<_> = ["run"].into_iter().chain(PEERS.iter().copied()).chain(["--bin", "measure", "--"]).collect();
    let measure: Vec<_> = measure.into_iter().chain(arguments.iter().map(String::as_str)).collect();
    programs::install(programs::FOR_COUNTS)
        && cargo::run("building all peers", &build, &[])
        && cargo::run("measurements", &measure, &[])
}
