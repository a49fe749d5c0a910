//! How a phase is packed into 64 bits. The picture is in [`super`].

use super::{Phase, Stamp};

/// The state word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(u64);

/// The place that an admitted call holds: the state, epoch and round it was admitted under, and where somebody asks how
/// long calls take, when that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// What each call of a closed circuit has to do besides going through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Duties {
    /// Successes are counted, too.
    pub(super) windowed: bool,
    /// Calls are timed.
    pub(super) timed: bool,
}

const TAG_BITS: u32 = 3;
const EPOCH_BITS: u32 = 12;
const BODY_SHIFT: u32 = TAG_BITS + EPOCH_BITS;
const BODY_BITS: u32 = u64::BITS - BODY_SHIFT;

const TAG_MASK: u64 = mask(TAG_BITS);
const EPOCH_MASK: u64 = mask(EPOCH_BITS);
/// Tag and epoch together.
const PHASE_MASK: u64 = mask(BODY_SHIFT);

const CLOSED: u64 = 0;
const OPEN: u64 = 1;
const HALF_OPEN: u64 = 2;
const FORCED_OPEN: u64 = 3;
const DISABLED: u64 = 4;
const RESTING: u64 = 5;
/// No word has this tag.
const NEVER: u64 = TAG_MASK;

// Closed.
/// Not freely admitted: calls are timed, or only some go through. Disabled or forced open: not for ever.
const GUARDED: u64 = 1 << BODY_SHIFT;
const TIMED: u64 = 1;
const RAMPING: u64 = 1;
const WINDOWED: u64 = 1;
const FLAG_BITS: u32 = 4;
const STREAK_BITS: u32 = 22;

// Open, resting.
const FAILED_BITS: u32 = 6;
pub(super) const SINCE_BITS: u32 = 43;

// Half-open.
const ROUND_BITS: u32 = 4;
const COUNT_BITS: u32 = 8;

// Forced open, disabled.
pub(super) const UNTIL_BITS: u32 = 48;

const _: () = assert!(FLAG_BITS + STREAK_BITS + Stamp::BITS == BODY_BITS);
const _: () = assert!(FAILED_BITS + SINCE_BITS == BODY_BITS);
const _: () = assert!(ROUND_BITS + 2 * COUNT_BITS + FAILED_BITS + Stamp::BITS == BODY_BITS);
const _: () = assert!(1 + UNTIL_BITS == BODY_BITS);

/// Where in a ticket its moment begins.
const STARTED_SHIFT: u32 = BODY_SHIFT + ROUND_BITS;

/// Failed recoveries in a row that are counted.
pub(super) const MAX_FAILED: u8 = (1 << FAILED_BITS) - 1;

pub(super) const fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

impl Word {
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// Whether every call is admitted and needs nothing but a ticket.
    pub(crate) const fn admits_freely(self) -> bool {
        matches!(self.0 & (TAG_MASK | GUARDED), CLOSED | DISABLED)
    }

    /// Whether a success changes nothing and is counted in the totals alone: closed, with no failure counted, by
    /// failures in a row.
    pub(crate) const fn is_calm(self) -> bool {
        self.0 & !(EPOCH_MASK << TAG_BITS) == CLOSED
    }

    /// Whether a success changes nothing and is counted in the totals and a window: closed, with no failure in a row counted
    /// from before there was one.
    pub(crate) const fn is_calm_by_window(self) -> bool {
        let duties = Duties { windowed: true, timed: false };
        let calm = pack(0, Phase::Closed { duties, failures: 0, ramp: None });
        self.0 & !(EPOCH_MASK << TAG_BITS) == calm.0
    }

    /// Rises, and wraps, with every transition.
    #[allow(clippy::cast_possible_truncation, reason = "masked")]
    pub(crate) const fn epoch(self) -> u16 {
        (self.0 >> TAG_BITS & EPOCH_MASK) as u16
    }

    /// The ticket of a call that is [admitted freely](Self::admits_freely): no trial call, and not timed.
    pub(crate) const fn free_ticket(self) -> Ticket {
        Ticket(self.0 & PHASE_MASK)
    }

    /// The ticket of a call that is not timed.
    pub(crate) const fn ticket(self) -> Ticket {
        let round = if self.0 & TAG_MASK == HALF_OPEN { mask(ROUND_BITS) << BODY_SHIFT } else { 0 };
        Ticket(self.0 & (PHASE_MASK | round))
    }

    /// Whether the ticket was given in this state and epoch.
    pub(crate) const fn gave(self, ticket: Ticket) -> bool {
        self.0 & PHASE_MASK == ticket.0 & PHASE_MASK
    }

    /// Whether the ticket holds one of the places of this round.
    pub(super) const fn has_place_of(self, ticket: Ticket) -> bool {
        self.ticket().0 == ticket.0 & mask(STARTED_SHIFT)
    }

    /// The same epoch, another phase.
    pub(super) const fn with(self, phase: Phase) -> Self {
        pack(self.0 >> TAG_BITS & EPOCH_MASK, phase)
    }

    /// The next epoch.
    pub(super) const fn next(self, phase: Phase) -> Self {
        pack(((self.0 >> TAG_BITS) + 1) & EPOCH_MASK, phase)
    }

    #[allow(clippy::cast_possible_truncation, reason = "each field is masked to its width, or fills the type")]
    pub(super) const fn phase(self) -> Phase {
        let mut body = Fields(self.0 >> BODY_SHIFT);
        match self.0 & TAG_MASK {
            CLOSED => {
                _ = body.take(1);
                let (timed, ramping, windowed) = (body.take(1) != 0, body.take(1) != 0, body.take(1) != 0);
                let ramp = if ramping { Some(Stamp::from_bits(body.take(Stamp::BITS))) } else { None };
                Phase::Closed { duties: Duties { windowed, timed }, failures: body.0 as u32, ramp }
            }
            OPEN => Phase::Open { failed: body.take(FAILED_BITS) as u8, since: body.0 },
            HALF_OPEN => Phase::HalfOpen {
                round: body.take(ROUND_BITS) as u8,
                taken: body.take(COUNT_BITS) as u8,
                succeeded: body.take(COUNT_BITS) as u8,
                failed: body.take(FAILED_BITS) as u8,
                last_trial: Stamp::from_bits(body.0),
            },
            RESTING => Phase::Resting { failed: body.take(FAILED_BITS) as u8, until: body.0 },
            FORCED_OPEN => Phase::ForcedOpen { until: until(body) },
            _ => Phase::Disabled { until: until(body) },
        }
    }
}

impl Ticket {
    /// Of a call that was let through although the circuit does not admit it: its result moves nothing.
    pub(crate) const UNADMITTED: Self = Self(NEVER);

    pub(crate) const fn epoch(self) -> u16 {
        Word(self.0).epoch()
    }

    /// Of a call that tries whether the service is back.
    pub(crate) const fn is_trial(self) -> bool {
        self.0 & TAG_MASK == HALF_OPEN
    }

    /// The same place, taken at that moment.
    pub(crate) const fn timed(self, micros: u64) -> Self {
        // 0 stands for a call that is not timed.
        let started = micros & mask(u64::BITS - STARTED_SHIFT);
        Self(self.0 & mask(STARTED_SHIFT) | if started == 0 { 1 } else { started } << STARTED_SHIFT)
    }

    /// How long ago the call began, in microseconds; `None` if it is not timed. Wraps after 407 days.
    pub(crate) const fn age(self, now_micros: u64) -> Option<u64> {
        match self.0 >> STARTED_SHIFT {
            0 => None,
            started => {
                let age = now_micros.wrapping_sub(started) & mask(u64::BITS - STARTED_SHIFT);
                // The clock was behind.
                Some(if age > mask(u64::BITS - STARTED_SHIFT - 1) { 0 } else { age })
            }
        }
    }
}

/// Fields taken from the low end, one after the other.
#[derive(Clone, Copy)]
struct Fields(u64);

impl Fields {
    const fn take(&mut self, bits: u32) -> u64 {
        let field = self.0 & mask(bits);
        self.0 >>= bits;
        field
    }
}

const fn until(mut body: Fields) -> Option<u64> {
    if body.take(1) != 0 { Some(body.0) } else { None }
}

/// The one place that builds a word.
pub(super) const fn pack(epoch: u64, phase: Phase) -> Word {
    let (tag, body) = match phase {
        Phase::Closed { duties: Duties { windowed, timed }, failures, ramp } => {
            let guarded = timed || ramp.is_some();
            let (streak, stamp_bits) = match ramp {
                Some(stamp) => {
                    let most = mask(STREAK_BITS);
                    let failures = if failures as u64 > most { most } else { failures as u64 };
                    (failures << Stamp::BITS | stamp.bits(), RAMPING)
                }
                None => (failures as u64, 0),
            };
            let windowed = if windowed { WINDOWED } else { 0 };
            let timed = if timed { TIMED } else { 0 };
            (CLOSED, streak << FLAG_BITS | windowed << 3 | stamp_bits << 2 | timed << 1 | guarded as u64)
        }
        Phase::Open { failed, since } => (OPEN, (since & mask(SINCE_BITS)) << FAILED_BITS | failed as u64),
        Phase::Resting { failed, until } => (RESTING, (until & mask(SINCE_BITS)) << FAILED_BITS | failed as u64),
        Phase::HalfOpen { round, taken, succeeded, failed, last_trial } => {
            let high = last_trial.bits() << FAILED_BITS | failed as u64;
            let counts = (high << COUNT_BITS | succeeded as u64) << COUNT_BITS | taken as u64;
            (HALF_OPEN, counts << ROUND_BITS | round as u64 & mask(ROUND_BITS))
        }
        Phase::ForcedOpen { until } => (FORCED_OPEN, pack_until(until)),
        Phase::Disabled { until } => (DISABLED, pack_until(until)),
    };
    Word(body << BODY_SHIFT | epoch << TAG_BITS | tag)
}

const fn pack_until(until: Option<u64>) -> u64 {
    match until {
        Some(until) => (until & mask(UNTIL_BITS)) << 1 | 1,
        None => 0,
    }
}
