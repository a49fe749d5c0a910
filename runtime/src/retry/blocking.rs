//! Sleeping on a thread that has other tasks to run.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::{block_in_place, coop},
};

use crate::events::{self, Event};

/// Sleeps. In a task of a multi-threaded runtime the other tasks of the thread move to another one first.
pub(super) fn give_way<R>(retry: Option<&'static str>, sleep: impl FnOnce() -> R) -> R {
    let Some(flavor) = Handle::try_current().ok().filter(|_| is_in_a_task()).map(|handle| handle.runtime_flavor())
    else {
        return sleep();
    };
    tell(retry);
    if flavor == RuntimeFlavor::MultiThread { block_in_place(sleep) } else { sleep() }
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

/// Tells it once for each retry.
fn tell(retry: Option<&'static str>) {
    static TOLD: Mutex<BTreeSet<Option<&str>>> = Mutex::new(BTreeSet::new());
    if events::are_heard() && TOLD.lock().unwrap_or_else(PoisonError::into_inner).insert(retry) {
        events::publish(Event::BlockingSleep { retry });
    }
}
