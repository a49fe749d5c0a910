//! The breaker's state as one 64-bit value, and every step it can take.
//!
//! Nothing here is atomic, reads a clock or waits: each step is a function from one word to the next.
//! [`shared`](super::shared) applies them with compare-and-swap.
//!
//! ```text
//!           63                                  20 19        3 2   0
//!          ┌──────────────────────────────────────┬───────────┬─────┐
//! closed   │                   failures in a row  │   epoch   │  0  │   32 bits of failures
//! open     │ trial │            opened at         │   epoch   │  1  │   1 bit, 43 bits of microseconds
//! half-open│ last trial at  │ succeeded │  taken  │   epoch   │  2  │   28 bits of 64 µs, 8 bits, 8 bits
//! forced   │                                      │   epoch   │  3  │
//! disabled │                                      │   epoch   │  4  │
//!          └──────────────────────────────────────┴───────────┴─────┘
//! ```
//!
//! The epoch rises (and wraps) on every transition. A call keeps the epoch it was admitted under, and a result that
//! comes back under another one moves nothing.
//!
//! Moments are kept modulo the width of their field. The elapsed time is a difference, so a wrap does no harm: at
//! worst, when a breaker that nobody called for 101 days is called again, it stays open for one more recovery timeout.

use super::BreakerState;
use crate::clock::Moment;

/// What a breaker's steps depend on. Waits are in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Failures in a row that open the circuit; at least 1.
    pub(crate) failure_threshold: u32,
    /// How long it stays open.
    pub(crate) recovery: u64,
    /// Trial calls in a half-open phase, and successes that close it; at least 1.
    pub(crate) trials: u8,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    Failure,
    /// Neither: dropped before its end, or failed in a way that does not count.
    Neutral,
}

/// The place that an admitted call holds: the state and epoch it was admitted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// Why a call was not admitted. Waits are in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Open for `wait` more; since a failed trial call, or else since too many failures.
    Open { wait: u64, after_trial: bool },
    /// All trial calls are given out; an unfinished one is given up in `wait`.
    TrialsTaken { wait: u64 },
    /// An operator holds it open.
    Forced,
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

/// The state word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(u64);

/// What a word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed { failures: u32 },
    Open { since: u64, after_trial: bool },
    HalfOpen { taken: u8, succeeded: u8, last_trial: u64 },
    ForcedOpen,
    Disabled,
}

const TAG_BITS: u32 = 3;
const EPOCH_BITS: u32 = 17;
const BODY_SHIFT: u32 = TAG_BITS + EPOCH_BITS;

const TAG_MASK: u64 = mask(TAG_BITS);
const EPOCH_MASK: u64 = mask(EPOCH_BITS);
/// Tag and epoch together: what a [`Ticket`] keeps.
const TICKET_MASK: u64 = mask(BODY_SHIFT);

const CLOSED: u64 = 0;
const OPEN: u64 = 1;
const HALF_OPEN: u64 = 2;
const FORCED_OPEN: u64 = 3;
const DISABLED: u64 = 4;

const SINCE_BITS: u32 = 43;
const TRIAL_BITS: u32 = 8;
const LAST_TRIAL_BITS: u32 = 28;
/// The last trial call's moment is kept in units of 64 µs.
const LAST_TRIAL_UNIT: u32 = 6;

/// The longest recovery timeout that the word can measure, in microseconds: 101 days.
pub(crate) const MAX_RECOVERY: u64 = mask(SINCE_BITS);

const fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

impl Word {
    /// Closed, nothing counted.
    pub(crate) const fn new() -> Self {
        Self(CLOSED)
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// Whether every call is admitted and nothing changes by admitting it.
    pub(crate) const fn admits_freely(self) -> bool {
        matches!(self.0 & TAG_MASK, CLOSED | DISABLED)
    }

    /// Whether a success changes nothing: closed with no failure counted.
    pub(crate) const fn is_calm(self) -> bool {
        self.0 & !(EPOCH_MASK << TAG_BITS) == CLOSED
    }

    pub(crate) const fn ticket(self) -> Ticket {
        Ticket(self.0 & TICKET_MASK)
    }

    pub(crate) const fn state(self) -> BreakerState {
        match self.phase() {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::Open { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
            Phase::ForcedOpen => BreakerState::ForcedOpen,
            Phase::Disabled => BreakerState::Disabled,
        }
    }

    /// Failures in a row; 0 in every state but closed.
    pub(crate) const fn failures(self) -> u32 {
        match self.phase() {
            Phase::Closed { failures } => failures,
            _ => 0,
        }
    }

    /// How much longer no call is admitted, in microseconds; `None` unless open.
    pub(crate) const fn time_left(self, rules: &Rules, now: Moment) -> Option<u64> {
        match self.phase() {
            Phase::Open { since, .. } => Some(rules.recovery.saturating_sub(elapsed(since, now))),
            _ => None,
        }
    }

    /// Asks for a call to be admitted.
    pub(crate) fn admit(self, rules: &Rules, now: Moment) -> Admission {
        match self.phase() {
            Phase::Closed { .. } | Phase::Disabled => Admission::Free,
            Phase::ForcedOpen => Admission::Refused(Refusal::Forced),
            Phase::Open { since, after_trial } => {
                let wait = rules.recovery.saturating_sub(elapsed(since, now));
                if wait > 0 {
                    return Admission::Refused(Refusal::Open { wait, after_trial });
                }
                Admission::Take(self.next(trial(1, 0, now)))
            }
            Phase::HalfOpen { taken, succeeded, last_trial } => {
                if taken < rules.trials {
                    return Admission::Take(self.with(trial(taken + 1, succeeded, now)));
                }
                let wait = abandon_wait(rules.recovery, last_trial, now);
                if wait > 0 {
                    return Admission::Refused(Refusal::TrialsTaken { wait });
                }
                // The calls that hold the places have had a whole recovery timeout. They are given up: a new epoch
                // makes strangers of them, and what has succeeded so far stays.
                Admission::Take(self.next(trial(succeeded.saturating_add(1), succeeded, now)))
            }
        }
    }

    /// Takes in how a call ended; `None` if that changes nothing.
    pub(crate) fn settle(
        self,
        ticket: Ticket,
        outcome: Outcome,
        rules: &Rules,
        now: impl Fn() -> Moment,
    ) -> Option<Self> {
        if self.ticket() != ticket {
            return None;
        }
        match (self.phase(), outcome) {
            (Phase::Closed { failures: 1.. }, Outcome::Success) => Some(self.with(Phase::Closed { failures: 0 })),
            (Phase::Closed { failures }, Outcome::Failure) => {
                let failures = failures.saturating_add(1);
                if failures < rules.failure_threshold {
                    return Some(self.with(Phase::Closed { failures }));
                }
                Some(self.next(open(now(), false)))
            }
            (Phase::HalfOpen { taken, succeeded, last_trial }, Outcome::Success) => {
                let succeeded = succeeded.saturating_add(1);
                if succeeded < rules.trials {
                    return Some(self.with(Phase::HalfOpen { taken, succeeded, last_trial }));
                }
                Some(self.next(Phase::Closed { failures: 0 }))
            }
            (Phase::HalfOpen { .. }, Outcome::Failure) => Some(self.next(open(now(), true))),
            (Phase::HalfOpen { taken, succeeded, last_trial }, Outcome::Neutral) => {
                let taken = taken.saturating_sub(1);
                Some(self.with(Phase::HalfOpen { taken, succeeded, last_trial }))
            }
            _ => None,
        }
    }

    /// Opens the circuit until someone says otherwise.
    pub(crate) const fn force_open(self) -> Option<Self> {
        match self.phase() {
            Phase::ForcedOpen => None,
            _ => Some(self.next(Phase::ForcedOpen)),
        }
    }

    /// Admits every call and counts nothing towards a state until someone says otherwise.
    pub(crate) const fn disable(self) -> Option<Self> {
        match self.phase() {
            Phase::Disabled => None,
            _ => Some(self.next(Phase::Disabled)),
        }
    }

    /// Closes the circuit with nothing counted. Calls under way belong to the past, also when it was closed already.
    pub(crate) const fn reset(self) -> Self {
        self.next(Phase::Closed { failures: 0 })
    }

    /// The same epoch, another phase.
    const fn with(self, phase: Phase) -> Self {
        pack(self.0 >> TAG_BITS & EPOCH_MASK, phase)
    }

    /// The next epoch.
    const fn next(self, phase: Phase) -> Self {
        pack(((self.0 >> TAG_BITS) + 1) & EPOCH_MASK, phase)
    }

    #[allow(clippy::cast_possible_truncation, reason = "each field is masked to its width, or fills the type")]
    const fn phase(self) -> Phase {
        let body = self.0 >> BODY_SHIFT;
        match self.0 & TAG_MASK {
            CLOSED => Phase::Closed { failures: body as u32 },
            OPEN => Phase::Open { since: body & mask(SINCE_BITS), after_trial: body >> SINCE_BITS != 0 },
            HALF_OPEN => Phase::HalfOpen {
                taken: body as u8,
                succeeded: (body >> TRIAL_BITS) as u8,
                last_trial: body >> (2 * TRIAL_BITS),
            },
            FORCED_OPEN => Phase::ForcedOpen,
            _ => Phase::Disabled,
        }
    }
}

impl Default for Word {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} in epoch {}", self.phase(), self.0 >> TAG_BITS & EPOCH_MASK)
    }
}

/// The one place that builds a word.
const fn pack(epoch: u64, phase: Phase) -> Word {
    let (tag, body) = match phase {
        Phase::Closed { failures } => (CLOSED, failures as u64),
        Phase::Open { since, after_trial } => (OPEN, (after_trial as u64) << SINCE_BITS | since),
        Phase::HalfOpen { taken, succeeded, last_trial } => {
            (HALF_OPEN, last_trial << (2 * TRIAL_BITS) | (succeeded as u64) << TRIAL_BITS | taken as u64)
        }
        Phase::ForcedOpen => (FORCED_OPEN, 0),
        Phase::Disabled => (DISABLED, 0),
    };
    Word(body << BODY_SHIFT | epoch << TAG_BITS | tag)
}

const fn open(now: Moment, after_trial: bool) -> Phase {
    Phase::Open { since: now.as_micros() & mask(SINCE_BITS), after_trial }
}

const fn trial(taken: u8, succeeded: u8, now: Moment) -> Phase {
    Phase::HalfOpen { taken, succeeded, last_trial: trial_moment(now) }
}

const fn trial_moment(now: Moment) -> u64 {
    now.as_micros() >> LAST_TRIAL_UNIT & mask(LAST_TRIAL_BITS)
}

const fn elapsed(since: u64, now: Moment) -> u64 {
    now.as_micros().wrapping_sub(since) & mask(SINCE_BITS)
}

/// How much longer unfinished trial calls keep their places, in microseconds. Coarser than the rest, and at most
/// 4.7 hours: it is a safety net for calls that never end.
const fn abandon_wait(recovery: u64, last_trial: u64, now: Moment) -> u64 {
    let units = recovery >> LAST_TRIAL_UNIT;
    let units = if units == 0 { 1 } else { units };
    let limit = if units > mask(LAST_TRIAL_BITS) { mask(LAST_TRIAL_BITS) } else { units };
    let passed = trial_moment(now).wrapping_sub(last_trial) & mask(LAST_TRIAL_BITS);
    limit.saturating_sub(passed) << LAST_TRIAL_UNIT
}
