//! Blocking a worker thread of a tokio runtime.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use tokio::{
    runtime::{Handle, RuntimeFlavor, worker_index},
    task::{block_in_place, try_id},
};

/// Blocks the thread. On a worker of a multi-threaded runtime, its other tasks move to another thread first.
pub(super) fn give_way<R>(mut block: impl FnMut() -> R) -> R {
    if !is_worker() {
        return block();
    }
    // `block_in_place` panics before it blocks where `is_worker` is mistaken.
    let mut begun = false;
    let blocked = catch_unwind(AssertUnwindSafe(|| {
        block_in_place(|| {
            begun = true;
            block()
        })
    }));
    match blocked {
        Ok(output) => output,
        Err(panic) if begun => resume_unwind(panic),
        Err(_) => block(),
    }
}

/// Returns true on a worker of a multi-threaded runtime.
///
/// Neither the closure of `spawn_blocking`, nor the thread of a `block_on`, nor a `LocalSet` on it is one: nothing else waits for those
/// threads, or nothing can move from them. tokio does not say to which runtime a worker belongs. So a task of a current-thread runtime
/// that has entered the handle of a multi-threaded one is mistaken for one.
fn is_worker() -> bool {
    // Only a worker polls a task that was spawned on a runtime. The root task of a `block_on` has no id.
    worker_index().is_some()
        && try_id().is_some()
        && Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread)
}
