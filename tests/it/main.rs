//! Behaviour tests, one file per subject. Time is a fake or paused clock that the test advances.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::unchecked_time_subtraction,
    reason = "a test fails by panicking"
)]

#[path = "../support.rs"]
mod support;

mod accounting;
mod arguments;
mod attempt_number;
mod blind_spots;
mod blocking_sleeps;
mod breaker;
mod breaker_options;
mod breaker_rules;
mod breaker_situations;
mod budget_counts;
mod bulkhead;
mod cancellation;
mod cancelled_calls;
mod cascade;
mod clocks;
mod drop_order;
mod durations;
mod error_texts;
mod escaping;
mod events;
mod fallback;
mod fallback_counts;
mod foreign_attributes;
mod http_server;
mod hung_calls;
mod isolation;
mod keyed_breakers;
mod keyed_bulkheads;
mod lent_arguments;
mod links;
mod long_times;
mod made_values;
mod manual_control;
mod metrics;
mod model_based;
mod nested_retries;
mod nesting;
mod outages;
mod panics;
mod permits;
mod rate_limit;
mod rate_limit_queue;
mod registry;
mod rejection_option;
mod rejections;
mod renamed_self;
mod retry;
mod retry_budget;
mod retry_calls;
mod retry_hints;
mod retry_hooks;
mod retry_properties;
mod retry_rejections;
mod retry_situations;
mod retry_statistics;
mod returned_futures;
mod run_time_settings;
mod send_futures;
mod settings_in_force;
mod settings_layers;
mod settings_sources;
mod shapes;
mod signatures;
mod stack_error;
mod stack_order;
mod stack_pairs;
mod stop_signal;
mod timeout;
mod timeout_counts;
mod transient;
mod used_arguments;
mod wakers;

use std::{
    cell::Cell,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use steadfast::{
    BreakerConfig, CircuitBreaker, CircuitOpen, Transient,
    events::{Event, Subscription, subscribe},
};

/// A transient error, a permanent one, and a rejection.
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

/// The outcomes of a function's calls, one letter for each: `S`uccess, `T`ransient failure, `P`ermanent failure. The last one repeats.
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

    /// Returns `Ok` with the number of the call, or the failure of the script.
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

/// Waits until every subscriber has received all events emitted so far. Another thread may be delivering them.
fn flush_events() {
    static MARKERS: AtomicU32 = AtomicU32::new(0);
    let marker: &'static str = format!("marker {}", MARKERS.fetch_add(1, Ordering::Relaxed)).leak();
    let is_delivered = Arc::new(AtomicBool::new(false));
    let subscription = subscribe({
        let is_delivered = is_delivered.clone();
        move |event| {
            if matches!(event, Event::StateChanged { breaker, .. } if *breaker == marker) {
                is_delivered.store(true, Ordering::Release);
            }
        }
    });
    CircuitBreaker::new(marker, BreakerConfig::new()).force_open(); // events are delivered in order
    support::wait_until(|| is_delivered.load(Ordering::Acquire));
    subscription.unsubscribe();
}

/// Collects the texts of events that contain `part`, until the result is dropped.
fn collect_events(part: &'static str) -> CollectedEvents {
    let texts = Arc::new(Mutex::new(Vec::new()));
    let subscription = subscribe({
        let texts = texts.clone();
        move |event| {
            let text = event.to_string();
            if text.contains(part) {
                texts.lock().unwrap().push(text);
            }
        }
    });
    CollectedEvents { texts, subscription: Some(subscription) }
}

struct CollectedEvents {
    texts: Arc<Mutex<Vec<String>>>,
    subscription: Option<Subscription>,
}

impl CollectedEvents {
    /// Returns the texts of the events emitted so far.
    fn texts(&self) -> Vec<String> {
        flush_events();
        self.texts.lock().unwrap().clone()
    }
}

impl Drop for CollectedEvents {
    fn drop(&mut self) {
        if let Some(subscription) = self.subscription.take() {
            subscription.unsubscribe();
        }
    }
}
