//! What was measured, as tables and pictures.

mod chart;
mod table;

use std::{collections::HashMap, fmt::Write, fs, path::Path};

use anyhow::Result;

pub use self::table::Layout;
use self::table::Table;
use crate::{
    builds::{Built, Cold, FUNCTIONS},
    contest::Side,
    rows::Row,
    storm::{Storm, TASKS},
};

/// A row, measured.
#[derive(Debug)]
pub struct Measured {
    /// The row.
    pub row: Row,
    /// In the order of its contestants.
    pub figures: Vec<Figure>,
}

/// A contestant, measured.
#[derive(Clone, Debug, Default)]
pub struct Figure {
    /// The median of the nanoseconds of a call, and of the ratio to steadfast's in the same round, by the number of threads.
    pub times: HashMap<usize, (f64, f64)>,
    /// Instructions of a call.
    pub instructions: Option<f64>,
    /// Allocations of a call.
    pub allocations: Option<f64>,
}

/// Everything.
#[derive(Debug, Default)]
pub struct Results {
    /// Machine, date, versions.
    pub circumstances: Vec<(&'static str, String)>,
    /// The rows of the table.
    pub rows: Vec<Measured>,
    /// What became of ten thousand tasks.
    pub storms: Vec<Storm>,
    /// Bytes, by what takes them.
    pub memory: Vec<(String, u64)>,
    /// Bytes, by what is around the work.
    pub futures: Vec<(&'static str, usize)>,
    /// 500 functions of each kind.
    pub built: Vec<Built>,
    /// From nothing.
    pub cold: Vec<Cold>,
}

impl Measured {
    /// The nanoseconds of a contestant.
    #[must_use]
    pub fn ns(&self, name: &str, threads: usize) -> f64 {
        let index = self.row.contestants.iter().position(|contestant| contestant.name == name);
        let times = index.and_then(|index| self.figures.get(index)).and_then(|figure| figure.times.get(&threads));
        times.map_or(f64::NAN, |(ns, _)| *ns)
    }
}

impl Results {
    /// As text, to be printed or to be kept.
    #[must_use]
    pub fn text(&self, layout: Layout) -> String {
        let mut parts = vec![
            "# Measured side by side\n\nWritten by `cargo xtask bench`. Ratios come first: how many times what steadfast takes. \
             Above 1 steadfast is faster or smaller."
                .to_owned(),
            self.circumstances(layout),
            format!("## At a glance\n\n{}", self.overview().text(layout)),
            format!("## What was to be reached\n\n{}", self.goals().text(layout)),
        ];
        parts.extend(self.rows.iter().map(|row| details(row, layout)));
        parts.extend(self.others(layout));
        parts.push(format!("## Settings\n\n{}", self.settings().text(layout)));
        parts.join("\n\n") + "\n"
    }

    /// Writes the text and the pictures.
    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder.join("charts"))?;
        let charts = [
            ("success.svg", chart::bars(self)?),
            ("threads.svg", chart::threads(self)?),
            ("code.svg", chart::code(self)?),
        ];
        let mut text = self.text(Layout::Markdown);
        text += "\n## Pictures\n\n";
        for (name, svg) in charts {
            if let Some(svg) = svg {
                fs::write(folder.join("charts").join(name), svg)?;
                write!(text, "![{name}](charts/{name})\n\n")?;
            }
        }
        Ok(fs::write(folder.join("RESULTS.md"), text.trim_end().to_owned() + "\n")?)
    }

    fn circumstances(&self, layout: Layout) -> String {
        let mut table = Table::new(&["", ""]);
        for (what, text) in &self.circumstances {
            table.row([(*what).to_owned(), text.clone()]);
        }
        table.text(layout)
    }

    /// The row's best peer, and how it stands to steadfast.
    fn overview(&self) -> Table {
        let mut table = Table::new(&[
            "work",
            "fastest peer / steadfast",
            "steadfast, ns",
            "fastest peer",
            "its ns",
            "slowest peer / steadfast",
        ]);
        for measured in &self.rows {
            let peers = measured.row.contestants.iter().zip(&measured.figures);
            let library = |name: &str| !name.starts_with("by hand");
            let mut peers: Vec<_> = peers
                .filter(|(contestant, _)| contestant.side == Side::Peer && library(contestant.name))
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

    fn goals(&self) -> Table {
        let mut table = Table::new(&["work", "is / may be", "", "to reach", "is", "may be"]);
        for measured in &self.rows {
            let of = |name: &str, threads| measured.ns(name, threads);
            for goal in &measured.row.goals {
                let (is, limit) = ((goal.is)(&of), (goal.limit)(&of));
                let reached = if is <= limit { "reached" } else { "missed" };
                table.row([
                    measured.row.title.to_owned(),
                    ratio(is / limit),
                    reached.to_owned(),
                    goal.text.to_owned(),
                    number(is),
                    number(limit),
                ]);
            }
        }
        table
    }

    fn settings(&self) -> Table {
        let mut table = Table::new(&["contestant", "work", "settings"]);
        for measured in &self.rows {
            for contestant in &measured.row.contestants {
                table.row([contestant.name, measured.row.title, contestant.settings].map(str::to_owned));
            }
        }
        table
    }

    fn others(&self, layout: Layout) -> Vec<String> {
        let mut parts = Vec::new();
        if !self.storms.is_empty() {
            let ours =
                self.storms.iter().find(|storm| storm.name == "steadfast").map_or(f64::NAN, |storm| storm.millis);
            let mut table = Table::new(&["", "ratio", "let through", "set to let through", "ms in all"]);
            for storm in &self.storms {
                let row = [ratio(storm.millis / ours), storm.let_through.to_string(), storm.limit.to_owned()];
                table.row([storm.name.to_owned()].into_iter().chain(row).chain([number(storm.millis)]));
            }
            parts.push(format!(
                "## A storm at recovery\n\n{TASKS} tasks call at once when the circuit would recover; what is let through \
                 hangs until all have been decided about. circuitbreaker-rs has no such call: it is not async.\n\n{}",
                table.text(layout)
            ));
        }
        if !self.memory.is_empty() {
            let ours =
                self.memory.iter().find(|(name, _)| name == "steadfast").map_or(f64::NAN, |(_, bytes)| float(*bytes));
            let mut table = Table::new(&["", "ratio", "bytes"]);
            for (name, bytes) in &self.memory {
                table.row([name.clone(), ratio(float(*bytes) / ours), bytes.to_string()]);
            }
            parts.push(format!(
                "## Memory of a breaker\n\nItself and what it holds after a thousand calls, of which one has failed. Of \
                 steadfast's, 4 KiB are the totals that threads do not share.\n\n{}",
                table.text(layout)
            ));
        }
        if let Some((_, bare)) = self.futures.first() {
            let mut table = Table::new(&["", "more than without, bytes", "bytes"]);
            for (name, bytes) in &self.futures {
                table.row([(*name).to_owned(), bytes.saturating_sub(*bare).to_string(), bytes.to_string()]);
            }
            parts.push(format!("## Size of a future\n\n{}", table.text(layout)));
        }
        parts.extend(self.builds(layout));
        parts
    }

    fn builds(&self, layout: Layout) -> Vec<String> {
        let mut parts = Vec::new();
        let find = |name: &str| self.built.iter().find(|built| built.name == name);
        if let Some((without, ours)) = find("without").zip(find("steadfast, #[retry]")) {
            let mut table = Table::new(&[
                "",
                "added code / #[retry]'s",
                "added IR / #[retry]'s",
                "check / without",
                "release / without",
                "code, kB",
                "IR, lines",
                "check, s",
                "release, s",
            ]);
            for built in &self.built {
                let text = |built: &Built| float(built.text.saturating_sub(without.text));
                let lines = |built: &Built| float(built.lines.saturating_sub(without.lines) as u64);
                table.row([
                    built.name.to_owned(),
                    ratio(text(built) / text(ours)),
                    ratio(lines(built) / lines(ours)),
                    ratio(built.check / without.check),
                    ratio(built.release / without.release),
                    number(float(built.text) / 1e3),
                    built.lines.to_string(),
                    number(built.check),
                    number(built.release),
                ]);
            }
            parts.push(format!(
                "## {FUNCTIONS} annotated functions\n\nMachine code at opt-level 2 and LLVM's lines at opt-level 0, of the \
                 crate that has the functions; times of that crate alone, its dependencies being built.\n\n{}",
                table.text(layout)
            ));
        }
        if let Some(ours) = self.cold.first() {
            let mut table =
                Table::new(&["", "debug / steadfast", "release / steadfast", "crates", "debug, s", "release, s"]);
            for cold in &self.cold {
                table.row([
                    cold.name.to_owned(),
                    ratio(cold.debug / ours.debug),
                    ratio(cold.release / ours.release),
                    cold.crates.to_string(),
                    number(cold.debug),
                    number(cold.release),
                ]);
            }
            parts.push(format!("## A build from nothing\n\n{}", table.text(layout)));
        }
        parts
    }
}

fn details(measured: &Measured, layout: Layout) -> String {
    let mut threads: Vec<_> = measured.row.threads.to_vec();
    threads.sort_unstable();
    let mut head = vec![String::new()];
    head.extend(threads.iter().map(|threads| format!("ratio, {}", of_threads(*threads))));
    head.push("2 / 1".to_owned());
    head.extend(threads.iter().map(|threads| format!("ns, {}", of_threads(*threads))));
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

fn of_threads(threads: usize) -> String {
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
