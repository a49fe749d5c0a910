//! How things stand while the outage plays: a bar per lane, or a line per phase where no terminal can show bars.

use std::cell::Cell;
use std::fmt::Display;
use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::script::{Mode, Script};

/// The bars of all lanes, one below the other.
pub(crate) struct Progress {
    bars: MultiProgress,
    total: Duration,
}

/// The bar of one lane.
pub(crate) struct LaneBar {
    name: &'static str,
    bar: ProgressBar,
    /// The phase whose beginning was written as a line, if lines are written.
    told: Option<Cell<Option<Mode>>>,
}

impl Progress {
    pub(crate) fn new(script: &Script) -> Self {
        Self { bars: MultiProgress::new(), total: script.total() }
    }

    /// Adds a bar below those that are there.
    pub(crate) fn lane(&self, name: &'static str) -> anyhow::Result<LaneBar> {
        let style = ProgressStyle::with_template("{prefix:<7} {bar:20.cyan/blue} {msg}")?;
        let length = u64::try_from(self.total.as_millis())?;
        let bar = self.bars.add(ProgressBar::new(length).with_style(style).with_prefix(name));
        bar.set_message("waits for its turn");
        let told = (!stderr().is_terminal()).then(Cell::default);
        Ok(LaneBar { name, bar, told })
    }
}

impl LaneBar {
    /// What the service is like now, and what else there is to say.
    pub(crate) fn show(&self, now: Duration, mode: Mode, rest: &dyn Display) {
        if let Some(told) = &self.told {
            if told.replace(Some(mode)) != Some(mode) {
                eprintln!("{:<8} {:>4.1} s  service {mode}, {rest}", self.name, now.as_secs_f64());
            }
            return;
        }
        self.bar.set_position(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        self.bar.set_message(format!("{mode:<8} {rest}"));
    }

    pub(crate) fn done(&self) {
        self.bar.finish_with_message("done");
    }
}
