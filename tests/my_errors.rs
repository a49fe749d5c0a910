#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::unchecked_time_subtraction,
    reason = "a test fails by panicking"
)]

#[path = "it/rejection_option.rs"]
mod rejection_option;
#[path = "it/run_time_settings.rs"]
mod run_time_settings;
#[path = "it/stack_error.rs"]
mod stack_error;
#[path = "support.rs"]
mod support;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use steadfast::{
    BreakerConfig, CircuitBreaker,
    events::{Event, Subscription, subscribe},
};

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
