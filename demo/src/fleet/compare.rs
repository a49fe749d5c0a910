//! The comparison of independent processes with a fleet. Pure functions, without a clock or I/O.

use std::time::Duration;

use super::instance::Change;
use crate::load::Recording;
use crate::measure::LaneStats;
use crate::report::{self, Row};

/// The recording of a group of processes.
pub(super) struct GroupRecording {
    /// The calls and requests of all processes.
    pub(super) recording: Recording,
    /// The changes of each process's breaker, in order of time.
    pub(super) changes: Vec<Vec<(Duration, Change)>>,
}

/// Statistics of the processes' breakers.
#[derive(Debug, PartialEq)]
struct BreakerStats {
    count: usize,
    /// The number of breakers that opened in the outage.
    opened: usize,
    /// The time from the start of the outage until the first breaker opened; `None` if none did.
    first: Option<Duration>,
    /// The time from the first to the last opening; `None` if no breaker opened.
    spread: Option<Duration>,
    /// Requests that reached the service while it was down, after all breakers had opened: the trial calls.
    trial_calls: usize,
    /// The time from the end of the outage until all breakers were closed; `None` if one remained open.
    closed: Option<Duration>,
}

const ROWS: &[Row<(LaneStats, BreakerStats)>] = &[
    ("callers", |(stats, _)| stats.callers.to_string()),
    ("answered", |(stats, _)| stats.answered.to_string()),
    ("answered by the fallback", |(stats, _)| stats.queued.to_string()),
    ("failed", |(stats, _)| stats.failed.to_string()),
    ("latency, p99", |(stats, _)| report::time(stats.p99)),
    ("breakers that opened", |(_, breakers)| format!("{} of {}", breakers.opened, breakers.count)),
    ("start of the outage to first open breaker", |(_, breakers)| time(breakers.first)),
    ("first to last open breaker", |(_, breakers)| time(breakers.spread)),
    ("requests received while down", |(stats, _)| stats.requests_while_down.to_string()),
    ("of these, after all breakers had opened", |(_, breakers)| breakers.trial_calls.to_string()),
    ("connections refused", |(stats, _)| stats.refused.to_string()),
    ("recovery to last closed breaker", |(_, breakers)| time(breakers.closed)),
];

/// Returns the report, ready to print.
pub(super) fn report(lanes: &[(&str, GroupRecording)]) -> String {
    let columns: Vec<_> = lanes.iter().map(|(name, group)| (*name, stats(group))).collect();
    format!(
        "{}\n\nThe callers are divided among the processes. In the fleet, all breakers open when one has detected the outage,\n\
         and only one process makes trial calls.\n",
        report::table(ROWS, &columns)
    )
}

fn stats(group: &GroupRecording) -> (LaneStats, BreakerStats) {
    (LaneStats::of(&group.recording), breaker_stats(group))
}

fn breaker_stats(GroupRecording { recording, changes }: &GroupRecording) -> BreakerStats {
    let down: Vec<_> = recording.phases.iter().filter(|phase| phase.mode.is_down()).collect();
    let (began, ended) = (down.first().map(|phase| phase.from), down.last().map(|phase| phase.to));
    let first_opening = |breaker: &Vec<(Duration, Change)>| {
        breaker.iter().find(|(at, change)| *change == Change::Opened && Some(*at) >= began).map(|(at, _)| *at)
    };
    let opened: Vec<_> = changes.iter().filter_map(first_opening).collect();
    let (first, last) = (opened.iter().min().copied(), opened.iter().max().copied());
    let all_opened = last.filter(|_| opened.len() == changes.len());
    let is_trial_call = |at: Duration| all_opened.is_some_and(|last| at > last);
    let while_down = recording.requests.iter().filter(|request| request.mode.is_down());
    let closed_at = changes.iter().map(|breaker| match breaker.last() {
        Some((_, Change::Opened)) => None,
        Some((at, Change::Closed)) => Some(*at),
        None => Some(Duration::ZERO),
    });
    let closed = closed_at.collect::<Option<Vec<_>>>().and_then(|closed| closed.into_iter().max());
    BreakerStats {
        count: changes.len(),
        opened: opened.len(),
        first: first.zip(began).map(|(first, began)| first.saturating_sub(began)),
        spread: first.zip(last).map(|(first, last)| last.saturating_sub(first)),
        trial_calls: while_down.filter(|request| is_trial_call(request.at)).count(),
        closed: closed.zip(ended).map(|(closed, ended)| closed.saturating_sub(ended)),
    }
}

fn time(time: Option<Duration>) -> String {
    time.map_or("-".into(), report::time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkout::Lane;
    use crate::load::{self, Request};
    use crate::script::Mode;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn group(changes: Vec<Vec<(u64, Change)>>) -> GroupRecording {
        let phase = |mode, from, to| load::PlayedPhase { mode, from: ms(from), to: ms(to) };
        let phases = vec![phase(Mode::Healthy, 0, 100), phase(Mode::Hanging, 100, 500), phase(Mode::Healthy, 500, 900)];
        let request = |(at, mode)| Request { at: ms(at), mode };
        let requests = [(90, Mode::Healthy), (110, Mode::Hanging), (150, Mode::Hanging), (300, Mode::Hanging)];
        let requests = requests.map(request).to_vec();
        let recording =
            Recording { lane: Lane::Guarded, phases, calls: Vec::new(), requests, refused: 0, breaker: Vec::new() };
        let timed = |breaker: Vec<(u64, Change)>| breaker.into_iter().map(|(at, change)| (ms(at), change)).collect();
        GroupRecording { recording, changes: changes.into_iter().map(timed).collect() }
    }

    #[test]
    fn breakers_that_open_and_close() {
        use Change::{Closed, Opened};
        let group = group(vec![vec![(120, Opened), (560, Closed)], vec![(160, Opened), (530, Closed)]]);
        let expected = BreakerStats {
            count: 2,
            opened: 2,
            first: Some(ms(20)),
            spread: Some(ms(40)),
            trial_calls: 1,
            closed: Some(ms(60)),
        };
        assert_eq!(breaker_stats(&group), expected);
    }

    #[test]
    fn breakers_that_stay_open_or_closed() {
        let one_of_two = group(vec![vec![(120, Change::Opened)], vec![]]);
        let stats = breaker_stats(&one_of_two);
        assert_eq!((stats.opened, stats.trial_calls, stats.closed), (1, 0, None));
        let table = report(&[("alone", one_of_two)]);
        assert!(table.contains("1 of 2") && table.contains("alone"), "{table}");
    }
}
