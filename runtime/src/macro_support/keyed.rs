//! The option `key`.

use std::{fmt::Display, sync::Arc};

use crate::{KeyedBreaker, KeyedRateLimit, KeyedRateLimits, bounds::KeyedSource, registry::Declaration};

impl KeyedSource for Declaration {
    type Found = Arc<KeyedBreaker>;

    #[inline]
    #[track_caller]
    fn find<K: Display + ?Sized>(source: &Self, key: &K) -> Arc<KeyedBreaker> {
        source.keyed_breaker(key)
    }
}

impl KeyedSource for KeyedRateLimits {
    type Found = Arc<KeyedRateLimit>;

    #[inline]
    #[track_caller]
    fn find<K: Display + ?Sized>(source: &Self, key: &K) -> Arc<KeyedRateLimit> {
        source.limit(key)
    }
}
