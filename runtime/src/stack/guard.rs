//! Guards that publish a scope on the current thread and restore the previous one when they are dropped.

#[cfg(feature = "tokio")]
use std::task::Context;
use std::{marker::PhantomData, sync::Arc};

use super::{
    scope::{Deadline, Details, RetryName},
    thread_state::{PackedScope, THREAD, WakerId, pop_signals, publish, push_signals},
};
use crate::stop::Relay;

/// The scope of an attempt of code that is not `async`.
#[derive(Debug)]
pub(crate) struct ThreadScope {
    /// `None` for a first attempt without details, which increments the count of the scope around it.
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
    #[inline]
    pub(crate) fn enter(details: Details, stop_signals: Vec<Arc<Relay>>) -> Self {
        let saved = SavedScope::replace(PackedScope::IN_ATTEMPT, WakerId::published(), details, stop_signals);
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
    /// `None` if there is no scope around it.
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

    /// Enters a call within any scope. `details` and `stop_signals` include those of the scope around the call.
    #[inline]
    pub(crate) fn enter(
        context: &Context<'_>,
        scope: PackedScope,
        details: Details,
        stop_signals: Vec<Arc<Relay>>,
    ) -> Self {
        let (scope, task) = (scope.with(PackedScope::OF_TASK), WakerId::of(context));
        Self { saved: Some(SavedScope::replace(scope, task, details, stop_signals)), _thread: PhantomData }
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

/// The scope around a published scope.
#[derive(Debug)]
enum SavedScope {
    /// A scope of the same task as the published scope, or of none. It has no details but a deadline, and the published scope has no stop
    /// signals. Restoring it and publishing over it takes 5 ns less.
    Plain { scope: PackedScope, deadline: Option<Deadline> },
    Any {
        scope: PackedScope,
        task: WakerId,
        retrying: RetryName,
        later_attempt: u32,
        deadline: Option<Deadline>,
        /// True if the published scope has stop signals.
        has_signals: bool,
    },
}

impl SavedScope {
    /// Publishes a scope and returns the one around it.
    #[inline]
    fn replace(scope: PackedScope, task: WakerId, details: Details, stop_signals: Vec<Arc<Relay>>) -> Self {
        let around = PackedScope::current();
        let is_plain = around.is_empty() || WakerId::published() == task && !around.has(PackedScope::IS_RETRYING);
        if !is_plain || !stop_signals.is_empty() {
            return Self::replace_all(scope, task, details, stop_signals);
        }
        let deadline = THREAD.with(|thread| thread.deadline.get());
        publish(scope, task, details);
        Self::Plain { scope: around, deadline }
    }

    /// Like [`replace`](Self::replace), around which any scope may be.
    #[inline(never)]
    fn replace_all(mut scope: PackedScope, task: WakerId, details: Details, stop_signals: Vec<Arc<Relay>>) -> Self {
        let has_signals = !stop_signals.is_empty();
        if has_signals {
            push_signals(stop_signals);
            scope = scope.with(PackedScope::HAS_SIGNALS);
        }
        let around = THREAD.with(|thread| Self::Any {
            scope: thread.scope.get(),
            task: thread.task.get(),
            retrying: thread.retrying.get(),
            later_attempt: thread.later_attempt.get(),
            deadline: thread.deadline.get(),
            has_signals,
        });
        publish(scope, task, details);
        around
    }

    #[cold]
    #[inline(never)]
    fn restore(&self) {
        let (scope, deadline) = match *self {
            Self::Plain { scope, deadline } => (scope, deadline),
            Self::Any { scope, task, retrying, later_attempt, deadline, has_signals } => {
                THREAD.with(|thread| {
                    thread.task.set(task);
                    thread.retrying.set(retrying);
                    thread.later_attempt.set(later_attempt);
                });
                if has_signals {
                    pop_signals();
                }
                (scope, deadline)
            }
        };
        THREAD.with(|thread| {
            thread.scope.set(scope);
            thread.deadline.set(deadline);
        });
    }
}

#[cfg(all(test, feature = "tokio"))]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::stack::{FoundScope, RetryName};

    fn within(name: &'static str) -> Details {
        Details { retrying: Some(RetryName(Some(name))), ..Details::default() }
    }

    fn name_around(context: &Context<'_>) -> Option<&'static str> {
        let RetryName(name) = FoundScope::around(context).enclosing.details().retrying?;
        name
    }

    #[test]
    fn each_scope_is_restored_with_its_details() {
        let context = &Context::from_waker(Waker::noop());
        let enter = |details| TaskScope::enter(context, PackedScope::IN_ATTEMPT, details, Vec::new());
        let outer = enter(within("outer"));
        let without_details = enter(Details::default());
        assert_eq!(name_around(context), None);
        let inner = enter(within("inner"));
        assert_eq!(name_around(context), Some("inner"));
        drop(inner);
        assert_eq!(name_around(context), None);
        drop(without_details);
        assert_eq!(name_around(context), Some("outer"));
        drop(outer);
        assert!(PackedScope::current().is_empty());
    }
}
