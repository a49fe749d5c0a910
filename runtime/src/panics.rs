//! Panics of code that belongs to the user.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Runs a callback or a destructor of the user and lets no panic out; `false` if it panicked.
///
/// The payload of a panic is a value of the user, too: its destructor may panic again.
pub(crate) fn contain(work: impl FnOnce()) -> bool {
    let Err(payload) = catch_unwind(AssertUnwindSafe(work)) else { return true };
    if let Err(payload_of_payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(payload_of_payload);
    }
    false
}
