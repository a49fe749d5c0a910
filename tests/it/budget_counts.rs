//! The list of retry budgets that have a name.

use std::io;

use steadfast::{
    BudgetSnapshot, RetryBudget, RetryPolicy, Schedule, prometheus::SteadfastCollector, register, retry, retry_budgets,
    testing::FakeClock,
};

use crate::support::scrape;

fn of(name: &str) -> Option<BudgetSnapshot> {
    retry_budgets().into_iter().find(|budget| budget.name == name)
}

fn fail() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

static SHARED: RetryBudget = RetryBudget::new().name("budget counts").ratio(0.25).reserve_per_second(0);

#[retry(max_attempts = 2, backoff = none, budget = SHARED)]
fn first() -> io::Result<()> {
    fail()
}

#[retry(name = "budget counts, second", max_attempts = 2, backoff = none, budget = SHARED)]
async fn second<T: Copy>(_: T) -> io::Result<()> {
    fail()
}

#[tokio::test(start_paused = true)]
async fn the_budget_of_attributes_is_listed_once_with_its_counts() {
    let listed = of("budget counts").expect("listed before the first call");
    assert_eq!((listed.calls, listed.withdrawn, listed.denied), (0, 0, 0));
    for _ in 0..5 {
        first().unwrap_err();
        second(1_u8).await.unwrap_err();
    }
    let BudgetSnapshot { ratio, reserve_per_second, calls, withdrawn, refunded, denied, balance, .. } =
        of("budget counts").unwrap();
    assert_eq!((calls, withdrawn, refunded, denied), (10, 2, 0, 8));
    assert_eq!((ratio, reserve_per_second, balance), (0.25, 0, 0.5));
    assert_eq!(SHARED.balance(), 0, "whole retries");
    assert_eq!(retry_budgets().iter().filter(|budget| budget.name == "budget counts").count(), 1);

    let lines = scrape(SteadfastCollector::new(), "budget=\"budget counts\"");
    let expected = ["retry_budget_balance{} 0.5", "retry_budget_denied_total{} 8", "retry_budget_withdrawn_total{} 2"];
    for line in expected {
        assert!(lines.iter().any(|found| found == line), "{line}: {lines:#?}");
    }
    assert_eq!(
        of("budget counts").unwrap().to_string(),
        "budget counts: 10 calls, 2 retries withdrawn, 0 refunded, 8 denied; 0.5 left"
    );
    let json = serde_json::to_value(of("budget counts").unwrap()).unwrap();
    assert_eq!((&json["balance"], &json["denied"]), (&serde_json::json!(0.5), &serde_json::json!(8)));
}

static REGISTERED: RetryBudget = RetryBudget::new().name("budget counts, registered");
register!(REGISTERED);
static UNNAMED: RetryBudget = RetryBudget::new();
register!(UNNAMED);
static OF_REGISTERED_POLICY: RetryBudget = RetryBudget::new().name("budget counts, of a registered policy");
static POLICY: RetryPolicy = RetryPolicy::new().name("budget counts, policy").budget(&OF_REGISTERED_POLICY);
register!(POLICY);
static OF_CALLED_POLICY: RetryBudget = RetryBudget::new().name("budget counts, of a called policy");

#[test]
fn budgets_are_listed_that_are_registered_or_belong_to_a_listed_policy() {
    let _entered = FakeClock::new().enter();
    let registered = of("budget counts, registered").unwrap();
    assert_eq!((registered.reserve_per_second, registered.balance), (10, 100.0));
    assert!(of("budget counts, of a registered policy").is_some());
    assert_eq!(of("budget counts, of a called policy"), None);
    let policy = RetryPolicy::new()
        .name("budget counts, called")
        .max_attempts(2)
        .backoff(Schedule::none())
        .budget(&OF_CALLED_POLICY);
    policy.run(fail).unwrap_err();
    let called = of("budget counts, of a called policy").unwrap();
    assert_eq!((called.calls, called.withdrawn, called.denied), (1, 1, 0));
}

static ONE: RetryBudget = RetryBudget::new().name("budget counts, two").reserve_per_second(1);
static OTHER: RetryBudget = RetryBudget::new().name("budget counts, two").reserve_per_second(1);
register!(ONE);
register!(OTHER);

#[test]
fn budgets_of_the_same_name_are_added_up() {
    let _entered = FakeClock::new().enter();
    for budget in [&ONE, &OTHER] {
        let policy = RetryPolicy::new().max_attempts(2).backoff(Schedule::none()).budget(budget);
        policy.run(fail).unwrap_err();
    }
    let both = of("budget counts, two").unwrap();
    assert_eq!((both.calls, both.withdrawn), (2, 2));
    assert!((both.balance - 18.4).abs() < 1e-9, "{both}");
}
