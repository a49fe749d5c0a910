//! The chart: all lanes over time, as SVG. The first panel shows what the callers received.
//!
//! No information depends on colour alone: the lines differ in their dashes and are labelled, the areas of the first panel are stacked
//! in a fixed order and labelled, and the states of the breakers differ in height.

mod axis;
mod lines;
mod panel;
mod received;
mod rows;
mod states;
mod style;

use std::time::Duration;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use self::axis::Scale;
use self::panel::Panel;
use self::rows::Row;
use self::style::{Area, LEFT, Points, RIGHT, SHADE, STYLE_SHEET, WIDTH, draw_key, text};
use crate::load::{Recording, Settings};
use crate::measure;

// The heights of the parts, in pixels.
const HEAD: u32 = 50;
const CALLERS: u32 = 330;
const LOAD: u32 = 280;
/// The time between two points of a line. Callers in flight are averaged over it.
const STEP: Duration = Duration::from_millis(100);
/// The period over which request rates are measured.
const WINDOW: Duration = Duration::from_millis(250);

/// Draws the recordings of a run.
pub(crate) fn draw(recordings: &[Recording], settings: &Settings) -> anyhow::Result<String> {
    let until = recordings.iter().map(end).max().unwrap_or_default();
    let received: Vec<_> = recordings.iter().map(|recording| received::row(recording, until)).collect();
    let guarded = recordings.iter().filter(|recording| !recording.breaker.is_empty());
    let states: Vec<_> = guarded.map(|recording| states::row(recording, until)).collect();
    let height = HEAD + rows::height(&received) + CALLERS + LOAD + rows::height(&states);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        draw_all(&area, recordings, settings, until, &received, &states)?;
    }
    // The drawing library has no style sheets.
    Ok(svg.replacen('\n', STYLE_SHEET, 1))
}

fn draw_all(
    area: &Area<'_>,
    recordings: &[Recording],
    settings: &Settings,
    until: Duration,
    received: &[Row],
    states: &[Row],
) -> anyhow::Result<()> {
    area.fill(&WHITE)?;
    let (head, rest) = area.split_vertically(HEAD);
    let (received_area, rest) = rest.split_vertically(rows::height(received));
    let (callers, rest) = rest.split_vertically(CALLERS);
    let (load, states_area) = rest.split_vertically(LOAD);
    let phases = recordings.last().map_or(&[][..], |recording| &recording.phases);
    let panel = |title| Panel { title, phases, until };
    let lines = |points: fn(&Recording, Duration) -> Points| {
        recordings.iter().map(|recording| (recording.lane, points(recording, until))).collect::<Vec<_>>()
    };

    draw_head(&head, recordings.len(), settings)?;
    rows::draw(&panel("Received by the callers, by arrival"), &received_area, received, &received::key())?;
    let title = "Callers in flight (log scale, from 1)";
    lines::draw(&panel(title), &callers, Scale::Logarithmic, &lines(callers_in_flight))?;
    let title = "Requests per second received by the service";
    lines::draw(&panel(title), &load, Scale::Linear, &lines(requests_per_second))?;
    rows::draw(&panel("State of the circuit breaker"), &states_area, states, &states::key())?;
    area.present()?;
    Ok(())
}

/// Draws the title, and the key of the background.
fn draw_head(area: &Area<'_>, lanes: usize, settings: &Settings) -> anyhow::Result<()> {
    let patience = settings.patience.map(|patience| format!(", who give up after {patience:?}")).unwrap_or_default();
    let title = format!("The same outage for {lanes} checkouts, {} callers per second each{patience}", settings.rps);
    area.draw(&Text::new(title, (LEFT.cast_signed(), 16), text(22, HPos::Left, VPos::Top)))?;
    draw_key(area, (WIDTH - RIGHT).cast_signed() - 110, 26, &[("service down", SHADE, 1.0)])
}

fn end(recording: &Recording) -> Duration {
    let script = recording.phases.iter().map(|phase| phase.to);
    script.chain(recording.calls.iter().map(|call| call.ended)).max().unwrap_or_default()
}

fn callers_in_flight(recording: &Recording, until: Duration) -> Points {
    let changes = measure::in_flight(&recording.calls);
    let mean = |at| measure::in_flight_during(&changes, [at..at + STEP]).map_or(0.0, |in_flight| in_flight.mean);
    steps(STEP, until).map(|at| ((at + STEP / 2).as_secs_f64(), mean(at))).collect()
}

fn requests_per_second(recording: &Recording, until: Duration) -> Points {
    let times: Vec<_> = recording.requests.iter().map(|request| request.at).collect();
    steps(STEP, until).map(|at| (at.as_secs_f64(), measure::rate(&times, at, WINDOW))).collect()
}

/// Returns the start of each step that ends before `until`.
fn steps(step: Duration, until: Duration) -> impl Iterator<Item = Duration> {
    (0..).map(move |number| step * number).take_while(move |at| *at + step <= until)
}

#[cfg(test)]
mod tests {
    use anyhow::Context;
    use steadfast::BreakerState;

    use super::*;
    use crate::checkout::{Lane, Outcome};
    use crate::load::{Call, PlayedPhase, Request};
    use crate::scene::Scene;
    use crate::script::{Mode, Script};

    fn settings() -> Settings {
        let script = Script::built_in(Scene::Outage.script());
        Settings { script, rps: 100, naive_timeout: Duration::from_secs(5), patience: None }
    }

    fn recording(lane: Lane) -> Recording {
        let seconds = Duration::from_secs;
        let phase = |mode, from, to| PlayedPhase { mode, from: seconds(from), to: seconds(to) };
        Recording {
            lane,
            phases: vec![phase(Mode::Healthy, 0, 1), phase(Mode::Hanging, 1, 3), phase(Mode::Healthy, 3, 4)],
            calls: vec![Call { arrived: seconds(1), ended: seconds(2), outcome: Outcome::Queued }],
            requests: vec![Request { at: seconds(1), mode: Mode::Hanging }],
            refused: 0,
            breaker: vec![(seconds(0), BreakerState::Closed), (seconds(2), BreakerState::Open)],
        }
    }

    #[test]
    fn the_chart_contains_the_recording() -> anyhow::Result<()> {
        let svg = draw(&[recording(Lane::Guarded), recording(Lane::HungCall)], &settings())?;
        for text in
            ["hanging", "healthy", "closed", "half-open", "open", "Callers in flight", "fallback", "late", "down"]
        {
            assert!(svg.contains(text), "{text}");
        }
        for lane in ["guarded:", "hung_call:"] {
            assert_eq!(svg.matches(lane).count(), 2, "{lane} has a row in the first and in the last panel");
        }
        assert_eq!(svg.matches("0 s\n").count(), 4, "each panel has a time axis");
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        Ok(())
    }

    #[test]
    fn every_rule_of_the_style_sheet_applies() -> anyhow::Result<()> {
        let recordings = Scene::Outage.lanes().iter().map(|lane| recording(*lane)).collect::<Vec<_>>();
        let svg = draw(&recordings, &settings())?;
        let (sheet, drawing) = svg.split_once("</style>").context("no style sheet")?;
        for selector in sheet.split('[').skip(1).filter_map(|rule| Some(rule.split_once(']')?.0)) {
            assert!(drawing.contains(selector), "{selector}");
        }
        Ok(())
    }

    #[test]
    fn an_empty_recording_can_be_drawn() -> anyhow::Result<()> {
        draw(&[], &settings()).map(drop)
    }
}
