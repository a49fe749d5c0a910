//! Bulkheads in the registry: lookup by name, settings from a file or the environment, metrics.

#[cfg(feature = "keyed")]
use std::collections::BTreeMap;

#[cfg(feature = "keyed")]
use super::KeyedBulkheads;
use super::{Bulkhead, BulkheadConfig};
use crate::{
    BlindSpot, ConfigConflict,
    registry::{self, Capability, Declared, Hang, Policy, Registry},
    slices::slices,
};
#[cfg(feature = "config")]
use crate::{
    ConfigChange,
    errors::{PolicyConfig, PolicyTerms},
    layers::ExternalOptions,
    registry::{Configurable, PolicySettings, configurables},
};
#[cfg(feature = "keyed")]
use crate::{DeclarationSite, registry::sites};

/// Returns the bulkhead with this name, even before its first call.
///
/// Returns `None` for a name that is declared with a `key`: see `keyed_bulkheads`.
#[must_use]
pub fn bulkhead(name: &str) -> Option<&'static Bulkhead> {
    Bulkhead::registry().get(name)
}

/// Returns all named bulkheads of the program without a `key`, sorted by name, including those that have not been called.
///
/// Bulkheads with a `key` are listed by `all_keyed_bulkheads`.
///
/// ```
/// for bulkhead in steadfast::bulkheads() {
///     println!("{bulkhead}"); // mail: 1 of 4 in flight, 0 waiting; ...
/// }
/// ```
#[must_use]
pub fn bulkheads() -> Vec<&'static Bulkhead> {
    Bulkhead::registry().all()
}

/// Returns the bulkheads with this name and a `key`, even before their first call.
#[cfg(feature = "keyed")]
#[must_use]
pub fn keyed_bulkheads(name: &str) -> Option<&'static KeyedBulkheads> {
    KeyedBulkheads::registry().get(name)
}

/// Returns all named bulkheads of the program with a `key`, sorted by name, including those that have not been called.
#[cfg(feature = "keyed")]
#[must_use]
pub fn all_keyed_bulkheads() -> Vec<&'static KeyedBulkheads> {
    KeyedBulkheads::registry().all()
}

slices! {
    /// The declarations of bulkheads without a `key` by attributes.
    BULKHEADS = STEADFAST_0_1_0_BULKHEADS: [&'static Declared<Bulkhead>];
    /// The declarations of bulkheads with a `key` by attributes.
    #[cfg(feature = "keyed")]
    KEYED_BULKHEADS = STEADFAST_0_1_0_KEYED_BULKHEADS: [&'static Declared<KeyedBulkheads>];
}

/// The fix of a blind spot.
const ADVICE: &str = ", each of which keeps its permit; put a `#[timeout]` below it";

impl Policy for Bulkhead {
    type Config = BulkheadConfig;

    const DEFAULT_CONFIG: Option<BulkheadConfig> = Some(BulkheadConfig::new());

    fn create(name: &'static str, config: Option<BulkheadConfig>, _: Option<usize>) -> Self {
        Self::new(name, config.unwrap_or_default())
    }

    fn name(&self) -> &'static str {
        self.name()
    }

    fn declared(&self) -> Option<BulkheadConfig> {
        Some(self.declared_config())
    }

    fn blind_to(&self, _: Hang) -> Option<&'static str> {
        Some(ADVICE)
    }

    fn declarations() -> &'static [&'static Declared<Self>] {
        &BULKHEADS
    }

    fn shared_registry() -> &'static Registry<Self> {
        static REGISTRY: Registry<Bulkhead> = Registry::new();
        &REGISTRY
    }

    #[cfg(feature = "keyed")]
    fn counterparts() -> BTreeMap<&'static str, DeclarationSite> {
        sites::<KeyedBulkheads>()
    }
}

#[cfg(feature = "keyed")]
impl Policy for KeyedBulkheads {
    type Config = BulkheadConfig;

    const DEFAULT_CONFIG: Option<BulkheadConfig> = Some(BulkheadConfig::new());
    const DEFAULT_MAX_KEYS: Option<usize> = Some(Self::DEFAULT_MAX_KEYS);

    fn create(name: &'static str, config: Option<BulkheadConfig>, max_keys: Option<usize>) -> Self {
        Self::new(name, config.unwrap_or_default()).max_keys(max_keys.unwrap_or(Self::DEFAULT_MAX_KEYS))
    }

    fn name(&self) -> &'static str {
        self.name()
    }

    fn declared(&self) -> Option<BulkheadConfig> {
        Some(self.declared_config())
    }

    fn max_keys(&self) -> Option<usize> {
        Some(self.declared_max_keys())
    }

    fn blind_to(&self, _: Hang) -> Option<&'static str> {
        Some(ADVICE)
    }

    fn declarations() -> &'static [&'static Declared<Self>] {
        &KEYED_BULKHEADS
    }

    fn shared_registry() -> &'static Registry<Self> {
        static REGISTRY: Registry<KeyedBulkheads> = Registry::new();
        &REGISTRY
    }

    fn counterparts() -> BTreeMap<&'static str, DeclarationSite> {
        sites::<Bulkhead>()
    }
}

#[cfg(feature = "config")]
impl PolicySettings for Bulkhead {
    fn set_external(&self, config: Option<BulkheadConfig>, options: ExternalOptions) -> Option<ConfigChange> {
        self.settings.update(|layers| layers.set_external(config, options))
    }

    fn apply_settings(&self) {
        self.adopt_settings();
    }
}

/// The capability of bulkheads, with and without keys.
pub(crate) struct Bulkheads;

impl Capability for Bulkheads {
    #[cfg(feature = "config")]
    fn terms(&self) -> &'static PolicyTerms {
        BulkheadConfig::TERMS
    }

    fn conflicts(&self) -> Vec<ConfigConflict> {
        let conflicts = Bulkhead::registry().conflicts();
        #[cfg(feature = "keyed")]
        let conflicts = conflicts.chain(KeyedBulkheads::registry().conflicts());
        conflicts.collect()
    }

    fn blind_spots(&self) -> Vec<BlindSpot> {
        let blind_spots = registry::blind_spots::<Bulkhead>();
        #[cfg(feature = "keyed")]
        let blind_spots = [blind_spots, registry::blind_spots::<KeyedBulkheads>()].concat();
        blind_spots
    }

    #[cfg(feature = "config")]
    fn options(&self) -> &'static [&'static str] {
        &super::config::OPTIONS
    }

    #[cfg(feature = "config")]
    fn configurables(&self) -> Vec<Box<dyn Configurable>> {
        let all = configurables::<Bulkhead>();
        #[cfg(feature = "keyed")]
        let all = all.chain(configurables::<KeyedBulkheads>());
        all.collect()
    }

    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    fn families(&self, top_keys: usize) -> Vec<crate::telemetry::Family> {
        super::metrics::families(top_keys)
    }
}
