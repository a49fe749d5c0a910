use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use super::RateLimitConfig;
use super::named;
use crate::{ConfigChange, DeclaredConfig, layers::Layered};

/// Name and settings, which the limits of all keys share.
#[derive(Debug)]
pub struct RateLimitSettings {
    pub(super) name: &'static str,
    /// `None` where no layer gives a limit.
    layers: Mutex<Layered<Option<RateLimitConfig>>>,
    /// How often something was set: who has seen the last knows the settings.
    version: AtomicU32,
    /// Whether there is a store to ask.
    has_store: AtomicBool,
}

impl RateLimitSettings {
    pub(super) const fn new(name: &'static str, declared: Option<RateLimitConfig>) -> Self {
        let has_store = AtomicBool::new(matches!(declared, Some(RateLimitConfig { store: Some(_), .. })));
        Self { name, layers: Mutex::new(Layered::new(declared)), version: AtomicU32::new(0), has_store }
    }

    /// Whether there is a store to ask.
    #[cfg(feature = "tokio")]
    pub(super) fn has_store(&self) -> bool {
        // ORDERING: Relaxed: who sees that there is one takes the lock to see which.
        self.has_store.load(Ordering::Relaxed)
    }

    pub(super) fn config(&self) -> Option<RateLimitConfig> {
        self.layers().in_force()
    }

    /// The settings in the code.
    pub(super) fn declared(&self) -> Option<RateLimitConfig> {
        self.layers().declared()
    }

    /// Changes a layer. The caller signals the waiters of each limit that goes by these settings.
    pub(super) fn change(&self, layer: impl FnOnce(&mut Layered<Option<RateLimitConfig>>)) -> Option<ConfigChange> {
        let mut layers = self.layers();
        let before = layers.in_force();
        layer(&mut layers);
        let config = layers.in_force();
        if config == before {
            return None;
        }
        // ORDERING: Relaxed, as in `has_store`.
        self.has_store.store(config.is_some_and(|config| config.store.is_some()), Ordering::Relaxed);
        // ORDERING: Relaxed: who sees the new number takes the lock to see what it is about.
        self.version.fetch_add(1, Ordering::Relaxed);
        drop(layers);
        Some(ConfigChange::new(named::TERMS.table, self.name, DeclaredConfig::new(&named::TERMS, config)))
    }

    fn layers(&self) -> MutexGuard<'_, Layered<Option<RateLimitConfig>>> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn version(&self) -> u32 {
        // ORDERING: Relaxed, as above.
        self.version.load(Ordering::Relaxed)
    }
}
