//! The innermost scope of a thread, in words that are cheap to write.

use std::cell::Cell;
#[cfg(feature = "tokio")]
use std::task::Context;

use super::{Found, guard};

thread_local! {
    pub(super) static THREAD: Thread = const { Thread::new() };
}

/// The words of a thread that a first attempt writes, side by side: so the compiler looks for their address once.
pub(super) struct Thread {
    pub(super) innermost: Cell<Innermost>,
    /// The task whose poll has published the innermost scope, if one has.
    pub(super) task: Cell<Task>,
    /// The mark of the last rejection, 0 for none: see [`trace`](crate::breaker::trace).
    rejection: Cell<u64>,
}

impl Thread {
    const fn new() -> Self {
        Self {
            innermost: Cell::new(Innermost::NOTHING),
            task: Cell::new(Task { vtable: 0, data: 0 }),
            rejection: Cell::new(0),
        }
    }
}

/// Reads or writes the mark of this thread's last rejection.
#[inline]
pub(crate) fn with_rejection<R>(with: impl FnOnce(&Cell<u64>) -> R) -> R {
    THREAD.with(|thread| with(&thread.rejection))
}

/// The innermost scope of a thread, in one word: flags of the last scope that was published with flags, and in the bits above them the
/// number of attempts of code that is not `async` that were entered since then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Innermost(u32);

impl Innermost {
    pub(crate) const NOTHING: Self = Self(0);
    /// The call is a part of an attempt.
    pub(crate) const ATTEMPT: Self = Self(1);
    /// The call may find more around it when it is polled again.
    pub(crate) const OPEN: Self = Self(1 << 1);
    /// The last entry of the list is about this scope.
    pub(super) const NOTED: Self = Self(1 << 2);
    /// The scope is of a task.
    pub(super) const TASK: Self = Self(1 << 3);
    /// One attempt of code that is not `async`.
    const THREAD_ATTEMPT: Self = Self(1 << 4);

    #[inline]
    pub(crate) fn get() -> Self {
        THREAD.with(|thread| thread.innermost.get())
    }

    /// Returns true if there is no scope.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) const fn is_nothing(self) -> bool {
        self.0 == 0
    }

    #[inline]
    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The scope inside of an attempt of code that is not `async`.
    #[inline]
    pub(super) const fn inside(self) -> Self {
        Self(self.0.wrapping_add(Self::THREAD_ATTEMPT.0))
    }

    /// The scope outside of that attempt.
    #[inline]
    pub(super) const fn outside(self) -> Self {
        Self(self.0.wrapping_sub(Self::THREAD_ATTEMPT.0))
    }

    #[inline]
    pub(super) const fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    /// Returns true if the innermost scope is that of code that is not `async`.
    const fn is_of_thread(self) -> bool {
        self.0 >= Self::THREAD_ATTEMPT.0 || !self.has(Self::TASK)
    }

    const fn is_attempt(self) -> bool {
        self.0 >= Self::THREAD_ATTEMPT.0 || self.has(Self::ATTEMPT)
    }

    /// What a call that is not `async` finds.
    #[cold]
    pub(crate) fn found_by_thread(self) -> Found {
        if self.is_of_thread() && polled::is_different_clock() { Found::NOTHING } else { self.found() }
    }

    /// What a future finds that is polled.
    #[cfg(feature = "tokio")]
    #[cold]
    pub(crate) fn found_by_task(self, context: &Context<'_>) -> Found {
        if self.has(Self::TASK) && Task::noted() == Task::polled_by(context) { self.found() } else { Found::NOTHING }
    }

    pub(super) fn found(self) -> Found {
        let around = if self.has(Self::NOTED) { guard::last().map(Box::new) } else { None };
        Found { is_attempt: self.is_attempt(), is_settled: !self.has(Self::OPEN), around }
    }
}

/// Addresses that tell the waker of a task from all others while it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Task {
    vtable: usize,
    data: usize,
}

impl Task {
    pub(super) fn noted() -> Self {
        THREAD.with(|thread| thread.task.get())
    }

    #[cfg(feature = "tokio")]
    #[inline]
    pub(super) fn polled_by(context: &Context<'_>) -> Self {
        let waker = context.waker();
        Self { data: waker.data().addr(), vtable: std::ptr::from_ref(waker.vtable()).addr() }
    }
}

/// The tokio task that is being polled on a thread, as far as tokio says.
#[cfg(feature = "rt-multi-thread")]
pub(crate) mod polled {
    use std::cell::Cell;

    use tokio::task::{Id, try_id};

    thread_local! {
        /// The task that was being polled when the innermost attempt of code that is not `async` began.
        static AT_ATTEMPT: Cell<Option<Id>> = const { Cell::new(None) };
    }

    /// Notes the task during an attempt of code that is not `async`.
    #[derive(Debug)]
    pub(crate) struct Polled(Option<Id>);

    impl Polled {
        #[inline]
        pub(crate) fn note() -> Self {
            Self(AT_ATTEMPT.replace(try_id()))
        }
    }

    impl Drop for Polled {
        #[inline]
        fn drop(&mut self) {
            AT_ATTEMPT.set(self.0);
        }
    }

    /// Returns true if another task is being polled than when the innermost attempt began.
    pub(super) fn is_different_clock() -> bool {
        AT_ATTEMPT.get() != try_id()
    }
}

/// Without that feature, tokio is not asked.
#[cfg(not(feature = "rt-multi-thread"))]
mod polled {
    pub(super) const fn is_different_clock() -> bool {
        false
    }
}
