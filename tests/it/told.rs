//! What is told: to whom, how much of it waits, and what a breaker remembers.

use std::{
    io,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use steadfast::{
    BreakerConfig,
    BreakerState::{Closed, HalfOpen, Open},
    CircuitBreaker, Happening, OpenReason,
    events::{self, Event},
};
use tokio::time::advance;

const SECOND: Duration = Duration::from_secs(1);
const CONFIG: BreakerConfig = BreakerConfig::new().failure_threshold(2).half_open_max_calls(1);

fn fail(breaker: &CircuitBreaker) {
    breaker.call(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut))).unwrap_err();
}

/// Whether the event is about the breaker of that name: subscribers hear of all, and other tests have theirs.
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
    let heard = Arc::new(Mutex::new(0));
    let count = || {
        let heard = heard.clone();
        events::subscribe(move |event| *heard.lock().unwrap() += u32::from(is_of(event, "dropped")))
    };
    let first = count();
    breaker.force_open();
    crate::until(|| *heard.lock().unwrap() == 1);
    drop(first);
    breaker.reset();
    crate::until(|| Arc::strong_count(&heard) == 1); // the callback is gone, whoever was just calling it
    count().unsubscribe();
    crate::until(|| Arc::strong_count(&heard) == 1);
    assert_eq!(*heard.lock().unwrap(), 1);
    count().forever();
    breaker.force_open();
    crate::until(|| *heard.lock().unwrap() > 1);
    assert_eq!(*heard.lock().unwrap(), 2);
}

#[test]
fn what_a_callback_holds_may_use_the_library_as_it_goes() {
    struct Held;
    impl Drop for Held {
        fn drop(&mut self) {
            events::subscribe(|_| {}).unsubscribe();
        }
    }
    let held = Held;
    let subscription = events::subscribe(move |_| _ = &held);
    drop(subscription); // and does not wait for a lock that it holds itself
}

#[test]
fn a_rejection_is_told_with_its_reason() {
    let breaker = CircuitBreaker::new("rejecting", CONFIG);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let _subscription = events::subscribe({
        let heard = heard.clone();
        move |event| {
            if is_of(event, "rejecting") {
                heard.lock().unwrap().push(event.to_string());
            }
        }
    });
    fail(&breaker);
    fail(&breaker);
    fail(&breaker);
    crate::until(|| heard.lock().unwrap().len() >= 2);
    let heard = heard.lock().unwrap();
    let [opened, rejected] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!(opened, "circuit `rejecting`: closed -> open after 2 failures in a row");
    assert!(rejected.starts_with("circuit `rejecting` is open after 2 failures in a row; retry after "), "{rejected}");
}

#[tokio::test(start_paused = true)]
async fn a_breaker_remembers_what_happened_of_late() {
    let breaker = CircuitBreaker::new("remembering", CONFIG);
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
    let what: Vec<_> = recent.iter().map(|incident| incident.what.clone()).collect();
    let reason = OpenReason::ConsecutiveFailures { failures: 2 };
    let [opened, rejected, again, half_open] = &what[..] else { panic!("{what:?}") };
    assert!(
        matches!(opened, Happening::StateChanged { from: Closed, to: Open, reason: Some(why), .. } if *why == reason)
    );
    for rejected in [rejected, again] {
        assert!(matches!(rejected, Happening::Rejected { reason: why, .. } if *why == reason), "one of a thousand");
    }
    assert!(matches!(half_open, Happening::StateChanged { from: Open, to: HalfOpen, reason: None, .. }));
    // By the wall clock, of which the test's clock has passed 30 s meanwhile.
    let apart = recent[3].at.duration_since(recent[0].at).unwrap();
    let meanwhile = begun.elapsed().unwrap();
    assert!((29 * SECOND..=31 * SECOND + meanwhile).contains(&apart), "{apart:?}");
    assert!(recent[3].at >= begun);
}

#[tokio::test(start_paused = true)]
async fn what_is_remembered_is_bounded() {
    let breaker = CircuitBreaker::new("long-lived", CONFIG);
    for _ in 0..100 {
        breaker.force_open();
        breaker.try_acquire().unwrap_err();
        advance(SECOND).await;
        breaker.reset();
    }
    let recent = breaker.recent();
    let rejections = recent.iter().filter(|incident| matches!(incident.what, Happening::Rejected { .. })).count();
    assert_eq!((recent.len(), rejections), (40, 8));
    assert!(recent.is_sorted_by_key(|incident| incident.at));
}
