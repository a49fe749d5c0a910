//! Panics in user code.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Runs a callback or destructor of the user and catches its panic. Returns false if it panicked.
///
/// The payload of the panic is also a value of the user, so a panic in the destructor of the payload is caught as well.
pub(crate) fn contain(work: impl FnOnce()) -> bool {
    let Err(payload) = catch_unwind(AssertUnwindSafe(work)) else { return true };
    if let Err(payload_of_payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(payload_of_payload);
    }
    false
}
