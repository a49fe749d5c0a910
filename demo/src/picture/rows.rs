//! A panel with a row per lane, and a band of areas in each row.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::axis::{CountAxis, Scale};
use super::panel::{HEAD, Panel, TIME_AXIS};
use super::style::{Area, LEFT, LaneStyle, Points, draw_key, text};
use crate::checkout::Lane;
use crate::measure::to_f64;

/// The height of a row, in pixels.
const ROW: u32 = 62;
/// The share of a row that its band has. The name of the lane is above the band.
const BAND: f64 = 0.58;

pub(super) struct Row {
    pub(super) lane: Lane,
    /// Later pieces are drawn on top of earlier ones.
    pub(super) pieces: Vec<Piece>,
}

/// A filled area. Points are seconds and heights; the height of the band is 1.
pub(super) struct Piece {
    pub(super) outline: Points,
    pub(super) color: RGBColor,
    /// A text that fits into the area, its centre and its colour.
    pub(super) label: Option<(&'static str, (f64, f64), RGBColor)>,
}

/// An entry of the key: its name, its colour, and its height as a share of the whole height.
pub(super) type Key = (&'static str, RGBColor, f64);

/// Returns the height of a panel, in pixels.
pub(super) fn height(rows: &[Row]) -> u32 {
    let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    if count == 0 { 0 } else { HEAD + count.saturating_mul(ROW) + TIME_AXIS }
}

/// Draws a panel; nothing if it has no rows.
pub(super) fn draw(panel: &Panel<'_>, area: &Area<'_>, rows: &[Row], key: &[Key]) -> anyhow::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let plot = panel.draw(area, CountAxis { scale: Scale::Rows, highest: to_f64(rows.len()) })?;
    draw_key(area, LEFT.cast_signed() + 310, 10, key)?;
    for (number, row) in rows.iter().rev().enumerate() {
        let bottom = to_f64(number);
        let place = |(time, height): (f64, f64)| (time, bottom + height * BAND);
        for Piece { outline, color, label } in &row.pieces {
            plot.draw(&Polygon::new(outline.iter().copied().map(place).collect::<Vec<_>>(), color.filled()))?;
            if let Some((name, middle, color)) = label {
                let style = text(14, HPos::Center, VPos::Center).color(color);
                plot.draw(&Text::new(*name, place(*middle), style))?;
            }
        }
        let style = LaneStyle::of(row.lane);
        let name = format!("{}: {}", row.lane.name(), style.legend);
        let middle = plot.map_coordinate(&(0.0, bottom + f64::midpoint(BAND, 1.0))).1 - area.get_base_pixel().1;
        let left = LEFT.cast_signed();
        area.draw(&style.line(vec![(left + 8, middle), (left + 52, middle)]))?;
        area.draw(&Text::new(name, (left + 60, middle), text(15, HPos::Left, VPos::Center)))?;
    }
    Ok(())
}
