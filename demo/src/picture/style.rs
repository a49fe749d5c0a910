//! The dimensions, colours and text styles that the parts of the chart share.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::rows::Key;
use crate::checkout::Lane;

pub(super) const WIDTH: u32 = 1200;
/// The space left and right of the plots, equal for all panels so that their time axes align.
pub(super) const LEFT: u32 = 60;
pub(super) const RIGHT: u32 = 26;

// Okabe and Ito's palette with a darker purple, which is distinguishable with every type of colour vision (https://jfly.uni-koeln.de/color/).
pub(super) const VERMILLION: RGBColor = RGBColor(213, 94, 0);
pub(super) const BLUE: RGBColor = RGBColor(0, 114, 178);
pub(super) const GREEN: RGBColor = RGBColor(0, 158, 115);
pub(super) const ORANGE: RGBColor = RGBColor(230, 159, 0);
pub(super) const SKY: RGBColor = RGBColor(86, 180, 233);
pub(super) const PURPLE: RGBColor = RGBColor(180, 90, 145);
pub(super) const SILVER: RGBColor = RGBColor(190, 190, 190);

// The colours of text and frame, which the dark theme replaces.
pub(super) const INK: RGBColor = RGBColor(40, 40, 40);
pub(super) const GREY: RGBColor = RGBColor(200, 200, 200);
pub(super) const SHADE: RGBColor = RGBColor(238, 238, 238);

// The colours of text on a coloured area, the same in both themes.
pub(super) const ON_LIGHT: RGBColor = RGBColor(30, 30, 30);
pub(super) const ON_DARK: RGBColor = RGBColor(250, 250, 250);

/// The style sheet, which follows the tag `<svg>`: the dashes of the lines by their colour, and the dark theme.
pub(super) const STYLE_SHEET: &str = r##"
<style>
[stroke="#D55E00"] { stroke-dasharray: 10 5 }
[stroke="#0072B2"] { stroke-dasharray: 3 3 }
[stroke="#B45A91"] { stroke-dasharray: 20 4 }
@media (prefers-color-scheme: dark) {
[fill="#FFFFFF"] { fill: #0D1117 }
[fill="#282828"] { fill: #E6EDF3 }
[stroke="#282828"] { stroke: #E6EDF3 }
[fill="#EEEEEE"] { fill: #22272E }
[stroke="#C8C8C8"] { stroke: #444C56 }
[fill="#0072B2"] { fill: #4AA8E0 }
[stroke="#0072B2"] { stroke: #4AA8E0 }
}
</style>
"##;

pub(super) type Area<'a, Coord = Shift> = DrawingArea<SVGBackend<'a>, Coord>;
/// Points of a line: seconds and a count.
pub(super) type Points = Vec<(f64, f64)>;

/// The colour and the legend of a lane, the same in every panel.
pub(super) struct LaneStyle {
    pub(super) color: RGBColor,
    pub(super) legend: &'static str,
}

impl LaneStyle {
    pub(super) fn of(lane: Lane) -> Self {
        let (color, legend) = match lane {
            Lane::Naive => (VERMILLION, "a timeout only"),
            Lane::Retry => (BLUE, "#[retry], a timeout"),
            Lane::Guarded => (GREEN, "#[retry], #[circuit_breaker], a timeout, a fallback"),
            Lane::HungCall => (PURPLE, "#[circuit_breaker(hung_call = 5s)], a fallback, no timeout"),
            Lane::Breaker => (BLUE, "#[circuit_breaker], a fallback, no timeout"),
            Lane::CancelledCall => (GREEN, "#[circuit_breaker(cancelled_call = 200ms)], a fallback, no timeout"),
        };
        Self { color, legend }
    }

    /// Returns the lane's line. The style sheet adds its dashes.
    pub(super) fn line<Coord>(&self, points: Vec<Coord>) -> PathElement<Coord> {
        PathElement::new(points, self.color.stroke_width(2))
    }
}

/// Draws a square of each colour with its name to the right of it.
pub(super) fn draw_key(area: &Area<'_>, mut x: i32, middle: i32, key: &[Key]) -> anyhow::Result<()> {
    const SQUARE: i32 = 16;
    for &(name, color, height) in key {
        let bottom = middle + SQUARE / 2;
        #[expect(clippy::cast_possible_truncation, reason = "a share of 16 pixels")]
        let tall = (f64::from(SQUARE) * height) as i32;
        area.draw(&Rectangle::new([(x, bottom - tall), (x + SQUARE, bottom)], color.filled()))?;
        area.draw(&Text::new(name, (x + SQUARE + 8, middle), text(14, HPos::Left, VPos::Center)))?;
        x += SQUARE + 24 + text_width(name);
    }
    Ok(())
}

/// Returns the width of a text of size 14 in pixels. It is an estimate: the width of a text is unknown without its font.
fn text_width(text: &str) -> i32 {
    i32::try_from(text.len()).map_or(i32::MAX, |length| length.saturating_mul(8))
}

/// Returns the time that a text covers in a plot of `until` seconds.
pub(super) fn seconds_of_text(text: &str, until: f64) -> f64 {
    seconds_of_pixels(text_width(text), until)
}

/// Returns the time that a number of pixels covers in a plot of `until` seconds.
pub(super) fn seconds_of_pixels(pixels: i32, until: f64) -> f64 {
    f64::from(pixels) * until / f64::from(WIDTH - LEFT - RIGHT)
}

pub(super) fn text(size: i32, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    TextStyle::from(("sans-serif", size)).color(&INK).pos(Pos::new(horizontal, vertical))
}
