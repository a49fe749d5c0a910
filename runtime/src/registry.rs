//! The registry: everything that functions share by a name, also before its first call.
//!
//! Each attribute with a `name`, and each [`register!`](crate::register), places a [`Declared`] or [`Registered`] static in a section of
//! the executable; linkme collects them, and no code runs at start-up. The first lookup of a kind of [`Policy`] resolves the
//! declarations of each name ([`resolve`]) to one policy.
//!
//! **Invariant:** functions with the same name share one policy, wherever they are declared.
//!
//! Nothing here knows the kinds of policies. A kind implements [`Policy`]; what the crate can do with all kinds is a [`Capability`].

mod capability;
mod declaration;
mod policy;
mod registered;
mod resolve;

use std::collections::BTreeMap;

use once_cell::sync::Lazy;

pub(crate) use self::capability::Capability;
#[cfg(feature = "config")]
pub(crate) use self::capability::{Configurable, PolicySettings, configurables};
#[cfg(feature = "keyed")]
pub(crate) use self::resolve::sites;
pub use self::{
    declaration::Declared,
    policy::Policy,
    registered::{REGISTERED, Registered},
};
use crate::ConfigConflict;

/// All policies of one kind, by name.
#[derive(Debug)]
pub struct Registry<P: Policy>(Lazy<BTreeMap<&'static str, Entry<P>>>);

#[derive(Debug)]
struct Entry<P: Policy> {
    policy: &'static P,
    conflicts: Vec<ConfigConflict>,
}

impl<P: Policy> Registry<P> {
    pub(crate) const fn new() -> Self {
        Self(Lazy::new(resolve::entries))
    }

    /// The policy of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&'static P> {
        self.0.get(name).map(|entry| entry.policy)
    }

    /// All policies, sorted by name.
    pub(crate) fn all(&self) -> Vec<&'static P> {
        self.0.values().map(|entry| entry.policy).collect()
    }

    /// The conflicts among the declarations of all names.
    pub(crate) fn conflicts(&self) -> impl Iterator<Item = ConfigConflict> {
        self.0.values().flat_map(|entry| entry.conflicts.iter().cloned())
    }
}
