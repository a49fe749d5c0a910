//! The bit layout of the state word, as the picture in [`super`] shows it. [`pack`] is the only code that builds a word.

use super::{Phase, mask};

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
/// Tag and epoch together.
const PLACE_MASK: u64 = !LOWER_MASK | TAG_MASK;

const CLOSED: u64 = 0;
const OPEN: u64 = 1;
const HALF_OPEN: u64 = 2;
const FORCED_OPEN: u64 = 3;
const DISABLED: u64 = 4;
const OPEN_UNTIL: u64 = 5;
/// A flag of an admission, beside tag and epoch.
const PANICKED: u64 = 1 << BODY_SHIFT;
/// A tag that no word has.
const NEVER: u64 = TAG_MASK;

// Closed.
/// Closed: a call needs more than an admission, because calls are timed or the circuit is ramping up. Disabled or forced open: the
/// override expires.
const GUARDED: u64 = 1 << BODY_SHIFT;
const FLAG_BITS: u32 = 4;
const STREAK_BITS: u32 = 25;

// Open, open until, half-open.
const FAILED_BITS: u32 = 6;
const COUNT_BITS: u32 = 8;
const ROUND_BITS: u32 = 7;

const _: () = assert!(FLAG_BITS + STREAK_BITS == BODY_BITS);
const _: () = assert!(FAILED_BITS + 2 * COUNT_BITS + ROUND_BITS == BODY_BITS);

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

    /// Returns true if every call is admitted, and needs nothing but an admission.
    pub(crate) const fn admits_freely(self) -> bool {
        matches!(self.0 & (TAG_MASK | GUARDED), CLOSED | DISABLED)
    }

    /// Returns true if a success changes only the totals: closed, without a window, and with no failure counted.
    pub(crate) const fn success_is_noop(self) -> bool {
        self.0 & LOWER_MASK == CLOSED
    }

    /// Returns true if a success changes only the totals and the window: closed, with a window, without slow calls, and with no failure
    /// counted from before there was a window.
    pub(crate) const fn success_only_counts(self) -> bool {
        let flags = ClosedFlags { windowed: true, timed: false };
        let (only_counts, _) = pack(0, Phase::Closed { flags, failures: 0, ramp: None });
        self.0 & LOWER_MASK == only_counts.0
    }

    /// The epoch, which increases with every transition.
    pub(crate) const fn epoch(self) -> u32 {
        (self.0 >> EPOCH_SHIFT) as u32
    }

    /// An admission in this state, of a call that is not timed.
    pub(crate) const fn admission(self) -> Admission {
        Admission { origin: self.0 & PLACE_MASK, started: 0 }
    }

    /// Returns true if the admission was issued in this state without a transition since. A new round of trial calls is not a
    /// transition in this sense.
    pub(crate) const fn issued(self, admission: Admission) -> bool {
        if self.holds_trial_permit(admission) {
            return true;
        }
        let earlier = self.epoch().wrapping_sub(admission.epoch());
        self.0 & TAG_MASK == HALF_OPEN
            && admission.is_trial()
            && earlier as u64 <= (self.0 & LOWER_MASK) >> (EPOCH_SHIFT - ROUND_BITS)
    }

    /// Returns true if the admission holds one of the permits of this round.
    pub(super) const fn holds_trial_permit(self, admission: Admission) -> bool {
        self.0 & PLACE_MASK == admission.origin
    }

    /// Unpacks the phase, with the moment of the state.
    #[allow(clippy::cast_possible_truncation, reason = "each field is masked to its width, or fills the type")]
    pub(super) const fn phase(self, moment: u64) -> Phase {
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
                failed: body.take(FAILED_BITS) as u8,
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
    /// The admission of a call that an observing breaker would have rejected: its result changes nothing but totals.
    pub(crate) const UNADMITTED: Self = Self { origin: NEVER, started: 0 };

    pub(crate) const fn epoch(self) -> u32 {
        State(self.origin).epoch()
    }

    /// Returns true for a trial call.
    pub(crate) const fn is_trial(self) -> bool {
        self.origin & TAG_MASK == HALF_OPEN
    }

    /// The admission with the start of the call.
    pub(crate) const fn timed(self, micros: u64) -> Self {
        Self { origin: self.origin, started: if micros == 0 { 1 } else { micros } }
    }

    /// The admission with the mark of a panic in the call.
    pub(crate) const fn with_panic(self) -> Self {
        Self { origin: self.origin | PANICKED, ..self }
    }

    /// The admission without the mark of a panic, and true if it had the mark.
    pub(crate) const fn without_panic(self) -> (Self, bool) {
        (Self { origin: self.origin & !PANICKED, ..self }, self.origin & PANICKED != 0)
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

/// Builds a word. Returns with it the moment of the phase, if it has one.
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
        Phase::HalfOpen { rounds, taken, succeeded, failed, oldest } => {
            let high = (rounds as u64) << FAILED_BITS | failed as u64;
            let body = (high << COUNT_BITS | succeeded as u64) << COUNT_BITS | taken as u64;
            (HALF_OPEN, body, Some(oldest))
        }
        Phase::ForcedOpen { until } => (FORCED_OPEN, until.is_some() as u64, until),
        Phase::Disabled { until } => (DISABLED, until.is_some() as u64, until),
    };
    (State((epoch as u64) << EPOCH_SHIFT | body << BODY_SHIFT | tag), moment)
}
