//! Charts: bars on a logarithmic scale, since the contestants differ by orders of magnitude, and lines over threads.

use anyhow::Result;
use plotters::{
    coord::Shift,
    element::DashedPathElement,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{Measured, Results, number};
use crate::{
    contestant::Role,
    timing::{cores, to_f64},
};

const WIDTH: u32 = 1100;
const LABELS: i32 = 330;
const BAR: i32 = 22;
const TITLE: i32 = 34;

// Okabe and Ito's palette, which is distinguishable with every type of colour vision (https://jfly.uni-koeln.de/color/).
const GREEN: RGBColor = RGBColor(0, 158, 115);
const BLUE: RGBColor = RGBColor(0, 114, 178);
const GREY: RGBColor = RGBColor(170, 170, 170);
const INK: RGBColor = RGBColor(40, 40, 40);
const COLORS: [RGBColor; 5] =
    [BLUE, RGBColor(213, 94, 0), RGBColor(230, 159, 0), RGBColor(86, 180, 233), RGBColor(204, 121, 167)];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A bar: its name, its value, and the kind of contestant.
type Bar = (String, f64, Role);

/// A line: its name, the kind of contestant, and nanoseconds by threads.
type Line<'a> = (&'a str, Role, Vec<(f64, f64)>);

/// Draws the time per call with one thread, for all rows.
pub(super) fn bars(results: &Results) -> Result<Option<String>> {
    let groups: Vec<_> = results
        .rows
        .iter()
        .filter(|row| !row.row.of_values)
        .map(|row| (format!("{}: ns per call, 1 thread, logarithmic", row.row.title), bars_at_one_thread(row)))
        .collect();
    draw(&groups)
}

fn bars_at_one_thread(measured: &Measured) -> Vec<Bar> {
    let contestants = measured.row.contestants.iter().zip(&measured.figures);
    contestants
        .filter_map(|(contestant, figure)| Some((contestant.name.to_owned(), figure.times.get(&1)?.0, contestant.role)))
        .collect()
}

/// Draws the build figures of 500 functions.
pub(super) fn code(results: &Results) -> Result<Option<String>> {
    let role = |name: &str| match name {
        "plain functions" => Role::Baseline,
        name if name.starts_with("steadfast") => Role::Ours,
        _ => Role::Peer,
    };
    let group = |title: &str, value: fn(&crate::builds::Built) -> f64| {
        let bars = results.built.iter().map(|built| (built.name.to_owned(), value(built), role(built.name)));
        (title.to_owned(), bars.collect::<Vec<_>>())
    };
    if results.built.is_empty() {
        return Ok(None);
    }
    draw(&[
        group("500 functions: machine code at opt-level 2, kB, logarithmic", |built| super::float(built.text) / 1e3),
        group("500 functions: thousands of lines of IR at opt-level 0, logarithmic", |built| {
            super::float(built.lines as u64) / 1e3
        }),
        group("500 functions: cargo check, s, logarithmic", |built| built.check),
        group("500 functions: cargo build --release, s, logarithmic", |built| built.release),
    ])
}

fn draw(groups: &[(String, Vec<Bar>)]) -> Result<Option<String>> {
    let height: i32 = groups.iter().map(|(_, bars)| TITLE + BAR * i32::try_from(bars.len()).unwrap_or(0) + 14).sum();
    let mut svg = String::new();
    {
        let size = (WIDTH, (height + 10).unsigned_abs());
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE)?;
        let mut top = 6;
        for (title, bars) in groups {
            top = draw_group(&area, top, title, bars)?;
        }
        area.present()?;
    }
    Ok(Some(svg))
}

fn draw_group(area: &Area<'_>, top: i32, title: &str, bars: &[Bar]) -> Result<i32> {
    area.draw(&Text::new(title.to_owned(), (12, top + TITLE / 2), text(17, HPos::Left)))?;
    let mut y = top + TITLE;
    let values = || bars.iter().map(|(_, value, _)| *value).filter(|value| *value > 0.0);
    let (least, most) = (values().fold(f64::MAX, f64::min), values().fold(0.0, f64::max));
    let room = f64::from(WIDTH.cast_signed() - LABELS - 90);
    for (name, value, role) in bars {
        // The shortest bar keeps a visible length.
        let share = ((value / least).ln() + 0.5) / ((most / least).ln() + 0.5);
        #[expect(clippy::cast_possible_truncation, reason = "pixels")]
        let right = LABELS + (share.clamp(0.0, 1.0) * room) as i32;
        let color = match role {
            Role::Ours => GREEN,
            Role::Peer => BLUE,
            Role::Baseline => GREY,
        };
        area.draw(&Text::new(name.clone(), (LABELS - 8, y + BAR / 2), text(14, HPos::Right)))?;
        area.draw(&Rectangle::new([(LABELS, y + 3), (right, y + BAR - 3)], color.filled()))?;
        area.draw(&Text::new(number(*value), (right + 6, y + BAR / 2), text(14, HPos::Left)))?;
        y += BAR;
    }
    Ok(y + 14)
}

/// Draws the time per call by number of threads, for the rows that were measured with more than two numbers.
pub(super) fn threads(results: &Results) -> Result<Option<String>> {
    let rows: Vec<_> = results.rows.iter().filter(|row| row.row.threads.len() > 2).collect();
    if rows.is_empty() {
        return Ok(None);
    }
    let mut svg = String::new();
    {
        let size = (WIDTH, 460 * u32::try_from(rows.len())?);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE)?;
        for (part, row) in area.split_evenly((rows.len(), 1)).iter().zip(rows) {
            draw_threads(part, row)?;
        }
        area.present()?;
    }
    Ok(Some(svg))
}

fn draw_threads(area: &Area<'_>, measured: &Measured) -> Result<()> {
    let threads = measured.row.threads;
    let lines: Vec<Line<'_>> = measured
        .row
        .contestants
        .iter()
        .zip(&measured.figures)
        .map(|(contestant, figure)| {
            // The horizontal axis is logarithmic: each doubling of the threads has the same width.
            let points =
                threads.iter().filter_map(|threads| Some((to_f64(*threads).log2(), figure.times.get(threads)?.0)));
            (contestant.name, contestant.role, points.collect())
        })
        .collect();
    let values = || lines.iter().flat_map(|(_, _, points)| points).map(|(_, ns)| *ns);
    let (least, most) = (values().fold(f64::MAX, f64::min), values().fold(1.0, f64::max));
    let title = format!("{}: ns of a core per call, by threads on {} cores", measured.row.title, cores());
    area.draw(&Text::new(title, (12, 16), text(17, HPos::Left)))?;
    let mut chart = ChartBuilder::on(area)
        .margin_top(34)
        .margin_right(250)
        .x_label_area_size(30)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..4.02_f64, (least * 0.8..most * 1.2).log_scale())?;
    chart
        .configure_mesh()
        .axis_style(INK)
        .light_line_style(WHITE)
        .x_labels(5)
        .x_label_formatter(&|doublings| format!("{:.0}", doublings.exp2()))
        .y_label_formatter(&|ns| number(*ns))
        .draw()?;
    // Names are placed at the ends of their lines, and moved apart where they would overlap.
    let mut ends: Vec<_> = lines.iter().enumerate().collect();
    let end_of = |points: &[(f64, f64)]| points.last().map_or(least, |(_, ns)| *ns);
    ends.sort_by(|(_, one), (_, other)| end_of(&other.2).total_cmp(&end_of(&one.2)));
    let mut free = 0;
    for (index, (name, role, points)) in ends {
        let color = match role {
            Role::Ours => GREEN,
            Role::Baseline => GREY,
            Role::Peer => COLORS[index % COLORS.len()],
        };
        match role {
            Role::Ours => chart.plotting_area().draw(&PathElement::new(points.clone(), color.stroke_width(3)))?,
            _ => chart.plotting_area().draw(&DashedPathElement::new(points.clone(), 7, 4, color.stroke_width(2)))?,
        }
        let Some(end) = points.last() else { continue };
        let (x, y) = chart.plotting_area().map_coordinate(end);
        let at = y.max(free);
        free = at + 15;
        let (left, above) = area.get_base_pixel();
        let place = (x - left + 10, at - above);
        area.draw(&Text::new((*name).to_owned(), place, text(13, HPos::Left).color(&color)))?;
    }
    Ok(())
}

fn text(size: i32, horizontal: HPos) -> TextStyle<'static> {
    TextStyle::from(("sans-serif", size)).color(&INK).pos(Pos::new(horizontal, VPos::Center))
}
