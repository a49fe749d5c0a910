//! Events: subscriptions, delivery, bounded queues; and the history that a breaker keeps.

use std::{
    io, panic,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use steadfast::{
    BreakerConfig,
    BreakerState::{Closed, HalfOpen, Open},
    CircuitBreaker, HistoryEvent, OpenReason,
    events::{self, Event},
};
use tokio::time::advance;

const SECOND: Duration = Duration::from_secs(1);
const CONFIG: BreakerConfig = BreakerConfig::new().failure_threshold(2).half_open_max_calls(1);

fn fail(breaker: &CircuitBreaker) {
    breaker.call(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut))).unwrap_err();
}

/// Returns true if the event is about the breaker with this name. Subscribers receive the events of all tests.
fn is_of(event: &Event, name: &str) -> bool {
    match event {
        Event::StateChanged { breaker, .. } => *breaker == name,
        Event::CallRejected { rejection, .. } => rejection.name() == name,
        _ => false,
    }
}

#[test]
fn a_subscription_ends_when_it_is_dropped() {
    let breaker = CircuitBreaker::new("dropped", CONFIG);
    let received = Arc::new(Mutex::new(0));
    let count = || {
        let received = received.clone();
        events::subscribe(move |event| *received.lock().unwrap() += u32::from(is_of(event, "dropped")))
    };
    let first = count();
    breaker.force_open();
    crate::support::wait_until(|| *received.lock().unwrap() == 1);
    drop(first);
    breaker.reset();
    crate::flush_events(); // a later subscription must not receive the event
    crate::support::wait_until(|| Arc::strong_count(&received) == 1); // the callback is dropped, even if another thread was calling it
    count().unsubscribe();
    crate::support::wait_until(|| Arc::strong_count(&received) == 1);
    assert_eq!(*received.lock().unwrap(), 1);
    count().forever();
    breaker.force_open();
    crate::support::wait_until(|| *received.lock().unwrap() > 1);
    assert_eq!(*received.lock().unwrap(), 2);
}

#[test]
fn values_captured_by_a_callback_may_use_the_library_when_dropped() {
    struct Held;
    impl Drop for Held {
        fn drop(&mut self) {
            events::subscribe(|_| {}).unsubscribe();
        }
    }
    let held = Held;
    let subscription = events::subscribe(move |_| _ = &held);
    drop(subscription); // must not wait for a lock that this thread holds
}

#[test]
fn a_rejection_emits_an_event_with_its_reason() {
    let breaker = CircuitBreaker::new("rejecting", CONFIG);
    let received = Arc::new(Mutex::new(Vec::new()));
    let _subscription = events::subscribe({
        let received = received.clone();
        move |event| {
            if is_of(event, "rejecting") {
                received.lock().unwrap().push(event.to_string());
            }
        }
    });
    fail(&breaker);
    fail(&breaker);
    fail(&breaker);
    crate::support::wait_until(|| received.lock().unwrap().len() >= 2);
    let received = received.lock().unwrap();
    let [opened, rejected] = &received[..] else { panic!("{received:?}") };
    assert_eq!(opened, "circuit `rejecting`: closed -> open after 2 failures in a row");
    assert!(rejected.starts_with("circuit `rejecting` is open after 2 failures in a row; retry after "), "{rejected}");
}

#[tokio::test(start_paused = true)]
async fn a_breaker_keeps_a_history_of_recent_changes() {
    let breaker = CircuitBreaker::new("history", CONFIG);
    assert_eq!(breaker.recent(), []);
    let begun = SystemTime::now();
    fail(&breaker);
    fail(&breaker);
    for _ in 0..1_000 {
        breaker.try_acquire().unwrap_err();
    }
    advance(SECOND).await;
    breaker.try_acquire().unwrap_err();
    advance(29 * SECOND).await;
    drop(breaker.try_acquire().unwrap());

    let recent = breaker.recent();
    let what: Vec<_> = recent.iter().map(|entry| entry.what.clone()).collect();
    let is_reason = |reason: &OpenReason| matches!(reason, OpenReason::ConsecutiveFailures { failures: 2, .. });
    let [opened, rejected, again, half_open] = &what[..] else { panic!("{what:?}") };
    assert!(
        matches!(opened, HistoryEvent::StateChanged { from: Closed, to: Open, reason: Some(why), .. } if is_reason(why))
    );
    for rejected in [rejected, again] {
        assert!(
            matches!(rejected, HistoryEvent::Rejected { reason: why, .. } if is_reason(why)),
            "rejections are recorded at most once per second"
        );
    }
    assert!(matches!(half_open, HistoryEvent::StateChanged { from: Open, to: HalfOpen, reason: None, .. }));
    // Entries use the wall clock, plus the 30 s by which the test's clock was advanced.
    let apart = recent[3].at.duration_since(recent[0].at).unwrap();
    let real_time = begun.elapsed().unwrap();
    assert!((29 * SECOND..=31 * SECOND + real_time).contains(&apart), "{apart:?}");
    assert!(recent[3].at >= begun);
}

#[tokio::test(start_paused = true)]
async fn the_history_is_bounded() {
    let breaker = CircuitBreaker::new("long-lived", CONFIG);
    for _ in 0..100 {
        breaker.force_open();
        breaker.try_acquire().unwrap_err();
        advance(SECOND).await;
        breaker.reset();
    }
    let recent = breaker.recent();
    let rejections = recent.iter().filter(|entry| matches!(entry.what, HistoryEvent::Rejected { .. })).count();
    assert_eq!((recent.len(), rejections), (40, 8));
    assert!(recent.is_sorted_by_key(|entry| entry.at));
}

#[test]
fn a_subscriber_whose_calls_are_rejected_does_not_block_the_caller() {
    static ECHOED: CircuitBreaker = CircuitBreaker::new("echoed", CONFIG);
    let received = Arc::new(Mutex::new(0));
    let subscription = events::subscribe({
        let received = received.clone();
        move |event| {
            if matches!(event, Event::CallRejected { .. }) && is_of(event, "echoed") {
                *received.lock().unwrap() += 1;
                ECHOED.try_acquire().unwrap_err();
            }
        }
    });
    ECHOED.force_open();
    ECHOED.try_acquire().unwrap_err(); // returns
    crate::support::wait_until(|| *received.lock().unwrap() > 0);
    // Events are delivered only by calls, so the number of rejections is bounded by the number of deliveries.
    drop(subscription);
    assert!(ECHOED.snapshot().rejections <= 2 + *received.lock().unwrap());
}

#[test]
fn a_subscriber_whose_panic_payload_panics_does_not_end_delivery() {
    struct PanicsOnDrop;
    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            panic!("the payload of a panic panics in its drop");
        }
    }
    let breaker = CircuitBreaker::new("panicking subscriber", CONFIG);
    let received = Arc::new(Mutex::new(0));
    let _panics = events::subscribe(|event| {
        if is_of(event, "panicking subscriber") {
            panic::panic_any(PanicsOnDrop);
        }
    });
    let _counts = events::subscribe({
        let received = received.clone();
        move |event| *received.lock().unwrap() += u32::from(is_of(event, "panicking subscriber"))
    });
    for changes in 1..=3 {
        breaker.force_open();
        breaker.reset();
        crate::support::wait_until(|| *received.lock().unwrap() == 2 * changes);
    }
}
