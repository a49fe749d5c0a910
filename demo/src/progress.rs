//! The progress of a run: a bar per lane, or a line per phase if standard error is not a terminal.

use std::cell::Cell;
use std::fmt::Display;
use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::script::{Mode, Script};

/// The progress bars of all lanes.
pub(crate) struct Progress {
    bars: MultiProgress,
    total: Duration,
}

/// The bar of one lane.
pub(crate) struct LaneBar {
    name: &'static str,
    bar: ProgressBar,
    /// The mode in the last printed line; `None` if bars are shown instead of lines.
    printed: Option<Cell<Option<Mode>>>,
}

impl Progress {
    pub(crate) fn new(script: &Script) -> Self {
        Self { bars: MultiProgress::new(), total: script.total() }
    }

    /// Adds a bar below the existing ones.
    pub(crate) fn lane(&self, name: &'static str) -> anyhow::Result<LaneBar> {
        let style = ProgressStyle::with_template("{prefix:<14} {bar:20.cyan/blue} {msg}")?;
        let length = u64::try_from(self.total.as_millis())?;
        let bar = self.bars.add(ProgressBar::new(length).with_style(style).with_prefix(name));
        bar.set_message("waiting");
        let printed = (!stderr().is_terminal()).then(Cell::default);
        Ok(LaneBar { name, bar, printed })
    }
}

impl LaneBar {
    /// Shows the mode of the service and the state of the lane.
    pub(crate) fn show(&self, now: Duration, mode: Mode, lane_state: &dyn Display) {
        if let Some(printed) = &self.printed {
            if printed.replace(Some(mode)) != Some(mode) {
                eprintln!("{:<14} {:>4.1} s  service {mode}, {lane_state}", self.name, now.as_secs_f64());
            }
            return;
        }
        self.bar.set_position(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        self.bar.set_message(format!("{mode:<8} {lane_state}"));
    }

    pub(crate) fn done(&self) {
        self.bar.finish_with_message("done");
    }
}
