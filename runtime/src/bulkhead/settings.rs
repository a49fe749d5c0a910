use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use super::BulkheadConfig;
use crate::{
    ConfigChange,
    clock::micros,
    errors::PolicyConfig,
    layers::{Layered, Setting},
};

/// The name and the layered settings of a bulkhead; the bulkheads of all keys of a name share them.
#[derive(Debug)]
pub(crate) struct BulkheadSettings {
    pub(super) name: &'static str,
    layers: Mutex<Layered<BulkheadConfig>>,
    /// The longest wait of a call, in microseconds; 0 if no call waits.
    max_wait: AtomicU64,
    /// The largest number of waiting calls.
    max_queue: AtomicU32,
}

impl BulkheadSettings {
    pub(super) const fn new(name: &'static str, declared: BulkheadConfig) -> Self {
        Self {
            name,
            layers: Mutex::new(Layered::new(declared)),
            max_wait: AtomicU64::new(max_wait_micros(declared)),
            max_queue: AtomicU32::new(max_queue(declared)),
        }
    }

    /// Returns the settings in force.
    pub(super) fn config(&self) -> BulkheadConfig {
        self.layers().in_force()
    }

    /// Returns the settings in force, and the number of times that they were replaced.
    pub(super) fn config_and_version(&self) -> (BulkheadConfig, u64) {
        let layers = self.layers();
        (layers.in_force(), layers.version())
    }

    /// Returns the options in force, each with the place from which its value is.
    pub(super) fn settings(&self) -> Vec<Setting> {
        let layers = *self.layers();
        layers.settings()
    }

    /// Returns the settings that the code declares.
    pub(super) fn declared(&self) -> BulkheadConfig {
        self.layers().declared()
    }

    /// Changes a layer. Returns the change if the settings in force are different now. The caller then makes each bulkhead that uses them
    /// adopt the number of permits.
    pub(super) fn update(&self, layer: impl FnOnce(&mut Layered<BulkheadConfig>)) -> Option<ConfigChange> {
        let mut layers = self.layers();
        let before = layers.in_force();
        layer(&mut layers);
        let config = layers.in_force();
        // ORDERING: Relaxed: single numbers, read by later calls. The lock orders the writers.
        self.max_wait.store(max_wait_micros(config), Ordering::Relaxed);
        self.max_queue.store(max_queue(config), Ordering::Relaxed);
        (config != before).then(|| PolicyConfig::change(self.name, Some(config)))
    }

    /// Returns the longest wait of a call, in microseconds; 0 if no call waits.
    pub(super) fn max_wait(&self) -> u64 {
        // ORDERING: Relaxed, as in `update`.
        self.max_wait.load(Ordering::Relaxed)
    }

    /// Returns the largest number of waiting calls.
    pub(super) fn max_queue(&self) -> u32 {
        // ORDERING: Relaxed, as in `update`.
        self.max_queue.load(Ordering::Relaxed)
    }

    fn layers(&self) -> MutexGuard<'_, Layered<BulkheadConfig>> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn max_wait_micros(config: BulkheadConfig) -> u64 {
    match config.max_wait {
        Some(max_wait) => micros(max_wait),
        None => 0,
    }
}

const fn max_queue(config: BulkheadConfig) -> u32 {
    match config.max_queue {
        Some(calls) => calls,
        None => u32::MAX,
    }
}
