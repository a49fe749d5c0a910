//! The last panel: the states of the breakers. Higher bands admit fewer calls.

use std::time::Duration;

use steadfast::BreakerState;

use super::rows::{Key, Piece, Row};
use super::style::{ON_LIGHT, ORANGE, SILVER, SKY, seconds_of_pixels, seconds_of_text};
use crate::load::Recording;

pub(super) fn row(recording: &Recording, until: Duration) -> Row {
    let states = &recording.breaker;
    let until = until.as_secs_f64();
    let ends = states.iter().skip(1).map(|(at, _)| at.as_secs_f64()).chain([until]);
    let mut bands: Vec<_> = states.iter().zip(ends).map(|((at, state), end)| (*state, at.as_secs_f64(), end)).collect();
    // A trial call can take less than a millisecond: bands have a minimum width, and half-open ones are drawn last, on top of the others.
    bands.sort_by_key(|(state, ..)| *state == BreakerState::HalfOpen);
    let piece = |(state, from, to): (BreakerState, f64, f64)| {
        let to = to.max(from + seconds_of_pixels(3, until));
        let (name, color, height) = style(state);
        let label = (to - from > seconds_of_text(name, until))
            .then(|| (name, (f64::midpoint(from, to), height / 2.0), ON_LIGHT));
        Piece { outline: vec![(from, 0.0), (from, height), (to, height), (to, 0.0)], color, label }
    };
    Row { lane: recording.lane, pieces: bands.into_iter().map(piece).collect() }
}

pub(super) fn key() -> [Key; 3] {
    [BreakerState::Closed, BreakerState::HalfOpen, BreakerState::Open].map(style)
}

fn style(state: BreakerState) -> Key {
    match state {
        BreakerState::Closed => ("closed", SILVER, 0.5),
        BreakerState::HalfOpen => ("half-open", SKY, 0.75),
        _ => ("open", ORANGE, 1.0),
    }
}
