use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use super::RateLimitConfig;

/// Name and settings, which the limits of all keys share.
#[derive(Debug)]
pub struct Rules {
    pub(super) name: &'static str,
    /// As it was declared; `None` where no place has given a limit.
    pub(super) declared: Option<RateLimitConfig>,
    /// What was set since.
    current: Mutex<Option<RateLimitConfig>>,
    /// How often something was set: who has seen the last knows the settings.
    version: AtomicU32,
    /// Whether there is a store to ask.
    has_store: AtomicBool,
}

impl Rules {
    pub(super) const fn new(name: &'static str, declared: Option<RateLimitConfig>) -> Self {
        let has_store = AtomicBool::new(matches!(declared, Some(RateLimitConfig { store: Some(_), .. })));
        Self { name, declared, current: Mutex::new(None), version: AtomicU32::new(0), has_store }
    }

    /// Whether there is a store to ask.
    #[cfg(feature = "tokio")]
    pub(super) fn has_store(&self) -> bool {
        // ORDERING: Relaxed: who sees that there is one takes the lock to see which.
        self.has_store.load(Ordering::Relaxed)
    }

    pub(super) fn config(&self) -> Option<RateLimitConfig> {
        self.current().or(self.declared)
    }

    /// Replaces the settings. The caller signals the waiters of each limit that goes by them.
    pub(super) fn replace(&self, config: RateLimitConfig) {
        let mut current = self.current();
        *current = Some(config);
        // ORDERING: Relaxed, as in `has_store`.
        self.has_store.store(config.store.is_some(), Ordering::Relaxed);
        // ORDERING: Relaxed: who sees the new number takes the lock to see what it is about.
        self.version.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn version(&self) -> u32 {
        // ORDERING: Relaxed, as above.
        self.version.load(Ordering::Relaxed)
    }

    fn current(&self) -> MutexGuard<'_, Option<RateLimitConfig>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
