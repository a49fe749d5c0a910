use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use super::{Algorithm, RateLimitConfig, counter::Limit};
use crate::{
    ConfigChange,
    clock::micros,
    errors::PolicyConfig,
    layers::{Layered, Setting},
};

/// The name and the layered settings of a rate limit; the limits of all keys of a name share them.
#[derive(Debug)]
pub(crate) struct RateLimitSettings {
    pub(super) name: &'static str,
    /// The layers, each `None` if it sets no limit.
    layers: Mutex<Layered<Option<RateLimitConfig>>>,
    /// The number of changes. A limiter compares this version with the one that it has adopted.
    version: AtomicU32,
    /// True if the settings in force have a store.
    has_store: AtomicBool,
}

/// The settings in force, converted for a limiter.
#[derive(Clone, Copy, Debug)]
pub(super) struct ActiveSettings {
    pub(super) limit: Limit,
    #[cfg_attr(not(feature = "tokio"), allow(dead_code, reason = "only tasks call a store"))]
    pub(super) algorithm: Algorithm,
    /// The longest wait of a call, in microseconds; 0 if no call waits.
    pub(super) max_wait: u64,
    pub(super) version: u32,
}

impl RateLimitSettings {
    pub(super) const fn new(name: &'static str, declared: Option<RateLimitConfig>) -> Self {
        let has_store = AtomicBool::new(matches!(declared, Some(RateLimitConfig { store: Some(_), .. })));
        Self { name, layers: Mutex::new(Layered::new(declared)), version: AtomicU32::new(0), has_store }
    }

    /// Returns true if the settings in force have a store.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(super) fn has_store(&self) -> bool {
        // ORDERING: Relaxed: a reader that finds a store takes the lock to read which one.
        self.has_store.load(Ordering::Relaxed)
    }

    /// Returns the settings in force.
    pub(super) fn config(&self) -> Option<RateLimitConfig> {
        self.layers().in_force()
    }

    /// Returns the options in force, each with the place from which its value is.
    pub(super) fn settings(&self) -> Vec<Setting> {
        let layers = *self.layers();
        layers.settings()
    }

    /// Returns the settings that the code declares.
    pub(super) fn declared(&self) -> Option<RateLimitConfig> {
        self.layers().declared()
    }

    /// Returns the settings in force as a limiter uses them, with the `version` that the caller read before.
    pub(super) fn active(&self, version: u32) -> Option<ActiveSettings> {
        let config = self.config()?;
        let limit = Limit { calls: config.limit, per: micros(config.per), burst: config.get_burst() };
        Some(ActiveSettings {
            limit,
            algorithm: config.algorithm,
            max_wait: config.max_wait.map_or(0, micros),
            version,
        })
    }

    /// Changes a layer. Returns the change if the settings in force are different now; the caller then signals the waiters of each limiter
    /// that uses them.
    pub(super) fn update(&self, layer: impl FnOnce(&mut Layered<Option<RateLimitConfig>>)) -> Option<ConfigChange> {
        let mut layers = self.layers();
        let before = layers.in_force();
        layer(&mut layers);
        let config = layers.in_force();
        if config == before {
            return None;
        }
        // ORDERING: Relaxed, as in `has_store`.
        self.has_store.store(config.is_some_and(|config| config.store.is_some()), Ordering::Relaxed);
        // ORDERING: Relaxed: a reader of the new version takes the lock to read the settings.
        self.version.fetch_add(1, Ordering::Relaxed);
        drop(layers);
        Some(PolicyConfig::change(self.name, config))
    }

    fn layers(&self) -> MutexGuard<'_, Layered<Option<RateLimitConfig>>> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    pub(super) fn version(&self) -> u32 {
        // ORDERING: Relaxed, as in `update`.
        self.version.load(Ordering::Relaxed)
    }
}
