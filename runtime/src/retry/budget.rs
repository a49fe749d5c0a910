use std::{
    fmt, ptr,
    sync::{
        Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use crate::{
    checked::{Checked, valid},
    clock::{self, Moment},
    totals::{Count, Totals},
};

/// How many retries there may be in all, as a share of the calls: shared by any number of functions.
///
/// A retry policy looks at one call. When a whole service is down, every call is retried, and three attempts each are three
/// times the load on what is down already. A budget looks at all calls together: with the default of 20 %, a thousand calls
/// bring at most 200 retries, and what is behind it sees at most a fifth more than its usual load, however many attempts each
/// policy allows. A reserve lets retries be made when there are only few calls.
///
/// ```
/// use std::io;
/// use steadfast::{RetryBudget, retry};
///
/// static BUDGET: RetryBudget = RetryBudget::new().ratio(0.1).reserve_per_second(5);
///
/// #[retry(max_attempts = 5, budget = BUDGET)]
/// fn search() -> io::Result<u32> {
///     Ok(42)
/// }
///
/// #[retry(budget = BUDGET)]
/// fn index() -> io::Result<()> {
///     Ok(())
/// }
/// # search()?;
/// # Ok::<(), io::Error>(())
/// ```
///
/// A retry that the budget denies is not made: the error of the last attempt comes back at once.
///
/// # How it counts
///
/// The idea and the defaults are those of the `RetryBudget` of Twitter's Finagle: each call deposits `ratio` of a retry, each
/// retry withdraws one, deposits expire after about ten seconds, and `reserve_per_second` is deposited by time alone. Here
/// they expire gradually, by a factor of e in ten seconds, and are reckoned when somebody wants to retry, taking the calls
/// since the last time as spread evenly. So a first attempt that succeeds reads no clock and takes no lock: it adds one to a
/// count that only its own thread writes. A budget takes 4 KiB at its first call.
pub struct RetryBudget {
    ratio: f64,
    reserve_per_second: u32,
    /// Calls are its successes, withdrawals its failures, denials its rejections.
    totals: Totals,
    /// A thousandth of a retry each.
    balance: AtomicU64,
    /// What the balance holds already. Whoever deposits has the lock.
    deposited: Mutex<Deposited>,
}

/// What was deposited until when.
#[derive(Debug)]
struct Deposited {
    /// Calls that were deposited for.
    calls: u64,
    /// `None` before the first time: the reserve has been growing for ever.
    at: Option<Moment>,
}

/// A budget that policies share: the same if it is the same place in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shared(pub(super) &'static RetryBudget);

impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self.0, other.0)
    }
}

/// How long deposits last, in microseconds.
const LIFETIME: u64 = 10_000_000;
/// What a retry takes.
const RETRY: u64 = 1_000;
/// How often a thread that finds nothing looks again while another deposits.
const MOST_LOOKS: u32 = 100;

const CALL: Count = Count::Success;
const WITHDRAWN: Count = Count::Failure;
const DENIED: Count = Count::Rejection;

impl RetryBudget {
    /// The defaults: a retry for every five calls, and ten a second besides, as in Finagle.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            ratio: 0.2,
            reserve_per_second: 10,
            totals: Totals::sharded(),
            balance: AtomicU64::new(0),
            deposited: Mutex::new(Deposited { calls: 0, at: None }),
        }
    }

    /// How many retries there may be for each call.
    ///
    /// # Panics
    ///
    /// If it is not in `0.0..=1.0`. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn ratio(mut self, ratio: f64) -> Self {
        self.ratio = valid!(check_ratio(ratio));
        self
    }

    /// How many retries there may be in each second however few calls there are. Ten seconds' worth are there to begin with.
    #[must_use]
    pub const fn reserve_per_second(mut self, retries: u32) -> Self {
        self.reserve_per_second = retries;
        self
    }

    /// How many retries could be made now. Looking changes nothing.
    #[must_use]
    pub fn balance(&self) -> u64 {
        let now = clock::now();
        let deposited = self.deposited();
        let growth = self.growth(&deposited, self.calls(), now);
        // ORDERING: Relaxed: a number to look at.
        growth.of(self.balance.load(Ordering::Relaxed)) / RETRY
    }

    /// How many retries were made.
    #[must_use]
    pub fn withdrawn(&self) -> u64 {
        self.totals.sums().get(WITHDRAWN)
    }

    /// How many retries were not made because there was nothing left.
    #[must_use]
    pub fn denied(&self) -> u64 {
        self.totals.sums().get(DENIED)
    }

    /// Forgets all calls and retries until now, so that there are as many retries as to begin with: ten seconds' worth of the reserve.
    ///
    /// What was [`withdrawn`](Self::withdrawn) and [`denied`](Self::denied) in all stays.
    ///
    /// ```
    /// use steadfast::RetryBudget;
    ///
    /// static BUDGET: RetryBudget = RetryBudget::new().reserve_per_second(5);
    /// BUDGET.reset();
    /// assert_eq!(BUDGET.balance(), 50);
    /// ```
    pub fn reset(&self) {
        let mut deposited = self.deposited();
        *deposited = Deposited { calls: self.calls(), at: None };
        // ORDERING: Relaxed: the balance stands for nothing but itself.
        self.balance.store(0, Ordering::Relaxed);
    }

    /// Counts a call.
    #[inline]
    pub(crate) fn count_call(&self) {
        self.totals.add(CALL);
    }

    /// Takes a retry out, if there is one.
    pub(crate) fn withdraw(&self, now: Moment) -> bool {
        let mut looks = 0;
        let taken = loop {
            let deposited = self.deposit(now);
            // ORDERING: Relaxed: the balance stands for nothing but itself.
            let taken =
                self.balance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |balance| balance.checked_sub(RETRY));
            looks += 1;
            if taken.is_ok() || deposited || looks == MOST_LOOKS {
                break taken.is_ok();
            }
            // Another thread is about to deposit. Where it was put off while it was at it, that takes a moment.
            thread::yield_now();
        };
        self.totals.add(if taken { WITHDRAWN } else { DENIED });
        taken
    }

    /// Lets what is there expire, and adds what has come since the last time; `false` if another thread is at it.
    fn deposit(&self, now: Moment) -> bool {
        let mut deposited = match self.deposited.try_lock() {
            Ok(deposited) => deposited,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        let calls = self.calls();
        let growth = self.growth(&deposited, calls, now);
        *deposited = Deposited { calls, at: Some(growth.until) };
        // ORDERING: Relaxed: withdrawals meanwhile are not lost, since the balance is read and replaced in one step.
        _ = self.balance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |balance| Some(growth.of(balance)));
        true
    }

    /// What becomes of the balance until now.
    fn growth(&self, deposited: &Deposited, calls: u64, now: Moment) -> Growth {
        // By another clock, it is the first time.
        let at = deposited.at.filter(|at| !clock::is_another(now.as_micros(), at.as_micros(), clock::now_micros));
        let passed = at.map_or(u64::MAX, |at| now.as_micros().saturating_sub(at.as_micros()));
        let (kept, mean) = expiry(passed);
        let new_calls = calls.saturating_sub(deposited.calls);
        let of_calls = thousandths(new_calls) * 1_000.0 * self.ratio * if at.is_none() { 1.0 } else { mean };
        // Deposited evenly and expiring evenly, the reserve tends to what comes in a lifetime.
        let of_reserve = f64::from(self.reserve_per_second) * 1_000.0 * (thousandths(LIFETIME) / 1e6) * (1.0 - kept);
        Growth { kept, income: of_calls + of_reserve, until: at.map_or(now, |at| at.max(now)) }
    }

    fn deposited(&self) -> MutexGuard<'_, Deposited> {
        self.deposited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn calls(&self) -> u64 {
        self.totals.sums().get(CALL)
    }
}

/// What becomes of a balance with time.
#[derive(Clone, Copy)]
struct Growth {
    /// The share of it that has not expired.
    kept: f64,
    /// What has come in and not expired, in thousandths of a retry.
    income: f64,
    until: Moment,
}

impl Growth {
    fn of(self, balance: u64) -> u64 {
        rounded(thousandths(balance) * self.kept + self.income)
    }
}

const fn check_ratio(ratio: f64) -> Checked<f64> {
    if ratio >= 0.0 && ratio <= 1.0 {
        Ok(ratio)
    } else {
        Err("`ratio` must be in 0.0..=1.0; 0.2 is a retry for every five calls")
    }
}

/// What is left of what was there, and on average of what came evenly since, after so many microseconds.
#[allow(clippy::cast_precision_loss, reason = "a share")]
fn expiry(passed: u64) -> (f64, f64) {
    let lifetimes = passed as f64 / LIFETIME as f64;
    let kept = (-lifetimes).exp();
    // The mean of e^-t for t from 0 to `lifetimes`, which tends to 1 at 0.
    (kept, if lifetimes > 1e-9 { (1.0 - kept) / lifetimes } else { 1.0 })
}

#[allow(clippy::cast_precision_loss, reason = "counts below 2⁵³")]
const fn thousandths(number: u64) -> f64 {
    number as f64
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
const fn rounded(number: f64) -> u64 {
    number.round() as u64
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryBudget")
            .field("ratio", &self.ratio)
            .field("reserve_per_second", &self.reserve_per_second)
            .field("balance", &self.balance())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_is_late_is_no_other_clock() {
        let budget = RetryBudget::new().ratio(0.0).reserve_per_second(1);
        let now = clock::now();
        for _ in 0..10 {
            assert!(budget.withdraw(now));
        }
        // It was stopped for an hour after it had read the clock.
        let late = Moment::from_micros(now.as_micros() - 3_600_000_000);
        assert!(!budget.withdraw(late));
        assert!(!budget.withdraw(now));
    }
}
