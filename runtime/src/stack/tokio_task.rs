//! The tokio task that a thread is polling.
//!
//! tokio reports the task only with the feature `rt-multi-thread`; without that feature, the task is assumed to stay the same.

#[cfg(feature = "rt-multi-thread")]
pub(crate) use self::reported::AttemptTask;
#[cfg(feature = "rt-multi-thread")]
pub(super) use self::reported::is_different_task;

#[cfg(not(feature = "rt-multi-thread"))]
pub(super) const fn is_different_task() -> bool {
    false
}

#[cfg(feature = "rt-multi-thread")]
mod reported {
    use std::cell::Cell;

    use tokio::task::{Id, try_id};

    thread_local! {
        /// The task that was being polled when the innermost attempt of code that is not `async` began.
        static AT_ATTEMPT: Cell<Option<Id>> = const { Cell::new(None) };
    }

    /// Records the task for the duration of an attempt of code that is not `async`. Dropping it restores the previous record.
    #[derive(Debug)]
    pub(crate) struct AttemptTask(Option<Id>);

    impl AttemptTask {
        #[inline]
        pub(crate) fn enter() -> Self {
            Self(AT_ATTEMPT.replace(try_id()))
        }
    }

    impl Drop for AttemptTask {
        #[inline]
        fn drop(&mut self) {
            AT_ATTEMPT.set(self.0);
        }
    }

    /// Returns true if the task that is being polled is not the one in which the innermost attempt began.
    pub(crate) fn is_different_task() -> bool {
        AT_ATTEMPT.get() != try_id()
    }
}
