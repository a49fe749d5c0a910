//! The balance of a retry budget: integer arithmetic without clocks, threads and accumulating rounding errors.
//!
//! Deposits are integer multiples of 10⁻¹² retries, and [`Account::credit`] advances `credited_to` by exactly the time that it has
//! credited. So the balance does not depend on how often it is computed.
//!
//! **Invariant:** the total of all withdrawals is at most the deposits of all calls plus the gains of the reserve. The balance is at most
//! the deposits of the last [`LIFETIME`], plus one lifetime of the reserve, plus one retry.

use crate::clock::Moment;

/// The time in microseconds after which a deposit expires. It may expire up to one period early.
pub(super) const LIFETIME: u64 = 10_000_000;

/// The number of periods in a lifetime. The deposits of one period expire together.
const PERIODS: usize = 40;

/// The length of a period in microseconds.
pub(super) const PERIOD: u64 = LIFETIME / PERIODS as u64;

/// The number of parts in one retry. All amounts are in parts.
const PARTS_PER_RETRY: u128 = 1_000_000_000_000;

/// The parts that a reserve of one retry per second gains in a microsecond.
const PER_MICROSECOND: u128 = PARTS_PER_RETRY / 1_000_000;

/// The rates at which an account gains: from calls, and over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Income {
    /// The parts that a call deposits.
    per_call: u64,
    /// The retries that the reserve gains per second.
    per_second: u32,
}

impl Income {
    pub(super) const fn new(ratio: f64, per_second: u32) -> Self {
        #[allow(clippy::cast_precision_loss, reason = "10^12 is exact as an `f64`")]
        let parts = ratio * PARTS_PER_RETRY as f64;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in 0..=10^12")]
        let whole = parts as u64;
        // Rounded up, so that three calls at a ratio of 1/3 earn a retry.
        #[allow(clippy::cast_precision_loss, reason = "below 2^53")]
        let per_call = if (whole as f64) < parts { whole + 1 } else { whole };
        Self { per_call, per_second }
    }

    fn of_calls(self, calls: u64) -> u128 {
        u128::from(calls) * u128::from(self.per_call)
    }

    /// The gain of the reserve in this many microseconds.
    fn of_time(self, micros: u64) -> u128 {
        u128::from(self.per_second) * u128::from(micros) * PER_MICROSECOND
    }
}

/// The balance: the deposits that have not expired, and the reserve.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    /// The number of calls credited so far.
    calls: u64,
    /// The time up to which calls and reserve are credited; `None` before the first credit.
    credited_to: Option<Moment>,
    reserve: u128,
    /// The deposits of the last periods, as a ring: period `n` has slot `n % PERIODS`.
    deposits: [u128; PERIODS],
    /// Less than one retry, left over from expired deposits. Without it, rare or small deposits would never add up to a retry.
    fraction: u128,
}

impl Account {
    /// Creates an account that starts at its first credit.
    pub(super) const fn new() -> Self {
        Self { calls: 0, credited_to: None, reserve: 0, deposits: [0; PERIODS], fraction: 0 }
    }

    /// Creates an account with a full reserve and no deposits, in which `calls` count as credited.
    pub(super) fn started(income: Income, calls: u64, now: Moment) -> Self {
        Self { calls, credited_to: Some(now), reserve: income.of_time(LIFETIME), ..Self::new() }
    }

    /// The time up to which the account is credited; `None` before the first credit.
    pub(super) const fn credited_to(&self) -> Option<Moment> {
        self.credited_to
    }

    /// The number of calls credited so far.
    pub(super) const fn calls(&self) -> u64 {
        self.calls
    }

    /// Credits the calls and the time since the last credit. `calls` is the total number of calls so far; those since the last credit count
    /// as evenly spread over the time since then.
    pub(super) fn credit(&mut self, income: Income, calls: u64, now: Moment) {
        let start = match self.credited_to {
            Some(credited_to) => credited_to,
            None => {
                *self = Self::started(income, self.calls, now);
                now
            }
        };
        // `now` may be earlier than the last credit, if another thread has read the clock later and credited first.
        let (start, now) = (start.as_micros(), now.max(start).as_micros());
        let deposit = income.of_calls(calls.saturating_sub(self.calls));
        self.calls = self.calls.max(calls);
        self.credited_to = Some(Moment::from_micros(now));
        let passed = (now - start).min(LIFETIME);
        self.reserve = (self.reserve + income.of_time(passed)).min(income.of_time(LIFETIME));
        self.expire(start, now);
        self.deposit(deposit, start, now);
    }

    /// Returns the number of whole retries that can be withdrawn.
    pub(super) fn balance(&self) -> u64 {
        u64::try_from(self.parts() / PARTS_PER_RETRY).unwrap_or(u64::MAX)
    }

    /// Returns the number of retries that can be withdrawn, with the part of the next one.
    #[allow(clippy::cast_precision_loss, reason = "a parts-per-trillion error of a balance that is shown")]
    pub(super) fn exact_balance(&self) -> f64 {
        self.parts() as f64 / PARTS_PER_RETRY as f64
    }

    /// Withdraws a retry, from the oldest deposits first and from the reserve last. Returns false if the balance is too low.
    pub(super) fn withdraw(&mut self) -> bool {
        if self.parts() < PARTS_PER_RETRY {
            return false;
        }
        let oldest = self.credited_to.map_or(0, |moment| slot(period(moment.as_micros())) + 1);
        let (newer, older) = self.deposits.split_at_mut(oldest);
        let mut due = PARTS_PER_RETRY;
        for part in [&mut self.fraction].into_iter().chain(older).chain(newer).chain([&mut self.reserve]) {
            let taken = due.min(*part);
            *part -= taken;
            due -= taken;
        }
        true
    }

    /// Refunds a retry that was not made, as a deposit at the time of the last credit.
    pub(super) fn refund(&mut self) {
        let now = self.credited_to.map_or(0, Moment::as_micros);
        self.deposits[slot(period(now))] += PARTS_PER_RETRY;
    }

    fn parts(&self) -> u128 {
        self.deposits.iter().sum::<u128>() + self.fraction + self.reserve
    }

    /// Empties the slots of the periods that have begun between two moments.
    fn expire(&mut self, start: u64, now: u64) {
        let (first, last) = (period(start), period(now));
        for begun in (first + 1).max(oldest(last))..=last {
            let expired = std::mem::take(&mut self.deposits[slot(begun)]);
            self.keep_fraction(expired);
        }
    }

    /// Deposits an amount that is evenly spread between two moments.
    fn deposit(&mut self, amount: u128, start: u64, now: u64) {
        if amount == 0 || start == now {
            self.deposits[slot(period(now))] += amount;
            return;
        }
        // Each share ends where the next begins, so that they add up to the amount.
        let until = |moment: u64| share(amount, moment.clamp(start, now) - start, now - start);
        let last = period(now);
        let first = period(start).max(oldest(last));
        self.keep_fraction(until(first * PERIOD));
        for period in first..=last {
            let end = (period + 1).saturating_mul(PERIOD);
            self.deposits[slot(period)] += until(end) - until(period * PERIOD);
        }
    }

    /// Adds an expired amount to the fraction, and discards the whole retries.
    fn keep_fraction(&mut self, amount: u128) {
        self.fraction = (self.fraction + amount) % PARTS_PER_RETRY;
    }
}

const fn period(micros: u64) -> u64 {
    micros / PERIOD
}

/// Returns the oldest period whose deposits have not expired in period `last`.
const fn oldest(last: u64) -> u64 {
    last.saturating_sub(PERIODS as u64 - 1)
}

#[allow(clippy::cast_possible_truncation, reason = "less than the number of slots")]
const fn slot(period: u64) -> usize {
    (period % PERIODS as u64) as usize
}

/// Returns `amount * part / whole`, rounded down, for `part <= whole`. No step overflows, since a remainder is less than 2^64.
fn share(amount: u128, part: u64, whole: u64) -> u128 {
    let (part, whole) = (u128::from(part), u128::from(whole));
    amount / whole * part + amount % whole * part / whole
}

#[cfg(test)]
mod tests;
