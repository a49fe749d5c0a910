//! Results as tables and charts.

mod chart;
mod table;

use std::{collections::HashMap, fmt::Write, fs, path::Path};

use anyhow::Result;

pub use self::table::Layout;
use self::table::Table;
use crate::{
    builds::{Built, CleanBuild, FUNCTIONS},
    contention::{MACHINES, Machine, SharedLines},
    contestant::Role,
    family,
    hang::{Hang, titles},
    recovery::{Recovery, TASKS},
    rows::Row,
    timing::median,
    values,
};

/// The measured figures of a row.
#[derive(Debug)]
pub struct Measured {
    /// The row.
    pub row: Row,
    /// The figures of each contestant, in the order of the row.
    pub figures: Vec<Figure>,
}

/// The measured figures of a contestant.
#[derive(Clone, Debug, Default)]
pub struct Figure {
    /// By number of threads: the median nanoseconds per call, and the median ratio to those of steadfast in the same round.
    pub times: HashMap<usize, (f64, f64)>,
    /// Instructions per call.
    pub instructions: Option<f64>,
    /// Allocations per call.
    pub allocations: Option<f64>,
    /// Cache lines that a call shares with other threads.
    pub shared: Option<SharedLines>,
}

/// All results of a run.
#[derive(Debug, Default)]
pub struct Results {
    /// Machine, compiler, versions, date, method.
    pub environment: Vec<(&'static str, String)>,
    /// The rows of calls.
    pub rows: Vec<Measured>,
    /// The nanoseconds of the transfer of a cache line between two cores of this machine.
    pub transfer: f64,
    /// Ten thousand concurrent calls at recovery, per breaker.
    pub recoveries: Vec<Recovery>,
    /// A dependency that hangs, per breaker.
    pub hangs: Vec<Hang>,
    /// The bytes of each breaker.
    pub memory: Vec<(String, u64)>,
    /// The bytes of each future.
    pub futures: Vec<(&'static str, usize)>,
    /// Builds of 500 functions of each kind.
    pub built: Vec<Built>,
    /// Clean builds.
    pub clean: Vec<CleanBuild>,
}

impl Measured {
    /// Returns the nanoseconds per call of a contestant.
    #[must_use]
    pub fn ns(&self, name: &str, threads: usize) -> f64 {
        let index = self.row.contestants.iter().position(|contestant| contestant.name == name);
        let times = index.and_then(|index| self.figures.get(index)).and_then(|figure| figure.times.get(&threads));
        times.map_or(f64::NAN, |(ns, _)| *ns)
    }
}

impl Results {
    /// Formats the results as text.
    #[must_use]
    pub fn text(&self, layout: Layout) -> String {
        let mut parts = vec![
            "# Measured side by side\n\nWritten by `cargo xtask bench`. Ratios come first: the figure divided by steadfast's. \
             Above 1, steadfast is faster or smaller."
                .to_owned(),
            self.environment(layout),
            format!("## Overview\n\n{}", self.overview().text(layout)),
            format!("## Targets\n\n{}", self.targets().text(layout)),
        ];
        let details = |row: &Measured| if row.row.of_values { of_values(row, layout) } else { details(row, layout) };
        parts.extend(self.rows.iter().map(details));
        parts.extend(self.further_sections(layout));
        parts.push(format!("## Settings\n\n{}", self.settings().text(layout)));
        parts.join("\n\n") + "\n"
    }

    /// Writes the text and the charts.
    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder.join("charts"))?;
        let charts = [
            ("success.svg", chart::bars(self)?),
            ("threads.svg", chart::threads(self)?),
            ("code.svg", chart::code(self)?),
        ];
        let mut text = self.text(Layout::Markdown);
        text += "\n## Charts\n\n";
        for (name, svg) in charts {
            if let Some(svg) = svg {
                fs::write(folder.join("charts").join(name), svg)?;
                write!(text, "![{name}](charts/{name})\n\n")?;
            }
        }
        Ok(fs::write(folder.join("RESULTS.md"), text.trim_end().to_owned() + "\n")?)
    }

    fn environment(&self, layout: Layout) -> String {
        let mut table = Table::new(&["", ""]);
        for (name, text) in &self.environment {
            table.row([(*name).to_owned(), text.clone()]);
        }
        table.text(layout)
    }

    /// Compares the fastest and the slowest peer of each row with steadfast.
    fn overview(&self) -> Table {
        let mut table = Table::new(&[
            "work",
            "fastest peer / steadfast",
            "steadfast, ns",
            "fastest peer",
            "fastest peer, ns",
            "slowest peer / steadfast",
        ]);
        for measured in self.rows.iter().filter(|measured| !measured.row.of_values) {
            let peers = measured.row.contestants.iter().zip(&measured.figures);
            let library = |name: &str| !name.starts_with("by hand");
            let mut peers: Vec<_> = peers
                .filter(|(contestant, _)| contestant.role == Role::Peer && library(contestant.name))
                .filter_map(|(contestant, figure)| Some((contestant.name, *figure.times.get(&1)?)))
                .collect();
            peers.sort_by(|(_, (one, _)), (_, (other, _))| one.total_cmp(other));
            let (Some(first), Some(last)) = (peers.first(), peers.last()) else { continue };
            let ours = measured.ns(measured.row.ours, 1);
            table.row([
                measured.row.title.to_owned(),
                ratio(first.1.1),
                number(ours),
                first.0.to_owned(),
                number(first.1.0),
                ratio(last.1.1),
            ]);
        }
        table
    }

    fn targets(&self) -> Table {
        let mut table = Table::new(&["work", "actual / limit", "", "target", "actual", "limit"]);
        for measured in &self.rows {
            let of = |name: &str, threads| measured.ns(name, threads);
            for target in &measured.row.targets {
                let (actual, limit) = ((target.actual)(&of), (target.limit)(&of));
                let verdict = if actual <= limit { "met" } else { "missed" };
                table.row([
                    measured.row.title.to_owned(),
                    ratio(actual / limit),
                    verdict.to_owned(),
                    target.text.to_owned(),
                    number(actual),
                    number(limit),
                ]);
            }
        }
        let size = |name| self.futures.iter().find(|(found, _)| *found == name).map(|(_, bytes)| float(*bytes as u64));
        if let Some((ours, by_hand)) = size(family::FULL_STACK).zip(size(family::FULL_STACK_BY_HAND)) {
            let limit = by_hand * 1.05;
            let verdict = if ours <= limit { "met" } else { "missed" };
            let cells = ["size of a future", &ratio(ours / limit), verdict, "full stack: at most 1.05x by hand, bytes"];
            table.row(cells.map(str::to_owned).into_iter().chain([number(ours), number(limit)]));
        }
        table
    }

    fn settings(&self) -> Table {
        let mut table = Table::new(&["contestant", "work", "settings"]);
        for measured in self.rows.iter().filter(|measured| !measured.row.of_values) {
            for contestant in &measured.row.contestants {
                table.row([contestant.name, measured.row.title, contestant.settings].map(str::to_owned));
            }
        }
        for hang in &self.hangs {
            table.row([hang.name, "a dependency that hangs", hang.settings].map(str::to_owned));
        }
        table
    }

    fn further_sections(&self, layout: Layout) -> Vec<String> {
        let mut parts = vec![self.contention(layout)];
        if !self.recoveries.is_empty() {
            let ours = self
                .recoveries
                .iter()
                .find(|recovery| recovery.name == "steadfast")
                .map_or(f64::NAN, |recovery| recovery.millis);
            let mut table = Table::new(&["", "ratio", "admitted", "configured limit", "total ms"]);
            for recovery in &self.recoveries {
                let row = [ratio(recovery.millis / ours), recovery.admitted.to_string(), recovery.limit.to_owned()];
                table.row([recovery.name.to_owned()].into_iter().chain(row).chain([number(recovery.millis)]));
            }
            parts.push(format!(
                "## Concurrent calls at recovery\n\n{TASKS} tasks call at the same time once the circuit may recover. Admitted calls \
                 end when every task has been admitted or rejected. circuitbreaker-rs is left out: it has no async call.\n\n{}",
                table.text(layout)
            ));
        }
        parts.extend(self.hangs(layout));
        if !self.memory.is_empty() {
            let ours =
                self.memory.iter().find(|(name, _)| name == "steadfast").map_or(f64::NAN, |(_, bytes)| float(*bytes));
            let mut table = Table::new(&["", "ratio", "bytes"]);
            for (name, bytes) in &self.memory {
                table.row([name.clone(), ratio(float(*bytes) / ours), bytes.to_string()]);
            }
            parts.push(format!(
                "## Memory of a breaker\n\nThe breaker and all memory it owns after a thousand calls, one of them failed. Of \
                 steadfast's bytes, 4 KiB are totals in per-thread cells.\n\n{}",
                table.text(layout)
            ));
        }
        if let Some((_, bare)) = self.futures.first() {
            let mut table = Table::new(&["", "added bytes", "bytes"]);
            for (name, bytes) in &self.futures {
                table.row([(*name).to_owned(), bytes.saturating_sub(*bare).to_string(), bytes.to_string()]);
            }
            parts.push(format!("## Size of a future\n\n{}", table.text(layout)));
        }
        parts.extend(self.builds(layout));
        parts
    }

    fn contention(&self, layout: Layout) -> String {
        let mut head = ["work", "contestant", "shared lines", "written", "ns, 1 thread", "2 threads", "2, modelled"]
            .map(str::to_owned)
            .to_vec();
        head.extend(MACHINES.map(|machine| format!("{} threads, modelled", machine.threads)));
        let mut table = Table::new(&head);
        // The modelled time with two threads, divided by the measured one.
        let mut with_shared = Vec::new();
        for Measured { row, figures } in &self.rows {
            for (contestant, figure) in row.contestants.iter().zip(figures) {
                let Some(shared) = figure.shared.filter(|_| contestant.role != Role::Baseline) else { continue };
                let [one, two] = [1, 2].map(|threads| figure.times.get(&threads).map_or(f64::NAN, |(ns, _)| *ns));
                let here = Machine { threads: 2, transfer: self.transfer };
                if shared.touched > 0.5 {
                    with_shared.push(shared.core_time(one, here) / two);
                }
                let modelled = [here].into_iter().chain(MACHINES).map(|machine| number(shared.core_time(one, machine)));
                let counts = [shared.touched, shared.written, one, two].map(number);
                let cells = [row.title, contestant.name].map(str::to_owned).into_iter();
                table.row(cells.chain(counts).chain(modelled));
            }
        }
        let checked = if with_shared.is_empty() { f64::NAN } else { median(&with_shared) };
        let [one, two] = MACHINES.map(|machine| machine.transfer);
        format!(
            "## Contention\n\nShared lines are the cache lines that a call accesses and that other threads access too, and of which at least one \
             thread writes; written are those that the call itself writes. Both are counted in a trace of all memory accesses by \
             valgrind's lackey, of calls in two threads. Times are core time in nanoseconds per call. The model: a call takes its time with one \
             thread plus a transfer for each shared line; calls that access the same line follow one another, one for each \
             transfer. It assumes that threads do nothing but call, that a line stays at a core until the call ends, and that no thread waits for \
             a lock or repeats an attempt, so with locks it is a lower bound; with two threads, a core often makes several calls before a line is taken away, so \
             there it can also be too high. With two threads, the model gives {} of the measured time: the median over the contestants with shared \
             lines. A transfer takes {} ns between the two cores of this machine, as measured here, {} ns \
             with 64 threads (one socket) and {} ns with 128 (two sockets, half of the transfers between them), as measured on an Intel Xeon Platinum \
             8375C: <https://github.com/nviennot/core-to-core-latency>.\n\n{}",
            ratio(checked),
            number(self.transfer),
            number(one),
            number(two),
            table.text(layout)
        )
    }

    fn hangs(&self, layout: Layout) -> Option<String> {
        let snapshot =
            self.hangs.iter().filter(|hang| hang.name.contains("hung_call")).find_map(|hang| hang.snapshot.as_ref())?;
        let mut table = Table::new(&[vec![""], titles()].concat());
        for hang in &self.hangs {
            table.row([hang.name.to_owned()].into_iter().chain(hang.figures.iter().map(ToString::to_string)));
        }
        Some(format!(
            "## A dependency that hangs\n\nCalls arrive every 10 ms. Their callers give up after 100 ms, and an attempt has a limit of 200 ms, \
             which is never reached. The columns are the number of calls, of 400, that reach the dependency in a hang of 4 s: from the first call \
             on, after 300 calls that were answered, and with a circuit that errors have opened, by its recovery timeout. Without a time limit, callers never give up, \
             and the hang takes 30 s. In the last columns, 3,000 calls lose a race after a millisecond each, and 50 calls hang in a \
             bulkhead with 50 permits below the breaker while the dependency answers again: the number of later calls that \
             the circuit rejects, so 0 if it does not open.\n\n{}\n\nIn the last column, the snapshot of steadfast with hung_call \
             is: {snapshot}.",
            table.text(layout)
        ))
    }

    fn builds(&self, layout: Layout) -> Vec<String> {
        let mut parts = Vec::new();
        let find = |name: &str| self.built.iter().find(|built| built.name == name);
        if let Some((plain, ours)) = find("plain functions").zip(find("steadfast, #[retry]")) {
            let mut table = Table::new(&[
                "",
                "added code / #[retry]'s",
                "added IR / #[retry]'s",
                "check / plain",
                "release / plain",
                "code, kB",
                "IR, lines",
                "check, s",
                "release, s",
            ]);
            for built in &self.built {
                let text = |built: &Built| float(built.text.saturating_sub(plain.text));
                let lines = |built: &Built| float(built.lines.saturating_sub(plain.lines) as u64);
                table.row([
                    built.name.to_owned(),
                    ratio(text(built) / text(ours)),
                    ratio(lines(built) / lines(ours)),
                    ratio(built.check / plain.check),
                    ratio(built.release / plain.release),
                    number(float(built.text) / 1e3),
                    built.lines.to_string(),
                    number(built.check),
                    number(built.release),
                ]);
            }
            parts.push(format!(
                "## {FUNCTIONS} annotated functions\n\nMachine code at opt-level 2 and lines of LLVM IR at opt-level 0, of the \
                 crate with the functions. Build times are of that crate alone, with its dependencies already built.\n\n{}",
                table.text(layout)
            ));
        }
        if let Some(ours) = self.clean.first() {
            let mut table =
                Table::new(&["", "debug / steadfast", "release / steadfast", "crates", "debug, s", "release, s"]);
            for clean in &self.clean {
                table.row([
                    clean.name.to_owned(),
                    ratio(clean.debug / ours.debug),
                    ratio(clean.release / ours.release),
                    clean.crates.to_string(),
                    number(clean.debug),
                    number(clean.release),
                ]);
            }
            parts.push(format!("## Clean builds\n\n{}", table.text(layout)));
        }
        parts
    }
}

fn details(measured: &Measured, layout: Layout) -> String {
    let mut threads: Vec<_> = measured.row.threads.to_vec();
    threads.sort_unstable();
    let mut head = vec![String::new()];
    head.extend(threads.iter().map(|threads| format!("ratio, {}", threads_text(*threads))));
    head.push("2 threads / 1".to_owned());
    head.extend(threads.iter().map(|threads| format!("ns, {}", threads_text(*threads))));
    head.extend(["instructions", "allocations"].map(str::to_owned));
    let mut table = Table::new(&head);
    for (contestant, figure) in measured.row.contestants.iter().zip(&measured.figures) {
        let times = |threads: &usize| figure.times.get(threads).copied().unwrap_or((f64::NAN, f64::NAN));
        let mut row = vec![contestant.name.to_owned()];
        row.extend(threads.iter().map(|threads| ratio(times(threads).1)));
        row.push(ratio(times(&2).0 / times(&1).0));
        row.extend(threads.iter().map(|threads| number(times(threads).0)));
        row.push(figure.instructions.map_or_else(|| "-".to_owned(), |count| format!("{count:.0}")));
        row.push(figure.allocations.map_or_else(|| "-".to_owned(), |count| format!("{count:.1}")));
        table.row(row);
    }
    let note = if measured.row.note.is_empty() { String::new() } else { format!("\n\n{}", measured.row.note) };
    format!("## {}\n\n{}{note}", measured.row.title, table.text(layout))
}

/// Formats a row of [`values`]: a line for each kind of value.
fn of_values(measured: &Measured, layout: Layout) -> String {
    let names: Vec<_> = measured.row.contestants.iter().map(|contestant| contestant.name).collect();
    let ns: Vec<_> = names.iter().map(|name| measured.ns(name, 1)).collect();
    let mut table = Table::new(&[&["ns per call"], values::HEADS.as_slice()].concat());
    for (kind, figures) in values::lines(&names, &ns) {
        table.row([kind.to_owned()].into_iter().chain(figures.map(number)));
    }
    format!(
        "## {}\n\nThe work is a function that is not inlined and returns a `Result` with a value of this size. By hand, the result is \
         looked at and returned; both by hand are a breaker that calls a closure, and a retry around it. The columns with + are the differences to by hand. The errors \
         have 8 bytes.\n\n{}",
        measured.row.title,
        table.text(layout)
    )
}

fn threads_text(threads: usize) -> String {
    if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") }
}

fn ratio(ratio: f64) -> String {
    if ratio.is_finite() { format!("{ratio:.2}") } else { "-".to_owned() }
}

fn number(number: f64) -> String {
    match number {
        number if !number.is_finite() => "-".to_owned(),
        number if number.abs() < 100.0 => format!("{number:.1}"),
        number => format!("{number:.0}"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes below 2⁵³")]
const fn float(count: u64) -> f64 {
    count as f64
}
