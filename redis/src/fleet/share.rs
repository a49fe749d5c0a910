//! The breakers that a fleet shares, and the claims that keep two fleets of one program from sharing the same one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use steadfast::{CircuitBreaker, KeyedBreakers};

use crate::FleetError;

/// The argument of [`FleetBuilder::share`](crate::FleetBuilder::share): a breaker, keyed breakers, the result of
/// [`breaker`](steadfast::breaker) or [`keyed_breakers`](steadfast::keyed_breakers), or the name of either.
#[derive(Clone, Debug)]
pub struct ShareTarget(Target);

#[derive(Clone, Debug)]
enum Target {
    Named(&'static CircuitBreaker),
    Keyed(&'static KeyedBreakers),
    /// The result of a failed lookup, with the name if one was given.
    Unknown(Option<Arc<str>>),
}

impl From<&'static CircuitBreaker> for ShareTarget {
    fn from(breaker: &'static CircuitBreaker) -> Self {
        Self(Target::Named(breaker))
    }
}

impl From<&'static KeyedBreakers> for ShareTarget {
    fn from(breakers: &'static KeyedBreakers) -> Self {
        Self(Target::Keyed(breakers))
    }
}

impl From<Option<&'static CircuitBreaker>> for ShareTarget {
    fn from(breaker: Option<&'static CircuitBreaker>) -> Self {
        breaker.map_or(Self(Target::Unknown(None)), Self::from)
    }
}

impl From<Option<&'static KeyedBreakers>> for ShareTarget {
    fn from(breakers: Option<&'static KeyedBreakers>) -> Self {
        breakers.map_or(Self(Target::Unknown(None)), Self::from)
    }
}

impl From<&str> for ShareTarget {
    fn from(name: &str) -> Self {
        let named = steadfast::breaker(name).map(Self::from);
        let found = named.or_else(|| steadfast::keyed_breakers(name).map(Self::from));
        found.unwrap_or_else(|| Self(Target::Unknown(Some(name.into()))))
    }
}

/// The breakers that a fleet shares, without duplicates.
#[derive(Debug, Default)]
pub(super) struct SharedBreakers {
    pub(super) named: Vec<&'static CircuitBreaker>,
    pub(super) keyed: Vec<&'static KeyedBreakers>,
}

impl SharedBreakers {
    pub(super) fn of(targets: &[ShareTarget]) -> Result<Self, FleetError> {
        let mut shared = Self::default();
        for ShareTarget(target) in targets {
            match target {
                Target::Named(breaker) => push_unique(&mut shared.named, breaker, <CircuitBreaker>::name)?,
                Target::Keyed(breakers) => push_unique(&mut shared.keyed, breakers, KeyedBreakers::name)?,
                Target::Unknown(name) => return Err(FleetError::UnknownBreaker(name.clone())),
            }
        }
        Ok(shared)
    }

    pub(super) fn claim(&self, claims: &mut Claims) -> Result<(), FleetError> {
        self.named.iter().try_for_each(|breaker| claims.add(*breaker, breaker.name()))?;
        self.keyed.iter().try_for_each(|breakers| claims.add(*breakers, breakers.name()))
    }
}

/// Adds an item unless it is already present. Fails if a different item has the same name.
fn push_unique<T>(
    items: &mut Vec<&'static T>,
    item: &'static T,
    name: fn(&T) -> &'static str,
) -> Result<(), FleetError> {
    match items.iter().find(|other| name(other) == name(item)) {
        Some(other) if std::ptr::eq(*other, item) => {}
        Some(_) => return Err(FleetError::DuplicateName(name(item))),
        None => items.push(item),
    }
    Ok(())
}

/// The memory addresses of the breakers and rate limits that a fleet shares, claimed until this value is dropped.
///
/// A breaker in two fleets of one program would have two votes, one for each fleet, so it must not be shared twice.
#[derive(Debug)]
pub(super) struct Claims(Vec<usize>);

/// The addresses that all fleets of this program have claimed.
static CLAIMED: Mutex<Vec<usize>> = Mutex::new(Vec::new());

impl Claims {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Claims a breaker or a store of rate limits. The name is for the error if another fleet has claimed it.
    pub(super) fn add<T>(&mut self, shared: &'static T, name: &str) -> Result<(), FleetError> {
        let (address, mut claimed) = (std::ptr::from_ref(shared).addr(), claimed());
        if claimed.contains(&address) {
            return Err(FleetError::AlreadyShared(name.into()));
        }
        claimed.push(address);
        self.0.push(address);
        Ok(())
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        claimed().retain(|address| !self.0.contains(address));
    }
}

fn claimed() -> MutexGuard<'static, Vec<usize>> {
    CLAIMED.lock().unwrap_or_else(PoisonError::into_inner)
}
