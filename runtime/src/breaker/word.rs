//! The breaker's state as one value, and every step it can take.
//!
//! Nothing here is atomic, reads a clock or waits: each step is a function from one [`Circuit`] to the next.
//! [`shared`](super::shared) applies them with compare-and-swap.
//!
//! A circuit is a 64-bit word, a moment, and the reason why it opened:
//!
//! ```text
//!           63     32 31                                        3 2   0
//!          ┌─────────┬───────────────────────────────────────────┬─────┐
//! closed   │  epoch  │ failures in a row │ flags of a call      │  0  │ 25, 4 bits   moment: start of the ramp, if there is one
//! open     │  epoch  │                              │   failed   │  1  │ 6            when it opened
//! half-open│  epoch  │ rounds │ failed │ succeeded │   taken    │  2  │ 7, 6, 8, 8   the first open trial call of the round
//! forced   │  epoch  │                              │  expires   │  3  │ 1            when it expires, if it does
//! disabled │  epoch  │                              │  expires   │  4  │ 1            when it expires, if it does
//! resting  │  epoch  │                              │   failed   │  5  │ 6            when the rest ends
//!          └─────────┴───────────────────────────────────────────┴─────┘
//! ```
//!
//! Resting is open, too: not for its own recovery timeout but until a moment that someone else has named.
//!
//! The epoch rises on every transition. A call keeps the epoch it was admitted under, and a result that comes back under another
//! one moves nothing. It has 32 bits: a permit would have to be held over four billion transitions to be taken for a later one.
//!
//! `failed` counts failed recoveries in a row, by which the rest of an open circuit grows.
//!
//! Half-open, the moment is the start of a trial call before which no open one has started: the first one that was admitted
//! while no other was open. A call that comes a recovery timeout after it begins a new round, with an epoch of its own, and gives
//! out again the permits of all trial calls that are still open. So no trial call holds its permit for longer than a recovery
//! timeout, whatever other calls do meanwhile; one that started beside an older one may hold it for less. `rounds` counts the
//! earlier rounds. The result of a call from any of these still counts, since a service that answers slowly does answer; but it
//! has no permit to give back. Of rounds more than 127 ago nothing is known.
//!
//! Moments are microseconds of the clock, in 64 bits. One by which the clock is behind has let nothing pass. With a clock that
//! stays behind, as that of another test, [`by_another_clock`](Circuit::by_another_clock) dates the circuit anew.

mod layout;
mod outside;

use std::fmt;

pub(crate) use self::layout::{Admission, State};
use self::layout::{ClosedFlags, MAX_FAILED, MAX_FAILURES, MAX_ROUNDS, pack};
use super::{
    BreakerState, OpenReason,
    cause::PackedReason,
    parameters::{Parameters, Policy},
};
use crate::clock::Moment;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    Failure,
    /// Neither: dropped before its end, or failed in a way that does not count.
    Neutral,
}

/// Why a call was not admitted. Waits are in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Open for `wait` more.
    Open { wait: u64 },
    /// All permits of trial calls are given out; those of the unfinished ones are given out again in `wait`.
    TrialsTaken { wait: u64 },
    /// Closed a short time ago, and this call is not among those that are let through; all are in `wait`.
    Ramp { wait: u64 },
    /// An operator holds it open: for `wait`, or until further notice.
    Forced { wait: Option<u64> },
}

/// The answer of a circuit to a call that asks to be admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AdmitDecision {
    /// Admitted, and the circuit stays as it is.
    Free,
    /// Admitted, once the circuit has become this one.
    Take(Circuit),
    Refused(Refusal),
}

/// A circuit at one moment: a value that can be looked at and stepped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Circuit {
    word: State,
    /// The moment that belongs to the state, in microseconds.
    moment: u64,
    why: PackedReason,
}

/// The state with everything that belongs to it. Moments are in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed { flags: ClosedFlags, failures: u32, ramp: Option<u64> },
    Open { failed: u8, since: u64 },
    OpenUntil { failed: u8, until: u64 },
    HalfOpen { rounds: u8, taken: u8, succeeded: u8, failed: u8, oldest: u64 },
    ForcedOpen { until: Option<u64> },
    Disabled { until: Option<u64> },
}

const fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

impl State {
    #[inline]
    pub(crate) const fn state(self) -> BreakerState {
        match self.phase(0) {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::Open { .. } | Phase::OpenUntil { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
            Phase::ForcedOpen { .. } => BreakerState::ForcedOpen,
            Phase::Disabled { .. } => BreakerState::Disabled,
        }
    }

    /// Failures in a row; 0 in every state but closed.
    pub(crate) const fn failures(self) -> u32 {
        match self.phase(0) {
            Phase::Closed { failures, .. } => failures,
            _ => 0,
        }
    }

    /// Half-open: trial calls that have succeeded.
    pub(crate) const fn trial_successes(self) -> u8 {
        match self.phase(0) {
            Phase::HalfOpen { succeeded, .. } => succeeded,
            _ => 0,
        }
    }

    /// Failed recoveries in a row, since the circuit was closed last.
    #[inline]
    pub(crate) const fn failed_recoveries(self) -> u8 {
        match self.phase(0) {
            Phase::Open { failed, .. } | Phase::OpenUntil { failed, .. } | Phase::HalfOpen { failed, .. } => failed,
            _ => 0,
        }
    }
}

impl Circuit {
    /// Closed, nothing counted.
    pub(crate) const fn new(rules: &Parameters) -> Self {
        let (word, _) = pack(0, fresh(rules));
        Self::of(word, 0, PackedReason::NONE)
    }

    pub(crate) const fn of(word: State, moment: u64, why: PackedReason) -> Self {
        Self { word, moment, why }
    }

    pub(crate) const fn word(self) -> State {
        self.word
    }

    pub(crate) const fn moment(self) -> u64 {
        self.moment
    }

    /// Why it is open, where a rule or someone else has opened it.
    #[inline]
    pub(crate) const fn why(self) -> PackedReason {
        if self.word.failed_recoveries() > 0 { PackedReason::TRIAL_FAILED } else { self.why }
    }

    /// Why it has come into its state, where that is open; also if the recoveries of another instance have failed.
    pub(crate) const fn cause(self) -> PackedReason {
        self.why
    }

    const fn phase(self) -> Phase {
        self.word.phase(self.moment)
    }

    /// The moment at which the state ends by itself, in microseconds; `None` where that is not a matter of time.
    pub(crate) fn ends_at(self, rules: &Parameters) -> Option<u64> {
        match self.phase() {
            Phase::Open { failed, since } => {
                Some(since.saturating_add(rules.recovery.open_duration_since(failed, since)))
            }
            Phase::OpenUntil { until, .. } => Some(until),
            Phase::ForcedOpen { until } | Phase::Disabled { until } => until,
            Phase::Closed { .. } | Phase::HalfOpen { .. } => None,
        }
    }

    /// How much longer it stays as it is by itself, in microseconds; `None` where that is not a matter of time.
    pub(crate) fn time_left(self, rules: &Parameters, now: Moment) -> Option<u64> {
        let ends_at = self.ends_at(rules)?;
        // By a clock that is behind, nothing of a rest has passed.
        let now = match self.phase() {
            Phase::Open { since, .. } => now.as_micros().max(since),
            _ => now.as_micros(),
        };
        Some(ends_at.saturating_sub(now))
    }

    /// The state that the next call finds: that of the word, unless this is over by itself.
    pub(crate) fn state_at(self, rules: &Parameters, now: Moment) -> BreakerState {
        match (self.word.state(), self.time_left(rules, now)) {
            (BreakerState::Open | BreakerState::ForcedOpen, Some(0)) => BreakerState::HalfOpen,
            (BreakerState::Disabled, Some(0)) => BreakerState::Closed,
            (state, _) => state,
        }
    }

    /// How much longer it rests, where it is open and rests for `rest`; `None` if that is over.
    #[inline]
    pub(crate) fn left_of(self, rest: u64, now: Moment) -> Option<u64> {
        match self.phase() {
            Phase::Open { since, .. } => Some(left_of(rest, since, now)).filter(|left| *left > 0),
            _ => None,
        }
    }

    /// Whether it is closed and still ramps up, so that a call can be rejected.
    #[cfg(feature = "keyed")]
    pub(crate) fn is_ramping(self, rules: &Parameters, now: Moment) -> bool {
        matches!(self.phase(), Phase::Closed { ramp: Some(ramp), .. } if left_of(rules.ramp, ramp, now) > 0)
    }

    /// Asks for a call to be admitted. `dice` gives a number from 0 up to the one it gets.
    pub(crate) fn admit(self, rules: &Parameters, now: Moment, dice: impl FnOnce(u64) -> u64) -> AdmitDecision {
        let left = self.time_left(rules, now);
        match self.phase() {
            Phase::Disabled { until: None } | Phase::Closed { ramp: None, .. } => AdmitDecision::Free,
            Phase::Closed { flags, failures, ramp: Some(ramp) } => {
                let wait = left_of(rules.ramp, ramp, now);
                if wait == 0 {
                    return AdmitDecision::Take(self.with(Phase::Closed { flags, failures, ramp: None }));
                }
                // From a tenth of the calls to all of them.
                let (all, passed) = (rules.ramp.saturating_mul(10), rules.ramp.saturating_sub(wait));
                let admitted = rules.ramp.saturating_add(passed.saturating_mul(9));
                if dice(all - 1) < admitted {
                    AdmitDecision::Free
                } else {
                    AdmitDecision::Refused(Refusal::Ramp { wait })
                }
            }
            Phase::Disabled { .. } if left == Some(0) => {
                AdmitDecision::Take(self.next(fresh(rules), PackedReason::NONE))
            }
            Phase::Disabled { .. } => AdmitDecision::Free,
            Phase::ForcedOpen { .. } if left == Some(0) => AdmitDecision::Take(self.first_trial(0, now)),
            Phase::ForcedOpen { .. } => AdmitDecision::Refused(Refusal::Forced { wait: left }),
            Phase::Open { failed, .. } | Phase::OpenUntil { failed, .. } => match left.unwrap_or(0) {
                0 => AdmitDecision::Take(self.first_trial(failed, now)),
                wait => AdmitDecision::Refused(Refusal::Open { wait }),
            },
            Phase::HalfOpen { rounds, taken, succeeded, failed, oldest } => {
                let this_trial = oldest.max(now.as_micros());
                let wait = left_of(rules.recovery.open_duration(failed), oldest, now);
                if wait == 0 {
                    let (rounds, taken) = (rounds.saturating_add(1).min(MAX_ROUNDS), succeeded.saturating_add(1));
                    let phase = Phase::HalfOpen { rounds, taken, succeeded, failed, oldest: this_trial };
                    return AdmitDecision::Take(self.next(phase, PackedReason::NONE));
                }
                if taken >= rules.trials {
                    return AdmitDecision::Refused(Refusal::TrialsTaken { wait });
                }
                let (taken, oldest) = (taken + 1, if taken > succeeded { oldest } else { this_trial });
                AdmitDecision::Take(self.with(Phase::HalfOpen { rounds, taken, succeeded, failed, oldest }))
            }
        }
    }

    /// Takes in how a call ended; `None` if that changes nothing. By rates, a closed circuit leaves that to the window.
    pub(crate) fn record_outcome(
        self,
        admission: Admission,
        outcome: Outcome,
        rules: &Parameters,
        now: impl Fn() -> Moment,
    ) -> Option<Self> {
        if !self.word.issued(admission) {
            return None;
        }
        match (self.phase(), outcome, rules.policy) {
            (Phase::Closed { failures, ramp, .. }, _, Policy::Rates(_)) => {
                // Failures in a row, of the time before the window was configured, end with a success as ever.
                let failures = if outcome == Outcome::Success { 0 } else { failures };
                // The settings may have changed while this circuit closed.
                let same = self.with(Phase::Closed { flags: flags(rules), failures, ramp });
                (same != self).then_some(same)
            }
            (Phase::Closed { failures: 1.., ramp, .. }, Outcome::Success, _) => {
                Some(self.with(Phase::Closed { flags: flags(rules), failures: 0, ramp }))
            }
            (Phase::Closed { failures, ramp, .. }, Outcome::Failure, Policy::Consecutive { threshold }) => {
                let failures = failures.saturating_add(1);
                if failures < threshold.min(MAX_FAILURES) {
                    return Some(self.with(Phase::Closed { flags: flags(rules), failures, ramp }));
                }
                Some(self.opened(now(), 0, PackedReason::of(OpenReason::ConsecutiveFailures { failures })))
            }
            (Phase::HalfOpen { rounds, taken, succeeded, failed, oldest }, Outcome::Success, _) => {
                let succeeded = succeeded.saturating_add(1);
                if succeeded >= rules.trials {
                    return Some(self.recovered(rules, now));
                }
                // A success keeps its permit. One of an earlier round takes one again.
                let taken = if self.word.holds_trial_permit(admission) { taken } else { taken.saturating_add(1) };
                Some(self.with(Phase::HalfOpen { rounds, taken, succeeded, failed, oldest }))
            }
            (Phase::HalfOpen { failed, .. }, Outcome::Failure, _) => {
                Some(self.opened(now(), failed.saturating_add(1).min(MAX_FAILED), PackedReason::TRIAL_FAILED))
            }
            (Phase::HalfOpen { rounds, taken, succeeded, failed, oldest }, Outcome::Neutral, _)
                if self.word.holds_trial_permit(admission) =>
            {
                let taken = taken.saturating_sub(1);
                Some(self.with(Phase::HalfOpen { rounds, taken, succeeded, failed, oldest }))
            }
            _ => None,
        }
    }

    /// Opens a closed circuit for what its window holds, if the ticket is of this epoch.
    pub(crate) fn trip(self, admission: Admission, now: Moment, reason: OpenReason) -> Option<Self> {
        match self.phase() {
            Phase::Closed { .. } if self.word.issued(admission) => Some(self.opened(now, 0, PackedReason::of(reason))),
            _ => None,
        }
    }

    /// The same epoch, another phase.
    const fn with(self, phase: Phase) -> Self {
        let (word, moment) = pack(self.word.epoch(), phase);
        Self { word, moment: if let Some(moment) = moment { moment } else { self.moment }, why: self.why }
    }

    /// The next epoch.
    const fn next(self, phase: Phase, why: PackedReason) -> Self {
        let (word, moment) = pack(self.word.epoch().wrapping_add(1), phase);
        Self { word, moment: if let Some(moment) = moment { moment } else { 0 }, why }
    }

    const fn opened(self, now: Moment, failed: u8, why: PackedReason) -> Self {
        self.next(Phase::Open { failed, since: now.as_micros() }, why)
    }

    const fn first_trial(self, failed: u8, now: Moment) -> Self {
        let oldest = now.as_micros();
        self.next(Phase::HalfOpen { rounds: 0, taken: 1, succeeded: 0, failed, oldest }, PackedReason::NONE)
    }

    /// Closed after a recovery.
    fn recovered(self, rules: &Parameters, now: impl Fn() -> Moment) -> Self {
        let ramp = (rules.ramp > 0).then(|| now().as_micros());
        self.next(Phase::Closed { flags: flags(rules), failures: 0, ramp }, PackedReason::NONE)
    }
}

impl fmt::Debug for Circuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} in epoch {}", self.phase(), self.word.epoch())
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in epoch {}", self.state(), self.epoch())
    }
}

const fn flags(rules: &Parameters) -> ClosedFlags {
    ClosedFlags { windowed: matches!(rules.policy, Policy::Rates(_)), timed: rules.slow_call().is_some() }
}

const fn fresh(rules: &Parameters) -> Phase {
    Phase::Closed { flags: flags(rules), failures: 0, ramp: None }
}

/// How much is left of a span that began at `since`, in microseconds. By a clock that is behind nothing of it has passed.
#[inline]
const fn left_of(span: u64, since: u64, now: Moment) -> u64 {
    span.saturating_sub(now.as_micros().saturating_sub(since))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breaker::parameters::Recovery;

    #[test]
    fn a_threshold_beyond_what_is_counted_opens_as_well() {
        let rules = Parameters {
            policy: Policy::Consecutive { threshold: u32::MAX },
            recovery: Recovery { base: 1, factor: 1.0, max: 1, jitter: 0.0, seed: 0 },
            trials: 1,
            ramp: 0,
            observe_only: false,
        };
        let failures = MAX_FAILURES - 2;
        let circuit = Circuit::new(&rules).with(Phase::Closed { flags: flags(&rules), failures, ramp: None });
        let fail = |circuit: Circuit| {
            let now = || Moment::from_micros(0);
            circuit.record_outcome(circuit.word.admission(), Outcome::Failure, &rules, now).expect("counts")
        };
        let most = fail(circuit);
        assert_eq!(most.word.failures(), MAX_FAILURES - 1);
        assert_eq!(fail(most).word.state(), BreakerState::Open);
    }
}
