use std::sync::Arc;

use steadfast::{CircuitBreaker, KeyedBreakers};

/// What [`FleetBuilder::share`](crate::FleetBuilder::share) takes: a breaker, or those of all keys; by themselves, as what
/// [`breaker`](steadfast::breaker) and [`keyed_breakers`](steadfast::keyed_breakers) have found, or by their name.
#[derive(Clone, Debug)]
pub struct Share(pub(crate) Shared);

#[derive(Clone, Debug)]
pub(crate) enum Shared {
    Named(&'static CircuitBreaker),
    Keyed(&'static KeyedBreakers),
    /// There is none of this name, if a name was given.
    Unknown(Option<Arc<str>>),
}

impl From<&'static CircuitBreaker> for Share {
    fn from(breaker: &'static CircuitBreaker) -> Self {
        Self(Shared::Named(breaker))
    }
}

impl From<&'static KeyedBreakers> for Share {
    fn from(breakers: &'static KeyedBreakers) -> Self {
        Self(Shared::Keyed(breakers))
    }
}

impl From<Option<&'static CircuitBreaker>> for Share {
    fn from(breaker: Option<&'static CircuitBreaker>) -> Self {
        breaker.map_or(Self(Shared::Unknown(None)), Self::from)
    }
}

impl From<Option<&'static KeyedBreakers>> for Share {
    fn from(breakers: Option<&'static KeyedBreakers>) -> Self {
        breakers.map_or(Self(Shared::Unknown(None)), Self::from)
    }
}

impl From<&str> for Share {
    fn from(name: &str) -> Self {
        let named = steadfast::breaker(name).map(Self::from);
        let found = named.or_else(|| steadfast::keyed_breakers(name).map(Self::from));
        found.unwrap_or_else(|| Self(Shared::Unknown(Some(name.into()))))
    }
}
