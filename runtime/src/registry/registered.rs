use std::panic::Location;

use crate::{Bulkhead, CircuitBreaker, RateLimit};
#[cfg(feature = "keyed")]
use crate::{KeyedBreakers, KeyedRateLimits};

/// A static of the user's own, and where it is listed by [`register!`](crate::register).
#[derive(Debug)]
pub struct Registered {
    it: &'static (dyn Register + Sync),
    pub(super) location: &'static Location<'static>,
}

/// What can be listed: a `static` breaker, rate limit or bulkhead.
#[diagnostic::on_unimplemented(
    message = "a `{Self}` can't be listed by name",
    label = "no circuit breaker, rate limit or bulkhead"
)]
pub trait Register: std::fmt::Debug {
    /// Which of them it is.
    #[doc(hidden)]
    fn listed(&'static self) -> Listed;
}

/// One that was listed.
#[derive(Clone, Copy, Debug)]
pub enum Listed {
    /// By `CircuitBreaker`.
    Breaker(&'static CircuitBreaker),
    /// By `KeyedBreakers`.
    #[cfg(feature = "keyed")]
    KeyedBreakers(&'static KeyedBreakers),
    /// By `RateLimit`.
    RateLimit(&'static RateLimit),
    /// By `KeyedRateLimits`.
    #[cfg(feature = "keyed")]
    KeyedRateLimits(&'static KeyedRateLimits),
    /// By `Bulkhead`.
    Bulkhead(&'static Bulkhead),
}

impl Registered {
    /// What `register!` leaves.
    #[track_caller]
    #[must_use]
    pub const fn new(it: &'static (dyn Register + Sync)) -> Self {
        Self { it, location: Location::caller() }
    }

    pub(super) fn listed(&self) -> Listed {
        self.it.listed()
    }
}

impl Register for CircuitBreaker {
    fn listed(&'static self) -> Listed {
        Listed::Breaker(self)
    }
}

#[cfg(feature = "keyed")]
impl Register for KeyedBreakers {
    fn listed(&'static self) -> Listed {
        Listed::KeyedBreakers(self)
    }
}

impl Register for RateLimit {
    fn listed(&'static self) -> Listed {
        Listed::RateLimit(self)
    }
}

#[cfg(feature = "keyed")]
impl Register for KeyedRateLimits {
    fn listed(&'static self) -> Listed {
        Listed::KeyedRateLimits(self)
    }
}

impl Register for Bulkhead {
    fn listed(&'static self) -> Listed {
        Listed::Bulkhead(self)
    }
}
