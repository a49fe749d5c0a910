//! Guards that publish a scope on the current thread and restore the previous one when they are dropped.

use std::marker::PhantomData;
#[cfg(feature = "tokio")]
use std::task::Context;

use super::{
    scope::EnclosingCalls,
    thread_state::{PackedScope, THREAD, WakerId, pop_details, push_details},
};

/// The scope of an attempt of code that is not `async`.
#[derive(Debug)]
pub(crate) struct ThreadScope {
    saved: Option<SavedScope>,
    /// Not `Send`: the scope belongs to its thread.
    _thread: PhantomData<*const ()>,
}

impl ThreadScope {
    /// Enters a first attempt without details.
    #[inline]
    pub(crate) fn enter_plain() -> Self {
        THREAD.with(|thread| thread.scope.set(thread.scope.get().enter_thread_attempt()));
        Self { saved: None, _thread: PhantomData }
    }

    /// Enters an attempt with details.
    #[cold]
    pub(crate) fn enter(details: EnclosingCalls) -> Self {
        let saved = SavedScope::replace(PackedScope::IN_ATTEMPT, WakerId::published(), Some(details));
        Self { saved: Some(saved), _thread: PhantomData }
    }
}

impl Drop for ThreadScope {
    #[inline]
    fn drop(&mut self) {
        match &self.saved {
            None => THREAD.with(|thread| thread.scope.set(thread.scope.get().leave_thread_attempt())),
            Some(saved) => saved.restore(),
        }
    }
}

/// The scope of a call during one poll by a task.
#[cfg(feature = "tokio")]
#[derive(Debug)]
pub(crate) struct TaskScope {
    saved: Option<SavedScope>,
    /// Not `Send`: the scope belongs to its thread.
    _thread: PhantomData<*const ()>,
}

#[cfg(feature = "tokio")]
impl TaskScope {
    /// Enters a call that has no scope around it; returns `None` if it has one.
    #[inline]
    pub(crate) fn enter_outermost(context: &Context<'_>, scope: PackedScope) -> Option<Self> {
        THREAD.with(|thread| {
            if !thread.scope.get().is_empty() {
                return None;
            }
            thread.task.set(WakerId::of(context));
            thread.scope.set(scope.with(PackedScope::OF_TASK));
            Some(Self { saved: None, _thread: PhantomData })
        })
    }

    /// Enters a call within any scope.
    pub(crate) fn enter(context: &Context<'_>, scope: PackedScope, details: Option<EnclosingCalls>) -> Self {
        let saved = SavedScope::replace(scope.with(PackedScope::OF_TASK), WakerId::of(context), details);
        Self { saved: Some(saved), _thread: PhantomData }
    }
}

#[cfg(feature = "tokio")]
impl Drop for TaskScope {
    #[inline]
    fn drop(&mut self) {
        match &self.saved {
            None => THREAD.with(|thread| thread.scope.set(PackedScope::EMPTY)),
            Some(saved) => saved.restore(),
        }
    }
}

/// The previous scope of the thread.
#[derive(Debug)]
struct SavedScope {
    scope: PackedScope,
    task: WakerId,
    /// True if the scope that replaced this one has pushed details.
    has_pushed: bool,
}

impl SavedScope {
    /// Publishes a scope and returns the one before.
    fn replace(mut scope: PackedScope, task: WakerId, details: Option<EnclosingCalls>) -> Self {
        let has_pushed = details.is_some();
        if let Some(details) = details {
            push_details(details);
            scope = scope.with(PackedScope::HAS_DETAILS);
        }
        THREAD.with(|thread| Self { scope: thread.scope.replace(scope), task: thread.task.replace(task), has_pushed })
    }

    #[inline(never)]
    fn restore(&self) {
        THREAD.with(|thread| {
            thread.scope.set(self.scope);
            thread.task.set(self.task);
        });
        if self.has_pushed {
            pop_details();
        }
    }
}
