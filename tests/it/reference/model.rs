//! The reference: plain fields, every result kept, every answer computed anew. Times are in microseconds.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "small numbers of one test"
)]

use steadfast::{BreakerState, OpenReason};

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) policy: Policy,
    /// Base, factor, maximum.
    pub(super) recovery: (u64, f64, u64),
    pub(super) trials: u32,
    pub(super) observe_only: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Policy {
    InARow { threshold: u32 },
    ByRate { calls: Option<u32>, time: u64, failure_rate: f64, min_calls: u32, slow: Option<(u64, f64)> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    Failure,
    Neutral,
}

#[derive(Debug)]
pub(super) enum Admission {
    Admitted(Place),
    Refused { reason: OpenReason, retry_after: Option<u64> },
}

/// What an admitted call holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The stay in a state that it belongs to; none if it was let through although it was not admitted.
    stay: Option<u64>,
    round: u32,
    /// When it began, where calls are timed.
    began: Option<u64>,
}

pub(super) struct Model {
    settings: Settings,
    pub(super) now: u64,
    state: State,
    /// A number for each stay in a state.
    stay: u64,
    /// Results in a closed circuit, since it closed: by calls, and by time.
    by_calls: Vec<Recorded>,
    by_time: Vec<Recorded>,
    /// When the first result was ever recorded by time.
    first: Option<u64>,
    totals: [u64; 5],
}

#[derive(Clone, Copy)]
struct Recorded {
    at: u64,
    failed: bool,
    slow: bool,
}

#[derive(Clone, Copy)]
enum State {
    Closed { in_a_row: u32 },
    Open { since: u64, failed: u32, reason: OpenReason },
    HalfOpen { round: u32, taken: u32, succeeded: u32, failed: u32, last_trial: u64 },
    ForcedOpen { until: Option<u64> },
    Disabled { until: Option<u64> },
}

/// How far off the end of a trial call's time may be.
pub(super) const ROUGHLY: u64 = 16_000;
/// Both windows by time are kept in parts of this length: the largest power of two of which 16 make a window.
const PART: u64 = 65_536;

impl Model {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            now: 0,
            state: State::Closed { in_a_row: 0 },
            stay: 0,
            by_calls: Vec::new(),
            by_time: Vec::new(),
            first: None,
            totals: [0; 5],
        }
    }

    /// Whether it is within what is measured roughly, or so long ago that it can't be measured.
    pub(super) fn is_about_to_give_up(&self) -> bool {
        match self.state {
            State::HalfOpen { taken, failed, last_trial, .. } if taken >= self.settings.trials => {
                let (waited, rest) = (self.now - last_trial, self.rest(failed));
                waited.abs_diff(rest) <= ROUGHLY || waited > 60 * rest
            }
            _ => false,
        }
    }

    pub(super) fn acquire(&mut self) -> Admission {
        let refused = match self.state {
            State::Closed { .. } | State::Disabled { until: None } => None,
            State::Disabled { until: Some(until) } => {
                if until <= self.now {
                    self.enter(State::Closed { in_a_row: 0 });
                }
                None
            }
            State::ForcedOpen { until: Some(until) } if until <= self.now => self.first_trial(0),
            State::ForcedOpen { until } => Some((OpenReason::Forced, until.map(|until| until - self.now))),
            State::Open { since, failed, reason } => match (since + self.rest(failed)).saturating_sub(self.now) {
                0 => self.first_trial(failed),
                wait => Some((reason, Some(wait))),
            },
            State::HalfOpen { round, taken, succeeded, failed, last_trial } => {
                let rest = self.rest(failed);
                let (waited, now) = (self.now - last_trial, self.now);
                if taken < self.settings.trials {
                    self.state = State::HalfOpen { round, taken: taken + 1, succeeded, failed, last_trial: now };
                    None
                } else if waited >= rest {
                    let (round, taken) = (round + 1, succeeded + 1);
                    self.state = State::HalfOpen { round, taken, succeeded, failed, last_trial: now };
                    None
                } else {
                    Some((OpenReason::TrialsUnderWay, Some(rest - waited)))
                }
            }
        };
        let Some((reason, retry_after)) = refused else {
            let round = if let State::HalfOpen { round, .. } = self.state { round } else { 0 };
            let began = self.slow_limit().map(|_| self.now);
            return Admission::Admitted(Place { stay: Some(self.stay), round, began });
        };
        self.totals[3] += 1;
        if self.settings.observe_only {
            return Admission::Admitted(Place { stay: None, round: 0, began: None });
        }
        Admission::Refused { reason, retry_after }
    }

    pub(super) fn end(&mut self, place: Place, outcome: Outcome) {
        self.totals[outcome as usize] += 1;
        if place.stay != Some(self.stay) || outcome == Outcome::Neutral && !matches!(self.state, State::HalfOpen { .. })
        {
            return;
        }
        let took = place.began.map(|began| self.now - began);
        let slow = self.slow_limit().zip(took).is_some_and(|(limit, took)| took >= limit);
        match self.state {
            State::Closed { in_a_row } => self.end_closed(in_a_row, outcome == Outcome::Failure, slow),
            State::HalfOpen { round, mut taken, mut succeeded, failed, last_trial } => {
                match outcome {
                    Outcome::Success if !slow => {
                        succeeded += 1;
                        if succeeded >= self.settings.trials {
                            return self.enter(State::Closed { in_a_row: 0 });
                        }
                        // One of an earlier round has lost its place, and takes one again.
                        taken += u32::from(place.round != round);
                    }
                    Outcome::Success | Outcome::Failure => {
                        let reason = OpenReason::TrialFailed;
                        return self.enter(State::Open { since: self.now, failed: failed + 1, reason });
                    }
                    Outcome::Neutral => taken -= u32::from(place.round == round),
                }
                self.state = State::HalfOpen { round, taken, succeeded, failed, last_trial };
            }
            State::Open { .. } | State::ForcedOpen { .. } | State::Disabled { .. } => {}
        }
    }

    fn end_closed(&mut self, in_a_row: u32, failed: bool, slow: bool) {
        let open = |since, reason| State::Open { since, failed: 0, reason };
        match self.settings.policy {
            Policy::InARow { threshold } => {
                let failures = if failed { in_a_row + 1 } else { 0 };
                if failures >= threshold {
                    return self.enter(open(self.now, OpenReason::ConsecutiveFailures { failures }));
                }
                self.state = State::Closed { in_a_row: failures };
            }
            Policy::ByRate { calls: by_calls, failure_rate, min_calls, slow: slow_calls, .. } => {
                let recorded = Recorded { at: self.now, failed, slow };
                if by_calls.is_some() {
                    self.by_calls.push(recorded);
                } else {
                    self.first.get_or_insert(self.now);
                    self.by_time.push(recorded);
                }
                if !failed && !slow {
                    return;
                }
                let (calls, failures, slow) = self.window().unwrap_or_default();
                let least = by_calls.map_or(min_calls, |calls| calls.min(min_calls));
                if calls < u64::from(least) {
                    return;
                }
                let exceeds = |part: u64, rate: f64| part > 0 && part as f64 / calls as f64 >= rate;
                let [calls_, failures_, slow_] = [calls, failures, slow].map(|count| u32::try_from(count).unwrap());
                if exceeds(failures, failure_rate) {
                    let reason = OpenReason::FailureRate { failures: failures_, calls: calls_ };
                    self.enter(open(self.now, reason));
                } else if slow_calls.is_some_and(|(_, rate)| exceeds(slow, rate)) {
                    self.enter(open(self.now, OpenReason::SlowCallRate { slow: slow_, calls: calls_ }));
                }
            }
        }
    }

    pub(super) fn force_open(&mut self, hold: Option<u64>) {
        self.hold(State::ForcedOpen { until: hold.map(|hold| self.now + hold) });
    }

    pub(super) fn disable(&mut self, hold: Option<u64>) {
        self.hold(State::Disabled { until: hold.map(|hold| self.now + hold) });
    }

    fn hold(&mut self, held: State) {
        let before = self.state();
        let same = std::mem::replace(&mut self.state, held);
        if self.state() != before {
            self.state = same;
            self.enter(held);
        }
    }

    pub(super) fn reset(&mut self) {
        self.enter(State::Closed { in_a_row: 0 });
    }

    pub(super) fn reconfigure(&mut self, settings: Settings) {
        self.settings = settings;
        match (self.state, self.settings.policy) {
            (State::Closed { .. }, Policy::ByRate { .. }) => self.state = State::Closed { in_a_row: 0 },
            (State::HalfOpen { succeeded, .. }, _) if succeeded >= self.settings.trials => {
                self.enter(State::Closed { in_a_row: 0 });
            }
            _ => {}
        }
    }

    pub(super) const fn state(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
            State::ForcedOpen { .. } => BreakerState::ForcedOpen,
            State::Disabled { .. } => BreakerState::Disabled,
        }
    }

    pub(super) const fn failures_in_a_row(&self) -> u32 {
        if let State::Closed { in_a_row } = self.state { in_a_row } else { 0 }
    }

    pub(super) const fn failed_recoveries(&self) -> u32 {
        match self.state {
            State::Open { failed, .. } | State::HalfOpen { failed, .. } => failed,
            _ => 0,
        }
    }

    pub(super) const fn open_reason(&self) -> Option<OpenReason> {
        if let State::Open { reason, .. } = self.state { Some(reason) } else { None }
    }

    pub(super) fn time_left(&self) -> Option<u64> {
        let until = match self.state {
            State::Open { since, failed, .. } => Some(since + self.rest(failed)),
            State::ForcedOpen { until } | State::Disabled { until } => until,
            State::Closed { .. } | State::HalfOpen { .. } => None,
        };
        until.map(|until| until.saturating_sub(self.now))
    }

    /// Successes, failures, neutral, rejections, transitions.
    pub(super) const fn totals(&self) -> [u64; 5] {
        self.totals
    }

    /// Calls, failures and slow calls in the window.
    pub(super) fn window(&self) -> Option<(u64, u64, u64)> {
        let Policy::ByRate { calls, time, .. } = self.settings.policy else { return None };
        let held: Vec<_> = if let Some(calls) = calls {
            self.by_calls.iter().rev().take(calls as usize).collect()
        } else {
            let first = self.first.unwrap_or(self.now);
            // A part is in as long as it began within the window.
            let is_in = |recorded: &&Recorded| first + (recorded.at - first) / PART * PART + time > self.now;
            self.by_time.iter().filter(is_in).collect()
        };
        let count = |is: fn(&Recorded) -> bool| held.iter().filter(|recorded| is(recorded)).count() as u64;
        Some((held.len() as u64, count(|recorded| recorded.failed), count(|recorded| recorded.slow)))
    }

    const fn slow_limit(&self) -> Option<u64> {
        match self.settings.policy {
            Policy::ByRate { slow: Some((limit, _)), .. } => Some(limit),
            _ => None,
        }
    }

    fn rest(&self, failed: u32) -> u64 {
        let (base, factor, max) = self.settings.recovery;
        (0..failed.min(63)).fold(base as f64, |rest, _| rest * factor).min(max as f64) as u64
    }

    fn first_trial(&mut self, failed: u32) -> Option<(OpenReason, Option<u64>)> {
        let last_trial = self.now;
        self.enter(State::HalfOpen { round: 0, taken: 1, succeeded: 0, failed, last_trial });
        None
    }

    fn enter(&mut self, state: State) {
        let before = self.state();
        self.state = state;
        self.stay += 1;
        self.by_calls.clear();
        self.by_time.clear();
        self.totals[4] += u64::from(self.state() != before);
    }
}
