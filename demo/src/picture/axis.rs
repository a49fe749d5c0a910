//! The vertical axes of the panels.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, ValueFormatter};
use plotters::prelude::*;

/// The scale of a vertical axis.
#[derive(Clone, Copy)]
pub(super) enum Scale {
    Linear,
    /// A logarithmic scale from 1, at which smaller counts are drawn.
    Logarithmic,
    /// One unit per row, without labels.
    Rows,
}

/// A vertical axis, from its lowest value to slightly above the highest count.
#[derive(Clone)]
pub(super) struct CountAxis {
    pub(super) scale: Scale,
    pub(super) highest: f64,
}

impl CountAxis {
    const HEADROOM: f64 = 1.12;

    fn height(&self, count: f64) -> f64 {
        match self.scale {
            Scale::Linear | Scale::Rows => count,
            Scale::Logarithmic => count.max(1.0).ln(),
        }
    }
}

impl Ranged for CountAxis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, count: &f64, (bottom, top): (i32, i32)) -> i32 {
        let share = self.height(*count) / self.height(self.range().end);
        #[expect(clippy::cast_possible_truncation, reason = "a position within the panel")]
        let up = (share * f64::from(top - bottom)).round() as i32;
        bottom + up
    }

    /// Returns round counts, few enough to be legible.
    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        let powers = (0..6).map(|power| 10_f64.powi(power));
        let rounds: Vec<_> = match self.scale {
            Scale::Linear => {
                let few = |step: &f64| self.highest / step <= 6.0;
                let step = powers.flat_map(|power| [power, 2.0 * power, 5.0 * power]).find(few).unwrap_or(self.highest);
                (0..=6).map(|tick| f64::from(tick) * step).collect()
            }
            Scale::Logarithmic => powers.flat_map(|power| [power, 3.0 * power]).collect(),
            Scale::Rows => Vec::new(),
        };
        rounds.into_iter().filter(|count| *count <= self.highest).collect()
    }

    fn range(&self) -> Range<f64> {
        match self.scale {
            Scale::Linear => 0.0..self.highest * Self::HEADROOM,
            Scale::Logarithmic => 1.0..self.highest.powf(Self::HEADROOM),
            Scale::Rows => 0.0..self.highest,
        }
    }
}

impl ValueFormatter<f64> for CountAxis {
    fn format(count: &f64) -> String {
        format!("{count:.0}")
    }
}
