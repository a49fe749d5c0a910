//! The lookup by the option `key`.

use std::{fmt::Display, sync::Arc};

use crate::{KeyedBreaker, KeyedBreakers, KeyedRateLimits, bounds::KeyedSource, rate_limit::KeyedAcquire};

impl KeyedSource for KeyedBreakers {
    type Found = Arc<KeyedBreaker>;

    #[inline]
    #[track_caller]
    fn find<K: Display + ?Sized>(source: &Self, key: &K) -> Arc<KeyedBreaker> {
        source.breaker(key)
    }
}

impl KeyedSource for KeyedRateLimits {
    type Found = KeyedAcquire;

    #[inline]
    #[track_caller]
    fn find<K: Display + ?Sized>(source: &Self, key: &K) -> KeyedAcquire {
        source.try_acquire_at_once(key)
    }
}
