use super::*;

#[test]
fn a_late_thread_does_not_reset_the_account() {
    let budget = RetryBudget::new().ratio(0.0).reserve_per_second(1);
    let now = clock::now();
    for _ in 0..10 {
        assert!(budget.withdraw(now).is_some());
    }
    // The thread was suspended for an hour after reading the clock.
    let late = Moment::from_micros(now.as_micros() - 3_600_000_000);
    assert!(budget.withdraw(late).is_none());
    assert!(budget.withdraw(now).is_none());
}

#[test]
fn a_refunded_retry_can_be_withdrawn_again() {
    let budget = RetryBudget::new().ratio(0.0).reserve_per_second(1);
    let now = clock::now();
    for _ in 0..10 {
        assert!(budget.withdraw(now).is_some());
    }
    assert!(budget.withdraw(now).is_none());
    budget.refund(Grant::Balance);
    assert_eq!((budget.withdrawn(), budget.denied()), (9, 1));
    assert!(budget.withdraw(now).is_some());
    assert!(budget.withdraw(now).is_none());
    assert_eq!((budget.withdrawn(), budget.denied()), (10, 2));
}

#[test]
fn retries_in_flight_below_the_minimum_need_no_balance() {
    let budget = RetryBudget::new().ratio(0.0).reserve_per_second(0).min_concurrency(2);
    let now = clock::now();
    assert_eq!(budget.withdraw(now), Some(Grant::Concurrency));
    assert_eq!(budget.withdraw(now), Some(Grant::Concurrency));
    assert_eq!(budget.withdraw(now), None);
    budget.land();
    assert_eq!(budget.withdraw(now), Some(Grant::Concurrency));
    budget.refund(Grant::Concurrency);
    assert_eq!((budget.withdrawn(), budget.denied(), budget.balance()), (2, 1, 0), "nothing is paid back");
    assert_eq!(budget.withdraw(now), Some(Grant::Concurrency));
}

#[test]
fn retries_that_the_balance_pays_for_are_in_flight_as_well() {
    let budget = RetryBudget::new().ratio(0.0).reserve_per_second(1).min_concurrency(10);
    let now = clock::now();
    let grants: Vec<_> = (0..11).map(|_| budget.withdraw(now)).collect();
    assert_eq!(grants[..10], [Some(Grant::Balance); 10]);
    assert_eq!(grants[10], None, "ten are in flight");
    budget.land();
    assert_eq!(budget.withdraw(now), Some(Grant::Concurrency));
}
