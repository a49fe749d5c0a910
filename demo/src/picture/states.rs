//! The band chart of the breaker's states below the panels. Higher bands admit fewer calls.

use std::time::Duration;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};
use steadfast::BreakerState;

use super::style::{Area, GREY, LEFT, ORANGE, RIGHT, SKY, WIDTH, text};

const TITLE: u32 = 36;
const BOTTOM: u32 = 14;
/// The side of a square in the legend, in pixels.
const SQUARE: i32 = 16;

pub(super) fn draw(area: &Area<'_>, states: &[(Duration, BreakerState)], until: Duration) -> anyhow::Result<()> {
    draw_legend(area)?;

    let until = until.as_secs_f64();
    let chart = ChartBuilder::on(area)
        .margin_top(TITLE)
        .margin_right(RIGHT)
        .margin_bottom(BOTTOM)
        .y_label_area_size(LEFT)
        .build_cartesian_2d(0.0..until, 0.0..1.0)?;
    let plot = chart.plotting_area();
    let seconds_per_pixel = until / f64::from(WIDTH - LEFT - RIGHT);
    let ends = states.iter().skip(1).map(|(at, _)| at.as_secs_f64()).chain([until]);
    let mut bands: Vec<_> = states.iter().zip(ends).map(|((at, state), end)| (*state, at.as_secs_f64(), end)).collect();
    // A trial call can take less than a millisecond: bands have a minimum width, and half-open ones are drawn last, on top of the others.
    bands.sort_by_key(|(state, ..)| *state == BreakerState::HalfOpen);
    for (state, from, to) in bands {
        let to = to.max(from + 3.0 * seconds_per_pixel);
        let (color, height) = style(state);
        plot.draw(&Rectangle::new([(from, 0.0), (to, height)], color.filled()))?;
        let name = state.to_string();
        if to - from > f64::from(u32::try_from(name.len())? * 10) * seconds_per_pixel {
            let middle = (f64::midpoint(from, to), height / 2.0);
            plot.draw(&Text::new(name, middle, text(14, HPos::Center, VPos::Center)))?;
        }
    }
    Ok(())
}

/// Draws the legend of the states, for bands that are too narrow for a label.
fn draw_legend(area: &Area<'_>) -> anyhow::Result<()> {
    let middle = 16;
    let mut x = LEFT.cast_signed();
    area.draw(&Text::new("State of the guarded lane's breaker", (x, middle), text(16, HPos::Left, VPos::Center)))?;
    x += 270;
    for state in [BreakerState::Closed, BreakerState::HalfOpen, BreakerState::Open] {
        let (color, height) = style(state);
        let bottom = middle + SQUARE / 2;
        #[expect(clippy::cast_possible_truncation, reason = "a share of 16 pixels")]
        let tall = (f64::from(SQUARE) * height) as i32;
        area.draw(&Rectangle::new([(x, bottom - tall), (x + SQUARE, bottom)], color.filled()))?;
        let name = Text::new(state.to_string(), (x + SQUARE + 8, middle), text(14, HPos::Left, VPos::Center));
        area.draw(&name)?;
        x += 110;
    }
    Ok(())
}

/// Returns the colour of a band, and its height as a share of the whole height.
fn style(state: BreakerState) -> (RGBColor, f64) {
    match state {
        BreakerState::Closed => (GREY, 0.4),
        BreakerState::HalfOpen => (SKY, 0.7),
        _ => (ORANGE, 1.0),
    }
}
