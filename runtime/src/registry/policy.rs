use std::{collections::BTreeMap, fmt::Debug};

use super::{Declared, Registry};
use crate::{
    DeclarationSite,
    errors::{PolicyConfig, PolicyTerms},
};

/// A kind of thing that functions share by name: a circuit breaker, a rate limit, a bulkhead, or a set of these with one for each key.
#[diagnostic::on_unimplemented(
    message = "a `{Self}` cannot be registered",
    label = "not a circuit breaker, rate limit or bulkhead"
)]
pub trait Policy: Debug + Sync + Sized + 'static {
    /// The settings.
    type Config: PolicyConfig;

    /// The words for this kind in messages and settings files. A kind with keys has those of the kind without.
    const TERMS: &'static PolicyTerms;

    /// The settings of a name that no declaration gives settings for; `None` if that is an error.
    const DEFAULT_CONFIG: Option<Self::Config>;

    /// The maximum number of keys unless a declaration gives another; `None` for a kind without keys.
    const DEFAULT_MAX_KEYS: Option<usize> = None;

    /// Creates a policy. `config` is `None` if no declaration gives settings, and `max_keys` for a kind without keys.
    fn create(name: &'static str, config: Option<Self::Config>, max_keys: Option<usize>) -> Self;

    /// The name that it was declared with.
    fn name(&self) -> &'static str;

    /// The settings that it was declared with.
    fn declared(&self) -> Option<Self::Config>;

    /// The maximum number of keys that it was declared with; `None` for a kind without keys.
    fn max_keys(&self) -> Option<usize> {
        None
    }

    /// The declarations of this kind by attributes.
    fn declarations() -> &'static [&'static Declared<Self>];

    /// The registry of this kind.
    fn registry() -> &'static Registry<Self>;

    /// The declarations, by name, of the counterpart of this kind: with keys for one without, and the other way round. A name that
    /// both declare is a conflict.
    fn counterparts() -> BTreeMap<&'static str, DeclarationSite> {
        BTreeMap::new()
    }
}
