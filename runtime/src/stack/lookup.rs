//! Finds the scope around a call.

use std::sync::Arc;
#[cfg(feature = "tokio")]
use std::task::{Context, Poll};

#[cfg(feature = "tokio")]
use super::thread_state::WakerId;
use super::{
    scope::EnclosingCalls,
    thread_state::{PackedScope, enclosing_calls, later_attempt},
    tokio_task::is_different_task,
};
use crate::stop::Relay;

/// The scope around a call, as found by a lookup.
#[derive(Clone, Debug)]
pub(crate) struct FoundScope {
    pub(crate) is_in_attempt: bool,
    /// False if a later poll may find more: an enclosing timeout publishes its deadline only once its call waits.
    pub(crate) is_complete: bool,
    pub(crate) enclosing: EnclosingCalls,
}

impl FoundScope {
    pub(crate) const EMPTY: Self = Self { is_in_attempt: false, is_complete: true, enclosing: EnclosingCalls::NONE };

    #[cfg(feature = "tokio")]
    pub(crate) const fn is_empty(&self) -> bool {
        !self.is_in_attempt && self.is_complete && self.enclosing.is_none()
    }

    /// Returns the scope without the calls that enclose it.
    #[cfg(feature = "tokio")]
    pub(crate) const fn pack(&self) -> PackedScope {
        let attempt = if self.is_in_attempt { PackedScope::IN_ATTEMPT } else { PackedScope::EMPTY };
        if self.is_complete { attempt } else { attempt.with(PackedScope::INCOMPLETE) }
    }

    /// Returns the scope of a call that is not `async`.
    #[cold]
    pub(crate) fn of_thread(innermost: PackedScope) -> Self {
        if innermost.is_of_thread() && is_different_task() { Self::EMPTY } else { Self::unpack(innermost) }
    }

    /// Returns the scope around a future that is being polled.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn around(context: &Context<'_>) -> Self {
        let innermost = PackedScope::current();
        if innermost.is_empty() { Self::EMPTY } else { Self::of_task(innermost, context) }
    }

    /// Like [`around`](Self::around), with the innermost scope of the thread.
    #[cfg(feature = "tokio")]
    #[cold]
    pub(crate) fn of_task(innermost: PackedScope, context: &Context<'_>) -> Self {
        let is_same_task = innermost.has(PackedScope::OF_TASK) && WakerId::published() == WakerId::of(context);
        if is_same_task { Self::unpack(innermost) } else { Self::EMPTY }
    }

    #[inline]
    fn unpack(innermost: PackedScope) -> Self {
        Self {
            is_in_attempt: innermost.is_in_attempt(),
            is_complete: !innermost.has(PackedScope::INCOMPLETE),
            enclosing: enclosing_calls(innermost),
        }
    }
}

/// The scope in which a future is created, and the task that created it; `None` outside every scope of a task.
#[cfg(feature = "tokio")]
#[derive(Debug)]
pub(crate) struct CreationScope(Option<Box<(WakerId, FoundScope)>>);

#[cfg(feature = "tokio")]
impl CreationScope {
    #[inline]
    pub(crate) fn current() -> Self {
        let innermost = PackedScope::current();
        if innermost.is_empty() { Self(None) } else { Self::capture(innermost) }
    }

    #[cold]
    fn capture(innermost: PackedScope) -> Self {
        let is_of_task = innermost.has(PackedScope::OF_TASK);
        Self(is_of_task.then(|| Box::new((WakerId::published(), FoundScope::unpack(innermost)))))
    }

    /// Returns the scope if the task that created the future also polls it, else an empty one.
    pub(crate) async fn found(self) -> FoundScope {
        let Some(created) = self.0 else { return FoundScope::EMPTY };
        let (task, found) = *created;
        let is_same = std::future::poll_fn(|context| Poll::Ready(task == WakerId::of(context))).await;
        if is_same { found } else { FoundScope::EMPTY }
    }
}

/// Returns the number of the innermost attempt around the code that this thread runs; 1 outside of attempts.
pub(crate) fn attempt_number() -> u32 {
    let innermost = PackedScope::current();
    if innermost.is_of_thread() && is_different_task() {
        return 1;
    }
    later_attempt(innermost).unwrap_or(1)
}

/// Returns the stop signals around code that is not `async`.
pub(crate) fn signals_of_thread() -> Vec<Arc<Relay>> {
    signals(PackedScope::current(), FoundScope::of_thread)
}

/// Returns the stop signals around a future that is being polled.
#[cfg(feature = "tokio")]
pub(crate) fn signals_of_task(context: &Context<'_>) -> Vec<Arc<Relay>> {
    signals(PackedScope::current(), |innermost| FoundScope::of_task(innermost, context))
}

fn signals(innermost: PackedScope, find: impl FnOnce(PackedScope) -> FoundScope) -> Vec<Arc<Relay>> {
    let retries = if innermost.has(PackedScope::HAS_SIGNALS) { find(innermost).enclosing.retries } else { None };
    retries.map(|retries| retries.stop_signals).unwrap_or_default()
}
