//! Tests of behaviour, one file for each subject. Time never passes in them but by hand.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::unchecked_time_subtraction,
    reason = "a test fails by panicking"
)]

mod arguments;
mod blocking;
mod breaker;
mod budget;
mod bulkhead;
mod cancellation;
mod cascade;
mod clients;
mod clocks;
mod configure;
mod drops;
mod escapes;
mod fallback;
mod futures;
mod hooks;
mod keyed;
mod layers;
mod links;
mod long;
mod nested;
mod operator;
mod order;
mod pairs;
mod panics;
mod rate_limit;
mod rate_limit_queue;
mod reference;
mod refused;
mod registry;
mod retry;
mod retry_properties;
mod retry_rejections;
mod retry_situations;
mod scope;
mod send;
mod server;
mod settings;
mod shapes;
mod situations;
mod statistics;
mod stop;
mod telemetry;
mod timeout;
mod told;
mod transient;
mod wakers;

use std::{
    cell::Cell,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use steadfast::{
    BreakerConfig, CircuitBreaker, CircuitOpen, Transient,
    events::{self, Event},
};

/// An error of each sort.
#[derive(Debug, PartialEq, thiserror::Error, Transient)]
enum Failure {
    #[error("not now, attempt {0}")]
    #[transient]
    Transient(u32),
    #[error("never")]
    Permanent,
    #[error(transparent)]
    Open(#[from] CircuitOpen),
}

/// What a function does, call by call: `S`ucceeds, fails `T`ransiently or `P`ermanently. After the end it goes on as the
/// last.
struct Script {
    calls: Cell<u32>,
    outcomes: &'static str,
}

impl Script {
    const fn new(outcomes: &'static str) -> Self {
        Self { calls: Cell::new(0), outcomes }
    }

    fn calls(&self) -> u32 {
        self.calls.get()
    }

    /// `Ok` with the number of the call, or the failure that stands in the script.
    fn call(&self) -> Result<u32, Failure> {
        let call = self.calls.get();
        self.calls.set(call + 1);
        let outcome = self.outcomes.chars().nth(call as usize).or(self.outcomes.chars().last());
        match outcome {
            Some('S') => Ok(call + 1),
            Some('T') => Err(Failure::Transient(call + 1)),
            _ => Err(Failure::Permanent),
        }
    }
}

/// Waits until it is so: threads take their time, but not for ever.
fn until(is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_mins(1), "it has not come to that");
        thread::yield_now();
    }
}

/// Waits until every subscriber has heard of everything until now: another thread may be delivering it.
fn all_told() {
    static MARKERS: AtomicU32 = AtomicU32::new(0);
    let marker: &'static str = format!("marker {}", MARKERS.fetch_add(1, Ordering::Relaxed)).leak();
    let is_told = Arc::new(AtomicBool::new(false));
    let subscription = events::subscribe({
        let is_told = is_told.clone();
        move |event| {
            if matches!(event, Event::StateChanged { breaker, .. } if *breaker == marker) {
                is_told.store(true, Ordering::Release);
            }
        }
    });
    CircuitBreaker::new(marker, BreakerConfig::new()).force_open(); // what is told last arrives last
    until(|| is_told.load(Ordering::Acquire));
    subscription.unsubscribe();
}

/// Keeps what events say that contain a text, until it is dropped.
fn heard(part: &'static str) -> Heard {
    let texts = Arc::new(Mutex::new(Vec::new()));
    let subscription = events::subscribe({
        let texts = texts.clone();
        move |event| {
            let text = event.to_string();
            if text.contains(part) {
                texts.lock().unwrap().push(text);
            }
        }
    });
    Heard { texts, subscription: Some(subscription) }
}

struct Heard {
    texts: Arc<Mutex<Vec<String>>>,
    subscription: Option<events::Subscription>,
}

impl Heard {
    /// All until now.
    fn texts(&self) -> Vec<String> {
        all_told();
        self.texts.lock().unwrap().clone()
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        if let Some(subscription) = self.subscription.take() {
            subscription.unsubscribe();
        }
    }
}
