//! The metrics of retry budgets that have a name.

use super::BudgetSnapshot;
use crate::telemetry::{Family, Labels};

pub(crate) fn families(budgets: Vec<BudgetSnapshot>) -> Vec<Family> {
    let (mut withdrawn, mut denied, mut balances) = (Vec::new(), Vec::new(), Vec::new());
    for budget in budgets {
        let labels = || Labels::new("budget", budget.name);
        withdrawn.push(labels().count(budget.withdrawn));
        denied.push(labels().count(budget.denied));
        // A number with six decimals, as a time in seconds is.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 4.3 * 10^16")]
        balances.push(labels().micros((budget.balance * 1e6) as u64));
    }
    vec![
        Family::counter("retry_budget_withdrawn", "Retries that the budget granted.", withdrawn),
        Family::counter("retry_budget_denied", "Retries that the exhausted budget denied.", denied),
        Family::gauge("retry_budget_balance", "Retries that could be withdrawn now.", balances),
    ]
}
