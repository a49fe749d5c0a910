//! Containment of panics in callbacks and in the Redis client, so that none leaves the fleet's worker or the destructor of a call.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Calls a closure and returns its value, or `None` if it panicked.
///
/// The panic payload is dropped here. Its destructor may panic, too; the payload of that second panic is leaked, so that no panic
/// leaves this function.
pub(crate) fn catch_panic<T>(call: impl FnOnce() -> T) -> Option<T> {
    let payload = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(value) => return Some(value),
        Err(payload) => payload,
    };
    if let Err(second_payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(second_payload);
    }
    None
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::catch_panic;

    struct PanicsOnDrop;

    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }

    #[test]
    fn panics_of_closure_and_payload_are_contained() {
        assert_eq!(catch_panic(|| 1), Some(1));
        let panicked: Option<()> = catch_panic(|| panic_any(PanicsOnDrop));
        assert_eq!(panicked, None);
    }
}
