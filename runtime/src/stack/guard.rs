//! Guards that publish a scope on the current thread and restore the previous one when they are dropped.

#[cfg(feature = "tokio")]
use std::task::Context;
use std::{marker::PhantomData, sync::Arc};

use super::{
    scope::Details,
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
        let saved = SavedScope::replace(PackedScope::IN_ATTEMPT, WakerId::published(), Some(details), stop_signals);
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
        details: Option<Details>,
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
    /// A scope without details, of the same task as the published scope or of none. Only its word has been overwritten, so restoring it
    /// and publishing over it takes 5 ns less.
    Word(PackedScope),
    Any {
        scope: PackedScope,
        task: WakerId,
        details: Details,
        /// True if the published scope has stop signals.
        has_signals: bool,
    },
}

impl SavedScope {
    /// Publishes a scope and returns the one around it.
    #[inline]
    fn replace(scope: PackedScope, task: WakerId, details: Option<Details>, stop_signals: Vec<Arc<Relay>>) -> Self {
        let around = PackedScope::current();
        let is_only_word = around.is_empty() || !around.has(PackedScope::HAS_DETAILS) && WakerId::published() == task;
        if !is_only_word || !stop_signals.is_empty() {
            return Self::replace_all(scope, task, details, stop_signals);
        }
        publish(scope, task, details);
        Self::Word(around)
    }

    /// Like [`replace`](Self::replace), around which any scope may be.
    #[inline(never)]
    fn replace_all(
        mut scope: PackedScope,
        task: WakerId,
        details: Option<Details>,
        stop_signals: Vec<Arc<Relay>>,
    ) -> Self {
        let has_signals = !stop_signals.is_empty();
        if has_signals {
            push_signals(stop_signals);
            scope = scope.with(PackedScope::HAS_SIGNALS);
        }
        let (around, task_around, details_around) =
            THREAD.with(|thread| (thread.scope.get(), thread.task.get(), thread.details()));
        publish(scope, task, details);
        Self::Any { scope: around, task: task_around, details: details_around, has_signals }
    }

    #[cold]
    #[inline(never)]
    fn restore(&self) {
        match *self {
            Self::Word(scope) => THREAD.with(|thread| thread.scope.set(scope)),
            Self::Any { scope, task, details, has_signals } => {
                THREAD.with(|thread| {
                    thread.scope.set(scope);
                    thread.task.set(task);
                    thread.set_details(details);
                });
                if has_signals {
                    pop_signals();
                }
            }
        }
    }
}

#[cfg(all(test, feature = "tokio"))]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::stack::{FoundScope, RetryName};

    const fn within(name: &'static str) -> Details {
        Details { retrying: Some(RetryName(Some(name))), ..Details::NONE }
    }

    fn name_around(context: &Context<'_>) -> Option<&'static str> {
        let RetryName(name) = FoundScope::around(context).enclosing?.details.retrying?;
        name
    }

    #[test]
    fn each_scope_is_restored_with_its_details() {
        let context = &Context::from_waker(Waker::noop());
        let enter = |details| TaskScope::enter(context, PackedScope::IN_ATTEMPT, details, Vec::new());
        let outer = enter(Some(within("outer")));
        let without_details = enter(None);
        assert_eq!(name_around(context), None);
        let inner = enter(Some(within("inner")));
        assert_eq!(name_around(context), Some("inner"));
        drop(inner);
        assert_eq!(name_around(context), None);
        drop(without_details);
        assert_eq!(name_around(context), Some("outer"));
        drop(outer);
        assert!(PackedScope::current().is_empty());
    }
}
