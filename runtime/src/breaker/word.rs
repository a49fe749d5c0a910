//! The breaker's state as one 64-bit value, and every step it can take.
//!
//! Nothing here is atomic, reads a clock or waits: each step is a function from one word to the next.
//! [`shared`](super::shared) applies them with compare-and-swap.
//!
//! ```text
//!           63                                       19 18       3 2   0
//!          ┌───────────────────────────────────────────┬──────────┬─────┐
//! closed   │                       failures in a row   │  epoch   │  0  │  32 bits
//! open     │ after trial │            opened at        │  epoch   │  1  │  1 bit, 44 bits of microseconds
//! half-open│ last trial at │ succeeded │ taken │ round │  epoch   │  2  │  25 bits, 8 bits, 8 bits, 4 bits
//! forced   │                                           │  epoch   │  3  │
//! disabled │                                           │  epoch   │  4  │
//!          └───────────────────────────────────────────┴──────────┴─────┘
//! ```
//!
//! The epoch rises (and wraps) on every transition. A call keeps the epoch it was admitted under, and a result that
//! comes back under another one moves nothing.
//!
//! Half-open, when no trial call has been admitted for a whole recovery timeout and all places are taken, the calls that
//! hold them are given up: a new round begins. The result of a call from an earlier round still counts, since a service
//! that answers slowly does answer; but it has no place to give back.
//!
//! Moments are kept modulo the width of their field, and only their differences are looked at. A difference just below
//! the whole range means that the clock was behind (as the clocks of two tests may be), and counts as nothing. So the
//! worst that a wrap can do is to an open circuit that nobody has called for 190 to 203 days: it stays open until then.

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

/// The place that an admitted call holds: the state, epoch and round it was admitted under.
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
    HalfOpen { round: u8, taken: u8, succeeded: u8, last_trial: u64 },
    ForcedOpen,
    Disabled,
}

const TAG_BITS: u32 = 3;
const EPOCH_BITS: u32 = 16;
const BODY_SHIFT: u32 = TAG_BITS + EPOCH_BITS;

const TAG_MASK: u64 = mask(TAG_BITS);
const EPOCH_MASK: u64 = mask(EPOCH_BITS);
/// Tag and epoch together.
const PHASE_MASK: u64 = mask(BODY_SHIFT);

const CLOSED: u64 = 0;
const OPEN: u64 = 1;
const HALF_OPEN: u64 = 2;
const FORCED_OPEN: u64 = 3;
const DISABLED: u64 = 4;

const SINCE_BITS: u32 = 44;
const ROUND_BITS: u32 = 4;
const COUNT_BITS: u32 = 8;
const LAST_TRIAL_BITS: u32 = 25;
const _: () = assert!(BODY_SHIFT + 1 + SINCE_BITS == 64);
const _: () = assert!(BODY_SHIFT + ROUND_BITS + 2 * COUNT_BITS + LAST_TRIAL_BITS == 64);

/// The longest recovery timeout that the word can measure, in microseconds: 101 days.
pub(crate) const MAX_RECOVERY: u64 = mask(SINCE_BITS - 1);
/// How far behind a clock can be recognised to be, in microseconds: 12.7 days.
const BEHIND: u64 = mask(SINCE_BITS - 4);
/// The moment of the last trial call is kept in the finest power of two in which the recovery timeout has no more bits
/// than this. So the field wraps after a thousand recovery timeouts, and rounds by a sixteen-thousandth of one.
const TRIAL_PRECISION: u32 = 14;

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
        let round = if self.0 & TAG_MASK == HALF_OPEN { mask(ROUND_BITS) << BODY_SHIFT } else { 0 };
        Ticket(self.0 & (PHASE_MASK | round))
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
                let last_trial = trial_moment(rules.recovery, now);
                Admission::Take(self.next(Phase::HalfOpen { round: 0, taken: 1, succeeded: 0, last_trial }))
            }
            Phase::HalfOpen { round, taken, succeeded, last_trial } => {
                let this_trial = trial_moment(rules.recovery, now);
                if taken < rules.trials {
                    let taken = taken + 1;
                    return Admission::Take(self.with(Phase::HalfOpen {
                        round,
                        taken,
                        succeeded,
                        last_trial: this_trial,
                    }));
                }
                let wait = give_up_wait(rules.recovery, last_trial, this_trial);
                if wait > 0 {
                    return Admission::Refused(Refusal::TrialsTaken { wait });
                }
                let (round, taken) = (round.wrapping_add(1), succeeded.saturating_add(1));
                Admission::Take(self.with(Phase::HalfOpen { round, taken, succeeded, last_trial: this_trial }))
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
        if self.0 & PHASE_MASK != ticket.0 & PHASE_MASK {
            return None;
        }
        let holds_place = self.ticket() == ticket;
        match (self.phase(), outcome) {
            (Phase::Closed { failures: 1.. }, Outcome::Success) => Some(self.with(Phase::Closed { failures: 0 })),
            (Phase::Closed { failures }, Outcome::Failure) => {
                let failures = failures.saturating_add(1);
                if failures < rules.failure_threshold {
                    return Some(self.with(Phase::Closed { failures }));
                }
                Some(self.next(open(now(), false)))
            }
            (Phase::HalfOpen { round, taken, succeeded, last_trial }, Outcome::Success) => {
                let succeeded = succeeded.saturating_add(1);
                if succeeded >= rules.trials {
                    return Some(self.next(Phase::Closed { failures: 0 }));
                }
                // A success keeps its place. One of an earlier round takes one again.
                let taken = if holds_place { taken } else { taken.saturating_add(1) };
                Some(self.with(Phase::HalfOpen { round, taken, succeeded, last_trial }))
            }
            (Phase::HalfOpen { .. }, Outcome::Failure) => Some(self.next(open(now(), true))),
            (Phase::HalfOpen { round, taken, succeeded, last_trial }, Outcome::Neutral) if holds_place => {
                let taken = taken.saturating_sub(1);
                Some(self.with(Phase::HalfOpen { round, taken, succeeded, last_trial }))
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
                round: (body & mask(ROUND_BITS)) as u8,
                taken: (body >> ROUND_BITS) as u8,
                succeeded: (body >> (ROUND_BITS + COUNT_BITS)) as u8,
                last_trial: body >> (ROUND_BITS + 2 * COUNT_BITS),
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
        Phase::HalfOpen { round, taken, succeeded, last_trial } => {
            let counts = (succeeded as u64) << COUNT_BITS | taken as u64;
            (
                HALF_OPEN,
                last_trial << (ROUND_BITS + 2 * COUNT_BITS) | counts << ROUND_BITS | round as u64 & mask(ROUND_BITS),
            )
        }
        Phase::ForcedOpen => (FORCED_OPEN, 0),
        Phase::Disabled => (DISABLED, 0),
    };
    Word(body << BODY_SHIFT | epoch << TAG_BITS | tag)
}

const fn open(now: Moment, after_trial: bool) -> Phase {
    Phase::Open { since: now.as_micros() & mask(SINCE_BITS), after_trial }
}

/// How long the circuit has been open, in microseconds.
const fn elapsed(since: u64, now: Moment) -> u64 {
    let elapsed = now.as_micros().wrapping_sub(since) & mask(SINCE_BITS);
    if elapsed > mask(SINCE_BITS) - BEHIND { 0 } else { elapsed }
}

/// The unit in which the moment of the last trial call is kept: a power of two of microseconds.
const fn trial_unit(recovery: u64) -> u32 {
    (u64::BITS - recovery.leading_zeros()).saturating_sub(TRIAL_PRECISION)
}

const fn trial_moment(recovery: u64, now: Moment) -> u64 {
    now.as_micros() >> trial_unit(recovery) & mask(LAST_TRIAL_BITS)
}

/// How much longer unfinished trial calls keep their places, in microseconds.
const fn give_up_wait(recovery: u64, last_trial: u64, now: u64) -> u64 {
    let unit = trial_unit(recovery);
    let passed = now.wrapping_sub(last_trial) & mask(LAST_TRIAL_BITS);
    let passed = if passed > mask(LAST_TRIAL_BITS) - mask(TRIAL_PRECISION) { 0 } else { passed };
    (recovery >> unit).saturating_sub(passed) << unit
}
