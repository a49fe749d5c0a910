//! The table: what was measured, lane beside lane.

use std::borrow::Borrow;
use std::time::Duration;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};

use crate::checkout::Lane;
use crate::load::Settings;
use crate::measure::{Figures, InFlight, Recovery, to_f64};

/// A row: its name, and what it says of a lane.
pub(crate) type Row<T> = (&'static str, fn(&T) -> String);

const ROWS: &[Row<Figures>] = &[
    ("callers", |lane| lane.callers.to_string()),
    ("answered", |lane| lane.answered.to_string()),
    ("answered by the fallback", |lane| lane.queued.to_string()),
    ("failed", |lane| lane.failed.to_string()),
    ("latency, p50", |lane| time(lane.p50)),
    ("latency, p99", |lane| time(lane.p99)),
    ("latency, max", |lane| time(lane.slowest)),
    ("most callers in flight at once", |lane| lane.most_in_flight.to_string()),
    ("callers in flight in the hang, mean", |lane| hang(lane, |hang| format!("{:.1}", hang.mean))),
    ("callers in flight in the hang, most", |lane| hang(lane, |hang| hang.most.to_string())),
    ("requests that reached the service while down", |lane| lane.requests_while_down.to_string()),
    ("connections refused (these do not reach it)", |lane| lane.refused.to_string()),
    ("amplification: both, per caller while down", |lane| ratio(lane.amplification)),
    ("from recovery to the first good answer", |lane| recovery(lane.recovery)),
];

/// Everything there is to say of these lanes, ready to print.
pub(crate) fn report(lanes: &[(Lane, Figures)], settings: &Settings) -> String {
    let columns: Vec<_> = lanes.iter().map(|(lane, figures)| (lane.name(), figures)).collect();
    let mut report = vec![table(ROWS, &columns).to_string()];
    report.extend(comparisons(lanes));
    report.push(footnote(lanes, settings));
    report.join("\n")
}

/// The lanes beside each other, each under its name.
pub(crate) fn table<T>(rows: &[Row<T>], lanes: &[(&str, impl Borrow<T>)]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    let head = lanes.iter().map(|(name, _)| (*name).to_owned());
    table.set_header([String::new()].into_iter().chain(head));
    for &(name, figure) in rows {
        let figures = lanes.iter().map(|(_, figures)| figure(figures.borrow()));
        table.add_row([name.to_owned()].into_iter().chain(figures));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The two ratios that the lanes are about, as far as their lanes were played.
fn comparisons(lanes: &[(Lane, Figures)]) -> Vec<String> {
    let of = |wanted| lanes.iter().find(|(lane, _)| *lane == wanted).map(|(_, figures)| figures);
    let Some(guarded) = of(Lane::Guarded) else { return Vec::new() };
    let in_hang = of(Lane::Naive).and_then(|naive| naive.in_hang.zip(guarded.in_hang)).map(|(naive, guarded)| {
        let mean = naive.mean / guarded.mean.max(f64::MIN_POSITIVE);
        let most = to_f64(naive.most) / to_f64(guarded.most.max(1));
        format!("Callers in flight in the hang, naive / guarded: {mean:.0} (mean), {most:.0} (most).")
    });
    let sent = of(Lane::Retry).map(|retry| {
        let fewer = to_f64(retry.requests_while_down) / to_f64(guarded.requests_while_down.max(1));
        format!("Requests that reached the service while down, retry / guarded: {fewer:.0}.")
    });
    in_hang.into_iter().chain(sent).collect()
}

/// What a reader must know to judge the figures.
fn footnote(lanes: &[(Lane, Figures)], settings: &Settings) -> String {
    let time_out = |(lane, _): &(Lane, _)| format!("{} {:?}", lane.name(), lane.time_out(settings.naive_timeout));
    let time_outs: Vec<_> = lanes.iter().map(time_out).collect();
    format!(
        "\nAnswered by the fallback: the order is taken, to be charged later.\n\
         Time-out of an attempt: {}. By default naive waits long, as it has one attempt only;\n\
         where another can follow, the first may be cut short. --naive-timeout makes them the same.\n\
         Latency counts from when the clock said that a caller comes, over all callers.\n",
        time_outs.join(", ")
    )
}

fn hang(lane: &Figures, say: fn(InFlight) -> String) -> String {
    lane.in_hang.map_or("-".into(), say)
}

fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or("-".into(), |ratio| format!("{ratio:.2}"))
}

fn recovery(recovery: Recovery) -> String {
    match recovery {
        Recovery::None => "-".into(),
        Recovery::Never => "never".into(),
        Recovery::After(after) => time(after),
    }
}

pub(crate) fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        ..0.01 => format!("{:.1} ms", seconds * 1e3),
        0.01..1.0 => format!("{:.0} ms", seconds * 1e3),
        _ => format!("{seconds:.2} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Recording;

    fn nothing_of(lane: Lane) -> (Lane, Figures) {
        let nothing = Recording {
            lane,
            phases: Vec::new(),
            calls: Vec::new(),
            requests: Vec::new(),
            refused: 0,
            breaker: Vec::new(),
        };
        (lane, Figures::of(&nothing))
    }

    #[test]
    fn what_was_not_played_is_left_out() {
        let mut lanes = vec![nothing_of(Lane::Retry)];
        assert_eq!(comparisons(&lanes), [""; 0]);
        assert!(!table(ROWS, &[("retry", &lanes[0].1)]).to_string().contains("guarded"));

        lanes.push(nothing_of(Lane::Guarded));
        assert_eq!(comparisons(&lanes), ["Requests that reached the service while down, retry / guarded: 0."]);
    }

    #[test]
    fn times() {
        for (micros, expected) in [(400, "0.4 ms"), (20_400, "20 ms"), (999_000, "999 ms"), (5_001_000, "5.00 s")] {
            assert_eq!(time(Duration::from_micros(micros)), expected);
        }
    }
}
