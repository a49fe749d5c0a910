//! The first panel: the shares of what the callers received, stacked over the time of their arrival.

use std::time::Duration;

use plotters::prelude::*;

use super::rows::{Key, Piece, Row};
use super::steps;
use super::style::{ON_DARK, ON_LIGHT, seconds_of_text};
use crate::load::Recording;
use crate::measure::{Received, received, to_f64};

/// The callers who arrive within this time share one column.
const COLUMN: Duration = Duration::from_millis(500);

pub(super) fn row(recording: &Recording, until: Duration) -> Row {
    let columns: Vec<_> = steps(COLUMN, until + COLUMN).map(|at| (at, shares(recording, at))).collect();
    // The lowest areas are drawn last: each covers the part of the one before it that belongs to the kinds below.
    let pieces = (0..Received::ALL.len()).rev().map(|kind| {
        let until = until.as_secs_f64();
        let steps = columns.iter().flat_map(|(at, shares)| {
            let top: f64 = shares[..=kind].iter().sum();
            [*at, *at + COLUMN].map(|at| (at.as_secs_f64().min(until), top))
        });
        let outline = [(0.0, 0.0)].into_iter().chain(steps).chain([(until, 0.0)]).collect();
        let (name, color) = style(Received::ALL[kind]);
        let text = if Received::ALL[kind] == Received::Failure { ON_DARK } else { ON_LIGHT };
        let label = widest(&columns, kind).filter(|(from, to)| to - from > seconds_of_text(name, until));
        Piece { outline, color, label: label.map(|(from, to)| (name, (f64::midpoint(from, to), 0.5), text)) }
    });
    Row { lane: recording.lane, pieces: pieces.collect() }
}

/// Returns the share of each kind in [`Received::ALL`]; all shares are zero if no caller arrived.
fn shares(recording: &Recording, at: Duration) -> [f64; 4] {
    let counts = received(&recording.calls, &(at..at + COLUMN));
    let all = counts.iter().sum::<usize>().max(1);
    counts.map(|count| to_f64(count) / to_f64(all))
}

pub(super) fn key() -> [Key; 4] {
    Received::ALL.map(|kind| {
        let (name, color) = style(kind);
        (name, color, 1.0)
    })
}

/// Returns the start and the end of the longest run of columns in which this kind covers the middle of the band.
fn widest(columns: &[(Duration, [f64; 4])], kind: usize) -> Option<(f64, f64)> {
    let runs = columns.chunk_by(|(_, a), (_, b)| (a[kind] > 0.75) == (b[kind] > 0.75));
    let longest = runs.filter(|run| run[0].1[kind] > 0.75).max_by_key(|run| run.len())?;
    Some((longest.first()?.0.as_secs_f64(), (longest.last()?.0 + COLUMN).as_secs_f64()))
}

/// Returns the name of a kind and the colour of its area. The kinds differ in lightness.
fn style(kind: Received) -> (&'static str, RGBColor) {
    match kind {
        Received::Answer => ("answered", RGBColor(136, 204, 238)),
        Received::Fallback => ("fallback", RGBColor(240, 228, 66)),
        Received::Late => ("late (> 2 s)", RGBColor(204, 121, 167)),
        Received::Failure => ("failed", RGBColor(160, 30, 60)),
    }
}
