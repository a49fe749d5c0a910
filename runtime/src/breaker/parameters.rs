//! What a breaker's steps depend on, as numbers. Times are in microseconds.

/// The settings in force.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameters {
    /// What opens the circuit.
    pub(crate) policy: TripPolicy,
    pub(crate) recovery: Recovery,
    /// Trial calls in a half-open phase, and successes that close it; at least 1.
    pub(crate) trials: u8,
    /// How long after a recovery only a share of the calls is admitted; 0 for not at all.
    pub(crate) ramp: u64,
    /// Nothing is rejected.
    pub(crate) observe_only: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum TripPolicy {
    /// This many failures in a row; at least 1.
    Consecutive { threshold: u32 },
    /// A share of the calls in a window.
    Rates(Rates),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    pub(crate) span: Span,
    pub(crate) failure_rate: f64,
    /// Calls below which nothing is judged; at least 1.
    pub(crate) min_calls: u64,
    /// Calls that take at least this long are slow; none if `None`.
    pub(crate) slow_call: Option<u64>,
    pub(crate) slow_call_rate: f64,
}

/// What a window holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// The last so many calls.
    Calls(u32),
    /// The calls of the last so many microseconds.
    Time(u64),
}

/// How long an open circuit rests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recovery {
    pub(crate) base: u64,
    /// What each failed recovery multiplies it by; at least 1.
    pub(crate) factor: f64,
    /// What that is held at.
    pub(crate) max: u64,
    /// The share of it that is added at random; 0 for none.
    pub(crate) jitter: f64,
    /// What the random numbers of this process start from.
    pub(crate) seed: u64,
}

impl Parameters {
    /// When a call counts as slow.
    pub(crate) const fn slow_call(&self) -> Option<u64> {
        match self.policy {
            TripPolicy::Rates(Rates { slow_call, .. }) => slow_call,
            TripPolicy::Consecutive { .. } => None,
        }
    }

    /// How long an open circuit rests the first time, and after a failed recovery: all that a rejection has to know. Nothing
    /// where that is not the same each time, or nothing is rejected.
    pub(super) const fn fixed_open_micros(&self) -> [u64; 2] {
        let Recovery { base, max, jitter, .. } = self.recovery;
        if self.observe_only || jitter != 0.0 {
            return [0; 2];
        }
        [base, if max <= base { base } else { 0 }]
    }
}

/// Rules as plain numbers, so that they can be kept in atomic cells.
pub(super) type Encoded = [u64; 11];

/// The one that [`Span::alone`] reads.
pub(super) const SPAN: usize = 1;

const CALLS: u64 = 1;
const TIME: u64 = 2;
const KIND_MASK: u64 = 3;
const TIMED: u64 = 4;
const EXTENT_SHIFT: u32 = 3;

impl Parameters {
    pub(super) const fn encode(&self) -> Encoded {
        let small = (self.trials as u64) << 32 | (self.observe_only as u64) << 40;
        let Recovery { base, factor, max, jitter, .. } = self.recovery;
        let (factor, jitter) = (factor.to_bits(), jitter.to_bits());
        let Rates { span, failure_rate, min_calls, slow_call, slow_call_rate } = match self.policy {
            TripPolicy::Consecutive { threshold } => {
                return [small | threshold as u64, 0, 0, 0, 0, 0, base, factor, max, jitter, self.ramp];
            }
            TripPolicy::Rates(rates) => rates,
        };
        let (kind, extent) = match span {
            Span::Calls(calls) => (CALLS, calls as u64),
            // Held at 70,000 years.
            Span::Time(time) => {
                (TIME, if time >> (u64::BITS - EXTENT_SHIFT) == 0 { time } else { u64::MAX >> EXTENT_SHIFT })
            }
        };
        let (timed, slow_call) = match slow_call {
            Some(slow_call) => (TIMED, slow_call),
            None => (0, 0),
        };
        let (failure_rate, slow_call_rate) = (failure_rate.to_bits(), slow_call_rate.to_bits());
        let span = extent << EXTENT_SHIFT | timed | kind;
        [small, span, failure_rate, min_calls, slow_call, slow_call_rate, base, factor, max, jitter, self.ramp]
    }

    /// The rules that were encoded. `seed` is asked for where it matters.
    #[allow(clippy::cast_possible_truncation, reason = "each was that small before")]
    pub(super) fn decode(words: Encoded, seed: impl FnOnce() -> u64) -> Self {
        let [small, span, failure_rate, min_calls, slow_call, slow_call_rate, base, factor, max, jitter, ramp] = words;
        let policy = match Span::decode(span) {
            None => TripPolicy::Consecutive { threshold: small as u32 },
            Some(of) => TripPolicy::Rates(Rates {
                span: of,
                failure_rate: f64::from_bits(failure_rate),
                min_calls,
                slow_call: (span & TIMED != 0).then_some(slow_call),
                slow_call_rate: f64::from_bits(slow_call_rate),
            }),
        };
        let (factor, jitter) = (f64::from_bits(factor), f64::from_bits(jitter));
        let recovery = Recovery { base, factor, max, jitter, seed: if jitter == 0.0 { 0 } else { seed() } };
        Self { policy, recovery, trials: (small >> 32) as u8, ramp, observe_only: small >> 40 & 1 != 0 }
    }
}

impl Span {
    /// What the window holds, if there is one and no call is slow: all that a success has to know.
    #[inline]
    pub(super) const fn alone(word: u64) -> Option<Self> {
        if word & TIMED == 0 { Self::decode(word) } else { None }
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "it was that small before")]
    const fn decode(word: u64) -> Option<Self> {
        match word & KIND_MASK {
            CALLS => Some(Self::Calls((word >> EXTENT_SHIFT) as u32)),
            TIME => Some(Self::Time(word >> EXTENT_SHIFT)),
            _ => None,
        }
    }
}

impl Recovery {
    /// The rest after so many failed recoveries in a row, without what is random about it.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "saturates"
    )]
    pub(crate) fn open_duration(&self, failed: u8) -> u64 {
        if failed == 0 {
            return self.base;
        }
        let rest = self.base as f64 * self.factor.powi(i32::from(failed));
        // The cast takes what is too large for the largest number.
        (rest as u64).clamp(self.base, self.max.max(self.base))
    }

    /// The rest that began at `since`. The random part is the same whenever it is asked for.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "saturates"
    )]
    pub(crate) fn open_duration_since(&self, failed: u8, since: u64) -> u64 {
        let rest = self.open_duration(failed);
        if self.jitter == 0.0 {
            return rest;
        }
        let share = (mix(self.seed ^ since) >> 11) as f64 / (1_u64 << 53) as f64;
        rest.saturating_add((rest as f64 * self.jitter * share) as u64)
    }
}

/// Spreads the bits of a number evenly: the finalizer of `SplitMix64` (Steele, Lea, Flood: Fast splittable pseudorandom
/// number generators, 2014).
pub(super) const fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}
