//! Tests that other tests in the same process would disturb, or that would disturb them: floods of events, and the selection of series over
//! time. Each of them runs alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support.rs"]
mod support;

use std::{
    cell::Cell,
    collections::BTreeSet,
    fmt,
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

use steadfast::{
    BreakerConfig,
    BreakerState::{self, Closed},
    CircuitBreaker, KeyedBreakers, KeyedRateLimits, RateLimitConfig,
    events::{self, Event},
    prometheus::SteadfastCollector,
    retry,
};
use tokio::time::advance;

use self::support::{keys_in_scrape, scrape, wait_until};

/// Held by each test while it runs.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
const HOUR: Duration = Duration::from_hours(1);

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
    let _alone = ALONE.blocking_lock();
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

#[test]
fn rejected_threads_share_the_delivery_of_events() {
    thread_local! {
        /// The number of events this thread has delivered since its last call began.
        static DELIVERED: Cell<usize> = const { Cell::new(0) };
    }
    const CALLS: u64 = 5_000;
    let _alone = ALONE.blocking_lock();
    let breaker = CircuitBreaker::new("shared delivery", CONFIG);
    breaker.force_open();
    let counted = Arc::new(Mutex::new((0, 0)));
    let subscription = events::subscribe({
        let counted = counted.clone();
        move |event| {
            DELIVERED.set(DELIVERED.get() + 1);
            let mut counted = counted.lock().unwrap();
            match event {
                Event::EventsLost { events, .. } => counted.1 += events,
                Event::CallRejected { rejection, .. } if rejection.name() == "shared delivery" => counted.0 += 1,
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
    // The number includes events that were queued at the end. No call delivers an unbounded number of events.
    let most = *most.lock().unwrap();
    assert!(most <= 32 + 4 * 1_024, "{most} events by one call");
    wait_until(|| {
        let (received, lost) = *counted.lock().unwrap();
        received + lost >= 3 * CALLS
    });
    drop(subscription);
}

static FLOODED: KeyedBreakers = KeyedBreakers::new("flooded keys", CONFIG).max_keys(1_000);
steadfast::register!(FLOODED);
static FLOODED_LIMITS: KeyedRateLimits = KeyedRateLimits::new("flooded keys", RateLimitConfig::new(1, HOUR));
steadfast::register!(FLOODED_LIMITS);

#[tokio::test(start_paused = true)]
async fn a_flood_of_unhealthy_keys_has_a_bounded_number_of_series_over_time() {
    let _alone = ALONE.lock().await;
    let (mut breaker_keys, mut limit_keys) = (BTreeSet::new(), BTreeSet::new());
    let flood = |at: u32, breaker_keys: &mut BTreeSet<_>, limit_keys: &mut BTreeSet<_>| {
        for number in 0..50 {
            let key = format!("{at}-{number}");
            FLOODED.breaker(&key).force_open();
            FLOODED.breaker(&key).try_acquire().unwrap_err();
            (0..at + 2).for_each(|_| _ = FLOODED_LIMITS.limit(&key).try_acquire());
        }
        for (keys, label) in [(breaker_keys, "service=\"flooded keys\""), (limit_keys, "limit=\"flooded keys\"")] {
            let now = keys_in_scrape(label);
            assert_eq!(now.len(), 20);
            keys.extend(now);
        }
    };
    for at in 0..30 {
        flood(at, &mut breaker_keys, &mut limit_keys);
        advance(Duration::from_secs(1)).await;
    }
    assert_eq!((breaker_keys.len(), limit_keys.len()), (20, 20));
    advance(HOUR).await;
    flood(30, &mut breaker_keys, &mut limit_keys);
    assert!(breaker_keys.len() <= 40 && limit_keys.len() == 40, "20 new keys per hour");
    // The overflow breaker has one series, without a key.
    let lines = scrape(SteadfastCollector::new(), "service=\"flooded keys\"");
    FLOODED.overflow().unwrap().force_open();
    let shared = scrape(SteadfastCollector::new(), "service=\"flooded keys\",overflow=\"true\"");
    assert!(shared.iter().any(|line| line == "circuit_breaker_key_state{} 3"), "{shared:#?} {lines:#?}");
}

/// An error that counts how often it is formatted.
#[derive(Debug)]
struct Formatted<'a>(&'a Cell<u32>);

impl fmt::Display for Formatted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.set(self.0.get() + 1);
        f.write_str("formatted")
    }
}

#[retry(name = "formats", max_attempts = 2, backoff = none, retry_if = any)]
fn formats(formatted: &Cell<u32>) -> Result<(), Formatted<'_>> {
    Err(Formatted(formatted))
}

#[test]
fn an_error_is_formatted_only_for_a_receiver_and_not_if_texts_are_left_out() {
    let _alone = ALONE.blocking_lock();
    let formatted = Cell::new(0);
    formats(&formatted).unwrap_err();
    assert_eq!(formatted.get(), 0, "nothing is subscribed");

    let texts = Arc::new(Mutex::new(Vec::new()));
    let _subscription = events::subscribe({
        let texts = texts.clone();
        move |event| {
            let (Event::RetryScheduled { error, .. } | Event::RetriesExhausted { error, .. }) = event else { return };
            texts.lock().unwrap().push(error.as_deref().map(str::to_owned));
        }
    });
    formats(&formatted).unwrap_err();
    assert_eq!(formatted.get(), 2);
    steadfast::set_error_texts(false);
    formats(&formatted).unwrap_err();
    assert_eq!(formatted.get(), 2);
    steadfast::set_error_texts(true);
    formats(&formatted).unwrap_err();
    let text = || Some("formatted".to_owned());
    assert_eq!(*texts.lock().unwrap(), [text(), text(), None, None, text(), text()]);
}

#[test]
fn breakers_store_no_texts_that_are_left_out() {
    let _alone = ALONE.blocking_lock();
    let formatted = Cell::new(0);
    let breaker = CircuitBreaker::new("without texts", CONFIG.failure_threshold(1));
    steadfast::set_error_texts(false);
    breaker.try_acquire().unwrap().failure_with(&Formatted(&formatted));
    steadfast::set_error_texts(true);
    assert_eq!(breaker.try_acquire().unwrap_err().last_failure(), None);
    assert_eq!((breaker.snapshot().last_failure, formatted.get()), (None, 0));
}
