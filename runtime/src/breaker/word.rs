//! The breaker's state as one 64-bit value, and every step it can take.
//!
//! Nothing here is atomic, reads a clock or waits: each step is a function from one word to the next.
//! [`shared`](super::shared) applies them with compare-and-swap.
//!
//! ```text
//!           63                                                 15 14      3 2   0
//!          ┌─────────────────────────────────────────────────────┬─────────┬─────┐
//! closed   │ failures in a row │ ramp since │ duties of a call    │  epoch  │  0  │ 22 bits (32 without a ramp), 23, 4
//! open     │            opened at                │    failed     │  epoch  │  1  │ 43 bits of microseconds, 6
//! half-open│ last trial at │failed│succeeded│taken│    round      │  epoch  │  2  │ 23, 6, 8, 8, 4 bits
//! forced   │                 until                   │ expires   │  epoch  │  3  │ 48 bits of microseconds, 1
//! disabled │                 until                   │ expires   │  epoch  │  4  │ 48 bits of microseconds, 1
//! resting  │                until                │    failed     │  epoch  │  5  │ 43 bits of microseconds, 6
//!          └─────────────────────────────────────────────────────┴─────────┴─────┘
//! ```
//!
//! Resting is open, too: not for its own recovery timeout but until a moment that someone else has named.
//!
//! The epoch rises (and wraps) on every transition. A call keeps the epoch it was admitted under, and a result that
//! comes back under another one moves nothing.
//!
//! `failed` counts failed recoveries in a row, by which the rest of an open circuit grows.
//!
//! Half-open, when no trial call has been admitted for a whole recovery timeout and all places are taken, the calls that
//! hold them are given up: a new round begins. The result of a call from an earlier round still counts, since a service
//! that answers slowly does answer; but it has no place to give back.
//!
//! Moments are kept modulo the width of their field, and only their differences are looked at. A difference just below
//! the whole range means that the clock was behind, and counts as nothing. With a clock that stays behind, as that of another
//! test, [`by_another_clock`](Word::by_another_clock) dates the word anew. So the worst that a wrap can do is to an open
//! circuit that nobody has called for 100 days: for a day and a half it may stay open.

mod layout;
mod stamp;

pub(crate) use self::layout::{Ticket, Word};
use self::{
    layout::{Duties, MAX_FAILED, SINCE_BITS, UNTIL_BITS, mask, pack},
    stamp::Stamp,
};
use super::{
    BreakerState,
    rules::{Policy, Rules},
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
    /// Open for `wait` more; since a failed trial call, or else since the rule was broken.
    Open { wait: u64, after_trial: bool },
    /// All trial calls are given out; an unfinished one is given up in `wait`.
    TrialsTaken { wait: u64 },
    /// Closed a short time ago, and this call is not among those that are let through; all are in `wait`.
    Ramp { wait: u64 },
    /// An operator holds it open: for `wait`, or until further notice.
    Forced { wait: Option<u64> },
}

/// What a word answers to a call that asks to be admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Admitted, and the word stays as it is.
    Free,
    /// Admitted, once the word has become this one.
    Take(Word),
    Refused(Refusal),
}

/// What a word says. Moments are in microseconds, modulo the width of their field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed { duties: Duties, failures: u32, ramp: Option<Stamp> },
    Open { failed: u8, since: u64 },
    Resting { failed: u8, until: u64 },
    HalfOpen { round: u8, taken: u8, succeeded: u8, failed: u8, last_trial: Stamp },
    ForcedOpen { until: Option<u64> },
    Disabled { until: Option<u64> },
}

/// The longest rest that the word can measure, in microseconds: 50 days.
pub(crate) const MAX_RECOVERY: u64 = mask(SINCE_BITS - 1);
/// The longest time for which an operator can hold a circuit, in microseconds: 4 years.
pub(crate) const MAX_HOLD: u64 = mask(UNTIL_BITS - 1);
/// How far behind a clock can be recognised to be, in microseconds: 38 hours.
const BEHIND: u64 = mask(37);
/// The longest time for which a circuit rests because someone else says so, in microseconds: 38 hours. So the worst that a wrap
/// can do is as above.
pub(crate) const MAX_REST: u64 = BEHIND;

impl Word {
    /// Closed, nothing counted.
    pub(crate) const fn new(rules: &Rules) -> Self {
        pack(0, fresh(rules))
    }

    pub(crate) const fn state(self) -> BreakerState {
        match self.phase() {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::Open { .. } | Phase::Resting { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
            Phase::ForcedOpen { .. } => BreakerState::ForcedOpen,
            Phase::Disabled { .. } => BreakerState::Disabled,
        }
    }

    /// Failures in a row; 0 in every state but closed.
    pub(crate) const fn failures(self) -> u32 {
        match self.phase() {
            Phase::Closed { failures, .. } => failures,
            _ => 0,
        }
    }

    /// Half-open: trial calls that have succeeded.
    pub(crate) const fn trial_successes(self) -> u8 {
        match self.phase() {
            Phase::HalfOpen { succeeded, .. } => succeeded,
            _ => 0,
        }
    }

    /// Failed recoveries in a row, since the circuit was closed last.
    pub(crate) const fn failed_recoveries(self) -> u8 {
        match self.phase() {
            Phase::Open { failed, .. } | Phase::Resting { failed, .. } | Phase::HalfOpen { failed, .. } => failed,
            _ => 0,
        }
    }

    /// How much longer it stays as it is by itself, in microseconds; `None` where that is not a matter of time.
    pub(crate) fn time_left(self, rules: &Rules, now: Moment) -> Option<u64> {
        match self.phase() {
            Phase::Open { failed, since } => Some(rest_left(rules, failed, since, now)),
            Phase::Resting { until, .. } => Some(named_rest_left(until, now)),
            Phase::ForcedOpen { until } | Phase::Disabled { until } => Some(hold_left(until?, now)),
            Phase::Closed { .. } | Phase::HalfOpen { .. } => None,
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

    /// Asks for a call to be admitted. `dice` gives a number from 0 up to the one it gets.
    pub(crate) fn admit(self, rules: &Rules, now: Moment, dice: impl FnOnce(u64) -> u64) -> Admission {
        match self.phase() {
            Phase::Disabled { until: None } | Phase::Closed { ramp: None, .. } => Admission::Free,
            Phase::Closed { duties, failures, ramp: Some(ramp) } => {
                let wait = ramp.left_of(rules.ramp, now.as_micros());
                if wait == 0 {
                    return Admission::Take(self.with(Phase::Closed { duties, failures, ramp: None }));
                }
                // From a tenth of the calls to all of them.
                let (all, passed) = (rules.ramp.saturating_mul(10), rules.ramp.saturating_sub(wait));
                let admitted = rules.ramp.saturating_add(passed.saturating_mul(9));
                if dice(all - 1) < admitted { Admission::Free } else { Admission::Refused(Refusal::Ramp { wait }) }
            }
            Phase::Disabled { until: Some(until) } => match hold_left(until, now) {
                0 => Admission::Take(self.next(fresh(rules))),
                _ => Admission::Free,
            },
            Phase::ForcedOpen { until: None } => Admission::Refused(Refusal::Forced { wait: None }),
            Phase::ForcedOpen { until: Some(until) } => match hold_left(until, now) {
                0 => Admission::Take(self.next(first_trial(rules, 0, now))),
                wait => Admission::Refused(Refusal::Forced { wait: Some(wait) }),
            },
            Phase::Open { failed, since } => match rest_left(rules, failed, since, now) {
                0 => Admission::Take(self.next(first_trial(rules, failed, now))),
                wait => Admission::Refused(Refusal::Open { wait, after_trial: failed > 0 }),
            },
            Phase::Resting { failed, until } => match named_rest_left(until, now) {
                0 => Admission::Take(self.next(first_trial(rules, failed, now))),
                wait => Admission::Refused(Refusal::Open { wait, after_trial: failed > 0 }),
            },
            Phase::HalfOpen { round, taken, succeeded, failed, last_trial } => {
                let rest = rules.recovery.rest(failed);
                let this_trial = Stamp::new(now.as_micros(), rest);
                if taken < rules.trials {
                    let taken = taken + 1;
                    let phase = Phase::HalfOpen { round, taken, succeeded, failed, last_trial: this_trial };
                    return Admission::Take(self.with(phase));
                }
                match last_trial.left_of(rest, now.as_micros()) {
                    0 => {
                        let (round, taken) = (round.wrapping_add(1), succeeded.saturating_add(1));
                        let phase = Phase::HalfOpen { round, taken, succeeded, failed, last_trial: this_trial };
                        Admission::Take(self.with(phase))
                    }
                    wait => Admission::Refused(Refusal::TrialsTaken { wait }),
                }
            }
        }
    }

    /// Takes in how a call ended; `None` if that changes nothing. By rates, a closed circuit leaves that to the window.
    pub(crate) fn settle(
        self,
        ticket: Ticket,
        outcome: Outcome,
        rules: &Rules,
        now: impl Fn() -> Moment,
    ) -> Option<Self> {
        if !self.gave(ticket) {
            return None;
        }
        match (self.phase(), outcome, rules.policy) {
            (Phase::Closed { failures, ramp, .. }, _, Policy::Rates(_)) => {
                // Failures in a row, of the time before the window was configured, end with a success as ever.
                let failures = if outcome == Outcome::Success { 0 } else { failures };
                // The settings may have changed while this circuit closed.
                let same = self.with(Phase::Closed { duties: duties(rules), failures, ramp });
                (same != self).then_some(same)
            }
            (Phase::Closed { failures: 1.., ramp, .. }, Outcome::Success, _) => {
                Some(self.with(Phase::Closed { duties: duties(rules), failures: 0, ramp }))
            }
            (Phase::Closed { failures, ramp, .. }, Outcome::Failure, Policy::Consecutive { threshold }) => {
                let failures = failures.saturating_add(1);
                if failures < threshold {
                    return Some(self.with(Phase::Closed { duties: duties(rules), failures, ramp }));
                }
                Some(self.next(open(now(), 0)))
            }
            (Phase::HalfOpen { round, taken, succeeded, failed, last_trial }, Outcome::Success, _) => {
                let succeeded = succeeded.saturating_add(1);
                if succeeded >= rules.trials {
                    return Some(self.next(recovered(rules, now)));
                }
                // A success keeps its place. One of an earlier round takes one again.
                let taken = if self.has_place_of(ticket) { taken } else { taken.saturating_add(1) };
                Some(self.with(Phase::HalfOpen { round, taken, succeeded, failed, last_trial }))
            }
            (Phase::HalfOpen { failed, .. }, Outcome::Failure, _) => {
                Some(self.next(open(now(), failed.saturating_add(1).min(MAX_FAILED))))
            }
            (Phase::HalfOpen { round, taken, succeeded, failed, last_trial }, Outcome::Neutral, _)
                if self.has_place_of(ticket) =>
            {
                let taken = taken.saturating_sub(1);
                Some(self.with(Phase::HalfOpen { round, taken, succeeded, failed, last_trial }))
            }
            _ => None,
        }
    }

    /// Opens a closed circuit for what its window holds, if the ticket is of this epoch.
    pub(crate) fn trip(self, ticket: Ticket, now: Moment) -> Option<Self> {
        match self.phase() {
            Phase::Closed { .. } if self.gave(ticket) => Some(self.next(open(now, 0))),
            _ => None,
        }
    }

    /// Opens the circuit because someone else says so: for its recovery timeout, or until that moment; then trial calls decide.
    /// The failed recoveries are at least `failed`. What an operator holds stays as it is.
    ///
    /// To rest for another time is no transition.
    pub(crate) fn open(self, until: Option<Moment>, failed: u8, now: Moment) -> Option<Self> {
        let (own, is_open) = match self.phase() {
            Phase::Closed { .. } => (0, false),
            Phase::HalfOpen { failed, .. } => (failed, false),
            Phase::Open { failed, .. } | Phase::Resting { failed, .. } => (failed, true),
            Phase::ForcedOpen { .. } | Phase::Disabled { .. } => return None,
        };
        let failed = own.max(failed).min(MAX_FAILED);
        let phase = match until {
            Some(until) => Phase::Resting { failed, until: until.as_micros() & mask(SINCE_BITS) },
            None => open(now, failed),
        };
        if !is_open {
            return Some(self.next(phase));
        }
        let rests = self.with(phase);
        (rests != self).then_some(rests)
    }

    /// Closes an open or half-open circuit as a recovery does, because someone else says so. What an operator holds stays as it
    /// is.
    pub(crate) fn close(self, rules: &Rules, now: impl Fn() -> Moment) -> Option<Self> {
        match self.phase() {
            Phase::Open { .. } | Phase::Resting { .. } | Phase::HalfOpen { .. } => {
                Some(self.next(recovered(rules, now)))
            }
            _ => None,
        }
    }

    /// Opens the circuit until someone says otherwise, or until that moment.
    pub(crate) fn force_open(self, until: Option<Moment>) -> Option<Self> {
        self.hold(Phase::ForcedOpen { until: until.map(Moment::as_micros) })
    }

    /// Admits every call and counts nothing towards a state until someone says otherwise, or until that moment.
    pub(crate) fn disable(self, until: Option<Moment>) -> Option<Self> {
        self.hold(Phase::Disabled { until: until.map(Moment::as_micros) })
    }

    /// Closes the circuit with nothing counted. Calls under way belong to the past, also when it was closed already.
    pub(crate) const fn reset(self, rules: &Rules) -> Self {
        self.next(fresh(rules))
    }

    /// Takes in that the settings have changed; `None` if that makes no difference now.
    pub(crate) fn adopt(self, rules: &Rules, now: impl Fn() -> Moment) -> Option<Self> {
        let adopted = match self.phase() {
            Phase::Closed { failures, ramp, .. } => {
                let ramp = ramp.map(|ramp| ramp.with_span(rules.ramp, now().as_micros()));
                self.with(Phase::Closed { duties: duties(rules), failures, ramp })
            }
            // Fewer successes are needed now: these are enough, and no further trial call would be admitted.
            Phase::HalfOpen { succeeded, .. } if succeeded >= rules.trials => self.next(recovered(rules, now)),
            Phase::HalfOpen { round, taken, succeeded, failed, last_trial } => {
                let last_trial = last_trial.with_span(rules.recovery.rest(failed), now().as_micros());
                self.with(Phase::HalfOpen { round, taken, succeeded, failed, last_trial })
            }
            _ => self,
        };
        (adopted != self).then_some(adopted)
    }

    /// The same by another clock, which says that it is `now` and is behind by `ahead` microseconds: what has begun begins anew, and
    /// what ends at some moment is as far from its end as it was. No transition.
    pub(crate) fn by_another_clock(self, rules: &Rules, now: Moment, ahead: u64) -> Self {
        self.with(match self.phase() {
            Phase::Closed { duties, failures, ramp: Some(_) } => {
                Phase::Closed { duties, failures, ramp: Some(Stamp::new(now.as_micros(), rules.ramp)) }
            }
            Phase::Open { failed, .. } => open(now, failed),
            Phase::Resting { failed, until } => Phase::Resting { failed, until: until.wrapping_sub(ahead) },
            Phase::HalfOpen { round, taken, succeeded, failed, .. } => {
                let last_trial = Stamp::new(now.as_micros(), rules.recovery.rest(failed));
                Phase::HalfOpen { round, taken, succeeded, failed, last_trial }
            }
            Phase::ForcedOpen { until: Some(until) } => Phase::ForcedOpen { until: Some(until.wrapping_sub(ahead)) },
            Phase::Disabled { until: Some(until) } => Phase::Disabled { until: Some(until.wrapping_sub(ahead)) },
            same => same,
        })
    }

    /// A state that an operator holds. To hold it for another time is no transition.
    fn hold(self, phase: Phase) -> Option<Self> {
        let held = self.with(phase);
        if held.state() != self.state() {
            return Some(self.next(phase));
        }
        (held != self).then_some(held)
    }
}

impl std::fmt::Debug for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} in epoch {}", self.phase(), self.epoch())
    }
}

const fn duties(rules: &Rules) -> Duties {
    Duties { windowed: matches!(rules.policy, Policy::Rates(_)), timed: rules.slow_call().is_some() }
}

const fn fresh(rules: &Rules) -> Phase {
    Phase::Closed { duties: duties(rules), failures: 0, ramp: None }
}

/// Closed after a recovery.
fn recovered(rules: &Rules, now: impl Fn() -> Moment) -> Phase {
    let ramp = (rules.ramp > 0).then(|| Stamp::new(now().as_micros(), rules.ramp));
    Phase::Closed { duties: duties(rules), failures: 0, ramp }
}

const fn open(now: Moment, failed: u8) -> Phase {
    Phase::Open { failed, since: now.as_micros() & mask(SINCE_BITS) }
}

fn first_trial(rules: &Rules, failed: u8, now: Moment) -> Phase {
    let last_trial = Stamp::new(now.as_micros(), rules.recovery.rest(failed));
    Phase::HalfOpen { round: 0, taken: 1, succeeded: 0, failed, last_trial }
}

/// How much longer the circuit rests, in microseconds.
fn rest_left(rules: &Rules, failed: u8, since: u64, now: Moment) -> u64 {
    left_of(rules.recovery.rest_since(failed, since).min(MAX_RECOVERY), since, now)
}

/// How much is left of a rest that began at `since`.
#[inline]
const fn left_of(rest: u64, since: u64, now: Moment) -> u64 {
    let rested = now.as_micros().wrapping_sub(since) & mask(SINCE_BITS);
    rest.saturating_sub(if rested > mask(SINCE_BITS) - BEHIND { 0 } else { rested })
}

/// How much longer the circuit rests that rests until then, in microseconds.
const fn named_rest_left(until: u64, now: Moment) -> u64 {
    let left = until.wrapping_sub(now.as_micros()) & mask(SINCE_BITS);
    if left > MAX_REST { 0 } else { left }
}

/// How much longer an operator holds the circuit, in microseconds.
const fn hold_left(until: u64, now: Moment) -> u64 {
    let left = until.wrapping_sub(now.as_micros()) & mask(UNTIL_BITS);
    if left > MAX_HOLD { 0 } else { left }
}
