//! Overflow of the event queue while a subscriber blocks. Runs in a process of its own, since events of other tests would otherwise be
//! among the lost ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use steadfast::{
    BreakerConfig,
    BreakerState::{self, Closed},
    CircuitBreaker,
    events::{self, Event},
};

const CONFIG: BreakerConfig = BreakerConfig::new().failure_threshold(2).half_open_max_calls(1);

type Received = Arc<Mutex<Vec<Event>>>;

/// Subscribes a callback that blocks when it receives the event that `name` was forced open, until a message is sent to it.
fn subscribe_blocking(name: &'static str) -> (events::Subscription, Receiver<()>, Sender<()>, Received) {
    let (arrived, has_arrived) = mpsc::channel();
    let (go, may_go) = mpsc::channel();
    let (received, may_go) = (Arc::new(Mutex::new(Vec::new())), Mutex::new(may_go));
    let subscription = events::subscribe({
        let received = received.clone();
        move |event| {
            if matches!(event, Event::StateChanged { breaker, to: BreakerState::ForcedOpen, .. } if *breaker == name) {
                arrived.send(()).unwrap();
                may_go.lock().unwrap().recv().unwrap();
            } else if !matches!(event, Event::KeysOverflowed { .. }) {
                received.lock().unwrap().push(event.clone());
            }
        }
    });
    (subscription, has_arrived, go, received)
}

#[test]
fn a_slow_subscriber_loses_rejections_but_no_state_changes() {
    static BREAKER: CircuitBreaker = CircuitBreaker::new("flooded", CONFIG);
    const FLOOD: u64 = 3_000;
    let (_subscription, has_arrived, go, received) = subscribe_blocking("flooded");
    let delivering = thread::spawn(|| BREAKER.force_open());
    has_arrived.recv().unwrap();
    for _ in 0..FLOOD {
        BREAKER.try_acquire().unwrap_err();
    }
    BREAKER.disable();
    BREAKER.reset();
    go.send(()).unwrap();
    delivering.join().unwrap();

    let received = received.lock().unwrap();
    let lost: u64 =
        received.iter().map(|event| if let Event::EventsLost { events, .. } = event { *events } else { 0 }).sum();
    let rejections = received.iter().filter(|event| matches!(event, Event::CallRejected { .. })).count() as u64;
    assert_eq!(rejections, 1_024);
    assert_eq!(lost, FLOOD - rejections, "{rejections} delivered");
    let changes: Vec<_> = received
        .iter()
        .filter_map(|event| if let Event::StateChanged { from, to, .. } = event { Some((*from, *to)) } else { None })
        .collect();
    assert_eq!(changes, [(BreakerState::ForcedOpen, BreakerState::Disabled), (BreakerState::Disabled, Closed)]);
    let first_lost = received.iter().position(|event| matches!(event, Event::EventsLost { .. })).unwrap();
    let last_rejection = received.iter().rposition(|event| matches!(event, Event::CallRejected { .. })).unwrap();
    assert!(last_rejection < first_lost, "EventsLost is delivered in place of the lost events");
}
