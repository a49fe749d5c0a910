//! Bulkheads in the registry: lookup by name, settings from a file or the environment, metrics.

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
    registry::{Configurable, PolicySettings, configurables},
};

/// Returns the bulkhead with this name, even before its first call.
#[must_use]
pub fn bulkhead(name: &str) -> Option<&'static Bulkhead> {
    Bulkhead::registry().get(name)
}

/// Returns all named bulkheads of the program, sorted by name, including those that have not been called.
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

slices! {
    /// The declarations of bulkheads by attributes.
    BULKHEADS = STEADFAST_0_1_0_BULKHEADS: [&'static Declared<Bulkhead>];
}

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
        Some(", each of which keeps its permit; put a `#[timeout]` below it")
    }

    fn declarations() -> &'static [&'static Declared<Self>] {
        &BULKHEADS
    }

    fn shared_registry() -> &'static Registry<Self> {
        static REGISTRY: Registry<Bulkhead> = Registry::new();
        &REGISTRY
    }
}

#[cfg(feature = "config")]
impl PolicySettings for Bulkhead {
    fn set_external(&self, config: Option<BulkheadConfig>) -> Option<ConfigChange> {
        self.update(|layers| layers.set_external(config))
    }

    fn apply_settings(&self) {
        self.apply_settings();
    }
}

/// The capability of bulkheads.
pub(crate) struct Bulkheads;

impl Capability for Bulkheads {
    #[cfg(feature = "config")]
    fn terms(&self) -> &'static PolicyTerms {
        BulkheadConfig::TERMS
    }

    fn conflicts(&self) -> Vec<ConfigConflict> {
        Bulkhead::registry().conflicts().collect()
    }

    fn blind_spots(&self) -> Vec<BlindSpot> {
        registry::blind_spots::<Bulkhead>()
    }

    #[cfg(feature = "config")]
    fn options(&self) -> &'static [&'static str] {
        &super::config::OPTIONS
    }

    #[cfg(feature = "config")]
    fn configurables(&self) -> Vec<Box<dyn Configurable>> {
        configurables::<Bulkhead>().collect()
    }

    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    fn families(&self, _: usize) -> Vec<crate::telemetry::Family> {
        super::metrics::families()
    }
}
