//! The chart: all lanes over time, as SVG.
//!
//! No information depends on colour alone: the lines differ in their dashes and are labelled, and the states of the breaker differ in
//! height.

mod panel;
mod states;
mod style;

use std::time::Duration;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use self::panel::{Panel, Scale};
use self::style::{Area, LEFT, LineStyle, Points, RIGHT, WIDTH, text};
use crate::load::Recording;
use crate::measure;

// The heights of the parts, in pixels.
const HEAD: u32 = 92;
const CALLERS: u32 = 370;
const LOAD: u32 = 320;
const STATES: u32 = 100;
/// The time between two points of a line. Callers in flight are averaged over it.
const STEP: Duration = Duration::from_millis(50);
/// The period over which request rates are measured.
const WINDOW: Duration = Duration::from_millis(250);

/// Draws the recordings of a run with `rps` callers per second.
pub(crate) fn draw(recordings: &[Recording], rps: u32) -> anyhow::Result<String> {
    let guarded = recordings.iter().find(|recording| !recording.breaker.is_empty());
    let height = HEAD + CALLERS + LOAD + guarded.map_or(0, |_| STATES);
    let mut svg = String::new();
    draw_all(&SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area(), recordings, guarded, rps)?;
    Ok(svg)
}

fn draw_all(area: &Area<'_>, recordings: &[Recording], guarded: Option<&Recording>, rps: u32) -> anyhow::Result<()> {
    area.fill(&WHITE)?;
    let (head, rest) = area.split_vertically(HEAD);
    let (callers, rest) = rest.split_vertically(CALLERS);
    let (load, states) = rest.split_vertically(LOAD);
    let until = recordings.iter().map(end).max().unwrap_or_default();
    let phases = recordings.last().map_or(&[][..], |recording| &recording.phases);
    let panel = |title, scale, points: fn(&Recording, Duration) -> Points| {
        let line = |recording: &Recording| (recording.lane, points(recording, until));
        Panel { title, scale, lines: recordings.iter().map(line).collect(), phases, until }
    };

    draw_head(&head, recordings, rps)?;
    panel("Callers in flight (log scale)", Scale::Logarithmic, callers_in_flight).draw(&callers)?;
    panel("Requests per second received by the service", Scale::Linear, requests_per_second).draw(&load)?;
    if let Some(guarded) = guarded {
        states::draw(&states, &guarded.breaker, until)?;
    }
    area.present()?;
    Ok(())
}

/// Draws the title and the legend of the lines.
fn draw_head(area: &Area<'_>, recordings: &[Recording], rps: u32) -> anyhow::Result<()> {
    let left = LEFT.cast_signed();
    let title = format!("Three checkouts in the same outage, {rps} callers per second");
    area.draw(&Text::new(title, (left, 16), text(22, HPos::Left, VPos::Top)))?;
    let key = "shaded: service down";
    let right = (WIDTH - RIGHT).cast_signed();
    area.draw(&Text::new(key, (right, 66), text(15, HPos::Right, VPos::Center)))?;

    let mut x = left;
    for recording in recordings {
        let style = LineStyle::of(recording.lane);
        let name = format!("{}: {}", recording.lane.name(), style.legend);
        style.draw_line(area, vec![(x, 66), (x + 44, 66)])?;
        // An estimate: the width of a text is unknown without its font.
        let width = i32::try_from(name.len())? * 8;
        area.draw(&Text::new(name, (x + 52, 66), text(15, HPos::Left, VPos::Center)))?;
        x += width + 84;
    }
    Ok(())
}

fn end(recording: &Recording) -> Duration {
    let script = recording.phases.iter().map(|phase| phase.to);
    script.chain(recording.calls.iter().map(|call| call.ended)).max().unwrap_or_default()
}

fn callers_in_flight(recording: &Recording, until: Duration) -> Points {
    let changes = measure::in_flight(&recording.calls);
    let mean = |at| measure::in_flight_during(&changes, [at..at + STEP]).map_or(0.0, |in_flight| in_flight.mean);
    steps(until).map(|at| ((at + STEP / 2).as_secs_f64(), mean(at))).collect()
}

fn requests_per_second(recording: &Recording, until: Duration) -> Points {
    let times: Vec<_> = recording.requests.iter().map(|request| request.at).collect();
    steps(until).map(|at| (at.as_secs_f64(), measure::rate(&times, at, WINDOW))).collect()
}

fn steps(until: Duration) -> impl Iterator<Item = Duration> {
    (0..).map(|step| STEP * step).take_while(move |at| *at + STEP <= until)
}

#[cfg(test)]
mod tests {
    use steadfast::BreakerState;

    use super::*;
    use crate::checkout::{Lane, Outcome};
    use crate::load::{Call, PlayedPhase, Request};
    use crate::script::Mode;

    #[test]
    fn the_chart_contains_the_recording() -> anyhow::Result<()> {
        let seconds = Duration::from_secs;
        let phase = |mode, from, to| PlayedPhase { mode, from: seconds(from), to: seconds(to) };
        let recording = Recording {
            lane: Lane::Guarded,
            phases: vec![phase(Mode::Healthy, 0, 1), phase(Mode::Hanging, 1, 3), phase(Mode::Healthy, 3, 4)],
            calls: vec![Call { arrived: seconds(1), ended: seconds(2), outcome: Outcome::Queued }],
            requests: vec![Request { at: seconds(1), mode: Mode::Hanging }],
            refused: 0,
            breaker: vec![(seconds(0), BreakerState::Closed), (seconds(2), BreakerState::Open)],
        };
        let svg = draw(&[recording], 100)?;
        for text in ["guarded", "hanging", "healthy", "closed", "half-open", "open", "Callers in flight"] {
            assert!(svg.contains(text), "{text}");
        }
        assert!(svg.trim_end().ends_with("</svg>"));
        Ok(())
    }

    #[test]
    fn an_empty_recording_can_be_drawn() -> anyhow::Result<()> {
        draw(&[], 100).map(drop)
    }
}
