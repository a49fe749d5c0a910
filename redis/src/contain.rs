use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Calls a closure, and lets no panic out; nor one of the payload, whose destructor may panic, too. `None` if it panicked.
pub(crate) fn contain<T>(call: impl FnOnce() -> T) -> Option<T> {
    let payload = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(value) => return Some(value),
        Err(payload) => payload,
    };
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(another);
    }
    None
}
