//! Statistics of a recording: the values of the table and the lines of the chart. Pure functions, without a clock or I/O.

use std::ops::Range;
use std::time::Duration;

use crate::checkout::Outcome;
use crate::load::{Call, PlayedPhase, Recording};
use crate::script::Mode;

/// The latency above which an answer counts as late.
pub(crate) const LATE: Duration = Duration::from_secs(2);

/// What a caller received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Answer,
    Fallback,
    /// An answer or the fallback after more than [`LATE`].
    Late,
    /// An error, or nothing because the caller gave up.
    Failure,
}

impl Received {
    pub(crate) const ALL: [Self; 4] = [Self::Answer, Self::Fallback, Self::Late, Self::Failure];

    fn of(call: &Call) -> Self {
        match call.outcome {
            Outcome::Failed => Self::Failure,
            _ if latency(call) > LATE => Self::Late,
            Outcome::Answered => Self::Answer,
            Outcome::Queued => Self::Fallback,
        }
    }
}

/// Returns the number of calls of each kind in [`Received::ALL`] among those that arrived in `period`.
pub(crate) fn received(calls: &[Call], period: &Range<Duration>) -> [usize; 4] {
    let arrived: Vec<_> = calls.iter().filter(|call| period.contains(&call.arrived)).map(Received::of).collect();
    Received::ALL.map(|kind| arrived.iter().filter(|of| **of == kind).count())
}

/// The statistics of one lane.
#[derive(Debug)]
pub(crate) struct LaneStats {
    pub(crate) callers: usize,
    pub(crate) answered: usize,
    pub(crate) queued: usize,
    /// Callers who were answered, by the service or by the fallback, but only after more than [`LATE`].
    pub(crate) late: usize,
    pub(crate) failed: usize,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) max: Duration,
    pub(crate) peak_in_flight: usize,
    /// Callers in flight while the service was hanging; `None` if the script contains no such phase.
    pub(crate) in_flight_while_hanging: Option<InFlight>,
    pub(crate) requests_while_down: usize,
    pub(crate) refused: usize,
    /// Attempts, including refused connections, per caller that arrived while the service was down; `None` if there was none.
    pub(crate) amplification: Option<f64>,
    pub(crate) recovery: Recovery,
}

/// The number of callers in flight over a period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct InFlight {
    pub(crate) mean: f64,
    pub(crate) peak: usize,
}

/// The time from the end of the outage to the first successful answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// The script contains no recovery of the service.
    None,
    /// No caller got an answer.
    Never,
    After(Duration),
}

impl LaneStats {
    pub(crate) fn of(recording: &Recording) -> Self {
        let Recording { phases, calls, requests, refused, .. } = recording;
        let count = |outcome| calls.iter().filter(|call| call.outcome == outcome).count();
        let mut latencies: Vec<_> = calls.iter().map(latency).collect();
        latencies.sort_unstable();

        let steps = in_flight(calls);
        let hanging = phases.iter().filter(|phase| phase.mode == Mode::Hanging).map(|phase| phase.from..phase.to);
        let requests_while_down = requests.iter().filter(|request| request.mode.is_down()).count();
        let callers_while_down = calls.iter().filter(|call| is_down(phases, call.arrived)).count();
        Self {
            callers: calls.len(),
            answered: count(Outcome::Answered),
            queued: count(Outcome::Queued),
            late: calls.iter().filter(|call| Received::of(call) == Received::Late).count(),
            failed: count(Outcome::Failed),
            p50: percentile(&latencies, 50),
            p99: percentile(&latencies, 99),
            max: percentile(&latencies, 100),
            peak_in_flight: steps.iter().map(|&(_, count)| count).max().unwrap_or(0),
            in_flight_while_hanging: in_flight_during(&steps, hanging),
            requests_while_down,
            refused: *refused,
            amplification: ratio(requests_while_down + refused, callers_while_down),
            recovery: recovery(phases, calls),
        }
    }
}

/// Returns the number of callers in flight as steps: the time of each change, and the number from that time on, in order of time.
pub(crate) fn in_flight(calls: &[Call]) -> Vec<(Duration, usize)> {
    let mut changes: Vec<(Duration, bool)> =
        calls.iter().flat_map(|call| [(call.arrived, true), (call.ended, false)]).collect();
    // At equal times, ends sort before arrivals, so that such callers do not overlap.
    changes.sort_unstable();
    let mut count = 0;
    let step = |(at, is_arrival)| {
        count = if is_arrival { count + 1 } else { count - 1 };
        (at, count)
    };
    changes.into_iter().map(step).collect()
}

fn latency(call: &Call) -> Duration {
    call.ended.saturating_sub(call.arrived)
}

/// Returns the events per second over the `window` that ends at `at`. `times` must be sorted.
pub(crate) fn rate(times: &[Duration], at: Duration, window: Duration) -> f64 {
    let count_until = |end: Duration| times.partition_point(|&time| time <= end);
    let count = count_until(at) - at.checked_sub(window).map_or(0, count_until);
    to_f64(count) / window.as_secs_f64()
}

/// Returns a percentile by nearest rank. `sorted` must be in ascending order.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// Returns the number of callers in flight over all `periods` together; `None` if the periods are empty. `steps` come from [`in_flight`].
pub(crate) fn in_flight_during(
    steps: &[(Duration, usize)],
    periods: impl IntoIterator<Item = Range<Duration>>,
) -> Option<InFlight> {
    let (mut seconds, mut caller_seconds, mut peak) = (0.0, 0.0, 0);
    for period in periods {
        let first = steps.partition_point(|&(at, _)| at <= period.start);
        let last = steps.partition_point(|&(at, _)| at < period.end);
        let mut current = (period.start, first.checked_sub(1).map_or(0, |before| steps[before].1));
        for &next in steps[first..last.max(first)].iter().chain([&(period.end, 0)]) {
            caller_seconds += to_f64(current.1) * next.0.saturating_sub(current.0).as_secs_f64();
            peak = peak.max(current.1);
            current = next;
        }
        seconds += period.end.saturating_sub(period.start).as_secs_f64();
    }
    (seconds > 0.0).then(|| InFlight { mean: caller_seconds / seconds, peak })
}

fn is_down(phases: &[PlayedPhase], at: Duration) -> bool {
    phases.iter().any(|phase| phase.mode.is_down() && (phase.from..phase.to).contains(&at))
}

fn recovery(phases: &[PlayedPhase], calls: &[Call]) -> Recovery {
    let is_recovery = |pair: &&[PlayedPhase]| pair[0].mode.is_down() && !pair[1].mode.is_down();
    let Some(recovered) = phases.windows(2).rfind(is_recovery).map(|pair| pair[1].from) else {
        return Recovery::None;
    };
    let answered = calls.iter().filter(|call| call.outcome == Outcome::Answered && call.ended >= recovered);
    answered.map(|call| call.ended.saturating_sub(recovered)).min().map_or(Recovery::Never, Recovery::After)
}

/// Returns the quotient; `None` if the denominator is zero.
fn ratio(numerator: usize, denominator: usize) -> Option<f64> {
    (denominator > 0).then(|| to_f64(numerator) / to_f64(denominator))
}

/// Converts a count to a float. Counts of 2^32 or more, which do not occur here, are clamped.
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

    fn played(mode: Mode, from: u64, to: u64) -> PlayedPhase {
        PlayedPhase { mode, from: ms(from), to: ms(to) }
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

        for (from, to, mean, peak) in [(0, 10, 1.0, 1), (10, 40, 2.0, 2), (20, 60, 1.25, 2), (60, 80, 0.0, 0)] {
            let during = in_flight_during(&steps, [ms(from)..ms(to)]);
            assert_eq!(during, Some(InFlight { mean, peak }), "{from} to {to}");
        }
        assert_eq!(in_flight_during(&steps, []), None);
    }

    #[test]
    fn calls_are_counted_by_what_their_callers_received() {
        let calls = [
            call(0, 10, Outcome::Answered),
            call(1, 11, Outcome::Queued),
            call(2, 2003, Outcome::Queued),
            call(3, 9000, Outcome::Failed),
            call(10, 9000, Outcome::Answered),
        ];
        assert_eq!(received(&calls, &(ms(0)..ms(10))), [1; 4]);
        assert_eq!(received(&calls, &(ms(10)..ms(20))), [0, 0, 1, 0]);
        assert_eq!(received(&calls, &(ms(20)..ms(30))), [0; 4]);
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
        let answered = call(22, 27, Outcome::Answered);
        for (phases, calls, expected) in [
            (&phases[..], vec![early, queued, failed, answered], Recovery::After(ms(7))),
            (&phases[..], vec![early, queued, failed], Recovery::Never),
            (&phases[..2], vec![early, answered], Recovery::None),
        ] {
            assert_eq!(recovery(phases, &calls), expected);
        }
    }

    #[test]
    fn statistics_of_a_recording() {
        let stats = LaneStats::of(&Recording {
            lane: crate::checkout::Lane::Retry,
            phases: vec![played(Mode::Healthy, 0, 10), played(Mode::Hanging, 10, 20), played(Mode::Refusing, 20, 30)],
            calls: vec![call(0, 5, Outcome::Answered), call(12, 28, Outcome::Failed), call(22, 23, Outcome::Queued)],
            requests: [(0, Mode::Healthy), (12, Mode::Hanging), (15, Mode::Hanging)]
                .map(|(at, mode)| crate::load::Request { at: ms(at), mode })
                .to_vec(),
            refused: 3,
            breaker: Vec::new(),
        });
        assert_eq!((stats.callers, stats.answered, stats.queued, stats.failed), (3, 1, 1, 1));
        assert_eq!((stats.requests_while_down, stats.refused), (2, 3));
        assert_eq!((stats.peak_in_flight, stats.amplification), (2, Some(2.5)));
        assert_eq!(stats.in_flight_while_hanging, Some(InFlight { mean: 0.8, peak: 1 }));
    }
}
