//! Tells that a retry blocks a thread of a runtime.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::task::coop;

use crate::events::{self, Event};

/// Tells, once for each retry, that it is about to sleep where a task is being polled.
pub(super) fn tell(retry: Option<&'static str>) {
    static TOLD: Mutex<BTreeSet<Option<&str>>> = Mutex::new(BTreeSet::new());
    let told = || TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if events::has_subscribers() && !told().contains(&retry) && is_in_a_task() && told().insert(retry) {
        events::publish(Event::BlockingSleep { retry });
    }
}

/// Whether a task is being polled, not a closure of `spawn_blocking`, which may block as it likes. tokio has no question for that;
/// but only tasks have a budget that ends. What is taken of it here is given back.
fn is_in_a_task() -> bool {
    /// More than tokio gives a task, which is 128.
    const ENOUGH: usize = 256;

    let mut context = Context::from_waker(Waker::noop());
    let mut taken = Vec::with_capacity(ENOUGH);
    let ends = loop {
        match coop::poll_proceed(&mut context) {
            Poll::Pending => break true,
            Poll::Ready(one) if taken.len() < ENOUGH => taken.push(one),
            Poll::Ready(_) => break false,
        }
    };
    // The last first: each puts back what it found.
    while taken.pop().is_some() {}
    ends
}
