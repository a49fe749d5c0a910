//! The registry of the circuit breakers, rate limits and bulkheads that functions share by name, including those not called yet.
//!
//! Each attribute with a `name`, and each [`register!`](crate::register), places a [`Declared`] or [`Registered`] static in a section of
//! the executable. linkme collects these statics, and no code runs at start-up. The first lookup of a policy [resolves](resolve) all
//! declarations of its kind, those of each name to one [`Policy`].
//!
//! **Invariant:** functions with the same name share one policy, wherever they are declared.
//!
//! This module does not depend on any kind of policy. Each kind implements [`Policy`]; [`Capability`] is the interface for code that treats
//! all kinds alike.

mod capability;
mod declaration;
mod registered;
mod resolve;

use std::{collections::BTreeMap, fmt::Debug};

use once_cell::sync::Lazy;

pub(crate) use self::capability::Capability;
#[cfg(feature = "config")]
pub(crate) use self::capability::{Configurable, MergeSection, PolicySettings, configurables};
pub(crate) use self::declaration::{is_of_other_doc_test, running_doc_test};
#[cfg(feature = "keyed")]
pub(crate) use self::resolve::sites;
pub use self::{
    declaration::{Declared, Hang},
    registered::{REGISTERED, Registered, Registrable},
};
use crate::{BlindSpot, ConfigConflict, DeclarationSite, errors::PolicyConfig, isolation::isolated};

/// A kind of policy that functions share by name: a circuit breaker, a rate limit, a bulkhead, or a set of breakers or rate limits with one
/// for each key.
pub trait Policy: Debug + Send + Sync + Sized + 'static {
    /// The settings.
    type Config: PolicyConfig;

    /// The settings of a name whose declarations have none; `None` if such a name is an error.
    const DEFAULT_CONFIG: Option<Self::Config>;

    /// The default maximum number of keys; `None` for a kind without keys.
    const DEFAULT_MAX_KEYS: Option<usize> = None;

    /// Creates a policy. `config` is `None` if no declaration has settings and there is no [default](Self::DEFAULT_CONFIG). `max_keys` is
    /// `None` for a kind without keys.
    fn create(name: &'static str, config: Option<Self::Config>, max_keys: Option<usize>) -> Self;

    /// Returns the declared name.
    fn name(&self) -> &'static str;

    /// Returns the declared settings; `None` if there are none.
    fn declared(&self) -> Option<Self::Config>;

    /// Returns the declared maximum number of keys; `None` for a kind without keys.
    fn max_keys(&self) -> Option<usize> {
        None
    }

    /// Returns the advice of a [`BlindSpot`] if the policy, with the settings in force, does not see a call that hangs; `None` if it does.
    fn blind_to(&self, hang: Hang) -> Option<&'static str> {
        _ = hang;
        None
    }

    /// Returns the declarations of this kind by attributes, in an unspecified order.
    fn declarations() -> &'static [&'static Declared<Self>];

    /// Returns the registry of this kind, of the whole program.
    fn shared_registry() -> &'static Registry<Self>;

    /// Returns the registry of this kind, of the whole program or of the isolation that this thread has entered.
    #[must_use]
    fn registry() -> &'static Registry<Self> {
        isolated(Self::shared_registry(), Registry::new)
    }

    /// Returns the declarations of the counterpart of this kind, by name. The counterpart of a kind with keys is the kind without keys, and
    /// vice versa. A name that is declared for both kinds is a conflict.
    #[must_use]
    fn counterparts() -> BTreeMap<&'static str, DeclarationSite> {
        BTreeMap::new()
    }
}

/// All policies of one kind, by name, resolved at the first lookup.
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

    /// Returns the policy of a name; `None` if there is no declaration of the name.
    pub(crate) fn get(&self, name: &str) -> Option<&'static P> {
        self.0.get(name).map(|entry| entry.policy)
    }

    /// Returns all policies, sorted by name.
    pub(crate) fn all(&self) -> Vec<&'static P> {
        self.0.values().map(|entry| entry.policy).collect()
    }

    /// Returns the conflicts among the declarations of each name.
    pub(crate) fn conflicts(&self) -> impl Iterator<Item = ConfigConflict> {
        self.0.values().flat_map(|entry| entry.conflicts.iter().cloned())
    }
}

/// Returns the blind spots of all functions with a policy of this kind, sorted by name, file and line.
pub(crate) fn blind_spots<P: Policy>() -> Vec<BlindSpot> {
    let mut blind_spots: Vec<_> = P::declarations().iter().filter_map(|declaration| declaration.blind_spot()).collect();
    blind_spots.sort_by_key(|blind_spot| (blind_spot.name, blind_spot.location));
    // Another macro may have copied the function.
    blind_spots.dedup_by_key(|blind_spot| (blind_spot.name, blind_spot.location));
    blind_spots
}

/// Creates a policy that is never dropped.
fn create_static<P: Policy>(name: &'static str, config: Option<P::Config>, max_keys: Option<usize>) -> &'static P {
    Box::leak(Box::new(P::create(name, config.or(P::DEFAULT_CONFIG), max_keys)))
}
