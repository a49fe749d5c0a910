//! A breaker of this program: one with a name, or that of a key.

use std::sync::Arc;

use steadfast::{CircuitBreaker, KeyedBreaker, Override, Snapshot};

pub(crate) enum Circuit {
    Named(&'static CircuitBreaker),
    /// While it is here it is not given up for other keys.
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

    pub(super) fn apply_override(&self, intervention: &Override) {
        match self {
            Self::Named(breaker) => breaker.apply_override(intervention),
            Self::Keyed(breaker) => breaker.apply_override(intervention),
        }
    }
}
