//! The lookup by the option `key`.

use std::{fmt::Display, sync::Arc};

use crate::{KeyedBreaker, KeyedBreakers, KeyedRateLimit, KeyedRateLimits, bounds::KeyedSource};

impl KeyedSource for KeyedBreakers {
    type Found = Arc<KeyedBreaker>;

    #[inline]
    #[track_caller]
    fn find<K: Display + ?Sized>(source: &Self, key: &K) -> Arc<KeyedBreaker> {
        source.breaker(key)
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
