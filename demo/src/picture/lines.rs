//! A panel with a line per lane.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::axis::{CountAxis, Scale};
use super::panel::Panel;
use super::style::{Area, LaneStyle, Points, text};
use crate::checkout::Lane;
use crate::measure::to_f64;

pub(super) fn draw(panel: &Panel<'_>, area: &Area<'_>, scale: Scale, lines: &[(Lane, Points)]) -> anyhow::Result<()> {
    let counts = lines.iter().flat_map(|(_, points)| points).map(|&(_, count)| count);
    let plot = panel.draw(area, CountAxis { scale, highest: counts.fold(10.0, f64::max) })?;
    for (lane, points) in lines {
        plot.draw(&LaneStyle::of(*lane).line(points.clone()))?;
    }
    // In the longest phase in which the service is down, where the lines differ most, each has its label at another time.
    let down = panel.phases.iter().filter(|phase| phase.mode.is_down());
    let Some(longest) = down.max_by_key(|phase| phase.to.saturating_sub(phase.from)) else { return Ok(()) };
    let (from, to) = (longest.from.as_secs_f64(), longest.to.as_secs_f64());
    for (number, (lane, points)) in (1..).zip(lines) {
        let label_time = from + (to - from) * to_f64(number) / to_f64(lines.len() + 1);
        // Along its whole width, the label must be above the line.
        let near = points.iter().filter(|(time, _)| (time - label_time).abs() < panel.until.as_secs_f64() / 40.0);
        let highest = near.map(|&(_, count)| count).fold(0.0, f64::max);
        let color = LaneStyle::of(*lane).color;
        let style = text(15, HPos::Center, VPos::Bottom).color(&color);
        plot.draw(&(EmptyElement::at((label_time, highest)) + Text::new(lane.name(), (0, -8), style)))?;
    }
    Ok(())
}
