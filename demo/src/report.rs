//! The report of a run: a table with a column per lane, the comparisons, and notes.

use std::borrow::Borrow;
use std::time::Duration;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};

use crate::checkout::Lane;
use crate::load::Settings;
use crate::measure::{InFlight, LaneStats, Recovery, to_f64};
use crate::service::HANG;

/// A row of the table: its label, and the function that formats the value of a lane.
pub(crate) type Row<T> = (&'static str, fn(&T) -> String);

const ROWS: &[Row<LaneStats>] = &[
    ("callers", |lane| lane.callers.to_string()),
    ("answered", |lane| lane.answered.to_string()),
    ("answered by the fallback", |lane| lane.queued.to_string()),
    ("of both, after more than 2 s", |lane| lane.late.to_string()),
    ("failed", |lane| lane.failed.to_string()),
    ("latency, p50", |lane| time(lane.p50)),
    ("latency, p99", |lane| time(lane.p99)),
    ("latency, max", |lane| time(lane.max)),
    ("callers in flight, peak", |lane| lane.peak_in_flight.to_string()),
    ("callers in flight while hanging, mean", |lane| while_hanging(lane, |callers| format!("{:.1}", callers.mean))),
    ("callers in flight while hanging, peak", |lane| while_hanging(lane, |callers| callers.peak.to_string())),
    ("requests received while down", |lane| lane.requests_while_down.to_string()),
    ("connections refused", |lane| lane.refused.to_string()),
    ("attempts per caller while down", |lane| ratio(lane.amplification)),
    ("recovery to first answer", |lane| recovery(lane.recovery)),
];

/// Returns the whole report, ready to print.
pub(crate) fn report(lanes: &[(Lane, LaneStats)], settings: &Settings) -> String {
    let columns: Vec<_> = lanes.iter().map(|(lane, stats)| (lane.name(), stats)).collect();
    let mut parts = vec![table(ROWS, &columns).to_string(), comparisons(lanes).join("\n"), notes(lanes, settings)];
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

/// Returns the table, with one column per lane.
pub(crate) fn table<T>(rows: &[Row<T>], lanes: &[(&str, impl Borrow<T>)]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    let head = lanes.iter().map(|(name, _)| (*name).to_owned());
    table.set_header([String::new()].into_iter().chain(head));
    for &(label, format) in rows {
        let values = lanes.iter().map(|(_, stats)| format(stats.borrow()));
        table.add_row([label.to_owned()].into_iter().chain(values));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Returns a sentence for each comparison of two lanes that were both run.
fn comparisons(lanes: &[(Lane, LaneStats)]) -> Vec<String> {
    let of = |wanted| lanes.iter().find(|(lane, _)| *lane == wanted).map(|(_, stats)| stats);
    let hanging = |lane| of(lane)?.in_flight_while_hanging;
    let in_flight = hanging(Lane::Naive).zip(hanging(Lane::Guarded)).map(|(naive, guarded)| {
        let mean = naive.mean / guarded.mean.max(f64::MIN_POSITIVE);
        let peak = to_f64(naive.peak) / to_f64(guarded.peak.max(1));
        format!(
            "While the service hangs, naive has {mean:.0} times as many callers in flight as guarded on average, \
             {peak:.0} times at the peak."
        )
    });
    let requests = |(more, fewer): (Lane, Lane)| {
        let times = to_f64(of(more)?.requests_while_down) / to_f64(of(fewer)?.requests_while_down.max(1));
        let (more, fewer) = (more.name(), fewer.name());
        Some(format!("While the service is down, {more} sends {times:.0} times as many requests to it as {fewer}."))
    };
    let pairs = [
        (Lane::Retry, Lane::Guarded),
        (Lane::Naive, Lane::HungCall),
        (Lane::Naive, Lane::Breaker),
        (Lane::Naive, Lane::CancelledCall),
    ];
    in_flight.into_iter().chain(pairs.into_iter().filter_map(requests)).collect()
}

/// Returns the notes that explain the table.
fn notes(lanes: &[(Lane, LaneStats)], settings: &Settings) -> String {
    let timeout = |(lane, _): &(Lane, _)| match lane.timeout(settings.naive_timeout) {
        Some(timeout) => format!("{} {timeout:?}", lane.name()),
        None => format!("{} none", lane.name()),
    };
    let timeouts: Vec<_> = lanes.iter().map(timeout).collect();
    let patience = settings.patience.map(|patience| {
        format!("Every caller gives up after {patience:?}, which cancels the call. The caller then counts as failed.\n")
    });
    format!(
        "All times are real: the service hangs for {HANG:?} per request, unless it stops first (refusing).\n\
         {}answered by the fallback: the order is accepted and charged later.\n\
         latency: from the scheduled arrival of a caller to its answer, over all callers.\n\
         down: hanging, 503, 429 or refusing. A refused connection is not a received request.\n\
         attempts: received requests and refused connections.\n\
         Timeout per attempt: {}. By default, naive has a longer timeout, because it has only one\n\
         attempt; --naive-timeout changes it.\n",
        patience.unwrap_or_default(),
        timeouts.join(", ")
    )
}

fn while_hanging(lane: &LaneStats, format: fn(InFlight) -> String) -> String {
    lane.in_flight_while_hanging.map_or("-".into(), format)
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

    fn empty(lane: Lane) -> (Lane, LaneStats) {
        let recording = Recording {
            lane,
            phases: Vec::new(),
            calls: Vec::new(),
            requests: Vec::new(),
            refused: 0,
            breaker: Vec::new(),
        };
        (lane, LaneStats::of(&recording))
    }

    #[test]
    fn lanes_that_were_not_run_are_omitted() {
        let mut lanes = vec![empty(Lane::Retry)];
        assert_eq!(comparisons(&lanes), [""; 0]);
        assert!(!table(ROWS, &[("retry", &lanes[0].1)]).to_string().contains("guarded"));

        lanes.push(empty(Lane::Guarded));
        let expected = "While the service is down, retry sends 0 times as many requests to it as guarded.";
        assert_eq!(comparisons(&lanes), [expected]);
    }

    #[test]
    fn times_are_formatted_with_a_unit() {
        for (micros, expected) in [(400, "0.4 ms"), (20_400, "20 ms"), (999_000, "999 ms"), (5_001_000, "5.00 s")] {
            assert_eq!(time(Duration::from_micros(micros)), expected);
        }
    }
}
