mod account;

use std::{
    fmt, ptr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use self::account::{Account, Income, PERIOD};
use crate::{
    checked::{Checked, valid},
    clock::{self, Moment},
    totals::{Count, Totals},
};

/// A limit on the retries of any number of functions, as a share of their calls.
///
/// A retry policy looks at one call. When a whole service is down, every call is retried, and three attempts each are three
/// times the load on a service that is down already. A budget looks at all calls together. With the default of 20 %, a thousand calls
/// allow 200 retries, however many attempts each policy allows. A reserve allows some more by time alone, so that a service with few
/// calls has retries too.
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
/// # Limits
///
/// Each call deposits `ratio` of a retry, and each retry withdraws one. Deposits that nobody withdraws expire after ten seconds. The
/// reserve gains `reserve_per_second` and holds at most ten seconds of it, which it does at first. So with calls at a steady rate,
/// however long nothing had to be retried before, retries within `t` seconds are at most
/// `(ratio * calls per second + reserve_per_second) * (t + 10)`, and without a reserve retries are never more than `ratio` of all calls.
/// A retry that is withdrawn and then not made, because the call is cancelled or stopped before, is put back.
///
/// The idea and the defaults are those of the `RetryBudget` of Twitter's Finagle. Here the arithmetic is exact: the budget grants
/// the same however often it is asked, and deposits that are too small to make a retry before they expire add up all the same.
///
/// # Cost
///
/// A call adds one to a count that only its own thread writes. One call in 64 reads the clock as well, so that deposits expire although
/// nothing is retried; between two such calls, calls count as spread evenly over the time. So up to 63 calls of each thread may expire
/// early or late. A budget takes 4 KiB at its first call.
pub struct RetryBudget {
    ratio: f64,
    reserve_per_second: u32,
    /// Calls are its successes, withdrawals its failures, denials its rejections, what was put back its neutral calls.
    totals: Totals,
    account: Mutex<Account>,
    /// When the period that the account has reached ends.
    period_end: AtomicU64,
    /// The moment of the last call that looked whether to credit, in microseconds: most calls until now were made by then.
    seen: AtomicU64,
}

/// A budget that policies share: the same if it is the same place in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shared(pub(super) &'static RetryBudget);

impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self.0, other.0)
    }
}

/// One in so many calls of a thread credits the account.
const STRIDE: u64 = 64;

const CALL: Count = Count::Success;
const WITHDRAWN: Count = Count::Failure;
const PUT_BACK: Count = Count::Neutral;
const DENIED: Count = Count::Rejection;

impl RetryBudget {
    /// The defaults: a retry for every five calls, and ten a second besides, as in Finagle.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            ratio: 0.2,
            reserve_per_second: 10,
            totals: Totals::sharded(),
            account: Mutex::new(Account::new()),
            period_end: AtomicU64::new(0),
            seen: AtomicU64::new(0),
        }
    }

    /// The retries that each call deposits. A part of 10⁻¹² is the smallest.
    ///
    /// # Panics
    ///
    /// If it is not in `0.0..=1.0`. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn ratio(mut self, ratio: f64) -> Self {
        self.ratio = valid!(check_ratio(ratio));
        self
    }

    /// The retries that each second allows however few calls there are. Ten seconds' worth are there to begin with, and never more.
    #[must_use]
    pub const fn reserve_per_second(mut self, retries: u32) -> Self {
        self.reserve_per_second = retries;
        self
    }

    /// The number of retries that could be made now. Looking changes nothing.
    #[must_use]
    pub fn balance(&self) -> u64 {
        let (calls, now) = (self.calls(), clock::now());
        let mut account = *self.account();
        self.credit(&mut account, calls, now);
        account.balance()
    }

    /// The number of retries that were made or are waited for.
    #[must_use]
    pub fn withdrawn(&self) -> u64 {
        let sums = self.totals.sums();
        sums.get(WITHDRAWN).saturating_sub(sums.get(PUT_BACK))
    }

    /// The number of retries that were not made because the balance was spent.
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
        let now = clock::now();
        let mut account = self.account();
        *account = Account::started(self.income(), self.calls(), now);
        self.publish(&account);
    }

    /// Counts a call.
    #[inline]
    pub(crate) fn count_call(&self) {
        if self.totals.add(CALL).is_multiple_of(STRIDE) {
            self.keep_up();
        }
    }

    /// Takes a retry out, if there is one.
    pub(crate) fn withdraw(&self, now: Moment) -> bool {
        let calls = self.calls();
        let taken = {
            let mut account = self.account();
            self.credit(&mut account, calls, now);
            self.publish(&account);
            account.withdraw()
        };
        self.totals.add(if taken { WITHDRAWN } else { DENIED });
        taken
    }

    /// Puts a retry back that was taken out and not made.
    pub(crate) fn put_back(&self) {
        // No reading of the clock: this runs where a call is dropped, which may be outside of the runtime whose clock it went by.
        self.account().put_back();
        self.totals.add(PUT_BACK);
    }

    /// Credits the calls until now if a period has ended, unless another thread is about to credit them.
    #[cold]
    fn keep_up(&self) {
        let now = clock::now();
        // ORDERING: Relaxed: a hint. A thread that misses a later end credits once more, which changes nothing.
        if now.as_micros() >= self.period_end.load(Ordering::Relaxed) {
            let calls = self.calls();
            if let Ok(mut account) = self.account.try_lock() {
                self.credit(&mut account, calls, now);
                self.publish(&account);
            }
        }
        // Last, since the calls until the last look are credited apart from those since.
        // ORDERING: Relaxed: a moment that stands alone. One that is missed lets calls count as made a little later.
        self.seen.store(now.as_micros(), Ordering::Relaxed);
    }

    /// Credits an account. By another clock than before, it begins anew.
    fn credit(&self, account: &mut Account, calls: u64, now: Moment) {
        let income = self.income();
        if account.at().is_some_and(|at| clock::is_different_clock(now.as_micros(), at.as_micros(), clock::now_micros))
        {
            *account = Account::started(income, account.calls(), now);
        }
        // Calls before a pause do not count as spread over the pause.
        // ORDERING: Relaxed, as in `keep_up`.
        let seen = Moment::from_micros(self.seen.load(Ordering::Relaxed));
        if account.at().is_some_and(|at| at < seen) && seen < now {
            account.credit(income, calls, seen);
        }
        account.credit(income, calls, now);
    }

    fn publish(&self, account: &Account) {
        let end = account.at().map_or(0, |at| (at.as_micros() / PERIOD + 1).saturating_mul(PERIOD));
        // ORDERING: Relaxed: a hint, see `keep_up`.
        self.period_end.store(end, Ordering::Relaxed);
    }

    const fn income(&self) -> Income {
        Income::new(self.ratio, self.reserve_per_second)
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn calls(&self) -> u64 {
        self.totals.sums().get(CALL)
    }
}

const fn check_ratio(ratio: f64) -> Checked<f64> {
    if ratio >= 0.0 && ratio <= 1.0 {
        Ok(ratio)
    } else {
        Err("`ratio` must be in 0.0..=1.0; 0.2 is a retry for every five calls")
    }
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
mod tests;
