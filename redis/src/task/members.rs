//! Which breakers of this instance are the fleet's concern.
//!
//! Those with a name are, from the beginning to the end. Of those with a key there may be very many. One of these is here from
//! when it trips, or when the fleet opens it, until it has been closed for a while; so what is here is what is in trouble.

use std::{collections::HashMap, sync::Arc};

use steadfast::KeyedBreakers;

use super::{circuit::Circuit, shared::Shared};
use crate::{builder::Shares, link::Link, names};

/// What a breaker is called in Redis.
pub(crate) type Id = Arc<str>;

pub(crate) struct Members {
    link: Arc<Link>,
    shared: HashMap<Id, Shared>,
    families: HashMap<&'static str, &'static KeyedBreakers>,
}

impl Members {
    pub(crate) fn new(link: Arc<Link>, shares: Shares) -> Self {
        let families = shares.keyed.into_iter().map(|breakers| (breakers.name(), breakers)).collect();
        let mut members = Self { link, shared: HashMap::new(), families };
        for breaker in shares.named {
            members.add(Circuit::Named(breaker));
        }
        members
    }

    /// What the breakers are called in this program.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.shared.values().map(|shared| shared.circuit.name()).chain(self.families.keys().copied())
    }

    /// Under what they are known to be shared.
    pub(super) fn registered(&self) -> Vec<String> {
        let named = self.shared.values().filter(|shared| shared.circuit.key().is_none());
        let named = named.map(|shared| names::registered(shared.circuit.name(), false));
        named.chain(self.families.keys().map(|name| names::registered(name, true))).collect()
    }

    pub(super) fn get(&self, id: &str) -> Option<&Shared> {
        self.shared.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Shared> {
        self.shared.get_mut(id)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&Id, &mut Shared)> {
        self.shared.iter_mut()
    }

    pub(super) fn ids(&self, wanted: impl Fn(&Shared) -> bool) -> Vec<Id> {
        self.shared.iter().filter(|(_, shared)| wanted(shared)).map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn has_keyed(&self) -> bool {
        !self.families.is_empty()
    }

    /// A circuit of this program that has changed its state; `None` if it is not shared.
    pub(super) fn changed(&mut self, name: &str, key: Option<&str>) -> Option<Id> {
        let known = self.shared.get_key_value(names::id(name, key).as_str());
        known.map(|(id, _)| id.clone()).or_else(|| self.join(name, key?))
    }

    /// The breaker that Redis calls so. That of a key is made if there is none yet and `is_open` says that it is needed.
    pub(super) fn met(&mut self, id: &str, is_open: bool) -> Option<Id> {
        if let Some((id, _)) = self.shared.get_key_value(id) {
            return Some(id.clone());
        }
        let (name, key) = names::breaker_of(id)?;
        let (breakers, key) = (self.families.get(&*name)?, key?);
        if is_open {
            _ = breakers.breaker(&key);
        }
        self.join(&name, &key)
    }

    /// Lets go the breakers of keys at which nothing has happened since the last time.
    pub(super) fn let_go(&mut self) {
        self.shared.retain(|_, shared| shared.circuit.key().is_none() || !shared.is_idle());
    }

    /// Takes in the breaker of a key, if that has one of its own: when there are as many as may be, others share one.
    fn join(&mut self, name: &str, key: &str) -> Option<Id> {
        let breaker = self.families.get(name)?.get(key)?;
        Some(self.add(Circuit::Keyed(breaker)))
    }

    fn add(&mut self, circuit: Circuit) -> Id {
        let keys = self.link.keys(circuit.name(), circuit.key());
        let id = keys.id.clone();
        self.shared.insert(id.clone(), Shared::new(circuit, keys));
        id
    }
}
