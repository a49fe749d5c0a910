//! Numbered situations that users of circuit breakers have met, each with every kind of window to which it applies.
//!
//! A history is a string of letters: `F` a failure, `S` a success, `X` a dropped permit, `P` a panic, `R` a rejected call; `+7`
//! advances the clock by seven seconds.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex},
    time::Duration,
};

use steadfast::{
    BreakerConfig,
    BreakerState::{self, Closed, Disabled, ForcedOpen, HalfOpen, Open},
    CircuitBreaker, CircuitOpen, Permit, Window,
    events::{self, Event},
};
use tokio::time::advance;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const CONSECUTIVE: BreakerConfig = BreakerConfig::new().failure_threshold(5);
/// Opens when 50 % of at least 5 calls fail, like `BY_TIME`.
const BY_CALLS: BreakerConfig = BreakerConfig::new().window(Window::calls(10)).failure_rate(0.5).min_calls(5);
const BY_TIME: BreakerConfig = BreakerConfig::new().window(Window::time(seconds(20))).failure_rate(0.5).min_calls(5);
const KINDS: [BreakerConfig; 3] = [CONSECUTIVE, BY_CALLS, BY_TIME];

/// Plays a history on a breaker, and returns the state of the breaker.
async fn play(breaker: &CircuitBreaker, history: &str) -> BreakerState {
    for word in history.split_whitespace() {
        if let Some(time) = word.strip_prefix('+') {
            advance(seconds(time.parse().unwrap())).await;
            continue;
        }
        for call in word.chars() {
            let permit = breaker.try_acquire();
            match (call, permit) {
                ('R', permit) => assert!(permit.is_err(), "{history}: admitted"),
                ('F', Ok(permit)) => permit.failure(),
                ('S', Ok(permit)) => permit.success(),
                ('X', Ok(permit)) => drop(permit),
                ('P', Ok(permit)) => {
                    drop(permit);
                    let call = || breaker.call(|| -> Result<(), CircuitOpen> { resume_unwind(Box::new("payload")) });
                    let panic = catch_unwind(AssertUnwindSafe(call)).unwrap_err();
                    assert_eq!(panic.downcast_ref(), Some(&"payload"), "the panic propagates unchanged");
                }
                (_, permit) => panic!("{history}: {call} {permit:?}"),
            }
        }
    }
    breaker.state()
}

/// Makes up to `times` failing calls while the circuit is closed.
async fn fail_until_open(breaker: &CircuitBreaker, times: usize) {
    for _ in 0..times {
        if breaker.state() == Closed {
            play(breaker, "F").await;
        }
    }
}

/// Plays histories on new breakers.
async fn check(number: u32, config: BreakerConfig, histories: &[(&str, BreakerState)]) {
    for (history, expected) in histories {
        let breaker = CircuitBreaker::new("situation", config);
        assert_eq!(play(&breaker, history).await, *expected, "{number}: {history} under {config}");
    }
}

#[tokio::test(start_paused = true)]
async fn s01_consecutive_failures_open_the_circuit() {
    check(1, CONSECUTIVE, &[("FFFF S FFFF", Closed), ("FFFF S FFFF F", Open)]).await;
    let breaker = CircuitBreaker::new("situation", CONSECUTIVE);
    play(&breaker, "FFFFF +30 S").await;
    assert_eq!((breaker.state(), breaker.snapshot().consecutive_failures), (HalfOpen, 0));
}

#[tokio::test(start_paused = true)]
async fn s02_a_rejected_call_does_not_run_and_names_its_circuit() {
    for config in KINDS {
        let breaker = CircuitBreaker::new("named", config);
        play(&breaker, "FFFFF").await;
        let mut ran = false;
        let rejected = breaker.call(|| {
            ran = true;
            Ok::<_, CircuitOpen>(())
        });
        let rejected = rejected.unwrap_err();
        assert!(!ran);
        assert_eq!((rejected.name(), rejected.retry_after()), ("named", Some(seconds(30))));
    }
}

#[tokio::test(start_paused = true)]
async fn s03_a_rate_is_evaluated_when_a_failure_is_recorded() {
    for config in [BY_CALLS, BY_TIME] {
        check(3, config, &[("FFFSS", Closed), ("FFFSS SSSSS", Closed), ("FFFSS F", Open)]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn s04_a_rate_equal_to_the_threshold_opens_the_circuit() {
    for config in [BY_CALLS, BY_TIME] {
        check(4, config, &[("SSSFF", Closed), ("SSSFF F", Open)]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn s05_a_circuit_opens_only_with_min_calls_and_at_the_failure_rate() {
    for window in [Window::calls(100), Window::time(seconds(20))] {
        for (calls, least, rate, threshold, opens) in
            [(10, 10, 0, 0.1, false), (10, 10, 1, 0.1, true), (11, 10, 2, 0.1, true), (9, 10, 1, 0.1, false)]
        {
            let breaker = CircuitBreaker::new(
                "counted",
                BreakerConfig::new().window(window).failure_rate(threshold).min_calls(least),
            );
            play(&breaker, &"S".repeat(calls - rate)).await;
            fail_until_open(&breaker, rate).await;
            assert_eq!(breaker.state() == Open, opens, "{calls} {least} {rate} {threshold}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s06_calls_older_than_the_window_do_not_count() {
    check(
        6,
        BY_TIME,
        &[("FFFF +20 F", Closed), ("FFFF +15 F", Open), ("FF +8 FF +8 F", Open), ("FF +12 FF +12 FF", Closed)],
    )
    .await;
    let breaker = CircuitBreaker::new("idle", BY_TIME);
    play(&breaker, "FFFF +3600").await;
    let window = breaker.snapshot().window.unwrap();
    assert_eq!((window.calls, window.failure_rate()), (0, None));
    assert_eq!(play(&breaker, "FFFF").await, Closed);
}

#[tokio::test(start_paused = true)]
async fn s07_a_new_outcome_replaces_the_oldest() {
    for size in [1, 3, 4, 7, 10, 64] {
        let config = BreakerConfig::new().window(Window::calls(size)).failure_rate(1.0).min_calls(size);
        let breaker = CircuitBreaker::new("ring", config);
        // Every third call fails: a full window never consists of failures only, however often it wraps around.
        let mut last = std::collections::VecDeque::new();
        for call in 0..1_000 {
            let failed = call % 3 == 0 && size > 1;
            play(&breaker, if failed { "F" } else { "S" }).await;
            last.push_back(failed);
            if last.len() > size as usize {
                last.pop_front();
            }
            let window = breaker.snapshot().window.unwrap();
            let failures = last.iter().filter(|failed| **failed).count();
            assert_eq!((window.calls, window.failures), (last.len() as u64, failures as u64), "{size}, call {call}");
        }
        fail_until_open(&breaker, size as usize).await;
        assert_eq!(breaker.state(), Open);
    }
}

#[tokio::test(start_paused = true)]
async fn s08_a_panic_counts_as_one_failure() {
    for config in KINDS {
        check(8, config, &[("PPPP", Closed), ("PPPP P", Open)]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn s09_a_dropped_permit_is_ignored() {
    for config in KINDS {
        check(9, config, &[("XXXXXXXXXX", Closed), ("FFFF X F", Open), ("FFFF XXXXX", Closed)]).await;
        check(9, config, &[("FFFFF +30 XXXXXXX S", HalfOpen)]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn s10_a_circuit_stays_open_for_exactly_the_recovery_timeout() {
    for config in KINDS {
        let breaker = CircuitBreaker::new("open", config);
        play(&breaker, "FFFFF").await;
        advance(seconds(30) - Duration::from_micros(1)).await;
        play(&breaker, "R").await;
        advance(Duration::from_micros(1)).await;
        assert_eq!(play(&breaker, "S").await, HalfOpen);
    }
}

#[tokio::test(start_paused = true)]
async fn s11_the_recovery_timeout_grows_with_each_failed_recovery() {
    for config in KINDS {
        let config = config.exponential_recovery(seconds(1), 2.0, seconds(5));
        check(11, config, &[("FFFFF +1 F +1 R +1 F +3 R +1 F +4 R +1 F +4 R +1 SSS FFFFF +1 S", HalfOpen)]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn s12_trial_calls_are_limited() {
    for config in KINDS {
        let breaker = CircuitBreaker::new("tried", config);
        play(&breaker, "FFFFF +30").await;
        let trials: Vec<_> = (0..3).map(|_| breaker.try_acquire().unwrap()).collect();
        play(&breaker, "RRR").await;
        trials.into_iter().for_each(Permit::success);
        assert_eq!(breaker.state(), Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn s13_a_failed_trial_call_reopens_the_circuit_and_enough_successes_close_it() {
    for config in KINDS {
        let histories = [
            ("FFFFF +30 F R", Open),
            ("FFFFF +30 SSF R", Open),
            ("FFFFF +30 SSS", Closed),
            ("FFFFF +30 SSS FFFF", Closed),
        ];
        check(13, config, &histories).await;
    }
}

#[tokio::test(start_paused = true)]
async fn s14_dropped_trial_permits_are_released() {
    for config in KINDS {
        check(14, config, &[("FFFFF +30 XXX SSS", Closed), ("FFFFF +30 XSXSXS", Closed)]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn s15_the_permit_of_a_hung_trial_call_is_reclaimed() {
    for config in KINDS {
        let breaker = CircuitBreaker::new("leaked", config);
        play(&breaker, "FFFFF +30").await;
        (0..3).for_each(|_| std::mem::forget(breaker.try_acquire()));
        play(&breaker, "+29 R +1").await;
        assert_eq!(play(&breaker, "SSS").await, Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn s16_a_late_result_does_not_change_the_state() {
    for config in KINDS {
        let breaker = CircuitBreaker::new("late", config);
        let late: Vec<_> = (0..4).map(|_| breaker.try_acquire().unwrap()).collect();
        let mut late = late.into_iter();
        play(&breaker, "FFFFF").await;
        late.next().unwrap().success();
        assert_eq!(breaker.state(), Open);
        play(&breaker, "+30 S").await;
        late.next().unwrap().failure();
        late.next().unwrap().success();
        assert_eq!(breaker.state(), HalfOpen);
        assert_eq!(play(&breaker, "SS FFFF").await, Closed);
        late.next().unwrap().failure();
        assert_eq!(breaker.state(), Closed);
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.successes, snapshot.failures), (2 + 3, 2 + 9), "late results are counted in the totals");
    }
}

#[tokio::test(start_paused = true)]
async fn s17_an_override_sets_the_state_and_a_reset_clears_the_counts() {
    for config in KINDS {
        let breaker = CircuitBreaker::new("manual", config);
        breaker.force_open();
        assert_eq!(play(&breaker, "R +100000 R").await, ForcedOpen);
        breaker.disable();
        assert_eq!(play(&breaker, "FFFFFFFFFF SSS FFFFF").await, Disabled);
        breaker.reset();
        assert_eq!(play(&breaker, "FFFF").await, Closed);
        for history in ["FFFFF", "FFFFF +30 S", "FF"] {
            breaker.reset();
            play(&breaker, history).await;
            breaker.reset();
            assert_eq!(play(&breaker, "FFFF").await, Closed, "{history}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s18_every_subscriber_receives_each_transition_once_and_in_order() {
    let received = [(); 2].map(|()| Arc::new(Mutex::new(Vec::new())));
    let subscriptions = received.clone().map(|received| {
        events::subscribe(move |event| {
            if let Event::StateChanged { breaker: "observed", from, to, .. } = event {
                received.lock().unwrap().push((*from, *to));
            }
        })
    });
    for config in KINDS {
        let breaker = CircuitBreaker::new("observed", config);
        play(&breaker, "FFFFF R +30 F +30 SSS").await;
        breaker.reset();
        breaker.force_open();
        breaker.force_open();
        breaker.disable();
        breaker.reset();
        let expected = [
            (Closed, Open),
            (Open, HalfOpen),
            (HalfOpen, Open),
            (Open, HalfOpen),
            (HalfOpen, Closed),
            (Closed, ForcedOpen),
            (ForcedOpen, Disabled),
            (Disabled, Closed),
        ];
        crate::flush_events();
        for received in &received {
            assert_eq!(*std::mem::take(&mut *received.lock().unwrap()), expected);
        }
        assert_eq!(breaker.snapshot().transitions, expected.len() as u64);
    }
    subscriptions.into_iter().for_each(events::Subscription::unsubscribe);
}

#[tokio::test(start_paused = true)]
async fn s19_reconfigure_applies_at_once() {
    for config in KINDS {
        // Open: the new recovery timeout applies to the current open state.
        let breaker = CircuitBreaker::new("changed", config);
        play(&breaker, "FFFFF +5 R").await;
        breaker.reconfigure(config.recovery_timeout(seconds(5)).half_open_max_calls(2));
        assert_eq!(play(&breaker, "S").await, HalfOpen, "half-open is not skipped");
        // Half-open: a single success is required now, and one has been counted.
        breaker.reconfigure(config.half_open_max_calls(1));
        assert_eq!(breaker.state(), Closed);
        let snapshot = breaker.snapshot();
        assert_eq!(
            (snapshot.successes, snapshot.failures, snapshot.rejections),
            (1, 5, 1),
            "reconfigure keeps the totals"
        );
    }
    let breaker = CircuitBreaker::new("changed", CONSECUTIVE);
    play(&breaker, "FFF").await;
    breaker.reconfigure(CONSECUTIVE.failure_threshold(4));
    assert_eq!(play(&breaker, "F").await, Open);
    for (config, changed) in [
        (BY_CALLS, BY_CALLS.window(Window::calls(8)).min_calls(4)),
        (BY_TIME, BY_TIME.window(Window::time(seconds(21))).min_calls(4)),
    ] {
        let breaker = CircuitBreaker::new("changed", config);
        play(&breaker, "SFF").await;
        breaker.reconfigure(changed);
        assert_eq!(breaker.snapshot().window.map(|window| (window.calls, window.failures)), Some((3, 2)));
        assert_eq!(play(&breaker, "F").await, Open);
    }
    // A change to another kind of window: the new window starts empty.
    let breaker = CircuitBreaker::new("changed", CONSECUTIVE);
    play(&breaker, "FFFF").await;
    breaker.reconfigure(BY_CALLS);
    assert_eq!(play(&breaker, "FFFF").await, Closed);
    assert_eq!(play(&breaker, "F").await, Open);
}

#[tokio::test(start_paused = true)]
async fn a_window_that_is_configured_again_starts_empty() {
    for (config, other) in [
        (BY_CALLS, BY_TIME),
        (BY_TIME, BY_CALLS),
        (BY_CALLS, CONSECUTIVE),
        (BY_TIME, CONSECUTIVE),
        (CONSECUTIVE, BY_CALLS),
        (CONSECUTIVE, BY_TIME),
    ] {
        let breaker = CircuitBreaker::new("reconfigured twice", config);
        play(&breaker, "FFFF").await;
        breaker.reconfigure(other);
        play(&breaker, &"S".repeat(100)).await;
        breaker.reconfigure(config);
        let snapshot = breaker.snapshot();
        let counted = snapshot.window.map_or(snapshot.consecutive_failures.into(), |window| window.calls);
        assert_eq!(counted, 0, "{snapshot}");
        assert_eq!(play(&breaker, "FFFF").await, Closed);
        assert_eq!(play(&breaker, "F").await, Open);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hung_trial_call_keeps_its_permit_for_one_recovery_timeout() {
    for config in KINDS {
        let config = config.recovery_timeout(seconds(10));
        for (trials, hung) in [(1, 1), (3, 1), (3, 2), (3, 3), (255, 254)] {
            let breaker = CircuitBreaker::new("hung", config.half_open_max_calls(trials));
            play(&breaker, "FFFFF +10").await;
            let hung: Vec<_> = (0..hung).map(|_| breaker.try_acquire().unwrap()).collect();
            advance(seconds(30 * 24 * 3_600)).await;
            let successes = "S".repeat(trials as usize);
            assert_eq!(play(&breaker, &successes).await, Closed, "{} of {trials}", hung.len());
        }
        // Other trial calls succeed or are dropped in the meantime.
        let breaker = CircuitBreaker::new("hung", config.half_open_max_calls(2));
        play(&breaker, "FFFFF +10").await;
        let _hung = breaker.try_acquire().unwrap();
        assert_eq!(play(&breaker, "+3 X +3 X +3 S R").await, HalfOpen);
        assert_eq!(play(&breaker, "+1 S").await, Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn s20_the_longest_and_the_shortest_durations_work() {
    let day = Duration::from_hours(24);
    for config in KINDS {
        let breaker = CircuitBreaker::new("longest", config.recovery_timeout(Duration::MAX));
        play(&breaker, "FFFFF").await;
        for days in [40, 11, 4_000] {
            advance(day * days).await;
            assert_eq!(play(&breaker, "R").await, Open);
        }
        let breaker = CircuitBreaker::new("shortest", config.recovery_timeout(Duration::from_nanos(1)));
        play(&breaker, "FFFFF R").await;
        advance(Duration::from_micros(1)).await;
        assert_eq!(play(&breaker, "SSS").await, Closed);
    }
    check(20, BY_TIME.window(Window::time(Duration::MAX)), &[("FFFF +1000000 F", Open)]).await;
}
