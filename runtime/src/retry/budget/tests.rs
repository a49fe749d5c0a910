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

#[test]
fn a_retry_that_is_put_back_can_be_withdrawn_again() {
    let budget = RetryBudget::new().ratio(0.0).reserve_per_second(1);
    let now = clock::now();
    for _ in 0..10 {
        assert!(budget.withdraw(now));
    }
    assert!(!budget.withdraw(now));
    budget.put_back();
    assert_eq!((budget.withdrawn(), budget.denied()), (9, 1));
    assert!(budget.withdraw(now));
    assert!(!budget.withdraw(now));
    assert_eq!((budget.withdrawn(), budget.denied()), (10, 2));
}
