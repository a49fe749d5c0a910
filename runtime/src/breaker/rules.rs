//! What a breaker's steps depend on, as numbers. Times are in microseconds.

/// The settings in force.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// What opens the circuit.
    pub(crate) policy: Policy,
    pub(crate) recovery: Recovery,
    /// Trial calls in a half-open phase, and successes that close it; at least 1.
    pub(crate) trials: u8,
    /// How long after a recovery only a share of the calls is admitted; 0 for not at all.
    pub(crate) ramp: u64,
    /// Nothing is rejected.
    pub(crate) observe_only: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Policy {
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

impl Rules {
    /// When a call counts as slow.
    pub(crate) const fn slow_call(&self) -> Option<u64> {
        match self.policy {
            Policy::Rates(Rates { slow_call, .. }) => slow_call,
            Policy::Consecutive { .. } => None,
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
    pub(crate) fn rest(&self, failed: u8) -> u64 {
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
    pub(crate) fn rest_since(&self, failed: u8, since: u64) -> u64 {
        let rest = self.rest(failed);
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
