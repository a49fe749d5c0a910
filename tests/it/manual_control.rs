//! Manual control: overrides with expiry and reason, and the events and rejections that show them.

use std::{
    cell::Cell,
    io, panic,
    sync::{Arc, Mutex},
    time::Duration,
};

use steadfast::{
    BreakerConfig,
    BreakerState::{Closed, Disabled, HalfOpen, Open},
    CircuitBreaker, OpenReason, Override, Window, breaker, circuit_breaker,
    events::{self, Event, Subscription},
    retry,
};
use tokio::time::{Instant, advance};

const SECOND: Duration = Duration::from_secs(1);
const CONFIG: BreakerConfig = BreakerConfig::new().failure_threshold(2).half_open_max_calls(1);

fn fail(breaker: &CircuitBreaker) {
    breaker.call(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut))).unwrap_err();
}

fn succeed(breaker: &CircuitBreaker) -> bool {
    breaker.call(|| Ok::<_, io::Error>(())).is_ok()
}

/// Collects the state changes of one breaker; subscribers receive the events of all tests.
fn state_changes(name: &'static str) -> (Arc<Mutex<Vec<String>>>, Subscription) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let subscription = events::subscribe({
        let events = events.clone();
        move |event| match event {
            Event::StateChanged { breaker, .. } if *breaker == name => events.lock().unwrap().push(event.to_string()),
            _ => {}
        }
    });
    (events, subscription)
}

#[tokio::test(start_paused = true)]
async fn the_reason_of_an_override_is_shown_everywhere() {
    let (events, subscription) = state_changes("migrating");
    let breaker = CircuitBreaker::new("migrating", CONFIG);
    breaker.apply_override(&Override::force_open().expires_in(600 * SECOND).reason("migration until 14:00"));
    let rejected = breaker.try_acquire().unwrap_err();
    assert_eq!(
        rejected.to_string(),
        "circuit `migrating` is forced open (migration until 14:00); retry after 600.000s"
    );
    assert_eq!((rejected.reason(), rejected.operator_reason()), (OpenReason::Forced, Some("migration until 14:00")));
    assert_eq!(rejected.retry_after(), Some(600 * SECOND));
    assert_eq!(
        breaker.snapshot().to_string(),
        "migrating: forced-open for another 600.000s (migration until 14:00); \
         0 succeeded, 0 failed, 0 ignored, 0 cancelled, 1 rejected"
    );
    // A change of the expiry or the reason is not a transition.
    advance(300 * SECOND).await;
    breaker.apply_override(&Override::force_open().reason("it takes longer"));
    let rejected = breaker.try_acquire().unwrap_err();
    assert_eq!(rejected.to_string(), "circuit `migrating` is forced open (it takes longer)");
    assert_eq!((rejected.retry_after(), rejected.elapsed()), (None, Some(300 * SECOND)));
    breaker.force_open();
    assert_eq!(breaker.try_acquire().unwrap_err().operator_reason(), None, "the earlier reason no longer applies");
    breaker.apply_override(&Override::reset().reason("done"));
    assert_eq!(breaker.snapshot().operator_reason.as_deref(), Some("done"));
    fail(&breaker);
    fail(&breaker);
    assert_eq!(breaker.snapshot().operator_reason, None);
    crate::flush_events();
    assert_eq!(
        *events.lock().unwrap(),
        [
            "circuit `migrating`: closed -> forced-open (migration until 14:00)",
            "circuit `migrating`: forced-open -> closed (done)",
            "circuit `migrating`: closed -> open after 2 failures in a row",
        ]
    );
    subscription.unsubscribe();
    breaker.reset();
    crate::flush_events();
    assert_eq!(events.lock().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_override_expires_at_the_next_call() {
    let breaker = CircuitBreaker::new("expiring", CONFIG);
    breaker.force_open_for(10 * SECOND);
    advance(10 * SECOND - Duration::from_micros(1)).await;
    assert!(!succeed(&breaker));
    advance(Duration::from_micros(1)).await;
    assert_eq!((breaker.state(), breaker.snapshot().transitions), (HalfOpen, 1));
    assert!(succeed(&breaker), "a trial call");
    assert_eq!(breaker.state(), Closed);

    breaker.disable_for(10 * SECOND);
    for _ in 0..10 {
        fail(&breaker);
    }
    assert_eq!(breaker.state(), Disabled);
    assert_eq!(breaker.snapshot().disabled_for, Some(10 * SECOND));
    advance(10 * SECOND).await;
    fail(&breaker);
    assert_eq!((breaker.state(), breaker.snapshot().consecutive_failures), (Closed, 1));

    // The shortest and the longest expiry.
    breaker.force_open_for(Duration::ZERO);
    assert!(succeed(&breaker));
    breaker.force_open_for(Duration::MAX);
    advance(Duration::from_hours(24 * 365 * 10)).await;
    assert!(!succeed(&breaker));
}

#[tokio::test(start_paused = true)]
async fn an_override_can_open_and_close_the_circuit() {
    let (events, subscription) = state_changes("overridden");
    let breaker = CircuitBreaker::new("overridden", CONFIG.exponential_recovery(SECOND, 2.0, 100 * SECOND));
    let in_flight = breaker.try_acquire().unwrap();
    breaker.apply_override(
        &Override::open().expires_in(7 * SECOND).failed_recoveries(2).reason("down on other instances"),
    );
    in_flight.success();
    assert_eq!((breaker.state(), breaker.snapshot().open_for), (Open, Some(7 * SECOND)));
    assert_eq!(breaker.snapshot().operator_reason.as_deref(), Some("down on other instances"));
    // A new expiry is not a transition, and a smaller number of failed recoveries does not lower the count.
    breaker.apply_override(&Override::open().expires_in(9 * SECOND));
    advance(9 * SECOND - Duration::from_micros(1)).await;
    assert!(!succeed(&breaker));
    advance(Duration::from_micros(1)).await;
    fail(&breaker);
    let failed = breaker.snapshot();
    assert_eq!(
        (failed.failed_recoveries, failed.open_for),
        (3, Some(8 * SECOND)),
        "the recovery timeout keeps growing"
    );
    breaker.apply_override(&Override::close());
    assert_eq!((breaker.state(), breaker.snapshot().failed_recoveries), (Closed, 0));
    breaker.apply_override(&Override::close()); // already closed
    breaker.apply_override(&Override::open()); // for the configured recovery timeout
    assert_eq!((breaker.state(), breaker.snapshot().open_for), (Open, Some(SECOND)));
    assert_eq!(breaker.try_acquire().unwrap_err().reason(), OpenReason::Override);
    advance(SECOND).await;
    let trial = breaker.try_acquire().unwrap();
    breaker.apply_override(&Override::open().reason("another instance is trying"));
    trial.success();
    let rejected = breaker.try_acquire().unwrap_err();
    assert_eq!(
        rejected.to_string(),
        "circuit `overridden` is open by a manual override (another instance is trying); retry after 1.000s"
    );
    crate::flush_events();
    assert_eq!(
        *events.lock().unwrap(),
        [
            "circuit `overridden`: closed -> open by a manual override (down on other instances)",
            "circuit `overridden`: open -> half-open",
            "circuit `overridden`: half-open -> open after a failed trial call",
            "circuit `overridden`: open -> closed",
            "circuit `overridden`: closed -> open by a manual override",
            "circuit `overridden`: open -> half-open",
            "circuit `overridden`: half-open -> open by a manual override (another instance is trying)",
        ]
    );
    subscription.unsubscribe();
    // An operator's override takes precedence.
    for override_ in [CircuitBreaker::force_open, CircuitBreaker::disable] {
        override_(&breaker);
        let state = breaker.state();
        breaker.apply_override(&Override::open());
        breaker.apply_override(&Override::close());
        assert_eq!(breaker.state(), state);
    }
}

#[tokio::test(start_paused = true)]
async fn a_circuit_closed_by_an_override_ramps_up() {
    let breaker = CircuitBreaker::new("ramped", CONFIG.ramp_up(100 * SECOND));
    breaker.apply_override(&Override::open().expires_in(Duration::MAX));
    advance(Duration::from_hours(38)).await;
    assert!(!succeed(&breaker), "with the longest expiry");
    breaker.apply_override(&Override::close());
    let admitted = (0..1_000).filter(|_| succeed(&breaker)).count();
    assert!((50..200).contains(&admitted), "{admitted} of 1000 calls at the start of the ramp");
    advance(100 * SECOND).await;
    assert!((0..1_000).all(|_| succeed(&breaker)));
}

#[tokio::test(start_paused = true)]
async fn an_observing_breaker_changes_state_and_rejects_nothing() {
    let (events, subscription) = state_changes("observed");
    let breaker = CircuitBreaker::new("observed", CONFIG.observe_only(true));
    for _ in 0..5 {
        fail(&breaker);
    }
    assert_eq!(breaker.state(), Open);
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.failures, snapshot.rejections, snapshot.observed_rejections), (5, 0, 3));
    advance(30 * SECOND).await;
    let trial = breaker.try_acquire().unwrap();
    assert!(succeed(&breaker), "would have been rejected during the trial call");
    assert_eq!(breaker.state(), HalfOpen, "its success does not close the circuit");
    trial.success();
    assert_eq!(breaker.state(), Closed);
    breaker.force_open();
    assert!(succeed(&breaker));
    crate::flush_events();
    assert_eq!(events.lock().unwrap().len(), 4);
    subscription.unsubscribe();
}

#[retry(max_attempts = 3, backoff = fixed(1s), jitter = none)]
#[circuit_breaker(name = "observed below a retry", failure_threshold = 1, observe_only = true)]
async fn observed(calls: &Cell<u32>) -> io::Result<()> {
    calls.set(calls.get() + 1);
    Err(io::ErrorKind::TimedOut.into())
}

#[tokio::test(start_paused = true)]
async fn an_observing_breaker_does_not_shorten_the_sleeps_of_a_retry() {
    let (start, calls) = (Instant::now(), Cell::new(0));
    observed(&calls).await.unwrap_err();
    assert_eq!((calls.get(), start.elapsed()), (3, 2 * SECOND));
    let observed = breaker("observed below a retry").unwrap().snapshot();
    assert_eq!((observed.state, observed.rejections, observed.observed_rejections), (Open, 0, 2));
}

#[test]
fn a_callback_may_panic_and_call_the_library() {
    static BREAKER: CircuitBreaker = CircuitBreaker::new("callback", CONFIG);
    let events = Arc::new(Mutex::new(Vec::new()));
    let is_ours = |event: &Event| matches!(event, Event::StateChanged { breaker: "callback", .. });
    let subscriptions = [
        events::subscribe(move |event| assert!(!is_ours(event), "a callback that panics")),
        events::subscribe({
            let events = events.clone();
            move |event| {
                if !is_ours(event) {
                    return;
                }
                let Event::StateChanged { from, to, .. } = event else { return };
                events.lock().unwrap().push((*from, *to));
                // The event of this change is delivered after this callback has returned, not during it.
                if *to == Open {
                    BREAKER.disable();
                    assert_eq!(BREAKER.state(), Disabled);
                    events::subscribe(|_| {}).unsubscribe();
                }
            }
        }),
    ];
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    fail(&BREAKER);
    fail(&BREAKER);
    panic::set_hook(hook);
    crate::flush_events();
    // If another test's thread delivers, the callback's own change comes after the first marker.
    crate::flush_events();
    assert_eq!(*events.lock().unwrap(), [(Closed, Open), (Open, Disabled)]);
    subscriptions.into_iter().for_each(Subscription::unsubscribe);
}

#[test]
fn a_rejection_names_the_rule_and_its_counts() {
    let by_rate = CONFIG.window(Window::calls(10)).min_calls(4);
    for (config, calls, expected) in [
        (CONFIG.failure_threshold(1), "F", "open after a failure"),
        (CONFIG, "SFF", "open after 2 failures in a row"),
        (by_rate, "SSFF", "open after 2 of 4 calls failed (50 %)"),
        (by_rate.failure_rate(0.1), "SSSSSSSSSSSSSF", "open after 1 of 10 calls failed (10 %)"),
    ] {
        let breaker = CircuitBreaker::new("tripped", config);
        for call in calls.chars() {
            if call == 'S' {
                assert!(succeed(&breaker));
            } else {
                fail(&breaker);
            }
        }
        let rejected = breaker.try_acquire().unwrap_err();
        assert_eq!(rejected.reason().to_string(), expected);
        assert_eq!(breaker.snapshot().open_reason, Some(rejected.reason()));
    }
}

#[tokio::test(start_paused = true)]
async fn slow_calls_open_the_circuit_and_are_reported_as_the_reason() {
    let config = CONFIG.window(Window::calls(10)).min_calls(4).slow_call(2 * SECOND);
    let breaker = CircuitBreaker::new("slow", config);
    for seconds in [1, 2, 1, 3] {
        let permit = breaker.try_acquire().unwrap();
        advance(seconds * SECOND).await;
        permit.success();
    }
    assert_eq!(breaker.state(), Open);
    let rejected = breaker.try_acquire().unwrap_err();
    assert_eq!(rejected.reason().to_string(), "open after 2 of 4 calls were slow (50 %)");
    advance(30 * SECOND).await;
    let trial = breaker.try_acquire().unwrap();
    advance(2 * SECOND).await;
    trial.success();
    assert_eq!(breaker.state(), Open, "a slow trial call fails");
    assert_eq!(breaker.snapshot().open_reason, Some(OpenReason::TrialFailed));
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.successes, snapshot.failures, snapshot.failed_recoveries), (5, 0, 1));
}

#[test]
fn presets_have_their_documented_values() {
    for (preset, failures, seconds) in [
        (BreakerConfig::critical(), 3, 15),
        (BreakerConfig::non_critical(), 10, 60),
        (BreakerConfig::flaky_api(), 3, 30),
        (BreakerConfig::database(), 5, 30),
    ] {
        let expected = BreakerConfig::new().failure_threshold(failures).recovery_timeout(seconds * SECOND);
        assert_eq!(preset, expected);
    }
}

#[test]
fn a_config_serializes_with_the_names_of_its_options() {
    let config = BreakerConfig::new()
        .window(Window::time(Duration::from_mins(1)))
        .slow_call(Duration::from_millis(1_500))
        .exponential_recovery(Duration::from_secs(30), 2.0, Duration::from_mins(5));
    assert_eq!(
        serde_json::to_value(config).unwrap(),
        serde_json::json!({
            "failure_threshold": null,
            "window": { "time": 60.0 },
            "failure_rate": 0.5,
            "min_calls": 10,
            "slow_call": 1.5,
            "slow_call_rate": 0.5,
            "recovery_timeout": { "base": 30.0, "factor": 2.0, "max": 300.0 },
            "recovery_jitter": 0.0,
            "half_open_max_calls": 3,
            "half_open_successes": null,
            "ramp_up": 0.0,
            "observe_only": false,
            "hung_call": null,
            "cancelled_call": null,
            "durations": false,
        })
    );
    let json = serde_json::to_value(BreakerConfig::new().window(Window::calls(100))).unwrap();
    assert_eq!((&json["window"], &json["recovery_timeout"]), (&serde_json::json!({ "calls": 100 }), &30.0.into()));
    let json = serde_json::to_value(BreakerConfig::new().half_open_successes(2)).unwrap();
    assert_eq!((&json["window"], &json["failure_threshold"]), (&serde_json::Value::Null, &5.into()));
    assert_eq!(json["half_open_successes"], 2);
}

#[test]
fn a_snapshot_can_be_serialized() {
    let breaker = CircuitBreaker::new("serialized", CONFIG.window(Window::calls(4)).min_calls(1));
    breaker.call(|| Ok::<_, io::Error>(())).unwrap();
    let json = serde_json::to_value(breaker.snapshot()).unwrap();
    assert_eq!(json["name"], "serialized");
    assert_eq!(json["state"], Closed.to_string());
    assert_eq!(json["window"]["calls"], 1);
    assert_eq!((&json["open_for"], &json["key"]), (&serde_json::Value::Null, &serde_json::Value::Null));
    breaker.force_open_for(10 * SECOND);
    let json = serde_json::to_value(breaker.snapshot()).unwrap();
    assert_eq!((json["state"].as_str(), json["open_reason"].as_str()), (Some("forced-open"), Some("forced open")));
    assert!(json["open_for"].as_f64().is_some_and(|seconds| (9.0..=10.0).contains(&seconds)));
    assert!(json["last_transition"].as_f64().is_some_and(|seconds| seconds > 1e9));
}

#[tokio::test(start_paused = true)]
async fn an_expired_override_is_replaced_by_another() {
    let overrides = [Override::force_open(), Override::disable()];
    let overrides = || overrides.clone().map(|override_| override_.expires_in(SECOND));
    for override_ in overrides() {
        let breaker = CircuitBreaker::new("expired", CONFIG);
        breaker.apply_override(&override_);
        breaker.apply_override(&Override::open());
        breaker.apply_override(&Override::close());
        assert_eq!(breaker.snapshot().transitions, 1, "the override holds");
        advance(SECOND).await;
        breaker.apply_override(&Override::open().expires_in(5 * SECOND).reason("down on other instances"));
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.state, snapshot.open_for), (Open, Some(5 * SECOND)));
        assert_eq!(snapshot.operator_reason.as_deref(), Some("down on other instances"));
        assert_eq!(breaker.try_acquire().unwrap_err().reason(), OpenReason::Override);
        advance(5 * SECOND).await;
        assert!(succeed(&breaker));
        assert_eq!(breaker.state(), Closed);
    }
    for override_ in overrides() {
        let breaker = CircuitBreaker::new("expired", CONFIG);
        breaker.apply_override(&override_);
        advance(SECOND).await;
        breaker.apply_override(&Override::close());
        assert_eq!(breaker.state(), Closed);
        assert!(succeed(&breaker) && succeed(&breaker));
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.state, snapshot.transitions), (Closed, 2));
    }
}
