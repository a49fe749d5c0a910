//! The task that samples the counts every ten seconds.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{
    runtime::Handle,
    task::AbortHandle,
    time::{Instant, sleep_until},
};

use crate::{feed::Feed, history::STEP};

/// The sampler of one dashboard. It runs in the runtime in which the dashboard is created, or else in that of the first request, and ends
/// when the dashboard is dropped.
#[derive(Debug, Default)]
pub(crate) struct Sampler(Mutex<Option<AbortHandle>>);

impl Sampler {
    /// Starts the sampler, unless it runs or there is no runtime.
    pub(crate) fn ensure(&self, feed: &Arc<Feed>) {
        let mut task = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
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
            *task = Some(runtime.spawn(sample).abort_handle());
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        if let Some(task) = self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests;
