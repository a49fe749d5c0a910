//! The list of all retry budgets with a name.

use std::{collections::BTreeMap, ptr};

use super::{RetryBudget, RetryPolicy, budget::BudgetSnapshot, listed, named::POLICIES, named_policy::NamedPolicy};
use crate::registry::{REGISTERED, Registered, Registrable};

#[diagnostic::do_not_recommend]
impl Registrable for RetryBudget {}

/// Returns the counts of every retry budget with a [name](RetryBudget::name), sorted by name.
///
/// The list contains the budgets of `#[retry]` attributes with `budget = PATH`, of [`RetryPolicy`]s with a name that have been called or
/// [registered](crate::register), and budgets that are registered themselves. Budgets with the same name are added up, with the settings of
/// one of them.
///
/// ```
/// # use std::io;
/// use steadfast::{RetryBudget, retry};
///
/// static BUDGET: RetryBudget = RetryBudget::new().name("checkout");
///
/// #[retry(max_attempts = 3, budget = BUDGET)]
/// fn checkout() -> io::Result<()> {
///     Ok(())
/// }
///
/// checkout()?;
/// let budgets = steadfast::retry_budgets();
/// let checkout = budgets.iter().find(|budget| budget.name == "checkout").unwrap();
/// assert_eq!((checkout.calls, checkout.withdrawn, checkout.denied), (1, 0, 0));
/// # Ok::<(), io::Error>(())
/// ```
#[must_use]
pub fn retry_budgets() -> Vec<BudgetSnapshot> {
    let registered = REGISTERED.iter().filter_map(Registered::downcast::<RetryBudget>);
    let policies = REGISTERED.iter().filter_map(Registered::downcast::<RetryPolicy>);
    let named = POLICIES.iter().copied().chain(listed::all()).map(NamedPolicy::current);
    let of_policies = policies.chain(named).filter_map(RetryPolicy::get_budget);
    let mut budgets: Vec<_> = registered.chain(of_policies).collect();
    budgets.sort_by_key(|budget| ptr::from_ref(*budget).addr());
    budgets.dedup_by_key(|budget| ptr::from_ref(*budget).addr());
    let mut by_name: BTreeMap<_, BudgetSnapshot> = BTreeMap::new();
    for snapshot in budgets.into_iter().filter_map(RetryBudget::snapshot) {
        by_name.entry(snapshot.name).and_modify(|sum| sum.add(&snapshot)).or_insert(snapshot);
    }
    by_name.into_values().collect()
}

/// Returns the metrics of all budgets with a name.
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
pub(crate) fn families() -> Vec<crate::telemetry::Family> {
    super::budget::metrics::families(retry_budgets())
}
