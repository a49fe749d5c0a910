//! A question that is on its way to a store and back. It owns what it asks, so that another caller can take it over.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Sleep, sleep};

use super::{
    RateLimitConfig, RateLimitDecision, RateLimitRequest, RateLimitSettings, config::Store, limiter::Limiter,
    queue::GRACE,
};
use crate::{key::Key, panics::contain};

pub(super) struct Question {
    /// The moment at which it was asked.
    pub(super) asked: u64,
    /// The number of the settings that it is about.
    pub(super) version: u32,
    answer: Pin<Box<dyn Future<Output = RateLimitDecision> + Send>>,
    /// The end of the time in which it has to be answered, once another caller has taken it over: what it waits for may belong to a
    /// runtime that does not run any more.
    end: Option<Pin<Box<Sleep>>>,
}

impl Question {
    /// Asks the store; `None` if there is none.
    pub(super) fn ask(limiter: &Limiter, rules: &RateLimitSettings, asked: u64) -> Option<Self> {
        // In this order: at worst a refusal counts as one under settings that are gone, and the store is asked again.
        let (version, config) = (rules.version(), rules.config());
        let config @ RateLimitConfig { store: Some(Store(store)), .. } = config? else { return None };
        let (name, key) = (rules.name, limiter.key.clone());
        let answer = Box::pin(async move {
            let overflow = key.as_ref().is_some_and(Key::is_overflow);
            let key = key.as_ref().and_then(Key::text).map(AsRef::as_ref);
            store.acquire(&RateLimitRequest { name, key, overflow, config }).await
        });
        Some(Self { asked, version, answer, end: None })
    }

    /// True if its answer is about these settings, and should come soon.
    pub(super) fn is_of_use(&self, now: u64, version: u32) -> bool {
        // By another clock it may be any time ago.
        self.version == version && now.abs_diff(self.asked) < GRACE
    }

    pub(super) fn taken_over(mut self) -> Self {
        self.end = Some(Box::pin(sleep(Duration::from_micros(GRACE))));
        self
    }

    /// Polls it. Ready with `None` if it was taken over and does not answer; the panic of one that another caller has asked is contained.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<RateLimitDecision>> {
        let Some(end) = &mut self.end else { return self.answer.as_mut().poll(context).map(Some) };
        let mut polled = Poll::Pending;
        if !contain(|| polled = self.answer.as_mut().poll(context)) {
            return Poll::Ready(None);
        }
        match polled {
            Poll::Ready(decision) => Poll::Ready(Some(decision)),
            Poll::Pending => end.as_mut().poll(context).map(|()| None),
        }
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").field("asked", &self.asked).finish_non_exhaustive()
    }
}
