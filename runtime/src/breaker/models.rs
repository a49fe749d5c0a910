//! Model checking: loom runs every interleaving of these few threads, and every outcome of their weak memory.
//!
//! A thread is interrupted at most three times at an arbitrary place, which finds almost everything in a moment.
//! `cargo xtask loom` sets `LOOM_MAX_PREEMPTIONS` higher than any of them goes: then nothing is left out.

#[cfg(feature = "keyed")]
mod keyed;
mod window;
mod word;

use std::sync::atomic::Ordering;

use loom::{model::Builder, sync::atomic::AtomicU64};

use super::shared::AtomicCell;

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

fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound.get_or_insert(3);
    builder.check(run);
}
