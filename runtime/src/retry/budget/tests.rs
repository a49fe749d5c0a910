use super::*;

#[test]
fn a_late_thread_does_not_reset_the_account() {
    let budget = RetryBudget::new().ratio(0.0).reserve_per_second(1);
    let now = clock::now();
    for _ in 0..10 {
        assert!(budget.withdraw(now));
    }
    // The thread was suspended for an hour after reading the clock.
    let late = Moment::from_micros(now.as_micros() - 3_600_000_000);
    assert!(!budget.withdraw(late));
    assert!(!budget.withdraw(now));
}

#[test]
fn a_refunded_retry_can_be_withdrawn_again() {
    let budget = RetryBudget::new().ratio(0.0).reserve_per_second(1);
    let now = clock::now();
    for _ in 0..10 {
        assert!(budget.withdraw(now));
    }
    assert!(!budget.withdraw(now));
    budget.refund();
    assert_eq!((budget.withdrawn(), budget.denied()), (9, 1));
    assert!(budget.withdraw(now));
    assert!(!budget.withdraw(now));
    assert_eq!((budget.withdrawn(), budget.denied()), (10, 2));
}
