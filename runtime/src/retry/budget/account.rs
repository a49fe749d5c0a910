//! The balance of a retry budget: integer arithmetic without a clock, a thread or a rounding that adds up.
//!
//! Deposits are whole parts of a retry, and [`Account::credit`] moves the time that it has reached by exactly what it has credited.
//! So the balance does not depend on how often somebody asks for it.
//!
//! **Invariant:** all that was ever withdrawn is at most the deposits of all calls, plus what the reserve has gained. What can be
//! withdrawn at one moment is at most the deposits of the last [`LIFETIME`], plus the reserve of one lifetime, plus one retry.

use crate::clock::Moment;

/// How long a deposit lasts, in microseconds. It expires up to a period early.
pub(super) const LIFETIME: u64 = 10_000_000;

/// Deposits of one period expire together.
const PERIODS: usize = 40;
pub(super) const PERIOD: u64 = LIFETIME / PERIODS as u64;

/// The parts of a retry.
const RETRY: u128 = 1_000_000_000_000;

/// The parts that one retry per second gains in a microsecond.
const PER_MICROSECOND: u128 = RETRY / 1_000_000;

/// The income of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Income {
    /// Parts of a retry that a call deposits.
    per_call: u64,
    /// Retries that a second adds to the reserve.
    per_second: u32,
}

impl Income {
    pub(super) const fn new(ratio: f64, per_second: u32) -> Self {
        #[allow(clippy::cast_precision_loss, reason = "a power of ten that a float holds exactly")]
        let parts = ratio * RETRY as f64;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in 0..=10^12")]
        let whole = parts as u64;
        // Rounded up, so that three thirds are one.
        #[allow(clippy::cast_precision_loss, reason = "below 2^53")]
        let per_call = if (whole as f64) < parts { whole + 1 } else { whole };
        Self { per_call, per_second }
    }

    fn of_calls(self, calls: u64) -> u128 {
        u128::from(calls) * u128::from(self.per_call)
    }

    /// The reserve of so many microseconds.
    fn of_time(self, micros: u64) -> u128 {
        u128::from(self.per_second) * u128::from(micros) * PER_MICROSECOND
    }
}

/// The deposits that have not expired, and the reserve.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    /// The calls that were credited.
    calls: u64,
    /// Until when all is credited; `None` before the first time.
    at: Option<Moment>,
    reserve: u128,
    /// The deposits of the last periods. A period has the slot of its number modulo their count.
    deposits: [u128; PERIODS],
    /// Less than a retry, of deposits that have expired. Without it, deposits that are rare or small would never make a whole retry.
    fraction: u128,
}

impl Account {
    /// An account that is credited from the first time on.
    pub(super) const fn new() -> Self {
        Self { calls: 0, at: None, reserve: 0, deposits: [0; PERIODS], fraction: 0 }
    }

    /// An account with a full reserve and no deposits, these calls being credited.
    pub(super) fn started(income: Income, calls: u64, now: Moment) -> Self {
        Self { calls, at: Some(now), reserve: income.of_time(LIFETIME), ..Self::new() }
    }

    /// Until when all is credited.
    pub(super) const fn at(&self) -> Option<Moment> {
        self.at
    }

    /// The calls that were credited.
    pub(super) const fn calls(&self) -> u64 {
        self.calls
    }

    /// Credits what has come in since the last time, where there were so many calls in all. New calls count as spread evenly.
    pub(super) fn credit(&mut self, income: Income, calls: u64, now: Moment) {
        let at = match self.at {
            Some(at) => at,
            None => {
                *self = Self::started(income, self.calls, now);
                now
            }
        };
        // A thread may be late with what it has read.
        let (at, now) = (at.as_micros(), now.max(at).as_micros());
        let deposit = income.of_calls(calls.saturating_sub(self.calls));
        self.calls = self.calls.max(calls);
        self.at = Some(Moment::from_micros(now));
        let passed = (now - at).min(LIFETIME);
        self.reserve = (self.reserve + income.of_time(passed)).min(income.of_time(LIFETIME));
        self.expire(at, now);
        self.deposit(deposit, at, now);
    }

    /// The whole retries that can be withdrawn.
    pub(super) fn balance(&self) -> u64 {
        u64::try_from(self.parts() / RETRY).unwrap_or(u64::MAX)
    }

    /// Takes a retry out, if there is one: the oldest deposits first, the reserve last.
    pub(super) fn withdraw(&mut self) -> bool {
        if self.parts() < RETRY {
            return false;
        }
        let oldest = self.at.map_or(0, |at| slot(period(at.as_micros())) + 1);
        let (newer, older) = self.deposits.split_at_mut(oldest);
        let mut due = RETRY;
        for part in [&mut self.fraction].into_iter().chain(older).chain(newer).chain([&mut self.reserve]) {
            let taken = due.min(*part);
            *part -= taken;
            due -= taken;
        }
        true
    }

    /// Puts a retry back that was not made, as a deposit of the moment that is credited last.
    pub(super) fn put_back(&mut self) {
        let now = self.at.map_or(0, Moment::as_micros);
        self.deposits[slot(period(now))] += RETRY;
    }

    fn parts(&self) -> u128 {
        self.deposits.iter().sum::<u128>() + self.fraction + self.reserve
    }

    /// Empties the slots of the periods that have begun since.
    fn expire(&mut self, at: u64, now: u64) {
        let (first, last) = (period(at), period(now));
        for begun in (first + 1).max(oldest(last))..=last {
            let expired = std::mem::take(&mut self.deposits[slot(begun)]);
            self.forget(expired);
        }
    }

    /// Deposits an amount that came in evenly between two moments.
    fn deposit(&mut self, amount: u128, at: u64, now: u64) {
        if amount == 0 || at == now {
            self.deposits[slot(period(now))] += amount;
            return;
        }
        // Each share ends where the next begins, so that they add up to the amount.
        let until = |moment: u64| share(amount, moment.clamp(at, now) - at, now - at);
        let last = period(now);
        let first = period(at).max(oldest(last));
        self.forget(until(first * PERIOD));
        for period in first..=last {
            let end = (period + 1).saturating_mul(PERIOD);
            self.deposits[slot(period)] += until(end) - until(period * PERIOD);
        }
    }

    /// Lets an amount expire: all but the fraction of a retry.
    fn forget(&mut self, amount: u128) {
        self.fraction = (self.fraction + amount) % RETRY;
    }
}

const fn period(micros: u64) -> u64 {
    micros / PERIOD
}

/// The oldest period whose deposits last in this one.
const fn oldest(last: u64) -> u64 {
    last.saturating_sub(PERIODS as u64 - 1)
}

#[allow(clippy::cast_possible_truncation, reason = "less than the number of slots")]
const fn slot(period: u64) -> usize {
    (period % PERIODS as u64) as usize
}

/// `amount * part / whole`, rounded down, for `part <= whole`. No step overflows: a remainder is less than 2^64.
fn share(amount: u128, part: u64, whole: u64) -> u128 {
    let (part, whole) = (u128::from(part), u128::from(whole));
    amount / whole * part + amount % whole * part / whole
}

#[cfg(test)]
mod tests;
