//! The state machine of a breaker: its state as a value, and its steps as pure functions.
//!
//! A step computes the next [`Circuit`] from the current one. Time and randomness are arguments: a step does not block and accesses no
//! shared memory. [`atomic`] applies the steps by compare-and-swap.
//!
//! A circuit consists of a 64-bit word ([`State`]), a moment, and the reason for its opening:
//!
//! ```text
//!           63     32 31                                        3 2   0
//!          ┌─────────┬───────────────────────────────────────────┬─────┐
//! closed   │  epoch  │ failures in a row │ flags                │  0  │ 25, 4 bits   moment: start of the ramp-up, if any
//! open     │  epoch  │                              │   failed   │  1  │ 6            moment: opening
//! half-open│  epoch  │ rounds │ failures │ succeeded │  taken   │  2  │ 5, 8, 8, 8   moment: start of the oldest trial call of the round
//! forced   │  epoch  │                              │  expires   │  3  │ 1            moment: expiry, if any
//! disabled │  epoch  │                              │  expires   │  4  │ 1            moment: expiry, if any
//! until    │  epoch  │                              │   failed   │  5  │ 6            moment: end
//!          └─────────┴───────────────────────────────────────────┴─────┘
//! ```
//!
//! `until` is an open state, too: it ends at a given moment instead of after the recovery timeout.
//!
//! The epoch increases with every transition. A call keeps the epoch in which it was admitted; its outcome changes nothing in another
//! epoch. With 32 bits a permit would have to be held across four billion transitions to be mistaken for a later one.
//!
//! `failed` counts failed recoveries in a row, each of which can lengthen the recovery timeout. A half-open circuit has it in the place of
//! the reason, which does not change during an epoch.
//!
//! # Half-open
//!
//! `taken` counts the permits that are in use or have led to a success or a failure, `succeeded` the successes, `failures` the failures. The
//! circuit closes with enough successes, and opens again once the remaining permits are too few for them.
//!
//! The moment is a lower bound for the start of every trial call of the round that is in flight: the start of the last one that was
//! admitted while no other of the round was in flight. The first call that arrives a recovery timeout or more after the moment begins a new
//! round with its own epoch, in which the permits of all trial calls in flight are available again. No trial call can withhold a permit for
//! longer than a recovery timeout. A trial call that started while another was in flight may lose its permit sooner.
//!
//! A trial call that is abandoned, which means cancelled after a wait, keeps its permit until the next round. Otherwise each caller of a
//! dependency that hangs would get a trial call, one after the other. If the recovery timeout is shorter than the cool-down, the moment is
//! in the future.
//!
//! `rounds` counts the earlier rounds. The outcome of a call from any of these still counts, because a late response, too, is evidence of
//! the state of the service. Such a call has no permit to release. Outcomes from more than 31 rounds ago are ignored.
//!
//! # Moments
//!
//! Moments are microseconds of the clock, in 64 bits. A reading before a moment counts as no time passed. If the readings are from a
//! different clock that is behind, for example that of another test, [`rebase`](Circuit::rebase) converts the moments to that clock.

pub(super) mod atomic;
mod layout;
mod manual;

use std::fmt;

pub(crate) use self::layout::{Admission, State, TICK_MASK};
use self::layout::{ClosedFlags, MAX_FAILED, MAX_FAILURES, MAX_ROUNDS, pack};
use super::parameters::Parameters;
use crate::{BreakerState, OpenReason, clock::Moment, errors::PackedReason};

/// The outcome of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    Failure,
    /// A failure: a call that was cancelled at the age of `cancelled_call` or later.
    GivenUp,
    /// A call that is not evidence of success or failure: cancelled, or with an error that `failure_if` does not count as a failure.
    Ignored,
    /// A call that was cancelled after it had waited for a while. Its permit as a trial call is not released before a cool-down.
    Abandoned,
}

/// The reason for a rejection, with the time until calls can be admitted, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// The circuit is open for another `wait`.
    Open { wait: u64 },
    /// The circuit is half-open and all permits are taken. Those of unfinished trial calls become available again after `wait`.
    TrialsTaken { wait: u64 },
    /// The circuit is closed and ramping up, and this call is not in the admitted share. All calls are admitted after `wait`.
    Ramp { wait: u64 },
    /// The circuit is forced open for another `wait`, or without an expiry if `wait` is `None`.
    Forced { wait: Option<u64> },
}

/// The decision on a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AdmitDecision {
    /// Admitted without a change of the circuit.
    Admitted,
    /// Admitted if the caller replaces the circuit with this one.
    AdmittedWith(Circuit),
    Rejected(Rejection),
}

impl AdmitDecision {
    /// Returns true for a rejection that is not over within the next `micros` microseconds.
    pub(crate) const fn is_rejection_for(self, micros: u64) -> bool {
        match self {
            Self::Admitted | Self::AdmittedWith(_) => false,
            Self::Rejected(Rejection::Forced { wait: None }) => true,
            Self::Rejected(
                Rejection::Open { wait }
                | Rejection::TrialsTaken { wait }
                | Rejection::Ramp { wait }
                | Rejection::Forced { wait: Some(wait) },
            ) => wait > micros,
        }
    }
}

/// The complete state of a circuit as a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Circuit {
    word: State,
    /// The moment of the state, in microseconds.
    moment: u64,
    reason: PackedReason,
}

/// The unpacked state. Moments are in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed { flags: ClosedFlags, failures: u32, ramp: Option<u64> },
    Open { failed: u8, since: u64 },
    OpenUntil { failed: u8, until: u64 },
    HalfOpen { rounds: u8, taken: u8, succeeded: u8, failures: u8, failed: u8, oldest: u64 },
    ForcedOpen { until: Option<u64> },
    Disabled { until: Option<u64> },
}

/// The time for which there are no trial calls after one that was cancelled after a wait, in microseconds, if the recovery timeout is shorter.
const COOL_DOWN: u64 = 2_000_000;

const fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

impl State {
    #[inline]
    pub(crate) const fn state(self) -> BreakerState {
        match self.phase(0, PackedReason::NONE) {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::Open { .. } | Phase::OpenUntil { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
            Phase::ForcedOpen { .. } => BreakerState::ForcedOpen,
            Phase::Disabled { .. } => BreakerState::Disabled,
        }
    }

    /// The failures in a row while closed; 0 in other states.
    pub(crate) const fn failures(self) -> u32 {
        match self.phase(0, PackedReason::NONE) {
            Phase::Closed { failures, .. } => failures,
            _ => 0,
        }
    }

    /// The successful trial calls while half-open; 0 in other states.
    pub(crate) const fn trial_successes(self) -> u8 {
        match self.phase(0, PackedReason::NONE) {
            Phase::HalfOpen { succeeded, .. } => succeeded,
            _ => 0,
        }
    }

    /// The trial calls in flight while half-open, without those of earlier rounds; 0 in other states.
    pub(crate) const fn trials_in_flight(self) -> u8 {
        match self.phase(0, PackedReason::NONE) {
            Phase::HalfOpen { taken, succeeded, failures, .. } => {
                taken.saturating_sub(succeeded.saturating_add(failures))
            }
            _ => 0,
        }
    }

    /// The failed trial calls while half-open; 0 in other states.
    pub(crate) const fn trial_failures(self) -> u8 {
        match self.phase(0, PackedReason::NONE) {
            Phase::HalfOpen { failures, .. } => failures,
            _ => 0,
        }
    }
}

impl Circuit {
    /// A closed circuit with all counts at 0.
    pub(crate) const fn new(parameters: &Parameters) -> Self {
        let (word, _) = pack(0, initial_phase(parameters));
        Self::from_parts(word, 0, PackedReason::NONE)
    }

    pub(crate) const fn from_parts(word: State, moment: u64, reason: PackedReason) -> Self {
        Self { word, moment, reason }
    }

    pub(crate) const fn word(self) -> State {
        self.word
    }

    pub(crate) const fn moment(self) -> u64 {
        self.moment
    }

    /// The failed recoveries in a row since the circuit was last closed.
    #[inline]
    pub(crate) const fn failed_recoveries(self) -> u8 {
        match self.phase() {
            Phase::Open { failed, .. } | Phase::OpenUntil { failed, .. } | Phase::HalfOpen { failed, .. } => failed,
            _ => 0,
        }
    }

    /// The reason that rejections report: hung calls, a failed trial call after a failed recovery, and the stored reason otherwise.
    #[inline]
    pub(crate) const fn reported_reason(self) -> PackedReason {
        if self.failed_recoveries() > 0 && !self.reason.is_hung() { PackedReason::TRIAL_FAILED } else { self.reason }
    }

    /// The stored reason: the rule or override that opened the circuit.
    pub(crate) const fn reason(self) -> PackedReason {
        self.reason
    }

    const fn phase(self) -> Phase {
        self.word.phase(self.moment, self.reason)
    }

    /// The moment at which the state expires, in microseconds; `None` if it does not expire.
    pub(crate) fn expires_at(self, parameters: &Parameters) -> Option<u64> {
        match self.phase() {
            Phase::Open { failed, since } => {
                Some(since.saturating_add(parameters.recovery.open_duration_since(failed, since)))
            }
            Phase::OpenUntil { until, .. } => Some(until),
            Phase::ForcedOpen { until } | Phase::Disabled { until } => until,
            Phase::Closed { .. } | Phase::HalfOpen { .. } => None,
        }
    }

    /// The time until the state expires, in microseconds; `None` if it does not expire.
    pub(crate) fn time_left(self, parameters: &Parameters, now: Moment) -> Option<u64> {
        let expires_at = self.expires_at(parameters)?;
        // A reading before the opening counts as no time passed.
        let now = match self.phase() {
            Phase::Open { since, .. } => now.as_micros().max(since),
            _ => now.as_micros(),
        };
        Some(expires_at.saturating_sub(now))
    }

    /// The state that applies to a call at `now`: the stored one, or its successor if the stored one has expired.
    pub(crate) fn state_at(self, parameters: &Parameters, now: Moment) -> BreakerState {
        match (self.word.state(), self.time_left(parameters, now)) {
            (BreakerState::Open | BreakerState::ForcedOpen, Some(0)) => BreakerState::HalfOpen,
            (BreakerState::Disabled, Some(0)) => BreakerState::Closed,
            (state, _) => state,
        }
    }

    /// The remaining time of a circuit that stays open for `open_duration` after its opening. `None` if the circuit is not open, and if it is
    /// open until a given moment.
    #[inline]
    pub(crate) const fn remaining(self, open_duration: u64, now: Moment) -> Option<u64> {
        match self.phase() {
            Phase::Open { since, .. } => Some(remaining(open_duration, since, now)),
            _ => None,
        }
    }

    /// Returns true if the circuit is closed and ramping up, so that it may reject a call.
    #[cfg(feature = "keyed")]
    pub(crate) fn is_ramping(self, parameters: &Parameters, now: Moment) -> bool {
        matches!(self.phase(), Phase::Closed { ramp: Some(ramp), .. } if remaining(parameters.ramp_up, ramp, now) > 0)
    }

    /// The share of the calls that is admitted at `now`, from 0 to 1: a half-open circuit admits a number of calls, and no share.
    #[allow(clippy::cast_precision_loss, reason = "a rounded share")]
    pub(crate) fn admitted_share(self, parameters: &Parameters, now: Moment) -> f64 {
        match (self.phase(), self.state_at(parameters, now)) {
            _ if parameters.observe_only => 1.0,
            (Phase::Closed { ramp: Some(ramp), .. }, _) => match remaining(parameters.ramp_up, ramp, now) {
                0 => 1.0,
                wait => {
                    let (admitted, all) = admitted_of_all(parameters, wait);
                    admitted as f64 / all as f64
                }
            },
            (_, BreakerState::Closed | BreakerState::Disabled) => 1.0,
            (_, BreakerState::Open | BreakerState::HalfOpen | BreakerState::ForcedOpen) => 0.0,
        }
    }

    /// Decides whether a call is admitted. `random` returns a number in `0..=max` for its argument `max`.
    pub(crate) fn admit(self, parameters: &Parameters, now: Moment, random: impl FnOnce(u64) -> u64) -> AdmitDecision {
        let left = self.time_left(parameters, now);
        match self.phase() {
            Phase::Disabled { until: None } | Phase::Closed { ramp: None, .. } => AdmitDecision::Admitted,
            Phase::Closed { flags, failures, ramp: Some(ramp) } => {
                let wait = remaining(parameters.ramp_up, ramp, now);
                if wait == 0 {
                    return AdmitDecision::AdmittedWith(self.with_phase(Phase::Closed { flags, failures, ramp: None }));
                }
                let (admitted, all) = admitted_of_all(parameters, wait);
                if random(all - 1) < admitted {
                    AdmitDecision::Admitted
                } else {
                    AdmitDecision::Rejected(Rejection::Ramp { wait })
                }
            }
            Phase::Disabled { .. } if left == Some(0) => {
                AdmitDecision::AdmittedWith(self.next_epoch(initial_phase(parameters), PackedReason::NONE))
            }
            Phase::Disabled { .. } => AdmitDecision::Admitted,
            Phase::ForcedOpen { .. } if left == Some(0) => AdmitDecision::AdmittedWith(self.first_trial(0, now)),
            Phase::ForcedOpen { .. } => AdmitDecision::Rejected(Rejection::Forced { wait: left }),
            Phase::Open { failed, .. } | Phase::OpenUntil { failed, .. } => match left.unwrap_or(0) {
                0 => AdmitDecision::AdmittedWith(self.first_trial(failed, now)),
                wait => AdmitDecision::Rejected(Rejection::Open { wait }),
            },
            Phase::HalfOpen { rounds, taken, succeeded, failures, failed, oldest } => {
                let this_trial = oldest.max(now.as_micros());
                let ends_at = oldest.saturating_add(parameters.recovery.open_duration(failed));
                let wait = ends_at.saturating_sub(now.as_micros());
                let ended = succeeded.saturating_add(failures);
                if wait == 0 {
                    let (rounds, taken) = (rounds.saturating_add(1).min(MAX_ROUNDS), ended.saturating_add(1));
                    let phase = Phase::HalfOpen { rounds, taken, succeeded, failures, failed, oldest: this_trial };
                    return AdmitDecision::AdmittedWith(self.next_epoch(phase, PackedReason::NONE));
                }
                if taken >= parameters.half_open_max_calls {
                    return AdmitDecision::Rejected(Rejection::TrialsTaken { wait });
                }
                let (taken, oldest) = (taken + 1, if taken > ended { oldest } else { this_trial });
                AdmitDecision::AdmittedWith(self.with_phase(Phase::HalfOpen {
                    rounds,
                    taken,
                    succeeded,
                    failures,
                    failed,
                    oldest,
                }))
            }
        }
    }

    /// Returns the circuit after the outcome of a call; `None` if it does not change. A rate in a window opens a closed circuit by
    /// [`trip`](Self::trip) instead.
    pub(crate) fn record_outcome(
        self,
        admission: Admission,
        outcome: Outcome,
        parameters: &Parameters,
        now: impl Fn() -> Moment,
    ) -> Option<Self> {
        if !self.word.issued(admission) {
            return None;
        }
        match (self.phase(), outcome) {
            (Phase::Closed { failures, .. }, Outcome::Failure | Outcome::GivenUp)
                if parameters.policy.threshold().is_some() =>
            {
                let failures = failures.saturating_add(1);
                let reason = OpenReason::ConsecutiveFailures { failures };
                let reason = if outcome == Outcome::GivenUp { reason.with_cancelled_calls() } else { reason };
                self.record_failures(admission, 1, reason, parameters, now)
            }
            (Phase::Closed { failures, ramp, .. }, _) => {
                let failures = if outcome == Outcome::Success { 0 } else { failures };
                // The flags are stale if the settings changed while the circuit was closing.
                let updated = self.with_phase(Phase::Closed { flags: flags(parameters), failures, ramp });
                (updated != self).then_some(updated)
            }
            (Phase::HalfOpen { rounds, taken, succeeded, failures, failed, oldest }, Outcome::Success) => {
                let succeeded = succeeded.saturating_add(1);
                if succeeded >= parameters.needed_successes() {
                    return Some(self.recovered(parameters, now));
                }
                let taken = self.taken_after_end(taken, admission);
                Some(self.with_phase(Phase::HalfOpen { rounds, taken, succeeded, failures, failed, oldest }))
            }
            (Phase::HalfOpen { failures, failed, .. }, Outcome::GivenUp)
                if failures >= parameters.tolerated_failures()
                    && parameters.recovery.open_duration(failed.saturating_add(1)) < COOL_DOWN =>
            {
                let failed = failed.saturating_add(1).min(MAX_FAILED);
                let until = now().as_micros().saturating_add(COOL_DOWN);
                Some(self.next_epoch(Phase::OpenUntil { failed, until }, PackedReason::TRIAL_FAILED))
            }
            (Phase::HalfOpen { taken, .. }, Outcome::Failure | Outcome::GivenUp) => {
                let taken = self.taken_after_end(taken, admission);
                self.record_trial_failures(1, taken, OpenReason::TrialFailed, parameters, now)
            }
            (Phase::HalfOpen { rounds, taken, succeeded, failures, failed, oldest }, Outcome::Abandoned)
                if self.word.holds_trial_permit(admission) =>
            {
                // The permit is available again in the next round, which begins after the cool-down or later.
                let begins_at = now().as_micros().saturating_add(COOL_DOWN);
                let oldest = oldest.max(begins_at.saturating_sub(parameters.recovery.open_duration(failed)));
                Some(self.with_phase(Phase::HalfOpen { rounds, taken, succeeded, failures, failed, oldest }))
            }
            (Phase::HalfOpen { rounds, taken, succeeded, failures, failed, oldest }, Outcome::Ignored)
                if self.word.holds_trial_permit(admission) =>
            {
                let taken = taken.saturating_sub(1);
                Some(self.with_phase(Phase::HalfOpen { rounds, taken, succeeded, failures, failed, oldest }))
            }
            _ => None,
        }
    }

    /// The number of permits that are taken after a trial call has succeeded or failed: it keeps its permit. A call of an earlier round takes
    /// a permit of this round.
    fn taken_after_end(self, taken: u8, admission: Admission) -> u8 {
        if self.word.holds_trial_permit(admission) { taken } else { taken.saturating_add(1) }
    }

    /// Counts calls of the epoch of `admission` as failures, and opens the circuit for `reason` if they are enough; `None` if the circuit does
    /// not change. A rate in a window opens a closed circuit by [`trip`](Self::trip) instead.
    pub(crate) fn record_failures(
        self,
        admission: Admission,
        calls: u32,
        reason: OpenReason,
        parameters: &Parameters,
        now: impl Fn() -> Moment,
    ) -> Option<Self> {
        if calls == 0 || !self.word.issued(admission) {
            return None;
        }
        match (self.phase(), parameters.policy.threshold()) {
            (Phase::Closed { failures, ramp, .. }, Some(threshold)) => {
                let failures = failures.saturating_add(calls);
                if failures < threshold.min(MAX_FAILURES) {
                    return Some(self.with_phase(Phase::Closed { flags: flags(parameters), failures, ramp }));
                }
                Some(self.opened(now(), 0, PackedReason::of(reason)))
            }
            (Phase::HalfOpen { taken, .. }, _) => self.record_trial_failures(calls, taken, reason, parameters, now),
            _ => None,
        }
    }

    /// Counts failed trial calls of a half-open circuit, of whose permits `taken` are taken after that.
    fn record_trial_failures(
        self,
        calls: u32,
        taken: u8,
        reason: OpenReason,
        parameters: &Parameters,
        now: impl Fn() -> Moment,
    ) -> Option<Self> {
        let Phase::HalfOpen { rounds, succeeded, failures, failed, oldest, .. } = self.phase() else { return None };
        let failures = failures.saturating_add(u8::try_from(calls).unwrap_or(u8::MAX));
        if failures > parameters.tolerated_failures() {
            return Some(self.opened(now(), failed.saturating_add(1).min(MAX_FAILED), PackedReason::of(reason)));
        }
        // A call that hangs can be of an earlier round, and have no permit.
        let taken = taken.max(succeeded.saturating_add(failures));
        Some(self.with_phase(Phase::HalfOpen { rounds, taken, succeeded, failures, failed, oldest }))
    }

    /// Opens a closed circuit because of its window, or because no call is answered; `None` if the call was not admitted in this epoch.
    pub(crate) fn trip(self, admission: Admission, now: Moment, reason: OpenReason) -> Option<Self> {
        match self.phase() {
            Phase::Closed { .. } if self.word.issued(admission) => Some(self.opened(now, 0, PackedReason::of(reason))),
            _ => None,
        }
    }

    /// The circuit in another phase of the same epoch.
    const fn with_phase(self, phase: Phase) -> Self {
        let (word, moment) = pack(self.word.epoch(), phase);
        Self { word, moment: if let Some(moment) = moment { moment } else { self.moment }, reason: self.reason }
    }

    /// The circuit in the next epoch.
    const fn next_epoch(self, phase: Phase, reason: PackedReason) -> Self {
        let reason = match phase {
            Phase::HalfOpen { failed, .. } => PackedReason::failed_recoveries(failed),
            _ => reason,
        };
        let (word, moment) = pack(self.word.epoch().wrapping_add(1), phase);
        Self { word, moment: if let Some(moment) = moment { moment } else { 0 }, reason }
    }

    const fn opened(self, now: Moment, failed: u8, reason: PackedReason) -> Self {
        self.next_epoch(Phase::Open { failed, since: now.as_micros() }, reason)
    }

    const fn first_trial(self, failed: u8, now: Moment) -> Self {
        let oldest = now.as_micros();
        self.next_epoch(
            Phase::HalfOpen { rounds: 0, taken: 1, succeeded: 0, failures: 0, failed, oldest },
            PackedReason::NONE,
        )
    }

    /// The closed circuit after a recovery.
    fn recovered(self, parameters: &Parameters, now: impl Fn() -> Moment) -> Self {
        let ramp = (parameters.ramp_up > 0).then(|| now().as_micros());
        self.next_epoch(Phase::Closed { flags: flags(parameters), failures: 0, ramp }, PackedReason::NONE)
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

const fn flags(parameters: &Parameters) -> ClosedFlags {
    ClosedFlags { windowed: parameters.policy.rates().is_some(), timed: parameters.is_timed() }
}

const fn initial_phase(parameters: &Parameters) -> Phase {
    Phase::Closed { flags: flags(parameters), failures: 0, ramp: None }
}

/// The share of the calls that is admitted during a ramp-up, as a fraction, if all of them are admitted after `wait`. It grows linearly from a
/// tenth of the calls to all of them.
const fn admitted_of_all(parameters: &Parameters, wait: u64) -> (u64, u64) {
    let (all, passed) = (parameters.ramp_up.saturating_mul(10), parameters.ramp_up.saturating_sub(wait));
    (parameters.ramp_up.saturating_add(passed.saturating_mul(9)), all)
}

/// The remaining part of a `span` that began at `since`, in microseconds. A reading before `since` counts as no time passed.
#[inline]
const fn remaining(span: u64, since: u64, now: Moment) -> u64 {
    span.saturating_sub(now.as_micros().saturating_sub(since))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breaker::parameters::{Recovery, TripPolicy};

    #[test]
    fn a_threshold_above_the_largest_count_opens_at_that_count() {
        let parameters = Parameters {
            policy: TripPolicy::Consecutive { threshold: u32::MAX },
            recovery: Recovery { base: 1, factor: 1.0, max: 1, jitter: 0.0, seed: 0 },
            half_open_max_calls: 1,
            half_open_successes: 1,
            ramp_up: 0,
            observe_only: false,
            hung_call: None,
            cancelled_call: None,
            tracks_calls: false,
            durations: false,
        };
        let failures = MAX_FAILURES - 2;
        let circuit =
            Circuit::new(&parameters).with_phase(Phase::Closed { flags: flags(&parameters), failures, ramp: None });
        let fail = |circuit: Circuit| {
            let now = || Moment::from_micros(0);
            circuit.record_outcome(circuit.word.admission(), Outcome::Failure, &parameters, now).expect("counts")
        };
        let most = fail(circuit);
        assert_eq!(most.word.failures(), MAX_FAILURES - 1);
        assert_eq!(fail(most).word.state(), BreakerState::Open);
    }
}
