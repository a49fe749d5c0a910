//! A panel of the chart: one quantity of every lane over time, with the phases of the service in the background.

use std::ops::Range;
use std::time::Duration;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::style::{Area, GREY, INK, LEFT, LineStyle, Points, RIGHT, text};
use crate::checkout::Lane;
use crate::load::PlayedPhase;

/// The height of the title and of the names of the phases below it.
const HEAD: u32 = 50;
const TIME_LABELS: u32 = 34;
const SHADE: RGBColor = RGBColor(240, 240, 240);

type Plot<'a> = Area<'a, Cartesian2d<RangedCoordf64, CountAxis>>;

pub(super) struct Panel<'a> {
    pub(super) title: &'static str,
    pub(super) scale: Scale,
    pub(super) lines: Vec<(Lane, Points)>,
    pub(super) phases: &'a [PlayedPhase],
    pub(super) until: Duration,
}

impl Panel<'_> {
    pub(super) fn draw(&self, area: &Area<'_>) -> anyhow::Result<()> {
        let counts = self.lines.iter().flat_map(|(_, points)| points).map(|&(_, count)| count);
        let axis = CountAxis { scale: self.scale, highest: counts.fold(1.0, f64::max) };
        let mut chart = ChartBuilder::on(area)
            .margin_top(HEAD)
            .margin_right(RIGHT)
            .y_label_area_size(LEFT)
            .x_label_area_size(TIME_LABELS)
            .build_cartesian_2d(0.0..self.until.as_secs_f64(), axis)?;

        let title = Text::new(self.title, (LEFT.cast_signed(), 10), text(16, HPos::Left, VPos::Center));
        area.draw(&title)?;
        self.draw_phases(chart.plotting_area())?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GREY)
            .axis_style(INK)
            .label_style(text(14, HPos::Center, VPos::Center))
            .x_labels(16)
            .x_label_formatter(&|seconds| format!("{seconds} s"))
            .draw()?;
        self.draw_lines(chart.plotting_area())
    }

    fn draw_phases(&self, plot: &Plot<'_>) -> anyhow::Result<()> {
        let top = plot.get_y_range().end;
        for phase in self.phases {
            let (from, to) = (phase.from.as_secs_f64(), phase.to.as_secs_f64());
            if phase.mode.is_down() {
                plot.draw(&Rectangle::new([(from, 0.0), (to, top)], SHADE.filled()))?;
            }
            plot.draw(&PathElement::new([(from, 0.0), (from, top)], GREY))?;
            let name = Text::new(phase.mode.name(), (0, -6), text(14, HPos::Center, VPos::Bottom));
            plot.draw(&(EmptyElement::at((f64::midpoint(from, to), top)) + name))?;
        }
        Ok(())
    }

    fn draw_lines(&self, plot: &Plot<'_>) -> anyhow::Result<()> {
        let label_time = self.label_time();
        for (lane, points) in &self.lines {
            let style = LineStyle::of(*lane);
            style.draw_line(plot, points.clone())?;
            // Along its whole width, the label must be above the line.
            let near = points.iter().filter(|(time, _)| (time - label_time).abs() < self.until.as_secs_f64() / 40.0);
            let highest = near.map(|&(_, count)| count).fold(0.0, f64::max);
            let label = Text::new(lane.name(), (0, -8), text(15, HPos::Center, VPos::Bottom).color(&style.color));
            plot.draw(&(EmptyElement::at((label_time, highest)) + label))?;
        }
        Ok(())
    }

    /// Returns the time at which the lines are labelled: in the longest phase in which the service is down, where they differ most.
    fn label_time(&self) -> f64 {
        let down = self.phases.iter().filter(|phase| phase.mode.is_down());
        let longest = down.max_by_key(|phase| phase.to.saturating_sub(phase.from));
        longest.map_or(0.0, |phase| phase.from.as_secs_f64() * 0.4 + phase.to.as_secs_f64() * 0.6)
    }
}

/// The scale of the vertical axis.
#[derive(Clone, Copy)]
pub(super) enum Scale {
    Linear,
    /// log(1 + count), which is legible for one caller and for five hundred, and is defined for zero.
    Logarithmic,
}

/// The vertical axis, from zero to slightly above the highest count.
struct CountAxis {
    scale: Scale,
    highest: f64,
}

impl CountAxis {
    const HEADROOM: f64 = 1.12;

    fn height(&self, count: f64) -> f64 {
        match self.scale {
            Scale::Linear => count,
            Scale::Logarithmic => count.ln_1p(),
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
            Scale::Logarithmic => [0.0].into_iter().chain(powers.flat_map(|power| [power, 3.0 * power])).collect(),
        };
        rounds.into_iter().filter(|count| *count <= self.highest).collect()
    }

    fn range(&self) -> Range<f64> {
        let end = match self.scale {
            Scale::Linear => self.highest * Self::HEADROOM,
            Scale::Logarithmic => (self.highest.ln_1p() * Self::HEADROOM).exp_m1(),
        };
        0.0..end
    }
}

impl ValueFormatter<f64> for CountAxis {
    fn format(count: &f64) -> String {
        format!("{count:.0}")
    }
}
