//! What is told: to whom, how much of it waits, and what a breaker remembers.

use std::{
    cell::Cell,
    io, panic,
    sync::{Arc, Mutex},
    thread,
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
        matches!(opened, HistoryEvent::StateChanged { from: Closed, to: Open, reason: Some(why), .. } if *why == reason)
    );
    for rejected in [rejected, again] {
        assert!(matches!(rejected, HistoryEvent::Rejected { reason: why, .. } if *why == reason), "one of a thousand");
    }
    assert!(matches!(half_open, HistoryEvent::StateChanged { from: Open, to: HalfOpen, reason: None, .. }));
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
    let rejections = recent.iter().filter(|incident| matches!(incident.what, HistoryEvent::Rejected { .. })).count();
    assert_eq!((recent.len(), rejections), (40, 8));
    assert!(recent.is_sorted_by_key(|incident| incident.at));
}

#[test]
fn a_subscriber_that_calls_what_is_rejected_does_not_hold_the_call() {
    static ECHOED: CircuitBreaker = CircuitBreaker::new("echoed", CONFIG);
    let heard = Arc::new(Mutex::new(0));
    let subscription = events::subscribe({
        let heard = heard.clone();
        move |event| {
            if matches!(event, Event::CallRejected { .. }) && is_of(event, "echoed") {
                *heard.lock().unwrap() += 1;
                ECHOED.try_acquire().unwrap_err();
            }
        }
    });
    ECHOED.force_open();
    ECHOED.try_acquire().unwrap_err(); // returns
    crate::until(|| *heard.lock().unwrap() > 0);
    // Without a call nothing is delivered, and there are no more rejections than there were deliveries.
    drop(subscription);
    assert!(ECHOED.snapshot().rejections <= 2 + *heard.lock().unwrap());
}

#[test]
fn threads_that_are_rejected_deliver_for_one_another_in_turns() {
    thread_local! {
        /// Events that this thread has delivered since its last call began.
        static DELIVERED: Cell<usize> = const { Cell::new(0) };
    }
    const CALLS: u64 = 5_000;
    let breaker = CircuitBreaker::new("flooded", CONFIG);
    breaker.force_open();
    let counted = Arc::new(Mutex::new((0, 0)));
    let subscription = events::subscribe({
        let counted = counted.clone();
        move |event| {
            DELIVERED.set(DELIVERED.get() + 1);
            let mut counted = counted.lock().unwrap();
            match event {
                Event::EventsLost { events, .. } => counted.1 += events,
                event if is_of(event, "flooded") => counted.0 += 1,
                _ => {}
            }
        }
    });
    let most = Mutex::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..CALLS {
                    DELIVERED.set(0);
                    breaker.try_acquire().unwrap_err();
                    let mut most = most.lock().unwrap();
                    *most = DELIVERED.get().max(*most);
                }
            });
        }
    });
    // All that was queued at last is bounded, too: no call has delivered a flood.
    let most = *most.lock().unwrap();
    assert!(most <= 32 + 4 * 1_024, "{most} events by one call");
    crate::until(|| {
        let (heard, lost) = *counted.lock().unwrap();
        heard + lost >= 3 * CALLS
    });
    drop(subscription);
}

#[test]
fn a_subscriber_that_panics_with_what_panics_again_does_not_end_delivery() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a payload that is dropped");
        }
    }
    let breaker = CircuitBreaker::new("bombed", CONFIG);
    let heard = Arc::new(Mutex::new(0));
    let _panics = events::subscribe(|event| {
        if is_of(event, "bombed") {
            panic::panic_any(Bomb);
        }
    });
    let _counts = events::subscribe({
        let heard = heard.clone();
        move |event| *heard.lock().unwrap() += u32::from(is_of(event, "bombed"))
    });
    for changes in 1..=3 {
        breaker.force_open();
        breaker.reset();
        crate::until(|| *heard.lock().unwrap() == 2 * changes);
    }
}
