//! Retry budgets: the share of calls that may be retried, the reserve, and the limit under an outage.

use std::{
    cell::Cell,
    io,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use steadfast::{RetryBudget, RetryPolicy, Schedule, retry, testing::FakeClock};
use tokio::{sync::Semaphore, time::advance};

const SECOND: Duration = Duration::from_secs(1);

fn failure() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

/// Returns a policy and its own budget.
fn policy(budget: RetryBudget) -> (RetryPolicy, &'static RetryBudget) {
    let budget: &'static RetryBudget = Box::leak(Box::new(budget));
    (RetryPolicy::new().max_attempts(5).backoff(Schedule::none()).budget(budget), budget)
}

/// Makes failing calls, and returns the number of attempts.
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
async fn a_thousand_failing_calls_earn_two_hundred_retries() {
    let (policy, budget) = policy(RetryBudget::new().ratio(0.2).reserve_per_second(0));
    assert_eq!(calls(&policy, 1_000), 1_000 + 200);
    assert_eq!((budget.withdrawn(), budget.balance()), (200, 0));
    assert_eq!(budget.denied(), 1_000, "each call ends at its first denied retry");
}

#[tokio::test(start_paused = true)]
async fn the_reserve_adds_retries_and_refills_over_time() {
    let (policy, budget) = policy(RetryBudget::new().ratio(0.0).reserve_per_second(10));
    assert_eq!(budget.balance(), 100);
    assert_eq!(calls(&policy, 1_000), 1_000 + 100);
    advance(SECOND).await;
    assert_eq!(calls(&policy, 1_000), 1_000 + 10);
    advance(100 * SECOND).await;
    assert_eq!(budget.balance(), 100);
    advance(10_000 * SECOND).await;
    assert_eq!(budget.balance(), 100, "at most ten seconds of reserve accumulate");
}

#[tokio::test(start_paused = true)]
async fn retries_stay_below_a_third_of_all_traffic() {
    let (policy, budget) = policy(RetryBudget::new().reserve_per_second(0));
    let (mut all, mut retries) = (0, 0);
    for second in 0..100 {
        // High load, low load, high load.
        let made = if (20..60).contains(&second) { 3 } else { 50 };
        let sent = calls(&policy, made);
        all += sent;
        retries += sent - made;
        assert!(retries * 3 <= all, "{retries} of {all} in second {second}");
        // The same holds per second, except while deposits of the high load remain.
        assert!((sent - made) * 3 <= sent || (19..=25).contains(&second), "{sent} for {made} in second {second}");
        advance(SECOND).await;
    }
    assert!(retries * 10 > all, "the budget is used: {retries} of {all}");
    assert_eq!(u64::from(retries), budget.withdrawn());
}

#[tokio::test(start_paused = true)]
async fn old_deposits_expire() {
    let (policy, budget) = policy(RetryBudget::new().reserve_per_second(0));
    for _ in 0..1_000 {
        policy.run(|| Ok::<_, io::Error>(())).unwrap();
    }
    assert_eq!(budget.balance(), 200);
    assert_eq!(calls(&policy, 1), 5);
    assert_eq!(budget.balance(), 196);
    advance(9 * SECOND).await;
    assert_eq!(budget.balance(), 196);
    advance(SECOND).await;
    assert_eq!(budget.balance(), 0);
    assert_eq!(calls(&policy, 1), 1);
}

/// Makes successful calls at a steady rate for `seconds`.
fn successes(policy: &RetryPolicy, clock: &FakeClock, per_second: u32, seconds: u32) {
    for _ in 0..per_second * seconds {
        clock.advance(SECOND / per_second);
        policy.run(|| Ok::<_, io::Error>(())).unwrap();
    }
}

/// Makes failing calls at a steady rate for `seconds`; returns the number of attempts per call.
fn attempts_per_call_in_outage(policy: &RetryPolicy, clock: &FakeClock, per_second: u32, seconds: u32) -> f64 {
    let (mut made, all) = (0, per_second * seconds);
    for _ in 0..all {
        clock.advance(SECOND / per_second);
        made += calls(policy, 1);
    }
    f64::from(made) / f64::from(all)
}

#[test]
fn the_first_outage_is_limited_after_any_history() {
    type Before = fn(&RetryPolicy, &RetryBudget, &FakeClock);
    let before: [(&str, Before); 6] = [
        ("nothing", |_, _, _| {}),
        ("an hour of successes", |policy, _, clock| successes(policy, clock, 100, 3_600)),
        ("successes at 100 times the rate, then a pause", |policy, _, clock| {
            successes(policy, clock, 10_000, 20);
            clock.advance(20 * SECOND);
        }),
        ("three months without a call, then one second of successes", |policy, _, clock| {
            clock.advance(90 * 86_400 * SECOND);
            successes(policy, clock, 100, 1);
        }),
        ("a month at one call per minute", |policy, _, clock| {
            for _ in 0..30 * 24 * 60 {
                clock.advance(60 * SECOND);
                successes(policy, clock, 1, 1);
            }
        }),
        ("an hour of successes after a reset", |policy, budget, clock| {
            calls(policy, 1_000);
            budget.reset();
            successes(policy, clock, 100, 3_600);
        }),
    ];
    for (name, before) in before {
        let (policy, budget) = policy(RetryBudget::new());
        let clock = FakeClock::new();
        let _entered = clock.enter();
        before(&policy, budget, &clock);
        let load = attempts_per_call_in_outage(&policy, &clock, 100, 30);
        assert!((1.3..=1.4).contains(&load), "{load} after {name}");
    }
}

#[test]
fn each_of_several_outages_is_limited_like_the_first() {
    let (policy, _) = policy(RetryBudget::new());
    let clock = FakeClock::new();
    let _entered = clock.enter();
    for _ in 0..5 {
        successes(&policy, &clock, 100, 600);
        clock.advance(SECOND * 3_600);
        successes(&policy, &clock, 100, 600);
        let load = attempts_per_call_in_outage(&policy, &clock, 100, 30);
        assert!((1.3..=1.4).contains(&load), "{load}");
    }
}

#[test]
fn the_reserve_grants_the_same_number_of_retries_at_any_rate_of_calls() {
    for (per_second, micros, failing_calls, expected) in
        [(10, 55, 200_000, 110), (1, 400, 100_000, 40), (300, 1, 10_000, 3)]
    {
        let (policy, budget) = policy(RetryBudget::new().ratio(0.0).reserve_per_second(per_second));
        let clock = FakeClock::new();
        let _entered = clock.enter();
        calls(&policy, 1_000);
        let before = budget.withdrawn();
        assert_eq!(before, 10 * u64::from(per_second), "the whole reserve");
        for _ in 0..failing_calls {
            clock.advance(Duration::from_micros(micros));
            calls(&policy, 1);
        }
        assert_eq!(budget.withdrawn() - before, expected, "{per_second} per second, used every {micros} us");
    }
}

#[test]
fn fractions_of_a_retry_accumulate() {
    // This holds at any rate of calls, since fractions of a retry do not expire.
    for every in [Duration::ZERO, Duration::from_micros(400), Duration::from_millis(50), SECOND] {
        let (policy, budget) = policy(RetryBudget::new().ratio(0.000_4).reserve_per_second(0));
        let clock = FakeClock::new();
        let _entered = clock.enter();
        for _ in 0..100_000 {
            clock.advance(every);
            calls(&policy, 1);
        }
        assert_eq!(budget.withdrawn(), 40, "one call every {every:?}");
    }
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
    assert_eq!((CALLS.load(Ordering::Relaxed), SHARED.balance()), (1, 0), "half a retry is not granted");
    let start = tokio::time::Instant::now();
    other().await.unwrap_err();
    assert_eq!(CALLS.load(Ordering::Relaxed), 3, "the second call completes a whole retry");
    assert_eq!(start.elapsed(), SECOND, "there is no sleep before a denied retry");
    assert_eq!((SHARED.withdrawn(), SHARED.denied()), (1, 2));
}

#[test]
fn concurrent_withdrawals_never_exceed_the_deposits() {
    let (policy, budget) = policy(RetryBudget::new().ratio(0.25).reserve_per_second(0));
    let clock = FakeClock::new(); // does not advance, so no deposit expires
    let made: u32 = thread::scope(|scope| {
        let call = || {
            let _entered = clock.enter();
            calls(&policy, 1_000)
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(call)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(u64::from(made), 8_000 + budget.withdrawn());
    // Deposits that two threads make at the same time may be credited only at the next withdrawal.
    assert!((1_990..=2_000).contains(&budget.withdrawn()), "{}", budget.withdrawn());
}

#[retry(max_attempts = 3, backoff = none, budget = IN_FLIGHT)]
async fn waits_in_its_retry(gate: &Semaphore, attempts: &Cell<u32>) -> io::Result<()> {
    attempts.set(attempts.get() + 1);
    if steadfast::attempt() > 1 {
        _ = gate.acquire().await;
    }
    failure()
}

static IN_FLIGHT: RetryBudget = RetryBudget::new().ratio(0.0).reserve_per_second(0).min_concurrency(2);

#[tokio::test(start_paused = true)]
async fn a_minimum_of_retries_may_be_in_flight_without_a_balance() {
    let (gate, attempts) = (Semaphore::new(0), Cell::new(0));
    let mut waiting: Vec<_> = (0..2).map(|_| Box::pin(waits_in_its_retry(&gate, &attempts))).collect();
    for call in &mut waiting {
        assert!(tokio::time::timeout(SECOND, call).await.is_err());
    }
    assert_eq!(attempts.get(), 4, "each of the two is in its second attempt");
    waits_in_its_retry(&gate, &attempts).await.unwrap_err();
    assert_eq!((attempts.get(), IN_FLIGHT.withdrawn(), IN_FLIGHT.denied()), (5, 2, 1), "two retries are in flight");
    drop(waiting.pop());
    gate.add_permits(10);
    waits_in_its_retry(&gate, &attempts).await.unwrap_err();
    assert_eq!(attempts.get(), 8, "the place of a dropped call is free, and its own place after each attempt");
    waiting.pop().unwrap().await.unwrap_err();
    assert_eq!((attempts.get(), IN_FLIGHT.withdrawn(), IN_FLIGHT.denied()), (9, 5, 1));
}

#[tokio::test(start_paused = true)]
async fn a_service_with_few_calls_is_retried_by_the_minimum_alone() {
    let (policy, budget) = policy(RetryBudget::new().ratio(0.2).reserve_per_second(0).min_concurrency(1));
    assert_eq!(calls(&policy, 10), 50, "one after the other, each retry has the place");
    assert_eq!((budget.withdrawn(), budget.denied()), (40, 0));
    // A call that is cancelled in the sleep before its retry gives the place back.
    let slow = policy.backoff(Schedule::fixed(100 * SECOND));
    let call = slow.run_async(async || failure());
    assert!(tokio::time::timeout(SECOND, call).await.is_err());
    assert_eq!(calls(&policy, 1), 5);
    // An attempt that succeeds or panics gives it back, too.
    let mut fails = true;
    policy.run(|| if std::mem::take(&mut fails) { failure() } else { Ok(()) }).unwrap();
    let panics = || policy.run(|| if steadfast::attempt() == 2 { panic!("in the retry") } else { failure() });
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).unwrap_err();
    assert_eq!(calls(&policy, 1), 5);
}
