//! The task that samples the counts every ten seconds.

use std::{
    panic::catch_unwind,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::{Handle, Id},
    task::AbortHandle,
    time::{Instant, sleep, sleep_until},
};

use crate::{feed::Feed, history::STEP};

/// The sampler of one dashboard. It runs in the runtime in which the dashboard is created, or else in that of the first request, and ends
/// when the dashboard is dropped.
#[derive(Debug, Default)]
pub(crate) struct Sampler(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    task: Option<AbortHandle>,
    /// The last runtime that was found to have no timers.
    without_timers: Option<Id>,
}

impl Sampler {
    /// Starts the sampler, unless it runs or there is no runtime with timers.
    pub(crate) fn ensure(&self, feed: &Arc<Feed>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            // Tokio offers no other way to find out. The message of the panic, once for each runtime, says what is missing.
            if state.without_timers == Some(runtime.id()) || catch_unwind(|| drop(sleep(Duration::ZERO))).is_err() {
                state.without_timers = Some(runtime.id());
                return;
            }
            let feed = Arc::downgrade(feed);
            let sample = async move {
                let mut next = Instant::now();
                // The time until the next sample does not depend on how long a sample takes.
                while let Some(feed) = feed.upgrade() {
                    feed.fresh_reading().await;
                    drop(feed);
                    next += STEP;
                    next = next.max(Instant::now());
                    sleep_until(next).await;
                }
            };
            state.task = Some(runtime.spawn(sample).abort_handle());
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        if let Some(task) = self.0.get_mut().unwrap_or_else(PoisonError::into_inner).task.take() {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests;
