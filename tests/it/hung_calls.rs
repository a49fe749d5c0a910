//! Hung and cancelled calls: `hung_call`, `cancelled_call`, and the rule for cancelled calls without options.

use std::time::Duration;

use steadfast::{
    BreakerConfig,
    BreakerState::{Closed, HalfOpen, Open},
    CircuitBreaker, KeyedBreakers, OpenReason, Permit, Window, testing,
};
use tokio::time::advance;

const SECOND: Duration = Duration::from_secs(1);
const HUNG: BreakerConfig = BreakerConfig::new().hung_call(Duration::from_secs(5));
/// `HUNG` with each kind of rule that opens a circuit; each opens with five failures.
const KINDS: [BreakerConfig; 3] = [
    HUNG,
    HUNG.window(Window::calls(100)).min_calls(5),
    HUNG.window(Window::time(Duration::from_mins(1))).min_calls(5),
];

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn take(breaker: &CircuitBreaker, permits: usize) -> Vec<Permit<'_>> {
    (0..permits).map(|_| breaker.try_acquire().expect("admitted")).collect()
}

/// The calls of a reason that the circuit is open because of calls that hang.
fn hung(reason: OpenReason) -> u32 {
    match reason {
        OpenReason::Hung { calls, limit, .. } if limit == 5 * SECOND => calls,
        other => panic!("{other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_hang_open_the_circuit_before_they_end() {
    for config in KINDS {
        let breaker = CircuitBreaker::new("hung", config);
        let calls = take(&breaker, 5);
        advance(millis(4_999)).await;
        take(&breaker, 1).remove(0).success();
        assert_eq!(breaker.state(), Closed, "{config}");
        advance(millis(626)).await;
        let rejected = breaker.try_acquire().unwrap_err();
        assert_eq!(hung(rejected.reason()), 5, "{config}");
        assert!(rejected.to_string().contains("is open because 5 calls have not answered for 5s"), "{rejected}");
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.state, snapshot.open_reason.map(hung), snapshot.hung), (Open, Some(5), 5), "{config}");
        assert_eq!((snapshot.in_flight, snapshot.failures), (Some(5), 0), "{config}");
        assert!(snapshot.to_string().contains("open because 5 calls have not answered for 5s"), "{snapshot}");
        let mut calls = calls.into_iter();
        calls.next().unwrap().success();
        calls.next().unwrap().failure();
        drop(calls);
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.successes, snapshot.failures, snapshot.cancelled), (2, 1, 3));
        assert_eq!((snapshot.state, snapshot.hung, snapshot.in_flight), (Open, 5, Some(0)));
        assert_eq!(snapshot.oldest_in_flight, None);
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_hung_call_changes_only_the_totals() {
    for config in KINDS {
        let breaker = CircuitBreaker::new("hung", config);
        let calls = take(&breaker, 4);
        advance(6 * SECOND).await;
        drop(take(&breaker, 1));
        let before = breaker.snapshot();
        assert_eq!((before.state, before.hung), (Closed, 4));
        for call in calls {
            call.success();
        }
        let after = breaker.snapshot();
        assert_eq!((after.state, after.hung, after.successes), (Closed, 4, 4));
        assert_eq!((after.consecutive_failures, after.window), (before.consecutive_failures, before.window));
        take(&breaker, 1).remove(0).failure();
        assert_eq!(breaker.state(), Open, "four hung calls and a failure, {config}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hung_call_that_ends_before_it_is_counted_is_a_failure() {
    for config in KINDS {
        for ends in 0..3 {
            let breaker = CircuitBreaker::new("hung", config);
            let calls = take(&breaker, 5);
            advance(5 * SECOND + millis(1)).await;
            for call in calls {
                assert_eq!(breaker.state(), Closed, "{config}");
                match ends {
                    0 => call.success(),
                    1 => call.failure(),
                    _ => drop(call),
                }
            }
            assert_eq!((breaker.state(), breaker.snapshot().hung), (Open, 5), "{config}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_hung_trial_call_opens_the_circuit_again() {
    for config in KINDS {
        let breaker = CircuitBreaker::new("hung", config);
        breaker.force_open_for(Duration::ZERO);
        let trial = take(&breaker, 1);
        advance(4 * SECOND).await;
        let second = take(&breaker, 1);
        advance(millis(1_700)).await;
        assert_eq!(breaker.state(), HalfOpen);
        let rejected = breaker.try_acquire().unwrap_err();
        assert_eq!(hung(rejected.reason()), 1, "{config}");
        assert_eq!((breaker.state(), breaker.snapshot().failed_recoveries), (Open, 1));
        // The other trial call is of an earlier epoch.
        advance(60 * SECOND).await;
        drop((trial, second));
        for trial in take(&breaker, 3) {
            trial.success();
        }
        assert_eq!(breaker.state(), Closed, "{config}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_calls_a_second_that_all_hang_open_the_circuit() {
    for config in KINDS {
        for limit in [millis(50), SECOND, 5 * SECOND, 30 * SECOND] {
            let breaker = Box::leak(Box::new(CircuitBreaker::new("hung", config.hung_call(limit))));
            let mut stuck = Vec::new();
            let mut elapsed = Duration::ZERO;
            while let Ok(permit) = breaker.try_acquire() {
                stuck.push(permit);
                advance(millis(10)).await;
                elapsed += millis(10);
                assert!(elapsed < 3 * limit, "{config}");
            }
            assert!(elapsed <= limit + limit / 8 + 5 * millis(10), "{elapsed:?}, {config}");
            let most = limit.as_millis() * 113 / 1_000 + 5;
            assert!(stuck.len() as u128 <= most, "{} of {most}, {config}", stuck.len());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn calls_of_nine_tenths_of_the_limit_never_count_as_hung() {
    let breaker = CircuitBreaker::new("slow", HUNG.hung_call(millis(600)).failure_threshold(1));
    let mut calls = std::collections::VecDeque::new();
    for call in 0..1_000_000_u32 {
        calls.push_back(breaker.try_acquire().expect("admitted"));
        if calls.len() > 540 {
            calls.pop_front().unwrap().success();
        }
        if call % 2 == 0 {
            advance(millis(2)).await;
        }
    }
    assert_eq!((breaker.state(), breaker.snapshot().hung), (Closed, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_of_an_earlier_epoch_is_never_hung() {
    for config in KINDS {
        let breaker = CircuitBreaker::new("hung", config.failure_threshold(5));
        let calls = take(&breaker, 10);
        advance(SECOND).await;
        breaker.reset();
        advance(10 * SECOND).await;
        drop(take(&breaker, 1));
        assert_eq!((breaker.state(), breaker.snapshot().hung), (Closed, 0), "{config}");
        drop(calls);
        assert_eq!((breaker.state(), breaker.snapshot().in_flight), (Closed, Some(0)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_suspension_opens_nothing() {
    for config in KINDS {
        let breaker = CircuitBreaker::new("hung", config);
        let calls = take(&breaker, 10);
        advance(Duration::from_hours(1)).await;
        assert_eq!(breaker.state(), Closed);
        drop(take(&breaker, 1));
        for call in calls {
            call.success();
        }
        assert_eq!((breaker.state(), breaker.snapshot().hung), (Closed, 0), "{config}");
        // The calls end before the next call.
        let calls = take(&breaker, 10);
        advance(Duration::from_hours(1)).await;
        for call in calls {
            call.success();
        }
        assert_eq!((breaker.state(), breaker.snapshot().hung), (Closed, 0), "{config}");
        let calls = take(&breaker, 30);
        advance(6 * SECOND).await;
        assert!(breaker.try_acquire().is_err(), "detection goes on, {config}");
        drop(calls);
    }
}

#[test]
fn hung_calls_are_measured_by_the_fake_clock() {
    let clock = testing::FakeClock::new();
    let _entered = clock.enter();
    let breaker = CircuitBreaker::new("hung", HUNG);
    let calls = take(&breaker, 5);
    clock.advance(6 * SECOND);
    assert_eq!(hung(breaker.try_acquire().unwrap_err().reason()), 5);
    drop(calls);
}

#[tokio::test(start_paused = true)]
async fn a_changed_limit_applies_to_later_calls() {
    let breaker = CircuitBreaker::new("hung", HUNG.failure_threshold(1));
    let before = take(&breaker, 1);
    breaker.reconfigure(HUNG.failure_threshold(1).hung_call(SECOND));
    let after = take(&breaker, 1);
    advance(millis(1_126)).await;
    assert!(breaker.try_acquire().is_err());
    breaker.reset();
    drop((before, after));
    breaker.reconfigure(BreakerConfig::new());
    assert_eq!(breaker.snapshot().in_flight, None);
    let untracked = take(&breaker, 1);
    breaker.reconfigure(HUNG);
    drop((untracked, take(&breaker, 1)));
    assert_eq!(breaker.snapshot().in_flight, Some(0));
}

#[tokio::test(start_paused = true)]
async fn each_key_has_its_own_hung_calls() {
    static HOSTS: KeyedBreakers = KeyedBreakers::new("hung hosts", HUNG.failure_threshold(3));
    let (down, up) = (HOSTS.breaker("down"), HOSTS.breaker("up"));
    let calls: Vec<_> = (0..3).map(|_| down.try_acquire().unwrap()).collect();
    up.try_acquire().unwrap().success();
    assert_eq!(down.snapshot().in_flight, Some(3));
    advance(6 * SECOND).await;
    assert!(down.try_acquire().is_err());
    up.try_acquire().unwrap().success();
    assert_eq!((down.state(), up.state()), (Open, Closed));
    drop(calls);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_shows_the_calls_in_flight_and_the_oldest() {
    let breaker = CircuitBreaker::new("hung", HUNG.failure_threshold(100));
    assert_eq!((breaker.snapshot().in_flight, breaker.snapshot().oldest_in_flight), (Some(0), None));
    let calls = take(&breaker, 50);
    assert_eq!(breaker.snapshot().hung_in_flight, Some(0));
    advance(60 * SECOND).await;
    let oldest = |seconds: u64| {
        let oldest = breaker.snapshot().oldest_in_flight.unwrap();
        assert!(oldest.abs_diff(Duration::from_secs(seconds)) < 5 * SECOND / 6, "{oldest:?}");
    };
    // The breaker is not called, so no call has been counted, but the snapshot finds those that hang.
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.in_flight, snapshot.hung_in_flight, snapshot.hung), (Some(50), Some(50), 0));
    assert!(snapshot.to_string().contains("; 50 in flight, 50 of them hung, the oldest for "), "{snapshot}");
    oldest(60);
    drop(take(&breaker, 1));
    assert_eq!((breaker.snapshot().in_flight, breaker.snapshot().hung), (Some(50), 50));
    oldest(60);
    advance(70 * SECOND).await;
    drop(take(&breaker, 1));
    oldest(130);
    drop(calls);
}

#[tokio::test(start_paused = true)]
async fn the_age_of_the_oldest_call_does_not_drift_with_changes_of_state() {
    let config = HUNG.failure_threshold(1).recovery_timeout(2 * SECOND).half_open_max_calls(1);
    let breaker = CircuitBreaker::new("hung", config);
    let hangs = take(&breaker, 1);
    for round in 1..=20 {
        advance(6 * SECOND).await;
        if let Ok(permit) = breaker.try_acquire() {
            if round % 2 == 0 { permit.failure() } else { permit.success() }
        }
        let oldest = breaker.snapshot().oldest_in_flight.unwrap();
        assert!(oldest.abs_diff(round * 6 * SECOND) < 5 * SECOND / 6, "{oldest:?} in round {round}");
    }
    drop(hangs);
}

#[tokio::test(start_paused = true)]
async fn the_reason_counts_hung_calls_that_have_ended() {
    let breaker = CircuitBreaker::new("hung", HUNG);
    for call in take(&breaker, 5) {
        advance(6 * SECOND).await;
        drop(call);
    }
    assert_eq!(breaker.snapshot().open_reason.map(hung), Some(5));
}
