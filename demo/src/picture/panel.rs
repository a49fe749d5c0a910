//! The frame of a panel: its title, the phases of the service in the background, and the axes.

use std::time::Duration;

use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::axis::CountAxis;
use super::style::{Area, GREY, INK, LEFT, RIGHT, SHADE, text};
use crate::load::PlayedPhase;

/// The height of the title and of the names of the phases below it.
pub(super) const HEAD: u32 = 50;
/// The height of the time axis and its labels.
pub(super) const TIME_AXIS: u32 = 34;

pub(super) type Plot<'a> = Area<'a, Cartesian2d<RangedCoordf64, CountAxis>>;

pub(super) struct Panel<'a> {
    pub(super) title: &'static str,
    pub(super) phases: &'a [PlayedPhase],
    pub(super) until: Duration,
}

impl Panel<'_> {
    /// Draws the frame with a time axis, and returns the plot inside it.
    pub(super) fn draw<'a>(&self, area: &Area<'a>, axis: CountAxis) -> anyhow::Result<Plot<'a>> {
        let mut chart = ChartBuilder::on(area)
            .margin_top(HEAD)
            .margin_right(RIGHT)
            .y_label_area_size(LEFT)
            .x_label_area_size(TIME_AXIS)
            .build_cartesian_2d(0.0..self.until.as_secs_f64(), axis)?;

        area.draw(&Text::new(self.title, (LEFT.cast_signed(), 10), text(16, HPos::Left, VPos::Center)))?;
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
        Ok(chart.plotting_area().clone())
    }

    fn draw_phases(&self, plot: &Plot<'_>) -> anyhow::Result<()> {
        let height = plot.get_y_range();
        let (bottom, top) = (height.start, height.end);
        // Switching the service takes a moment: each phase is drawn until the start of the next one.
        let ends = self.phases.iter().skip(1).map(|next| next.from).chain([self.until]);
        for (phase, to) in self.phases.iter().zip(ends) {
            let (from, to) = (phase.from.as_secs_f64(), to.as_secs_f64());
            if phase.mode.is_down() {
                plot.draw(&Rectangle::new([(from, bottom), (to, top)], SHADE.filled()))?;
            }
            plot.draw(&PathElement::new([(from, bottom), (from, top)], GREY))?;
            let name = Text::new(phase.mode.name(), (0, -6), text(14, HPos::Center, VPos::Bottom));
            plot.draw(&(EmptyElement::at((f64::midpoint(from, to), top)) + name))?;
        }
        Ok(())
    }
}
