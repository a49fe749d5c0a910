//! The innermost scope of a thread, in thread-locals that are cheap to write.

#[cfg(feature = "tokio")]
use std::task::Context;
use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use super::scope::{Deadline, Details, EnclosingCalls, EnclosingRetries, RetryName};
use crate::stop::Relay;

thread_local! {
    pub(super) static THREAD: ThreadState = const { ThreadState::new() };
    /// The stop signals of the scopes that have [any](PackedScope::HAS_SIGNALS), those of the innermost scope last.
    static SIGNALS: RefCell<Vec<Vec<Arc<Relay>>>> = const { RefCell::new(Vec::new()) };
}

/// The fields that most scopes write. They need no destructor and are in one thread-local, so that its address is computed once.
pub(super) struct ThreadState {
    pub(super) scope: Cell<PackedScope>,
    /// The task whose poll published the innermost scope of a task.
    pub(super) task: Cell<WakerId>,
    /// The [details](Details) of the innermost scope, if its word contains their flags. In one cell, they would be copied by vector
    /// instructions, which wait for the stores of their parts: that takes 6 ns longer.
    pub(super) retrying: Cell<RetryName>,
    pub(super) later_attempt: Cell<u32>,
    pub(super) deadline: Cell<Option<Deadline>>,
    /// The id of the last rejection, 0 for none: see [`rejection_trace`](super::rejection_trace).
    rejection_id: Cell<u64>,
}

impl ThreadState {
    const fn new() -> Self {
        Self {
            scope: Cell::new(PackedScope::EMPTY),
            task: Cell::new(WakerId { vtable: 0, data: 0 }),
            retrying: Cell::new(RetryName(None)),
            later_attempt: Cell::new(0),
            deadline: Cell::new(None),
            rejection_id: Cell::new(0),
        }
    }

    /// Returns the details of a scope, which must be the innermost one.
    #[inline]
    pub(super) fn details(&self, scope: PackedScope) -> Details {
        Details {
            retrying: scope.has(PackedScope::IS_RETRYING).then(|| self.retrying.get()),
            later_attempt: scope.is_later_attempt().then(|| self.later_attempt.get()),
            deadline: if scope.has(PackedScope::HAS_DEADLINE) { self.deadline.get() } else { None },
        }
    }

    /// Stores details. Those that are absent are not written.
    #[inline]
    pub(super) fn set_details(&self, Details { retrying, later_attempt, deadline }: Details) {
        if let Some(retrying) = retrying {
            self.retrying.set(retrying);
            self.later_attempt.set(later_attempt.unwrap_or_default());
        }
        if deadline.is_some() {
            self.deadline.set(deadline);
        }
    }
}

/// Makes a scope the innermost one.
#[inline]
pub(super) fn publish(mut scope: PackedScope, task: WakerId, details: Details) {
    if details.retrying.is_some() {
        scope = scope.with(PackedScope::IS_RETRYING);
        if details.later_attempt.is_some() {
            scope = scope.with(PackedScope::IS_LATER_ATTEMPT);
        }
    }
    if details.deadline.is_some() {
        scope = scope.with(PackedScope::HAS_DEADLINE);
    }
    THREAD.with(|thread| {
        thread.set_details(details);
        thread.task.set(task);
        thread.scope.set(scope);
    });
}

/// Accesses the id of this thread's last rejection.
#[inline]
pub(super) fn with_rejection_id<R>(with: impl FnOnce(&Cell<u64>) -> R) -> R {
    THREAD.with(|thread| with(&thread.rejection_id))
}

/// The innermost scope of a thread in one word.
///
/// | bits | meaning |
/// | --- | --- |
/// | 0 | the call is part of an attempt |
/// | 1 | the call may find more around it at its next poll |
/// | 2 | the scope has a deadline, which the thread stores |
/// | 3 | the scope was published by a task |
/// | 4 | the last entry of [`SIGNALS`] belongs to this scope |
/// | 5 | the scope is in a retry that is past its first attempt; the thread stores its name |
/// | 6 | the innermost attempt of those bits is not the first of its call; the thread stores its number. Bit 5 is set as well |
/// | 7 to 31 | the number of attempts of code that is not `async` that were entered since bits 0 to 6 were written; each is a first attempt |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PackedScope(u32);

impl PackedScope {
    pub(crate) const EMPTY: Self = Self(0);
    pub(crate) const IN_ATTEMPT: Self = Self(1);
    pub(crate) const INCOMPLETE: Self = Self(1 << 1);
    pub(super) const HAS_DEADLINE: Self = Self(1 << 2);
    pub(super) const OF_TASK: Self = Self(1 << 3);
    pub(super) const HAS_SIGNALS: Self = Self(1 << 4);
    pub(super) const IS_RETRYING: Self = Self(1 << 5);
    const IS_LATER_ATTEMPT: Self = Self(1 << 6);
    const ONE_THREAD_ATTEMPT: Self = Self(1 << 7);

    /// Returns the innermost scope of the current thread.
    #[inline]
    pub(crate) fn current() -> Self {
        THREAD.with(|thread| thread.scope.get())
    }

    #[inline]
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Sets a flag.
    #[inline]
    pub(crate) const fn with(self, flag: Self) -> Self {
        Self(self.0 | flag.0)
    }

    /// Returns true if a flag is set, or one of several.
    #[inline]
    pub(super) const fn has(self, flags: Self) -> bool {
        self.0 & flags.0 != 0
    }

    /// Adds an attempt of code that is not `async`.
    #[inline]
    pub(super) const fn enter_thread_attempt(self) -> Self {
        Self(self.0.wrapping_add(Self::ONE_THREAD_ATTEMPT.0))
    }

    /// Removes an attempt of code that is not `async`.
    #[inline]
    pub(super) const fn leave_thread_attempt(self) -> Self {
        Self(self.0.wrapping_sub(Self::ONE_THREAD_ATTEMPT.0))
    }

    /// Returns true if the innermost scope belongs to code that is not `async`.
    pub(super) const fn is_of_thread(self) -> bool {
        self.0 >= Self::ONE_THREAD_ATTEMPT.0 || !self.has(Self::OF_TASK)
    }

    /// Returns true if the innermost attempt is not the first of its call.
    const fn is_later_attempt(self) -> bool {
        self.0 < Self::ONE_THREAD_ATTEMPT.0 && self.has(Self::IS_LATER_ATTEMPT)
    }

    pub(super) const fn is_in_attempt(self) -> bool {
        self.0 >= Self::ONE_THREAD_ATTEMPT.0 || self.has(Self::IN_ATTEMPT)
    }
}

/// Identifies a task by the two addresses of its waker. They are unique among the tasks that exist at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WakerId {
    vtable: usize,
    data: usize,
}

impl WakerId {
    /// Returns the task whose poll published the innermost scope.
    #[inline]
    pub(super) fn published() -> Self {
        THREAD.with(|thread| thread.task.get())
    }

    #[cfg(feature = "tokio")]
    #[inline]
    pub(super) fn of(context: &Context<'_>) -> Self {
        let waker = context.waker();
        Self { data: waker.data().addr(), vtable: std::ptr::from_ref(waker.vtable()).addr() }
    }
}

/// Adds the stop signals of the innermost scope. Does nothing while the thread's locals are being destroyed.
#[cold]
#[inline(never)]
pub(super) fn push_signals(signals: Vec<Arc<Relay>>) {
    _ = SIGNALS.try_with(|list| list.borrow_mut().push(signals));
}

#[cold]
#[inline(never)]
pub(super) fn pop_signals() {
    _ = SIGNALS.try_with(|list| list.borrow_mut().pop());
}

/// Returns the stop signals of the innermost scope that has any.
fn last_signals() -> Vec<Arc<Relay>> {
    SIGNALS.try_with(|list| list.borrow().last().cloned()).ok().flatten().unwrap_or_default()
}

/// Returns the number of the innermost attempt, if it is not the first of its call.
pub(super) fn later_attempt(innermost: PackedScope) -> Option<u32> {
    innermost.is_later_attempt().then(|| THREAD.with(|thread| thread.later_attempt.get()))
}

/// Returns the calls that enclose the innermost scope.
#[inline]
pub(super) fn enclosing_calls(innermost: PackedScope) -> EnclosingCalls {
    let details = THREAD.with(|thread| thread.details(innermost));
    let has_signals = innermost.has(PackedScope::HAS_SIGNALS);
    let has_retries = details.retrying.is_some() || has_signals;
    let retries = has_retries.then(|| Box::new(enclosing_retries(&details, has_signals)));
    EnclosingCalls { deadline: details.deadline, retries }
}

#[cold]
fn enclosing_retries(details: &Details, has_signals: bool) -> EnclosingRetries {
    let stop_signals = if has_signals { last_signals() } else { Vec::new() };
    EnclosingRetries { retrying: details.retrying, later_attempt: details.later_attempt, stop_signals }
}
