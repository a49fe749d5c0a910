//! What several processes did, each by itself and as a fleet, side by side. No clock and no I/O.

use std::time::Duration;

use super::Change;
use crate::load::Recording;
use crate::measure::Figures;
use crate::report::{self, Row};

/// What happened to the processes of one lane.
pub(super) struct Played {
    /// Of all processes together.
    pub(super) recording: Recording,
    /// Of each process' circuit, in order.
    pub(super) changes: Vec<Vec<(Duration, Change)>>,
}

/// What there is to say about circuits.
#[derive(Debug, PartialEq)]
struct Circuits {
    count: usize,
    /// How many of them opened in the outage.
    opened: usize,
    /// From the beginning of the outage to the first that opened.
    first: Option<Duration>,
    /// From the first to the last.
    spread: Option<Duration>,
    /// Requests that reached the service while it was down, after all circuits had opened.
    trials: usize,
    /// From the end of the outage until all were closed.
    closed: Option<Duration>,
}

const ROWS: &[Row<(Figures, Circuits)>] = &[
    ("callers", |(figures, _)| figures.callers.to_string()),
    ("answered", |(figures, _)| figures.answered.to_string()),
    ("answered by the fallback", |(figures, _)| figures.queued.to_string()),
    ("failed", |(figures, _)| figures.failed.to_string()),
    ("latency, p99", |(figures, _)| report::time(figures.p99)),
    ("circuits that opened", |(_, circuits)| format!("{} of {}", circuits.opened, circuits.count)),
    ("from the outage to the first open circuit", |(_, circuits)| time(circuits.first)),
    ("from the first to the last", |(_, circuits)| time(circuits.spread)),
    ("requests that reached the service while down", |(figures, _)| figures.requests_while_down.to_string()),
    ("of these, when all circuits were open: trial calls", |(_, circuits)| circuits.trials.to_string()),
    ("connections refused (these do not reach it)", |(figures, _)| figures.refused.to_string()),
    ("from recovery to the last closed circuit", |(_, circuits)| time(circuits.closed)),
];

/// The table, ready to print.
pub(super) fn report(lanes: &[(&str, Played)]) -> String {
    let columns: Vec<_> = lanes.iter().map(|(name, played)| (*name, figures(played))).collect();
    format!(
        "{}\n\nEach process sends its share of the callers. In the fleet, what one finds out all know, and the trial calls are those of one.\n",
        report::table(ROWS, &columns)
    )
}

fn figures(played: &Played) -> (Figures, Circuits) {
    (Figures::of(&played.recording), circuits(played))
}

fn circuits(Played { recording, changes }: &Played) -> Circuits {
    let down: Vec<_> = recording.phases.iter().filter(|phase| phase.mode.is_down()).collect();
    let (began, ended) = (down.first().map(|phase| phase.from), down.last().map(|phase| phase.to));
    let first_of = |circuit: &Vec<(Duration, Change)>| {
        circuit.iter().find(|(at, change)| *change == Change::Opened && Some(*at) >= began).map(|(at, _)| *at)
    };
    let opened: Vec<_> = changes.iter().filter_map(first_of).collect();
    let (first, last) = (opened.iter().min().copied(), opened.iter().max().copied());
    let all_opened = last.filter(|_| opened.len() == changes.len());
    let is_trial = |at: Duration| all_opened.is_some_and(|last| at > last);
    let while_down = recording.requests.iter().filter(|request| request.mode.is_down());
    let closed_at = changes.iter().map(|circuit| match circuit.last() {
        Some((_, Change::Opened)) => None,
        Some((at, Change::Closed)) => Some(*at),
        None => Some(Duration::ZERO),
    });
    let closed = closed_at.collect::<Option<Vec<_>>>().and_then(|closed| closed.into_iter().max());
    Circuits {
        count: changes.len(),
        opened: opened.len(),
        first: first.zip(began).map(|(first, began)| first.saturating_sub(began)),
        spread: first.zip(last).map(|(first, last)| last.saturating_sub(first)),
        trials: while_down.filter(|request| is_trial(request.at)).count(),
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

    fn played(changes: Vec<Vec<(u64, Change)>>) -> Played {
        let phase = |mode, from, to| load::Played { mode, from: ms(from), to: ms(to) };
        let phases = vec![phase(Mode::Healthy, 0, 100), phase(Mode::Hanging, 100, 500), phase(Mode::Healthy, 500, 900)];
        let request = |(at, mode)| Request { at: ms(at), mode };
        let requests = [(90, Mode::Healthy), (110, Mode::Hanging), (150, Mode::Hanging), (300, Mode::Hanging)];
        let requests = requests.map(request).to_vec();
        let recording =
            Recording { lane: Lane::Guarded, phases, calls: Vec::new(), requests, refused: 0, breaker: Vec::new() };
        let timed = |circuit: Vec<(u64, Change)>| circuit.into_iter().map(|(at, change)| (ms(at), change)).collect();
        Played { recording, changes: changes.into_iter().map(timed).collect() }
    }

    #[test]
    fn circuits_that_open_and_close() {
        use Change::{Closed, Opened};
        let played = played(vec![vec![(120, Opened), (560, Closed)], vec![(160, Opened), (530, Closed)]]);
        let expected = Circuits {
            count: 2,
            opened: 2,
            first: Some(ms(20)),
            spread: Some(ms(40)),
            trials: 1,
            closed: Some(ms(60)),
        };
        assert_eq!(circuits(&played), expected);
    }

    #[test]
    fn circuits_that_stay_as_they_are() {
        let one_of_two = played(vec![vec![(120, Change::Opened)], vec![]]);
        let circuits = circuits(&one_of_two);
        assert_eq!((circuits.opened, circuits.trials, circuits.closed), (1, 0, None));
        let table = report(&[("alone", one_of_two)]);
        assert!(table.contains("1 of 2") && table.contains("alone"), "{table}");
    }
}
