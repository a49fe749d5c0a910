//! Enters and leaves scopes.

#[cfg(feature = "tokio")]
use std::task::Context;
use std::{cell::RefCell, marker::PhantomData};

use super::{
    Around,
    innermost::{Innermost, THREAD, Task},
};

thread_local! {
    /// What there is to know of calls, the innermost last.
    static NOTED: RefCell<Vec<Around>> = const { RefCell::new(Vec::new()) };
}

/// As long as it lives, what runs on this thread is inside of an attempt of code that is not `async`.
#[derive(Debug)]
pub(crate) struct ThreadScope {
    before: Option<Before>,
    /// It belongs to a thread.
    _thread: PhantomData<*const ()>,
}

impl ThreadScope {
    /// Enters a first attempt, of which there is no more to know.
    #[inline]
    pub(crate) fn plain() -> Self {
        THREAD.with(|thread| thread.innermost.set(thread.innermost.get().inside()));
        Self { before: None, _thread: PhantomData }
    }

    #[cold]
    pub(crate) fn noted(around: Around) -> Self {
        Self { before: Some(Before::publish(Innermost::ATTEMPT, Task::noted(), Some(around))), _thread: PhantomData }
    }
}

impl Drop for ThreadScope {
    #[inline]
    fn drop(&mut self) {
        match &self.before {
            None => THREAD.with(|thread| thread.innermost.set(thread.innermost.get().outside())),
            Some(before) => before.restore(),
        }
    }
}

/// As long as it lives, what a task polls on this thread is inside of a call.
#[cfg(feature = "tokio")]
#[derive(Debug)]
pub(crate) struct Scope {
    before: Option<Before>,
    /// It belongs to a thread.
    _thread: PhantomData<*const ()>,
}

#[cfg(feature = "tokio")]
impl Scope {
    /// Enters a call around which there is nothing; returns `None` if there is something.
    #[inline]
    pub(crate) fn alone(context: &Context<'_>, innermost: Innermost) -> Option<Self> {
        THREAD.with(|thread| {
            if !thread.innermost.get().is_nothing() {
                return None;
            }
            thread.task.set(Task::polled_by(context));
            thread.innermost.set(innermost.with(Innermost::TASK));
            Some(Self { before: None, _thread: PhantomData })
        })
    }

    /// Enters a call, with what there is to know of it.
    pub(crate) fn within(context: &Context<'_>, innermost: Innermost, around: Option<Around>) -> Self {
        let before = Before::publish(innermost.with(Innermost::TASK), Task::polled_by(context), around);
        Self { before: Some(before), _thread: PhantomData }
    }
}

#[cfg(feature = "tokio")]
impl Drop for Scope {
    #[inline]
    fn drop(&mut self) {
        match &self.before {
            None => THREAD.with(|thread| thread.innermost.set(Innermost::NOTHING)),
            Some(before) => before.restore(),
        }
    }
}

/// What a scope restores at its end.
#[derive(Debug)]
struct Before {
    innermost: Innermost,
    task: Task,
    is_noted: bool,
}

impl Before {
    fn publish(innermost: Innermost, task: Task, around: Option<Around>) -> Self {
        let (is_noted, mut innermost) = (around.is_some(), innermost);
        if let Some(around) = around {
            note(around);
            innermost = innermost.with(Innermost::NOTED);
        }
        THREAD.with(|thread| Self {
            innermost: thread.innermost.replace(innermost),
            task: thread.task.replace(task),
            is_noted,
        })
    }

    #[inline(never)]
    fn restore(&self) {
        THREAD.with(|thread| {
            thread.innermost.set(self.innermost);
            thread.task.set(self.task);
        });
        if self.is_noted {
            forget();
        }
    }
}

/// Notes what there is to know. When the thread is about to end, that is nothing.
#[cold]
fn note(around: Around) {
    _ = NOTED.try_with(|noted| noted.borrow_mut().push(around));
}

#[cold]
fn forget() {
    _ = NOTED.try_with(|noted| noted.borrow_mut().pop());
}

/// What there is to know of the innermost scope.
pub(super) fn last() -> Option<Around> {
    NOTED.try_with(|noted| noted.borrow().last().cloned()).ok().flatten()
}
