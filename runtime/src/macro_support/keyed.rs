//! The option `key`.

use std::{fmt::Display, sync::Arc};

use crate::{KeyedBreaker, KeyedRateLimit, KeyedRateLimits, bounds::KeyedSource, registry::Declaration};

impl KeyedSource for Declaration {
    type Found = Arc<KeyedBreaker>;

    #[inline]
    #[track_caller]
    fn find<K: Display + ?Sized>(&self, key: &K) -> Arc<KeyedBreaker> {
        self.keyed_breaker(key)
    }
}

impl KeyedSource for KeyedRateLimits {
    type Found = Arc<KeyedRateLimit>;

    #[inline]
    #[track_caller]
    fn find<K: Display + ?Sized>(&self, key: &K) -> Arc<KeyedRateLimit> {
        self.limit(key)
    }
}
