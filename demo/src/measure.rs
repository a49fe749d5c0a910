//! What a recording says: the figures of the table and the lines of the picture. No clock and no I/O.

use std::ops::Range;
use std::time::Duration;

use crate::checkout::Outcome;
use crate::load::{Call, Played, Recording};
use crate::script::Mode;

/// What was measured in one lane.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) callers: usize,
    pub(crate) answered: usize,
    pub(crate) queued: usize,
    pub(crate) failed: usize,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) slowest: Duration,
    pub(crate) most_in_flight: usize,
    /// Callers in flight while the service hung, if it did.
    pub(crate) in_hang: Option<InFlight>,
    pub(crate) requests_while_down: usize,
    pub(crate) refused: usize,
    /// Attempts, refused ones included, per caller who came while the service was down.
    pub(crate) amplification: Option<f64>,
    pub(crate) recovery: Recovery,
}

/// Callers in flight over a span of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct InFlight {
    pub(crate) mean: f64,
    pub(crate) most: usize,
}

/// How soon after the service was back a caller got a good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// The script has none.
    None,
    /// No caller did.
    Never,
    After(Duration),
}

impl Figures {
    pub(crate) fn of(recording: &Recording) -> Self {
        let Recording { phases, calls, requests, refused, .. } = recording;
        let count = |outcome| calls.iter().filter(|call| call.outcome == outcome).count();
        let mut latencies: Vec<_> = calls.iter().map(|call| call.ended.saturating_sub(call.arrived)).collect();
        latencies.sort_unstable();

        let steps = in_flight(calls);
        let hangs = phases.iter().filter(|phase| phase.mode == Mode::Hanging).map(|hang| hang.from..hang.to);
        let requests_while_down = requests.iter().filter(|request| request.mode.is_down()).count();
        let callers_while_down = calls.iter().filter(|call| is_down(phases, call.arrived)).count();
        Self {
            callers: calls.len(),
            answered: count(Outcome::Answered),
            queued: count(Outcome::Queued),
            failed: count(Outcome::Failed),
            p50: percentile(&latencies, 50),
            p99: percentile(&latencies, 99),
            slowest: percentile(&latencies, 100),
            most_in_flight: steps.iter().map(|&(_, count)| count).max().unwrap_or(0),
            in_hang: within(&steps, hangs),
            requests_while_down,
            refused: *refused,
            amplification: ratio(requests_while_down + refused, callers_while_down),
            recovery: recovery(phases, calls),
        }
    }
}

/// How many callers were in flight, and from when on; sorted by time.
pub(crate) fn in_flight(calls: &[Call]) -> Vec<(Duration, usize)> {
    let mut changes: Vec<(Duration, bool)> =
        calls.iter().flat_map(|call| [(call.arrived, true), (call.ended, false)]).collect();
    // Who leaves in the instant in which another one comes was not in flight together with them.
    changes.sort_unstable();
    let mut count = 0;
    let step = |(at, comes)| {
        count = if comes { count + 1 } else { count - 1 };
        (at, count)
    };
    changes.into_iter().map(step).collect()
}

/// How many events a second there were at `at`, over the `window` before it. The times are sorted.
pub(crate) fn rate(times: &[Duration], at: Duration, window: Duration) -> f64 {
    let until = |end: Duration| times.partition_point(|&time| time <= end);
    let seen = until(at) - at.checked_sub(window).map_or(0, until);
    to_f64(seen) / window.as_secs_f64()
}

/// By nearest rank; `sorted` is in ascending order.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// Callers in flight over these spans of time, taken together; `steps` as from [`in_flight`].
pub(crate) fn within(
    steps: &[(Duration, usize)],
    spans: impl IntoIterator<Item = Range<Duration>>,
) -> Option<InFlight> {
    let (mut time, mut caller_seconds, mut most) = (0.0, 0.0, 0);
    for span in spans {
        let first = steps.partition_point(|&(at, _)| at <= span.start);
        let last = steps.partition_point(|&(at, _)| at < span.end);
        let mut here = (span.start, first.checked_sub(1).map_or(0, |before| steps[before].1));
        for &next in steps[first..last.max(first)].iter().chain([&(span.end, 0)]) {
            caller_seconds += to_f64(here.1) * next.0.saturating_sub(here.0).as_secs_f64();
            most = most.max(here.1);
            here = next;
        }
        time += span.end.saturating_sub(span.start).as_secs_f64();
    }
    (time > 0.0).then(|| InFlight { mean: caller_seconds / time, most })
}

fn is_down(phases: &[Played], at: Duration) -> bool {
    phases.iter().any(|phase| phase.mode.is_down() && (phase.from..phase.to).contains(&at))
}

fn recovery(phases: &[Played], calls: &[Call]) -> Recovery {
    let is_recovery = |pair: &&[Played]| pair[0].mode.is_down() && !pair[1].mode.is_down();
    let Some(back) = phases.windows(2).rfind(is_recovery).map(|pair| pair[1].from) else {
        return Recovery::None;
    };
    let good = calls.iter().filter(|call| call.outcome == Outcome::Answered && call.ended >= back);
    good.map(|call| call.ended.saturating_sub(back)).min().map_or(Recovery::Never, Recovery::After)
}

/// `None` if there is nothing to compare with.
fn ratio(this: usize, that: usize) -> Option<f64> {
    (that > 0).then(|| to_f64(this) / to_f64(that))
}

/// Exact: no count here comes near 2^32.
pub(crate) fn to_f64(count: usize) -> f64 {
    u32::try_from(count).unwrap_or(u32::MAX).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn call(arrived: u64, ended: u64, outcome: Outcome) -> Call {
        Call { arrived: ms(arrived), ended: ms(ended), outcome }
    }

    fn played(mode: Mode, from: u64, to: u64) -> Played {
        Played { mode, from: ms(from), to: ms(to) }
    }

    #[test]
    fn percentiles_by_nearest_rank() {
        let hundred: Vec<_> = (1..=100).map(ms).collect();
        for (sorted, percent, expected) in [
            (&hundred[..], 50, 50),
            (&hundred[..], 99, 99),
            (&hundred[..], 100, 100),
            (&hundred[..2], 50, 1),
            (&hundred[..2], 99, 2),
            (&hundred[..1], 50, 1),
            (&[], 99, 0),
        ] {
            assert_eq!(percentile(sorted, percent), ms(expected), "p{percent} of {}", sorted.len());
        }
    }

    #[test]
    fn callers_in_flight() {
        let calls = [(0, 30), (10, 40), (30, 50)].map(|(from, to)| call(from, to, Outcome::Answered));
        let steps = in_flight(&calls);
        let expected = [(0, 1), (10, 2), (30, 1), (30, 2), (40, 1), (50, 0)];
        assert_eq!(steps, expected.map(|(at, count)| (ms(at), count)));

        for (from, to, mean, most) in [(0, 10, 1.0, 1), (10, 40, 2.0, 2), (20, 60, 1.25, 2), (60, 80, 0.0, 0)] {
            assert_eq!(within(&steps, [ms(from)..ms(to)]), Some(InFlight { mean, most }), "{from} to {to}");
        }
        assert_eq!(within(&steps, []), None);
    }

    #[test]
    fn rates() {
        let times = [0, 100, 200, 300].map(ms);
        for (at, window, expected) in [(0, 100, 10.0), (300, 100, 10.0), (300, 200, 10.0), (900, 100, 0.0)] {
            let rate = rate(&times, ms(at), ms(window));
            assert!((rate - expected).abs() < 1e-9, "{at} over {window}: {rate}");
        }
    }

    #[test]
    fn time_to_recovery() {
        let phases = [played(Mode::Healthy, 0, 10), played(Mode::Hanging, 10, 20), played(Mode::Slow, 20, 30)];
        let early = call(5, 9, Outcome::Answered);
        let queued = call(21, 22, Outcome::Queued);
        let failed = call(21, 23, Outcome::Failed);
        let good = call(22, 27, Outcome::Answered);
        for (phases, calls, expected) in [
            (&phases[..], vec![early, queued, failed, good], Recovery::After(ms(7))),
            (&phases[..], vec![early, queued, failed], Recovery::Never),
            (&phases[..2], vec![early, good], Recovery::None),
        ] {
            assert_eq!(recovery(phases, &calls), expected);
        }
    }

    #[test]
    fn the_figures_of_a_recording() {
        let figures = Figures::of(&Recording {
            lane: crate::checkout::Lane::Retry,
            phases: vec![played(Mode::Healthy, 0, 10), played(Mode::Hanging, 10, 20), played(Mode::Refusing, 20, 30)],
            calls: vec![call(0, 5, Outcome::Answered), call(12, 28, Outcome::Failed), call(22, 23, Outcome::Queued)],
            requests: [(0, Mode::Healthy), (12, Mode::Hanging), (15, Mode::Hanging)]
                .map(|(at, mode)| crate::load::Request { at: ms(at), mode })
                .to_vec(),
            refused: 3,
            breaker: Vec::new(),
        });
        assert_eq!((figures.callers, figures.answered, figures.queued, figures.failed), (3, 1, 1, 1));
        assert_eq!((figures.requests_while_down, figures.refused), (2, 3));
        assert_eq!((figures.most_in_flight, figures.amplification), (2, Some(2.5)));
        assert_eq!(figures.in_hang, Some(InFlight { mean: 0.8, most: 1 }));
    }
}
