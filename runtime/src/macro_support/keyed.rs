//! The lookup by the option `key`.

use std::{fmt::Display, sync::Arc};

use crate::{
    KeyedBreaker, KeyedBreakers, KeyedBulkhead, KeyedBulkheads, KeyedRateLimits, bounds::KeyedSource,
    rate_limit::KeyedAcquire,
};

impl KeyedSource for KeyedBreakers {
    type Found = Arc<KeyedBreaker>;

    #[inline]
    #[track_caller]
    fn find<K: Display + ?Sized>(source: &Self, key: &K) -> Arc<KeyedBreaker> {
        source.breaker(key)
    }
}

impl KeyedSource for KeyedBulkheads {
    type Found = Arc<KeyedBulkhead>;

    #[inline]
    #[track_caller]
    fn find<K: Display + ?Sized>(source: &Self, key: &K) -> Arc<KeyedBulkhead> {
        source.bulkhead(key)
    }
}

impl KeyedSource for KeyedRateLimits {
    type Found = KeyedAcquire;

    #[inline]
    #[track_caller]
    fn find<K: Display + ?Sized>(source: &Self, key: &K) -> KeyedAcquire {
        source.try_acquire_at_once(key, 1)
    }
}

/// The rate limits of a call that takes `permits`.
#[derive(Debug)]
pub struct Weighted {
    limits: &'static KeyedRateLimits,
    permits: u32,
}

impl Weighted {
    /// Creates the source of a call.
    #[must_use]
    pub const fn new(limits: &'static KeyedRateLimits, permits: u32) -> Self {
        Self { limits, permits }
    }
}

impl KeyedSource for Weighted {
    type Found = KeyedAcquire;

    #[inline]
    #[track_caller]
    fn find<K: Display + ?Sized>(source: &Self, key: &K) -> KeyedAcquire {
        source.limits.try_acquire_at_once(key, source.permits)
    }
}
