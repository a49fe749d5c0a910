//! The bit layout of the state word: see the diagram in [`super`]. [`pack`] is the only code that builds a word.

use super::{Phase, mask};
use crate::errors::PackedReason;

/// The state word: tag, epoch, and the counts that change together with them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct State(u64);

/// The admission of one call: the state and epoch in which it was issued, and the start of the call if calls are timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admission {
    /// Tag and epoch.
    origin: u64,
    /// The start in microseconds; 0 for a call that is not timed.
    started: u64,
}

/// Extra work of each call while the circuit is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClosedFlags {
    /// Successes are counted in a window.
    pub(super) windowed: bool,
    /// Calls are timed.
    pub(super) timed: bool,
}

const TAG_BITS: u32 = 3;
const EPOCH_BITS: u32 = 32;
/// The epoch is in the upper half, so that the checks of the fast path need only the lower half.
const EPOCH_SHIFT: u32 = u64::BITS - EPOCH_BITS;
const BODY_SHIFT: u32 = TAG_BITS;
const BODY_BITS: u32 = EPOCH_SHIFT - BODY_SHIFT;

const TAG_MASK: u64 = mask(TAG_BITS);
const LOWER_MASK: u64 = mask(EPOCH_SHIFT);
/// The bits of tag and epoch, which are the origin of an admission.
const ORIGIN_MASK: u64 = !LOWER_MASK | TAG_MASK;

const CLOSED: u64 = 0;
const OPEN: u64 = 1;
const HALF_OPEN: u64 = 2;
const FORCED_OPEN: u64 = 3;
const DISABLED: u64 = 4;
const OPEN_UNTIL: u64 = 5;
// The bits of an admission that tag and epoch leave free: flags, and the lower bits of the tick in which a tracked call started.
const PANICKED: u64 = 1 << BODY_SHIFT;
const TRACKED: u64 = 1 << (BODY_SHIFT + 1);
const WAITING: u64 = 1 << (BODY_SHIFT + 2);
const TICK_SHIFT: u32 = BODY_SHIFT + 3;
/// The lower bits of a tick that an admission keeps.
pub(crate) const TICK_MASK: u32 = (1 << (EPOCH_SHIFT - TICK_SHIFT)) - 1;
/// A tag that no word has.
const UNUSED_TAG: u64 = TAG_MASK;
/// The bits of the epoch.
const ORIGIN_UPPER: u64 = !LOWER_MASK;

/// A flag of a word. Closed: a call needs a clock reading, because calls are timed or the circuit is ramping up. Disabled or forced open:
/// the override has an expiry.
const NEEDS_CLOCK: u64 = 1 << BODY_SHIFT;
/// The flags of a closed word whose calls are timed, and the flag of one that is ramping up.
const TIMED_FLAGS: u64 = 0b11 << BODY_SHIFT;
const RAMPING: u64 = 0b100 << BODY_SHIFT;

// The fields of a closed word.
const FLAG_BITS: u32 = 4;
const STREAK_BITS: u32 = 25;

// The field of an open or open-until word.
const FAILED_BITS: u32 = 6;

// The fields of a half-open word.
const COUNT_BITS: u32 = 8;
const ROUND_BITS: u32 = 5;

const _: () = assert!(FLAG_BITS + STREAK_BITS == BODY_BITS);
const _: () = assert!(3 * COUNT_BITS + ROUND_BITS == BODY_BITS);

/// The largest count of failures in a row.
pub(super) const MAX_FAILURES: u32 = (1 << STREAK_BITS) - 1;
/// The largest count of failed recoveries in a row.
pub(super) const MAX_FAILED: u8 = (1 << FAILED_BITS) - 1;
/// The number of earlier rounds whose results still count.
pub(super) const MAX_ROUNDS: u8 = (1 << ROUND_BITS) - 1;

impl State {
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// Returns true if every call is admitted, without a clock reading or a change of the circuit.
    pub(crate) const fn admits_without_clock(self) -> bool {
        matches!(self.0 & (TAG_MASK | NEEDS_CLOCK), CLOSED | DISABLED)
    }

    /// Returns true if a success changes only the totals: closed, without a window, and with no failure counted.
    pub(crate) const fn success_is_noop(self) -> bool {
        self.0 & LOWER_MASK == CLOSED
    }

    /// Returns true if a success changes only the totals and the window: closed, with a window, not ramping up, and with no failures in a
    /// row left from before the window was configured.
    pub(crate) const fn success_only_counts(self) -> bool {
        let flags = ClosedFlags { windowed: true, timed: false };
        let (only_counts, _) = pack(0, Phase::Closed { flags, failures: 0, ramp: None });
        self.0 & LOWER_MASK & !TIMED_FLAGS == only_counts.0
    }

    /// Returns true if calls are timed, the circuit is closed, and every call is admitted without a change of the circuit.
    pub(crate) const fn admits_timed(self) -> bool {
        self.0 & (TAG_MASK | TIMED_FLAGS | RAMPING) == CLOSED | TIMED_FLAGS
    }

    /// Returns true if calls are timed and a success changes only the totals: closed, without a window, and with no failure counted.
    pub(crate) const fn timed_success_is_noop(self) -> bool {
        self.0 & LOWER_MASK == CLOSED | TIMED_FLAGS
    }

    /// The epoch, which increases with every transition.
    pub(crate) const fn epoch(self) -> u32 {
        (self.0 >> EPOCH_SHIFT) as u32
    }

    /// An admission in this state, of a call that is not timed.
    pub(crate) const fn admission(self) -> Admission {
        Admission { origin: self.0 & ORIGIN_MASK, started: 0 }
    }

    /// Returns true if the admission was issued in the current state, with no transition since. For a trial call, up to [`MAX_ROUNDS`] new
    /// rounds since then are allowed.
    pub(crate) const fn issued(self, admission: Admission) -> bool {
        if self.holds_trial_permit(admission) {
            return true;
        }
        let rounds_ago = self.epoch().wrapping_sub(admission.epoch());
        self.0 & TAG_MASK == HALF_OPEN
            && admission.is_trial()
            && rounds_ago as u64 <= (self.0 & LOWER_MASK) >> (EPOCH_SHIFT - ROUND_BITS)
    }

    /// Returns true if the admission holds one of the permits of this round.
    pub(crate) const fn holds_trial_permit(self, admission: Admission) -> bool {
        self.0 & ORIGIN_MASK == admission.origin & ORIGIN_MASK
    }

    /// Unpacks the phase. `moment` and `reason` are stored beside the word.
    #[allow(clippy::cast_possible_truncation, reason = "each field is masked to its width, or fills the type")]
    pub(super) const fn phase(self, moment: u64, reason: PackedReason) -> Phase {
        let mut body = Fields((self.0 & LOWER_MASK) >> BODY_SHIFT);
        match self.0 & TAG_MASK {
            CLOSED => {
                _ = body.take(1);
                let (timed, ramping, windowed) = (body.take(1) != 0, body.take(1) != 0, body.take(1) != 0);
                let ramp = if ramping { Some(moment) } else { None };
                Phase::Closed { flags: ClosedFlags { windowed, timed }, failures: body.0 as u32, ramp }
            }
            OPEN => Phase::Open { failed: body.take(FAILED_BITS) as u8, since: moment },
            HALF_OPEN => Phase::HalfOpen {
                taken: body.take(COUNT_BITS) as u8,
                succeeded: body.take(COUNT_BITS) as u8,
                failures: body.take(COUNT_BITS) as u8,
                failed: reason.as_failed_recoveries(),
                rounds: body.0 as u8,
                oldest: moment,
            },
            OPEN_UNTIL => Phase::OpenUntil { failed: body.take(FAILED_BITS) as u8, until: moment },
            FORCED_OPEN => Phase::ForcedOpen { until: until(body, moment) },
            _ => Phase::Disabled { until: until(body, moment) },
        }
    }
}

impl Admission {
    /// The admission of a call that would have been rejected without `observe_only`: its outcome changes only the totals.
    pub(crate) const OBSERVED: Self = Self { origin: UNUSED_TAG, started: 0 };

    /// An admission that is not timed, and is not used.
    pub(crate) const UNTIMED: Self = Self::OBSERVED;

    pub(crate) const fn epoch(self) -> u32 {
        State(self.origin).epoch()
    }

    /// Returns true for a trial call.
    pub(crate) const fn is_trial(self) -> bool {
        self.origin & TAG_MASK == HALF_OPEN
    }

    /// Returns true if the outcome can change the circuit: for a call that was admitted while closed or half-open.
    pub(crate) const fn counts(self) -> bool {
        matches!(self.origin & TAG_MASK, CLOSED | HALF_OPEN)
    }

    /// The admission with the start of the call.
    pub(crate) const fn timed(self, micros: u64) -> Self {
        Self { origin: self.origin, started: if micros == 0 { 1 } else { micros } }
    }

    /// The admission of a tracked call, with the lower bits of the tick in which it started.
    pub(crate) const fn tracked(self, tick: u32) -> Self {
        Self { origin: self.origin | TRACKED | ((tick & TICK_MASK) as u64) << TICK_SHIFT, ..self }
    }

    /// Returns true if the call is counted among the calls in flight.
    pub(crate) const fn is_tracked(self) -> bool {
        self.origin & TRACKED != 0
    }

    /// The lower bits of the tick in which a tracked call started.
    pub(crate) const fn tick(self) -> u32 {
        ((self.origin & !ORIGIN_UPPER) >> TICK_SHIFT) as u32
    }

    /// The admission of a call that began to wait.
    pub(crate) const fn waiting(self, micros: u64) -> Self {
        let timed = if self.started == 0 { self.timed(micros) } else { self };
        Self { origin: timed.origin | WAITING, ..timed }
    }

    /// The admission of a call that has ended its wait.
    pub(crate) const fn without_waiting(self) -> Self {
        Self { origin: self.origin & !WAITING, ..self }
    }

    /// Returns true if the call began to wait, and has not ended its wait.
    pub(crate) const fn is_waiting(self) -> bool {
        self.origin & WAITING != 0
    }

    /// The admission with the mark of a panic in the call.
    pub(crate) const fn with_panic(self) -> Self {
        Self { origin: self.origin | PANICKED, ..self }
    }

    /// The admission without the mark of a panic, and true if it had the mark.
    pub(crate) const fn without_panic(self) -> (Self, bool) {
        (Self { origin: self.origin & !PANICKED, ..self }, self.origin & PANICKED != 0)
    }

    /// Returns true if the start of the call is stored.
    #[inline]
    pub(crate) const fn is_timed(self) -> bool {
        self.started != 0
    }

    /// The time since the start of the call, in microseconds; `None` if it is not timed. A reading before the start counts as 0.
    pub(crate) const fn age(self, now_micros: u64) -> Option<u64> {
        match self.started {
            0 => None,
            started => Some(now_micros.saturating_sub(started)),
        }
    }
}

/// Reads packed fields, from the lowest bits upwards.
#[derive(Clone, Copy)]
struct Fields(u64);

impl Fields {
    const fn take(&mut self, bits: u32) -> u64 {
        let field = self.0 & mask(bits);
        self.0 >>= bits;
        field
    }
}

const fn until(mut body: Fields, moment: u64) -> Option<u64> {
    if body.take(1) != 0 { Some(moment) } else { None }
}

/// Packs a phase into a word. Returns the word, and the moment of the phase if it has one.
pub(super) const fn pack(epoch: u32, phase: Phase) -> (State, Option<u64>) {
    let (tag, body, moment) = match phase {
        Phase::Closed { flags: ClosedFlags { windowed, timed }, failures, ramp } => {
            let failures = if failures > MAX_FAILURES { MAX_FAILURES } else { failures };
            let ramping = ramp.is_some();
            let flags =
                (windowed as u64) << 3 | (ramping as u64) << 2 | (timed as u64) << 1 | (timed || ramping) as u64;
            (CLOSED, (failures as u64) << FLAG_BITS | flags, ramp)
        }
        Phase::Open { failed, since } => (OPEN, failed as u64, Some(since)),
        Phase::OpenUntil { failed, until } => (OPEN_UNTIL, failed as u64, Some(until)),
        // The failed recoveries are stored beside the word.
        Phase::HalfOpen { rounds, taken, succeeded, failures, failed: _, oldest } => {
            let high = (rounds as u64) << COUNT_BITS | failures as u64;
            let body = (high << COUNT_BITS | succeeded as u64) << COUNT_BITS | taken as u64;
            (HALF_OPEN, body, Some(oldest))
        }
        Phase::ForcedOpen { until } => (FORCED_OPEN, until.is_some() as u64, until),
        Phase::Disabled { until } => (DISABLED, until.is_some() as u64, until),
    };
    (State((epoch as u64) << EPOCH_SHIFT | body << BODY_SHIFT | tag), moment)
}
