//! Loom models of the circuit breaker: see [`models`](crate::models).

mod in_flight;
mod settings;
mod state;
mod window;

use std::sync::atomic::Ordering;

use loom::sync::atomic::AtomicU64;

use super::state::atomic::AtomicCell;
use crate::models::model;

impl AtomicCell for AtomicU64 {
    fn load(&self, ordering: Ordering) -> u64 {
        self.load(ordering)
    }

    fn store(&self, value: u64, ordering: Ordering) {
        self.store(value, ordering);
    }

    fn compare_exchange_weak(&self, current: u64, new: u64, success: Ordering, failure: Ordering) -> Result<u64, u64> {
        self.compare_exchange_weak(current, new, success, failure)
    }
}
