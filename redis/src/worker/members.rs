//! The breakers of this instance that the worker tracks.
//!
//! Named breakers are always tracked. There may be very many keyed breakers, so each is tracked only from the time when it is opened,
//! locally or by the fleet, until it has been closed and idle for a whole heartbeat interval.

use std::{collections::HashMap, sync::Arc};

use steadfast::{CircuitBreaker, KeyedBreakers};

use super::{circuit::Circuit, shared_breaker::SharedBreaker};
use crate::{connection::Connection, protocol::keys};

/// The id of a breaker within its application.
pub(crate) type BreakerId = Arc<str>;

pub(crate) struct Members {
    connection: Arc<Connection>,
    tracked: HashMap<BreakerId, SharedBreaker>,
    keyed: HashMap<&'static str, &'static KeyedBreakers>,
}

impl Members {
    pub(crate) fn new(
        connection: Arc<Connection>,
        named: Vec<&'static CircuitBreaker>,
        keyed: Vec<&'static KeyedBreakers>,
    ) -> Self {
        let keyed = keyed.into_iter().map(|breakers| (breakers.name(), breakers)).collect();
        let mut members = Self { connection, tracked: HashMap::new(), keyed };
        for breaker in named {
            members.track(Circuit::Named(breaker));
        }
        members
    }

    /// Returns the names of all shared breakers.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.tracked.values().map(|shared| shared.circuit.name()).chain(self.keyed.keys().copied())
    }

    /// Returns the entries of this instance in the application's set of shared breakers.
    pub(super) fn registrations(&self) -> Vec<String> {
        let named = self.tracked.values().filter(|shared| shared.circuit.key().is_none());
        let named = named.map(|shared| keys::registration(shared.circuit.name(), false));
        named.chain(self.keyed.keys().map(|name| keys::registration(name, true))).collect()
    }

    pub(super) fn get(&self, id: &str) -> Option<&SharedBreaker> {
        self.tracked.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut SharedBreaker> {
        self.tracked.get_mut(id)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut SharedBreaker> {
        self.tracked.values_mut()
    }

    /// Returns the ids of the tracked breakers that fulfil a condition.
    pub(super) fn ids(&self, condition: impl Fn(&SharedBreaker) -> bool) -> Vec<BreakerId> {
        self.tracked.iter().filter(|(_, shared)| condition(shared)).map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn has_keyed(&self) -> bool {
        !self.keyed.is_empty()
    }

    /// Returns the id of a local breaker and tracks it from now on; `None` if it is not shared.
    pub(super) fn id_of_local(&mut self, name: &str, key: Option<&str>) -> Option<BreakerId> {
        let tracked = self.tracked.get_key_value(keys::breaker_id(name, key).as_str());
        tracked.map(|(id, _)| id.clone()).or_else(|| self.track_key(name, key?))
    }

    /// Returns the id of a shared breaker, and tracks it from now on; `None` if there is no such breaker. A keyed breaker that does not
    /// exist yet is created if `is_open` is true.
    pub(super) fn resolve(&mut self, id: &str, is_open: bool) -> Option<BreakerId> {
        if let Some((id, _)) = self.tracked.get_key_value(id) {
            return Some(id.clone());
        }
        let (name, key) = keys::parse_breaker_id(id)?;
        let (breakers, key) = (self.keyed.get(&*name)?, key?);
        if is_open {
            _ = breakers.breaker(&key);
        }
        self.track_key(&name, &key)
    }

    /// Stops tracking the keyed breakers that have been idle since the last call.
    pub(super) fn retire_idle(&mut self) {
        self.tracked.retain(|_, shared| shared.circuit.key().is_none() || !shared.check_idle());
    }

    /// Tracks the breaker of a key; `None` if the key has no breaker of its own, as when it uses the overflow breaker.
    fn track_key(&mut self, name: &str, key: &str) -> Option<BreakerId> {
        let breaker = self.keyed.get(name)?.get(key)?;
        Some(self.track(Circuit::Keyed(breaker)))
    }

    fn track(&mut self, circuit: Circuit) -> BreakerId {
        let keys = self.connection.keys(circuit.name(), circuit.key());
        let id = keys.id.clone();
        self.tracked.insert(id.clone(), SharedBreaker::new(circuit, keys));
        id
    }
}
