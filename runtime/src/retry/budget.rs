mod account;
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
pub(super) mod metrics;
mod snapshot;

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use self::account::{Account, Income, PERIOD};
pub use self::snapshot::BudgetSnapshot;
use crate::{
    checked::{Checked, InvalidSetting, valid},
    clock::{self, Moment},
    totals::{Count, Totals},
};

/// A limit on the retries of any number of functions, as a share of their calls.
///
/// A retry policy limits the attempts of one call. If a whole service is down, every call is retried, and three attempts per call triple
/// the load on the failing service. A budget limits the retries of all calls together: with the default of 20 %, 1,000 calls earn 200
/// retries, however many attempts each policy allows. A reserve adds retries over time, for services with few calls.
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
/// If the budget is exhausted, the error of the last attempt is returned at once.
///
/// # Limits
///
/// Each call deposits `ratio` of a retry, and each retry withdraws one. Deposits that are not withdrawn expire after ten seconds. The
/// reserve gains `reserve_per_second` and accumulates to at most ten seconds' worth, which is also its initial balance. So if calls have a
/// steady rate, the retries within any `t` seconds are at most `(ratio * calls per second + reserve_per_second) * (t + 10)`, even after a
/// long time without retries. Without a reserve, retries never exceed `ratio` of all calls. A retry
/// that is withdrawn and not made, because the call is cancelled or stopped before it, is refunded. With
/// [`min_concurrency`](Self::min_concurrency), retries beyond these limits are made while fewer than that number are in flight.
///
/// The idea and the defaults are those of `RetryBudget` in Twitter's Finagle. Here the arithmetic is exact: the budget grants the same
/// number of retries however often its balance is computed, and deposits that expire before they amount to a retry still add up to one.
///
/// # Cost
///
/// A call increments a counter that only its own thread writes. One in 64 calls of a thread also reads the clock, so that deposits expire
/// even if there are no retries. The calls between two such readings count as evenly spread over the time between them, so up to 63 calls
/// of each thread may expire early or late. A budget allocates 4 KiB at its first call.
pub struct RetryBudget {
    name: Option<&'static str>,
    ratio: f64,
    reserve_per_second: u32,
    /// The number of retries in flight up to which an exhausted balance denies none.
    min_concurrency: u32,
    /// The number of retries that are scheduled or being made; counted only if there is a `min_concurrency`.
    in_flight: AtomicU32,
    /// The counts of [`CALL`], [`WITHDRAWN`], [`REFUNDED`] and [`DENIED`].
    totals: Totals,
    account: Mutex<Account>,
    /// The end of the period up to which the account is credited, in microseconds.
    period_end: AtomicU64,
    /// The time of the last check whether to credit the account, in microseconds. Most of the calls so far were made before it.
    last_check: AtomicU64,
}

/// One in `STRIDE` calls of a thread checks whether to credit the account.
const STRIDE: u64 = 64;

/// The reason for which a budget grants a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    /// The retry was withdrawn from the balance.
    Balance,
    /// Few retries are in flight.
    Concurrency,
}

const CALL: Count = Count::Success;
const WITHDRAWN: Count = Count::Failure;
const REFUNDED: Count = Count::Ignored;
const DENIED: Count = Count::Rejection;

impl RetryBudget {
    /// Creates a budget with the defaults of Finagle: one retry for every five calls, and a reserve of ten retries per second.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            name: None,
            ratio: 0.2,
            reserve_per_second: 10,
            min_concurrency: 0,
            in_flight: AtomicU32::new(0),
            totals: Totals::sharded(),
            account: Mutex::new(Account::new()),
            period_end: AtomicU64::new(0),
            last_check: AtomicU64::new(0),
        }
    }

    /// Sets the name under which [`retry_budgets`](crate::retry_budgets), the metrics and the dashboard list the budget. A budget without a
    /// name is not listed.
    ///
    /// ```
    /// use steadfast::RetryBudget;
    ///
    /// static BUDGET: RetryBudget = RetryBudget::new().name("checkout");
    /// assert_eq!(BUDGET.get_name(), Some("checkout"));
    /// ```
    #[must_use]
    pub const fn name(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// Sets the fraction of a retry that each call deposits, in steps of 10⁻¹².
    ///
    /// # Panics
    ///
    /// If `ratio` is not in `0.0..=1.0`. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn ratio(mut self, ratio: f64) -> Self {
        self.ratio = valid!(check_ratio(ratio));
        self
    }

    /// Like [`ratio`](Self::ratio), for a number from outside of the program.
    ///
    /// # Errors
    ///
    /// If `ratio` is not in `0.0..=1.0`.
    pub fn try_ratio(mut self, ratio: f64) -> Result<Self, InvalidSetting> {
        self.ratio = check_ratio(ratio)?;
        Ok(self)
    }

    /// Sets the number of retries that the reserve gains per second, regardless of calls. The reserve starts with ten seconds' worth, which
    /// is also its maximum.
    #[must_use]
    pub const fn reserve_per_second(mut self, retries: u32) -> Self {
        self.reserve_per_second = retries;
        self
    }

    /// Sets a number of retries that may be in flight at the same time even if the balance is exhausted; by default 0.
    ///
    /// A service with few calls earns few retries. With a minimum, each call of such a service can be retried, and under load the share of
    /// [`ratio`](Self::ratio) applies. A retry is in flight from the moment at which it is scheduled, before its delay, to the end of its
    /// attempt; those that the balance pays for are included. This is `min_retry_concurrency` of the retry budgets of Envoy, where it is 3.
    ///
    /// ```
    /// use steadfast::RetryBudget;
    ///
    /// // One retry in flight for each 5 calls, or 3, whichever is more.
    /// static BUDGET: RetryBudget = RetryBudget::new().ratio(0.2).reserve_per_second(0).min_concurrency(3);
    /// ```
    #[must_use]
    pub const fn min_concurrency(mut self, retries: u32) -> Self {
        self.min_concurrency = retries;
        self
    }

    /// Returns the name; `None` if it is not set.
    #[must_use]
    pub const fn get_name(&self) -> Option<&'static str> {
        self.name
    }

    /// Returns the fraction of a retry that each call deposits.
    #[must_use]
    pub const fn get_ratio(&self) -> f64 {
        self.ratio
    }

    /// Returns the number of retries that the reserve gains per second.
    #[must_use]
    pub const fn get_reserve_per_second(&self) -> u32 {
        self.reserve_per_second
    }

    /// Returns the number of retries that may be in flight even if the balance is exhausted.
    #[must_use]
    pub const fn get_min_concurrency(&self) -> u32 {
        self.min_concurrency
    }

    /// Returns the number of retries that could be withdrawn now, without changing the budget. Retries by
    /// [`min_concurrency`](Self::min_concurrency) are not included.
    #[must_use]
    pub fn balance(&self) -> u64 {
        self.credited().balance()
    }

    /// Returns the number of retries that have been made or scheduled, those by [`min_concurrency`](Self::min_concurrency) included.
    #[must_use]
    pub fn withdrawn(&self) -> u64 {
        let sums = self.totals.sums();
        sums.get(WITHDRAWN).saturating_sub(sums.get(REFUNDED))
    }

    /// Returns the number of retries that were denied because the budget was exhausted.
    #[must_use]
    pub fn denied(&self) -> u64 {
        self.totals.sums().get(DENIED)
    }

    /// Resets the balance to its initial value, ten seconds' worth of the reserve.
    ///
    /// The counts [`withdrawn`](Self::withdrawn) and [`denied`](Self::denied) are not reset.
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

    /// Returns the counts and the balance; `None` if the budget has no name.
    pub(super) fn snapshot(&self) -> Option<BudgetSnapshot> {
        let sums = self.totals.sums();
        Some(BudgetSnapshot {
            name: self.name?,
            ratio: self.ratio,
            reserve_per_second: self.reserve_per_second,
            calls: sums.get(CALL),
            withdrawn: sums.get(WITHDRAWN),
            refunded: sums.get(REFUNDED),
            denied: sums.get(DENIED),
            balance: self.credited().exact_balance(),
        })
    }

    /// Returns a copy of the account, credited up to now.
    fn credited(&self) -> Account {
        let (calls, now) = (self.calls(), clock::now());
        let mut account = *self.account();
        self.credit(&mut account, calls, now);
        account
    }

    /// Counts a call.
    #[inline]
    pub(crate) fn count_call(&self) {
        if self.totals.add(CALL).is_multiple_of(STRIDE) {
            self.credit_if_due();
        }
    }

    /// Grants a retry; returns `None` if the budget is exhausted.
    pub(crate) fn withdraw(&self, now: Moment) -> Option<Grant> {
        let calls = self.calls();
        let is_withdrawn = {
            let mut account = self.account();
            self.credit(&mut account, calls, now);
            self.publish(&account);
            account.withdraw()
        };
        let grant = if is_withdrawn {
            self.take_off(u32::MAX);
            Some(Grant::Balance)
        } else {
            self.take_off(self.min_concurrency).then_some(Grant::Concurrency)
        };
        self.totals.add(if grant.is_some() { WITHDRAWN } else { DENIED });
        grant
    }

    /// Refunds a retry that was granted and not made.
    pub(crate) fn refund(&self, grant: Grant) {
        if grant == Grant::Balance {
            // Does not read the clock: a call may be dropped outside the runtime whose clock it used.
            self.account().refund();
        }
        self.land();
        self.totals.add(REFUNDED);
    }

    /// Counts a retry in flight, if fewer than `limit` are. Returns false if it does not count retries in flight.
    fn take_off(&self, limit: u32) -> bool {
        let next = |in_flight: u32| (in_flight < limit).then_some(in_flight.saturating_add(1));
        // ORDERING: Relaxed: only the number matters.
        self.min_concurrency > 0 && self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }

    /// Ends a retry that was granted: it is no longer in flight.
    pub(crate) fn land(&self) {
        if self.min_concurrency > 0 {
            // ORDERING: Relaxed: only the number matters.
            self.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Credits all calls so far if a period has ended, unless another thread holds the lock.
    #[cold]
    fn credit_if_due(&self) {
        let now = clock::now();
        // ORDERING: Relaxed: a hint. A thread that reads an outdated end credits once more, which has no effect.
        if now.as_micros() >= self.period_end.load(Ordering::Relaxed) {
            let calls = self.calls();
            if let Ok(mut account) = self.account.try_lock() {
                self.credit(&mut account, calls, now);
                self.publish(&account);
            }
        }
        // Stored last: `credit` credits the calls up to the previous check separately from those since.
        // ORDERING: Relaxed: the time implies nothing about other memory. If it is outdated, calls count as made a little later.
        self.last_check.store(now.as_micros(), Ordering::Relaxed);
    }

    /// Credits an account with all calls up to `now`. If the clock has been replaced, the account is restarted.
    fn credit(&self, account: &mut Account, calls: u64, now: Moment) {
        let income = self.income();
        let is_different_clock = account.credited_to().is_some_and(|credited_to| {
            clock::is_different_clock(now.as_micros(), credited_to.as_micros(), clock::now_micros)
        });
        if is_different_clock {
            *account = Account::started(income, account.calls(), now);
        }
        // Calls before a pause must not count as spread over the pause, so they are credited up to the last check first.
        // ORDERING: Relaxed, as in `credit_if_due`.
        let last_check = Moment::from_micros(self.last_check.load(Ordering::Relaxed));
        if account.credited_to().is_some_and(|credited_to| credited_to < last_check) && last_check < now {
            account.credit(income, calls, last_check);
        }
        account.credit(income, calls, now);
    }

    fn publish(&self, account: &Account) {
        let end = account.credited_to().map_or(0, |moment| (moment.as_micros() / PERIOD + 1).saturating_mul(PERIOD));
        // ORDERING: Relaxed: a hint, see `credit_if_due`.
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
        Err(InvalidSetting::new("`ratio` must be in 0.0..=1.0; 0.2 is a retry for every five calls"))
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
            .field("name", &self.name)
            .field("ratio", &self.ratio)
            .field("reserve_per_second", &self.reserve_per_second)
            .field("min_concurrency", &self.min_concurrency)
            .field("balance", &self.balance())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
