//! A share of calls that may be retried.

use std::{
    cell::Cell,
    io,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use steadfast::{RetryBudget, RetryPolicy, Schedule, retry, testing::FakeClock};
use tokio::time::advance;

const SECOND: Duration = Duration::from_secs(1);

fn failure() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

/// A policy of its own for a test.
fn policy(budget: RetryBudget) -> (RetryPolicy, &'static RetryBudget) {
    let budget: &'static RetryBudget = Box::leak(Box::new(budget));
    (RetryPolicy::new().max_attempts(5).backoff(Schedule::none()).budget(budget), budget)
}

fn calls(policy: &RetryPolicy, calls: u32) -> u32 {
    let made = Cell::new(0);
    for _ in 0..calls {
        let call = || {
            made.set(made.get() + 1);
            failure()
        };
        policy.run(call).unwrap_err();
    }
    made.get()
}

#[tokio::test(start_paused = true)]
async fn a_thousand_calls_that_all_fail_bring_two_hundred_retries() {
    let (policy, budget) = policy(RetryBudget::new().ratio(0.2).reserve_per_second(0));
    assert_eq!(calls(&policy, 1_000), 1_000 + 200);
    assert_eq!((budget.withdrawn(), budget.balance()), (200, 0));
    assert_eq!(budget.denied(), 1_000, "each call ends at the first retry that it is denied");
}

#[tokio::test(start_paused = true)]
async fn the_reserve_comes_on_top_and_again_with_time() {
    let (policy, budget) = policy(RetryBudget::new().ratio(0.0).reserve_per_second(10));
    assert_eq!(budget.balance(), 100);
    assert_eq!(calls(&policy, 1_000), 1_000 + 100);
    advance(SECOND).await;
    // What comes expires as well, gradually.
    assert_eq!(calls(&policy, 1_000), 1_000 + 9);
    advance(100 * SECOND).await;
    assert_eq!(budget.balance(), 99);
    advance(10_000 * SECOND).await;
    assert_eq!(budget.balance(), 100, "never more than ten seconds' worth");
}

#[tokio::test(start_paused = true)]
async fn it_is_never_a_third_of_all_traffic() {
    let (policy, budget) = policy(RetryBudget::new().reserve_per_second(0));
    let (mut all, mut retries) = (0, 0);
    for second in 0..100 {
        // Busy, then quiet, then busy again.
        let made = if (20..60).contains(&second) { 3 } else { 50 };
        let sent = calls(&policy, made);
        all += sent;
        retries += sent - made;
        assert!(retries * 3 <= all, "{retries} of {all} in second {second}");
        // Nor of the calls of the second, but for what is left of the ones before.
        assert!((sent - made) * 3 <= sent || (19..=25).contains(&second), "{sent} for {made} in second {second}");
        advance(SECOND).await;
    }
    assert!(retries * 10 > all, "and not far less: {retries} of {all}");
    assert_eq!(u64::from(retries), budget.withdrawn());
}

#[tokio::test(start_paused = true)]
async fn deposits_of_long_ago_have_expired() {
    let (policy, budget) = policy(RetryBudget::new().reserve_per_second(0));
    for _ in 0..1_000 {
        policy.run(|| Ok::<_, io::Error>(())).unwrap();
    }
    assert_eq!(budget.balance(), 200);
    assert_eq!(calls(&policy, 1), 5);
    assert_eq!(budget.balance(), 196);
    advance(10 * SECOND).await;
    assert_eq!(budget.balance(), 72, "by a factor of e");
    advance(60 * SECOND).await;
    assert_eq!(calls(&policy, 1), 1);
}

static SHARED: RetryBudget = RetryBudget::new().ratio(0.5).reserve_per_second(0);
static CALLS: AtomicU32 = AtomicU32::new(0);

#[retry(max_attempts = 3, backoff = none, budget = SHARED)]
fn one() -> io::Result<()> {
    CALLS.fetch_add(1, Ordering::Relaxed);
    failure()
}

#[retry(name = "budgeted", max_attempts = 3, backoff = fixed(1s), jitter = none, budget = SHARED)]
async fn other() -> io::Result<()> {
    CALLS.fetch_add(1, Ordering::Relaxed);
    failure()
}

#[tokio::test(start_paused = true)]
async fn functions_share_a_budget() {
    one().unwrap_err();
    assert_eq!((CALLS.load(Ordering::Relaxed), SHARED.balance()), (1, 0), "half of a retry is none");
    let start = tokio::time::Instant::now();
    other().await.unwrap_err();
    assert_eq!(CALLS.load(Ordering::Relaxed), 3, "the second call has made it a whole one");
    assert_eq!(start.elapsed(), SECOND, "and none is slept for in vain");
    assert_eq!((SHARED.withdrawn(), SHARED.denied()), (1, 2));
}

#[test]
fn threads_never_take_more_than_there_is() {
    let (policy, budget) = policy(RetryBudget::new().ratio(0.25).reserve_per_second(0));
    let clock = FakeClock::new(); // nothing expires meanwhile
    let made: u32 = thread::scope(|scope| {
        let call = || {
            let _entered = clock.enter();
            calls(&policy, 1_000)
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(call)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(u64::from(made), 8_000 + budget.withdrawn());
    // A thread that meets another at the till may not wait for long enough.
    assert!((1_500..=2_000).contains(&budget.withdrawn()), "{}", budget.withdrawn());
}
