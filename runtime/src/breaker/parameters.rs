//! The parameters of the state machine: the settings in force as plain numbers. Durations are in microseconds.

/// The settings in force.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameters {
    /// The rule that opens the circuit.
    pub(crate) policy: TripPolicy,
    pub(crate) recovery: Recovery,
    /// The number of trial calls while half-open; at least 1.
    pub(crate) half_open_max_calls: u8,
    /// The number of trial calls that have to succeed; at least 1. With [`half_open_max_calls`](Self::half_open_max_calls) or more, all.
    pub(crate) half_open_successes: u8,
    /// The duration of the ramp-up after a recovery, in which only a share of the calls is admitted; 0 for none.
    pub(crate) ramp_up: u64,
    /// True if the breaker decides and counts but rejects no call.
    pub(crate) observe_only: bool,
    /// The age at which a call in flight counts as a failure; `None` if calls in flight are not tracked.
    pub(crate) hung_call: Option<u64>,
    /// The age at which a cancelled call counts as a failure; `None` if the default rule decides.
    pub(crate) cancelled_call: Option<u64>,
    /// True if calls in flight are tracked, or have been.
    pub(crate) tracks_calls: bool,
    /// True if the option `durations` is set.
    pub(crate) durations: bool,
}

/// The rule that opens a closed circuit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TripPolicy {
    /// A number of failures in a row; at least 1.
    Consecutive { threshold: u32 },
    /// The failure rate or slow-call rate in a sliding window.
    Rates(RatePolicy),
    /// Each of the two.
    Either { threshold: u32, rates: RatePolicy },
}

/// The thresholds of a rate-based breaker. Rates are shares between 0 and 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RatePolicy {
    pub(crate) window: WindowSize,
    pub(crate) failure_rate: f64,
    /// The number of calls that the window must hold before it is evaluated; at least 1.
    pub(crate) min_calls: u64,
    /// The minimum duration of a slow call; `None` if no call is slow.
    pub(crate) slow_call: Option<u64>,
    pub(crate) slow_call_rate: f64,
}

/// The kind and size of a sliding window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WindowSize {
    /// The last `n` calls.
    Calls(u32),
    /// The calls of the last `n` microseconds.
    Time(u64),
}

/// The recovery timeout: the duration of the open state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recovery {
    /// The timeout after no failed recovery.
    pub(crate) base: u64,
    /// The factor by which each failed recovery multiplies the timeout; at least 1.
    pub(crate) factor: f64,
    /// The maximum timeout, without jitter.
    pub(crate) max: u64,
    /// The largest share of the timeout that is added at random; 0 for none.
    pub(crate) jitter: f64,
    /// The seed of the jitter, which differs between processes.
    pub(crate) seed: u64,
}

impl TripPolicy {
    /// The number of failures in a row that opens the circuit; `None` without this rule.
    pub(crate) const fn threshold(&self) -> Option<u32> {
        match *self {
            Self::Consecutive { threshold } | Self::Either { threshold, .. } => Some(threshold),
            Self::Rates(_) => None,
        }
    }

    /// The rates that open the circuit; `None` without a window.
    pub(crate) const fn rates(&self) -> Option<&RatePolicy> {
        match self {
            Self::Rates(rates) | Self::Either { rates, .. } => Some(rates),
            Self::Consecutive { .. } => None,
        }
    }
}

impl Parameters {
    /// The minimum duration of a slow call; `None` if no call is slow.
    pub(crate) const fn slow_call(&self) -> Option<u64> {
        match self.policy.rates() {
            Some(RatePolicy { slow_call, .. }) => *slow_call,
            None => None,
        }
    }

    /// The number of successful trial calls that close the circuit.
    pub(crate) fn needed_successes(&self) -> u8 {
        self.half_open_successes.min(self.half_open_max_calls)
    }

    /// The largest number of failed trial calls with which the circuit can still close.
    pub(crate) fn tolerated_failures(&self) -> u8 {
        self.half_open_max_calls - self.needed_successes()
    }

    /// Returns true if the start of each call is stored.
    pub(crate) const fn is_timed(&self) -> bool {
        self.slow_call().is_some() || self.tracks_calls || self.cancelled_call.is_some() || self.durations
    }

    /// Returns true if the durations that are compared with limits need an exact clock, and not only a coarse one.
    const fn needs_exact_clock(&self) -> bool {
        const fn is_short(limit: Option<u64>) -> bool {
            matches!(limit, Some(..COARSE_LIMIT))
        }

        self.durations || is_short(self.slow_call()) || is_short(self.hung_call) || is_short(self.cancelled_call)
    }

    /// The open durations for the fast path of rejections: without a failed recovery, and after one or more. 0 if the duration varies, or
    /// if no call is rejected.
    pub(super) const fn fixed_open_micros(&self) -> [u64; 2] {
        let Recovery { base, max, jitter, .. } = self.recovery;
        if self.observe_only || jitter != 0.0 {
            return [0; 2];
        }
        [base, if max <= base { base } else { 0 }]
    }
}

/// Parameters encoded as words, so that they can be stored in atomic cells.
pub(super) type Encoded = [u64; 13];

/// The indices of the words that [`WindowSize::of_fast_call`] reads.
pub(super) const WINDOW_WORD: usize = 1;
pub(super) const SLOW_CALL_WORD: usize = 4;

/// The index of the word that [`Timing::decode`] reads.
pub(super) const TIMING_WORD: usize = 0;

/// A coarse clock serves for limits of at least this length, in microseconds: the lateness of its readings is a fraction of them.
const COARSE_LIMIT: u64 = 500_000;

/// The measurements of each call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timing {
    /// True if the start is read from the exact clock, false if from the coarse one.
    pub(crate) is_exact: bool,
    /// True if calls in flight are tracked.
    pub(crate) is_tracked: bool,
    /// True if durations are recorded.
    pub(crate) is_recorded: bool,
}

const EXACT: u64 = 1 << 41;
const TRACKED: u64 = 1 << 42;
const RECORDED: u64 = 1 << 43;
const DURATIONS: u64 = 1 << 44;
const SUCCESSES_SHIFT: u32 = 48;

impl Timing {
    #[inline]
    pub(super) const fn decode(word: u64) -> Self {
        Self { is_exact: word & EXACT != 0, is_tracked: word & TRACKED != 0, is_recorded: word & RECORDED != 0 }
    }
}

const CALLS: u64 = 1;
const TIME: u64 = 2;
const KIND_MASK: u64 = 3;
const TIMED: u64 = 4;
const SIZE_SHIFT: u32 = 3;
/// An optional duration that is absent.
const NONE: u64 = 0;

impl Parameters {
    pub(super) const fn encode(&self) -> Encoded {
        let is_tracked = self.hung_call.is_some();
        let is_recorded = self.durations || is_tracked || self.slow_call().is_some();
        let timing = if self.needs_exact_clock() { EXACT } else { 0 }
            | if is_tracked { TRACKED } else { 0 }
            | if is_recorded { RECORDED } else { 0 }
            | if self.durations { DURATIONS } else { 0 };
        let threshold = match self.policy.threshold() {
            Some(threshold) => threshold as u64,
            None => 0,
        };
        let trials = (self.half_open_max_calls as u64) << 32 | (self.half_open_successes as u64) << SUCCESSES_SHIFT;
        let small = threshold | trials | (self.observe_only as u64) << 40 | timing;
        let Recovery { base, factor, max, jitter, .. } = self.recovery;
        let (factor, jitter) = (factor.to_bits(), jitter.to_bits());
        let (hung_call, cancelled_call) = (or_none(self.hung_call), or_none(self.cancelled_call));
        let Some(&RatePolicy { window, failure_rate, min_calls, slow_call, slow_call_rate }) = self.policy.rates()
        else {
            return [small, 0, 0, 0, 0, 0, base, factor, max, jitter, self.ramp_up, hung_call, cancelled_call];
        };
        let (kind, size) = match window {
            WindowSize::Calls(calls) => (CALLS, calls as u64),
            // Capped at 70,000 years.
            WindowSize::Time(time) => {
                (TIME, if time >> (u64::BITS - SIZE_SHIFT) == 0 { time } else { u64::MAX >> SIZE_SHIFT })
            }
        };
        let (timed, slow_call) = match slow_call {
            Some(slow_call) => (TIMED, slow_call),
            None => (0, 0),
        };
        let (failure_rate, slow_call_rate) = (failure_rate.to_bits(), slow_call_rate.to_bits());
        let window = size << SIZE_SHIFT | timed | kind;
        let ramp_up = self.ramp_up;
        [
            small,
            window,
            failure_rate,
            min_calls,
            slow_call,
            slow_call_rate,
            base,
            factor,
            max,
            jitter,
            ramp_up,
            hung_call,
            cancelled_call,
        ]
    }

    /// Decodes parameters. `seed` is called only if there is jitter.
    #[allow(clippy::cast_possible_truncation, reason = "each was of that width before it was encoded")]
    pub(super) fn decode(words: Encoded, seed: impl FnOnce() -> u64) -> Self {
        let [
            small,
            window,
            failure_rate,
            min_calls,
            slow_call,
            slow_call_rate,
            base,
            factor,
            max,
            jitter,
            ramp_up,
            hung_call,
            cancelled_call,
        ] = words;
        let rates = WindowSize::decode(window).map(|size| RatePolicy {
            window: size,
            failure_rate: f64::from_bits(failure_rate),
            min_calls,
            slow_call: (window & TIMED != 0).then_some(slow_call),
            slow_call_rate: f64::from_bits(slow_call_rate),
        });
        let policy = match (small as u32, rates) {
            (threshold, None) => TripPolicy::Consecutive { threshold },
            (0, Some(rates)) => TripPolicy::Rates(rates),
            (threshold, Some(rates)) => TripPolicy::Either { threshold, rates },
        };
        let (factor, jitter) = (f64::from_bits(factor), f64::from_bits(jitter));
        let recovery = Recovery { base, factor, max, jitter, seed: if jitter == 0.0 { 0 } else { seed() } };
        Self {
            policy,
            recovery,
            half_open_max_calls: (small >> 32) as u8,
            half_open_successes: (small >> SUCCESSES_SHIFT) as u8,
            ramp_up,
            observe_only: small >> 40 & 1 != 0,
            hung_call: if hung_call == NONE { None } else { Some(hung_call) },
            cancelled_call: if cancelled_call == NONE { None } else { Some(cancelled_call) },
            tracks_calls: hung_call != NONE,
            durations: small & DURATIONS != 0,
        }
    }
}

const fn or_none(duration: Option<u64>) -> u64 {
    match duration {
        Some(duration) => duration,
        None => NONE,
    }
}

impl WindowSize {
    /// Decodes the size of the window for a call that is not slow: its success then needs no other parameter. `None` without a window, or if
    /// the call may be slow. `slow_call` returns the encoded limit.
    #[inline]
    pub(super) fn of_fast_call(word: u64, age: Option<u64>, slow_call: impl FnOnce() -> u64) -> Option<Self> {
        let is_fast = word & TIMED == 0 || age.is_some_and(|age| age < slow_call());
        if is_fast { Self::decode(word) } else { None }
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "it was of that width before it was encoded")]
    const fn decode(word: u64) -> Option<Self> {
        match word & KIND_MASK {
            CALLS => Some(Self::Calls((word >> SIZE_SHIFT) as u32)),
            TIME => Some(Self::Time(word >> SIZE_SHIFT)),
            _ => None,
        }
    }
}

impl Recovery {
    /// The open duration after `failed` failed recoveries in a row, without jitter.
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
        let duration = self.base as f64 * self.factor.powi(i32::from(failed));
        // The cast saturates.
        (duration as u64).clamp(self.base, self.max.max(self.base))
    }

    /// The open duration of a circuit that opened at `since`, with jitter. The jitter is a hash of `since` and the seed, so that it is the
    /// same each time that it is computed.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "saturates"
    )]
    pub(crate) fn open_duration_since(&self, failed: u8, since: u64) -> u64 {
        let duration = self.open_duration(failed);
        if self.jitter == 0.0 {
            return duration;
        }
        let share = (mix(self.seed ^ since) >> 11) as f64 / (1_u64 << 53) as f64;
        duration.saturating_add((duration as f64 * self.jitter * share) as u64)
    }
}

/// Mixes the bits of a number: the finalizer of `SplitMix64` (Steele, Lea, Flood: Fast splittable pseudorandom
/// number generators, 2014).
pub(super) const fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}
