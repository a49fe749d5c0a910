use std::fmt;

use crate::escape::escaped;

/// The counts and the balance of a retry budget with a name at one moment.
///
/// The counts are those since the start of the program. They are read one after another, not all at the same instant. `Display` writes one
/// line:
///
/// ```
/// use steadfast::{RetryBudget, register, retry_budgets};
///
/// static BUDGET: RetryBudget = RetryBudget::new().name("search");
/// register!(BUDGET);
///
/// let search = retry_budgets().into_iter().find(|budget| budget.name == "search").unwrap();
/// assert_eq!(search.to_string(), "search: 0 calls, 0 retries withdrawn, 0 refunded, 0 denied; 100.0 left");
/// ```
///
/// Implements `Serialize` with the feature `serde`.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct BudgetSnapshot {
    /// The name of the budget.
    pub name: &'static str,
    /// The fraction of a retry that each call deposits.
    pub ratio: f64,
    /// The number of retries that the reserve gains per second.
    pub reserve_per_second: u32,
    /// Calls under the budget.
    pub calls: u64,
    /// Retries that were granted, including the `refunded` ones and those by [`min_concurrency`](crate::RetryBudget::min_concurrency).
    pub withdrawn: u64,
    /// Retries that were granted and not made, because their call was cancelled or stopped before.
    pub refunded: u64,
    /// Retries that were denied because the budget was exhausted. Each has ended its call with the error of the last attempt.
    pub denied: u64,
    /// Retries that could be withdrawn now. The fraction is the part of the next one.
    pub balance: f64,
}

impl BudgetSnapshot {
    /// Adds the counts and the balance of another budget with the same name.
    pub(crate) fn add(&mut self, other: &Self) {
        for (own, other) in [
            (&mut self.calls, other.calls),
            (&mut self.withdrawn, other.withdrawn),
            (&mut self.refunded, other.refunded),
            (&mut self.denied, other.denied),
        ] {
            *own = own.saturating_add(other);
        }
        self.balance += other.balance;
    }
}

impl fmt::Display for BudgetSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, calls, withdrawn, refunded, denied, balance, .. } = self;
        let (call, retry) = (noun(*calls, "call", "calls"), noun(*withdrawn, "retry", "retries"));
        write!(
            f,
            "{}: {calls} {call}, {withdrawn} {retry} withdrawn, {refunded} refunded, {denied} denied; ",
            escaped(name)
        )?;
        write!(f, "{balance:.1} left")
    }
}

const fn noun(count: u64, one: &'static str, many: &'static str) -> &'static str {
    if count == 1 { one } else { many }
}
