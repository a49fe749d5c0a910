//! The dimensions, colours and text styles that the parts of the chart share.

use plotters::coord::{CoordTranslate, Shift};
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::checkout::Lane;

pub(super) const WIDTH: u32 = 1200;
/// The space left and right of the plots, equal for all panels so that their time axes align.
pub(super) const LEFT: u32 = 60;
pub(super) const RIGHT: u32 = 26;

// Okabe and Ito's palette, which is distinguishable with every type of colour vision (https://jfly.uni-koeln.de/color/).
pub(super) const VERMILLION: RGBColor = RGBColor(213, 94, 0);
pub(super) const BLUE: RGBColor = RGBColor(0, 114, 178);
pub(super) const GREEN: RGBColor = RGBColor(0, 158, 115);
pub(super) const ORANGE: RGBColor = RGBColor(230, 159, 0);
pub(super) const SKY: RGBColor = RGBColor(86, 180, 233);
pub(super) const INK: RGBColor = RGBColor(40, 40, 40);
pub(super) const GREY: RGBColor = RGBColor(200, 200, 200);

pub(super) type Area<'a, Coord = Shift> = DrawingArea<SVGBackend<'a>, Coord>;
/// Points of a line: seconds and a count.
pub(super) type Points = Vec<(f64, f64)>;

/// The style and the legend of a lane's line, the same in every panel.
pub(super) struct LineStyle {
    pub(super) color: RGBColor,
    /// The lengths of a dash and of the gap after it, in pixels; `None` for a solid line.
    pub(super) dash: Option<(i32, i32)>,
    pub(super) legend: &'static str,
}

impl LineStyle {
    pub(super) fn of(lane: Lane) -> Self {
        match lane {
            Lane::Naive => Self { color: VERMILLION, dash: Some((10, 5)), legend: "timeout only" },
            Lane::Retry => Self { color: BLUE, dash: Some((3, 3)), legend: "#[retry]" },
            Lane::Guarded => Self { color: GREEN, dash: None, legend: "#[retry] + #[circuit_breaker] + fallback" },
        }
    }

    pub(super) fn draw_line<Coord>(&self, area: &Area<'_, Coord>, points: Vec<Coord::From>) -> anyhow::Result<()>
    where
        Coord: CoordTranslate,
        Coord::From: Clone + 'static,
    {
        let style = self.color.stroke_width(2);
        match self.dash {
            None => area.draw(&PathElement::new(points, style))?,
            Some((dash, gap)) => area.draw(&DashedPathElement::new(points, dash, gap, style))?,
        }
        Ok(())
    }
}

pub(super) fn text(size: i32, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    TextStyle::from(("sans-serif", size)).color(&INK).pos(Pos::new(horizontal, vertical))
}
