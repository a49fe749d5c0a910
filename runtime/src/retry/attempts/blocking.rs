//! Detects a retry that blocks a thread on which a runtime polls tasks.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::task::coop;

use crate::events::{self, Event};

/// Emits [`Event::BlockingSleep`], once for each name of a retry, before a sleep that blocks a thread while the thread polls a task.
pub(super) fn emit_blocking_sleep(retry: Option<&'static str>) {
    static EMITTED: Mutex<BTreeSet<Option<&str>>> = Mutex::new(BTreeSet::new());
    let emitted = || EMITTED.lock().unwrap_or_else(PoisonError::into_inner);
    if events::has_subscribers() && !emitted().contains(&retry) && is_in_task() && emitted().insert(retry) {
        events::publish(Event::BlockingSleep { retry });
    }
}

/// Returns true if this thread is polling a task. Returns false in a closure of `spawn_blocking`, which may block.
///
/// tokio has no function for this, but only tasks have a limited coop budget. The units taken from the budget are returned.
fn is_in_task() -> bool {
    /// More than the budget of a task, which is 128.
    const MAX_UNITS: usize = 256;

    let mut context = Context::from_waker(Waker::noop());
    let mut taken = Vec::with_capacity(MAX_UNITS);
    let is_limited = loop {
        match coop::poll_proceed(&mut context) {
            Poll::Pending => break true,
            Poll::Ready(unit) if taken.len() < MAX_UNITS => taken.push(unit),
            Poll::Ready(_) => break false,
        }
    };
    // Dropped in reverse order, since each unit restores the budget to its value before that unit was taken.
    while taken.pop().is_some() {}
    is_limited
}
