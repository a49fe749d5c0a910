//! A local circuit: that of a named breaker, or that of one key of a keyed breaker.
//!
//! The two have different types in the runtime, and this enum gives them one interface.

use std::sync::Arc;

use steadfast::{CircuitBreaker, KeyedBreaker, Override, Snapshot};

pub(crate) enum Circuit {
    Named(&'static CircuitBreaker),
    /// Holding this reference keeps the breaker from being evicted.
    Keyed(Arc<KeyedBreaker>),
}

impl Circuit {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Named(breaker) => breaker.name(),
            Self::Keyed(breaker) => breaker.name(),
        }
    }

    pub(super) fn key(&self) -> Option<&str> {
        match self {
            Self::Named(_) => None,
            Self::Keyed(breaker) => Some(breaker.key()),
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        match self {
            Self::Named(breaker) => breaker.snapshot(),
            Self::Keyed(breaker) => breaker.snapshot(),
        }
    }

    pub(super) fn apply_override(&self, change: &Override) {
        match self {
            Self::Named(breaker) => breaker.apply_override(change),
            Self::Keyed(breaker) => breaker.apply_override(change),
        }
    }
}
