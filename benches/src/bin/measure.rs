//! Measures everything: `cargo xtask bench`. With the argument `calls` or `traced-calls`, under valgrind, it makes the calls whose
//! instructions and memory accesses are counted.

use std::{
    collections::HashMap,
    env, fs,
    path::Path,
    process::Command,
    time::{Instant, SystemTime},
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use steadfast_benches::{
    builds::{GeneratedCrates, clean_builds},
    contention, hang, instructions,
    keyed::Keyed,
    ours, recovery,
    report::{Figure, Layout, Measured, Results},
    rows::{self, Row},
    sizes,
    timing::{self, Effort, cores, median},
};

/// Measures steadfast and its peers side by side
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Arguments {
    /// Makes only a few rounds of each measurement and no builds, to test the program; the figures are unreliable
    #[arg(long)]
    quick: bool,
    /// Leaves out the builds, which take half of the time
    #[arg(long, conflicts_with = "only_builds")]
    no_builds: bool,
    /// Measures only the builds: code sizes and build times
    #[arg(long)]
    only_builds: bool,
    /// Measures only the rows whose title contains this text
    #[arg(long, value_name = "TEXT")]
    row: Option<String>,
}

/// The arguments of the runs under valgrind, which take no others.
const CALLS: &str = "calls";
const TRACED_CALLS: &str = "traced-calls";

fn main() -> Result<()> {
    // seatbelt's clock is created in a runtime.
    let runtime = timing::runtime()?;
    let _context = runtime.enter();
    let keyed: &'static Keyed = Box::leak(Box::default());
    let contestants = || rows::without_keys().into_iter().flat_map(|row| row.contestants);
    match env::args().nth(1).as_deref() {
        Some(CALLS) => return instructions::make_calls(&contestants().collect::<Vec<_>>()),
        Some(TRACED_CALLS) => {
            let contestants: Vec<_> = contestants().chain(keyed.contestants_with_few()).collect();
            return contention::make_calls(&contestants);
        }
        _ => {}
    }
    let arguments = Arguments::parse();
    let start = Instant::now();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the package is in a workspace")?;
    let mut results = Results { environment: environment(root)?, ..Results::default() };
    if !arguments.only_builds {
        measure(&arguments, keyed, &mut results)?;
        // The builds take long. If one of them fails, the results so far are not lost.
        results.write(&root.join("target/bench"))?;
    }
    let no_builds = arguments.no_builds || arguments.quick && !arguments.only_builds;
    if !no_builds && arguments.row.is_none() {
        progress("500 annotated functions of each kind");
        let generated = GeneratedCrates::new(root);
        results.built = generated.annotated(arguments.quick)?;
        progress("clean builds");
        results.clean = clean_builds(&generated, arguments.quick)?;
    }
    results.environment.push(("duration", format!("{} s", start.elapsed().as_secs())));

    println!("{}", results.text(Layout::Terminal));
    let whole = !(arguments.quick || arguments.no_builds || arguments.only_builds || arguments.row.is_some());
    let folder = if whole { root.join("benches") } else { root.join("target/bench") };
    results.write(&folder)?;
    progress(&format!("written: {}", folder.join("RESULTS.md").display()));
    Ok(())
}

fn measure(arguments: &Arguments, keyed: &'static Keyed, results: &mut Results) -> Result<()> {
    let program = env::current_exe()?;
    progress("instructions, under valgrind");
    let instructions = instructions::count(&program, &[CALLS], &program.with_file_name("callgrind"))?;
    progress("shared cache lines, under valgrind");
    let shared = contention::trace(&program, &[TRACED_CALLS], &program.with_file_name("lackey"))?;
    // In the order of the traced calls; the keyed row begins with the contestants that have few keys.
    let names = rows::all(keyed)
        .into_iter()
        .flat_map(|row| row.contestants.into_iter().map(move |contestant| (row.title, contestant.name)));
    let shared: HashMap<_, _> = names.zip(shared).collect();
    results.transfer = contention::transfer();
    progress("memory");
    let memory = memory(&program.with_file_name(format!("memory{}", env::consts::EXE_SUFFIX)))?;

    for row in rows::all(keyed) {
        if arguments.row.as_ref().is_some_and(|text| !row.title.contains(text)) {
            continue;
        }
        progress(row.title);
        let mut measured = time(row, arguments.quick)?;
        for (contestant, figure) in measured.row.contestants.iter().zip(&mut measured.figures) {
            figure.instructions = instructions.get(contestant.symbol).copied();
            figure.shared = shared.get(&(measured.row.title, contestant.name)).copied();
            figure.allocations = memory.get(&(measured.row.title.to_owned(), contestant.name.to_owned())).copied();
        }
        results.rows.push(measured);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole bytes")]
    let bytes = |kind: &str| {
        let mut of_kind: Vec<_> = memory.iter().filter(|((found, _), _)| found == kind).collect();
        of_kind.sort_by(|(_, one), (_, other)| one.total_cmp(other));
        of_kind.into_iter().map(|((_, name), bytes)| (name.clone(), *bytes as u64)).collect::<Vec<_>>()
    };
    results.memory = bytes("breaker").into_iter().chain(bytes("keyed")).collect();
    results.futures = sizes::futures();
    if arguments.row.is_none() {
        for name in ours::COUNTED {
            ensure!(ours::successes(name).is_some_and(|successes| successes > 0), "`{name}` has counted no success");
        }
        progress("concurrent calls at recovery");
        results.recoveries = recovery::recoveries(arguments.quick)?;
        progress("a dependency that hangs");
        results.hangs = hang::hangs(arguments.quick)?;
    }
    Ok(())
}

/// Measures a row, and checks before, during and after the measurement that its contestants do the work.
fn time(row: Row, quick: bool) -> Result<Measured> {
    let ours = row
        .contestants
        .iter()
        .position(|contestant| contestant.name == row.ours)
        .context("steadfast's contestant is in the row")?;
    let mut figures = vec![Figure::default(); row.contestants.len()];
    for contestant in &row.contestants {
        contestant.warm_up(1_000)?;
    }
    for &threads in row.threads {
        let effort = Effort::of(threads, quick);
        let effort = if row.needs_caches { effort.long() } else { effort };
        let measured = timing::measure(&row.contestants, threads, effort)?;
        for (figure, rounds) in figures.iter_mut().zip(&measured) {
            let ratios: Vec<_> = rounds.iter().zip(&measured[ours]).map(|(theirs, ours)| theirs / ours).collect();
            figure.times.insert(threads, (median(rounds), median(&ratios)));
        }
    }
    for contestant in &row.contestants {
        contestant.check_opening()?;
    }
    Ok(Measured { row, figures })
}

fn memory(program: &Path) -> Result<HashMap<(String, String), f64>> {
    let output = Command::new(program).output().with_context(|| format!("{} could not be run", program.display()))?;
    ensure!(output.status.success(), "memory: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let mut figures = HashMap::new();
    for line in text.lines() {
        let mut parts = line.split('\t').map(str::to_owned);
        let (kind, name) = parts.next().zip(parts.next()).context("a kind and a name")?;
        figures.insert((kind, name), parts.next().context("a figure")?.parse()?);
    }
    Ok(figures)
}

fn environment(root: &Path) -> Result<Vec<(&'static str, String)>> {
    let rustc = Command::new("rustc").arg("--version").output().context("rustc could not be run")?;
    let cpu = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(": ")?.1.to_owned())
    });
    let lock: toml::Table = toml::from_str(&fs::read_to_string(root.join("Cargo.lock"))?)?;
    let packages = lock.get("package").and_then(toml::Value::as_array).context("a lock file has packages")?;
    let version = |name: &str| {
        let package =
            packages.iter().find(|package| package.get("name").and_then(toml::Value::as_str) == Some(name))?;
        Some(format!("{name} {}", package.get("version")?.as_str()?))
    };
    let versions: Vec<_> = PEERS.iter().filter_map(|name| version(name)).collect();
    Ok(vec![
        ("machine", format!("{}, {} cores, {}", cpu.unwrap_or_else(|| env::consts::ARCH.to_owned()), cores(), env::consts::OS)),
        ("compiler", format!("{}, cargo's release profile", String::from_utf8_lossy(&rustc.stdout).trim())),
        ("versions", versions.join(", ")),
        ("date", httpdate::fmt_http_date(SystemTime::now())),
        (
            "method",
            "all contestants of a row take turns in each of many short rounds in one process; figures are medians over the rounds, ratios \
             medians of the ratios within a round; the results of the calls are checked; nanoseconds are core time: with more \
             threads than cores, the time of all cores divided by the number of calls; instructions are counted by callgrind, \
             shared cache lines by lackey, allocations by a counting allocator in another process"
                .to_owned(),
        ),
    ])
}

const PEERS: &[&str] = &[
    "steadfast",
    "arcly-http-core",
    "backon",
    "backon-macros",
    "circuitbreaker-rs",
    "failsafe",
    "governor",
    "recloser",
    "retry-if",
    "seatbelt",
    "tokio",
    "tokio-retry2",
    "tower-resilience-bulkhead",
    "tower-resilience-circuitbreaker",
    "tower-resilience-ratelimiter",
    "tracing",
];

fn progress(text: &str) {
    eprintln!("==> {text}");
}
