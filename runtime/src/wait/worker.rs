//! Blocks worker threads of tokio runtimes.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use tokio::{
    runtime::{Handle, RuntimeFlavor, worker_index},
    task::{block_in_place, try_id},
};

/// Runs a function that blocks the thread. On a worker of a multi-threaded runtime, its other tasks move to another thread first.
pub(super) fn block_thread<R>(mut block: impl FnMut() -> R) -> R {
    if !is_worker() {
        return block();
    }
    // If `is_worker` is wrong, `block_in_place` panics before it calls the closure.
    let mut is_called = false;
    let blocked = catch_unwind(AssertUnwindSafe(|| {
        block_in_place(|| {
            is_called = true;
            block()
        })
    }));
    match blocked {
        Ok(output) => output,
        Err(panic) if is_called => resume_unwind(panic),
        Err(_) => block(),
    }
}

/// Returns true on a worker of a multi-threaded runtime.
///
/// A thread of `spawn_blocking`, a thread in `block_on` and a `LocalSet` on it are not workers: they have no other tasks, or none that can
/// move. tokio does not report to which runtime a worker belongs, so a task of a current-thread runtime that has entered the handle of a
/// multi-threaded one is mistaken for a worker.
fn is_worker() -> bool {
    // Only a worker polls a task that was spawned on a runtime. The root task of a `block_on` has no id.
    worker_index().is_some()
        && try_id().is_some()
        && Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread)
}
