//! Rate limits in the registry: lookup by name, settings from a file or the environment, metrics.

#[cfg(feature = "keyed")]
use std::collections::BTreeMap;

#[cfg(feature = "keyed")]
use super::KeyedRateLimits;
use super::{RateLimit, RateLimitConfig};
#[cfg(feature = "config")]
use crate::{
    ConfigChange,
    errors::{PolicyConfig, PolicyTerms},
    layers::ExternalOptions,
    registry::{Configurable, PolicySettings, configurables},
};
use crate::{
    ConfigConflict,
    registry::{Capability, Declared, Policy, Registry},
    slices::slices,
};
#[cfg(feature = "keyed")]
use crate::{DeclarationSite, registry::sites};

/// Returns the rate limit with this name, even before its first call.
///
/// Returns `None` for a name that is declared with a `key`: see `keyed_rate_limits`.
#[must_use]
pub fn rate_limit(name: &str) -> Option<&'static RateLimit> {
    RateLimit::registry().get(name)
}

/// Returns all named rate limits of the program without a `key`, sorted by name, including those that have not been called.
///
/// Rate limits with a `key` are listed by `all_keyed_rate_limits`.
///
/// ```
/// for limit in steadfast::rate_limits() {
///     println!("{limit}"); // search: 1 of 100 in 60s, 0 waiting; ...
/// }
/// ```
#[must_use]
pub fn rate_limits() -> Vec<&'static RateLimit> {
    RateLimit::registry().all()
}

/// Returns the rate limits with this name and a `key`, even before their first call.
#[cfg(feature = "keyed")]
#[must_use]
pub fn keyed_rate_limits(name: &str) -> Option<&'static KeyedRateLimits> {
    KeyedRateLimits::registry().get(name)
}

/// Returns all named rate limits of the program with a `key`, sorted by name, including those that have not been called.
#[cfg(feature = "keyed")]
#[must_use]
pub fn all_keyed_rate_limits() -> Vec<&'static KeyedRateLimits> {
    KeyedRateLimits::registry().all()
}

slices! {
    /// The declarations of rate limits without a `key` by attributes.
    RATE_LIMITS = STEADFAST_0_1_0_RATE_LIMITS: [&'static Declared<RateLimit>];
    /// The declarations of rate limits with a `key` by attributes.
    #[cfg(feature = "keyed")]
    KEYED_RATE_LIMITS = STEADFAST_0_1_0_KEYED_RATE_LIMITS: [&'static Declared<KeyedRateLimits>];
}

impl Policy for RateLimit {
    type Config = RateLimitConfig;

    const DEFAULT_CONFIG: Option<RateLimitConfig> = None;

    fn create(name: &'static str, config: Option<RateLimitConfig>, _: Option<usize>) -> Self {
        Self::with_optional(name, config)
    }

    fn name(&self) -> &'static str {
        self.name()
    }

    fn declared(&self) -> Option<RateLimitConfig> {
        self.declared_config()
    }

    fn declarations() -> &'static [&'static Declared<Self>] {
        &RATE_LIMITS
    }

    fn shared_registry() -> &'static Registry<Self> {
        static REGISTRY: Registry<RateLimit> = Registry::new();
        &REGISTRY
    }

    #[cfg(feature = "keyed")]
    fn counterparts() -> BTreeMap<&'static str, DeclarationSite> {
        sites::<KeyedRateLimits>()
    }
}

#[cfg(feature = "keyed")]
impl Policy for KeyedRateLimits {
    type Config = RateLimitConfig;

    const DEFAULT_CONFIG: Option<RateLimitConfig> = None;
    const DEFAULT_MAX_KEYS: Option<usize> = Some(Self::DEFAULT_MAX_KEYS);

    fn create(name: &'static str, config: Option<RateLimitConfig>, max_keys: Option<usize>) -> Self {
        Self::with_optional(name, config).max_keys(max_keys.unwrap_or(Self::DEFAULT_MAX_KEYS))
    }

    fn name(&self) -> &'static str {
        self.name()
    }

    fn declared(&self) -> Option<RateLimitConfig> {
        self.declared_config()
    }

    fn max_keys(&self) -> Option<usize> {
        Some(self.declared_max_keys())
    }

    fn declarations() -> &'static [&'static Declared<Self>] {
        &KEYED_RATE_LIMITS
    }

    fn shared_registry() -> &'static Registry<Self> {
        static REGISTRY: Registry<KeyedRateLimits> = Registry::new();
        &REGISTRY
    }

    fn counterparts() -> BTreeMap<&'static str, DeclarationSite> {
        sites::<RateLimit>()
    }
}

#[cfg(feature = "config")]
impl PolicySettings for RateLimit {
    fn set_external(&self, config: Option<RateLimitConfig>, options: ExternalOptions) -> Option<ConfigChange> {
        self.settings.update(|layers| layers.set_external(config.map(Some), options))
    }

    fn apply_settings(&self) {
        self.limiter.signal();
    }
}

/// The capability of rate limits, with and without keys.
pub(crate) struct RateLimits;

impl Capability for RateLimits {
    #[cfg(feature = "config")]
    fn terms(&self) -> &'static PolicyTerms {
        RateLimitConfig::TERMS
    }

    fn conflicts(&self) -> Vec<ConfigConflict> {
        let conflicts = RateLimit::registry().conflicts();
        #[cfg(feature = "keyed")]
        let conflicts = conflicts.chain(KeyedRateLimits::registry().conflicts());
        conflicts.collect()
    }

    #[cfg(feature = "config")]
    fn options(&self) -> &'static [&'static str] {
        &super::config::OPTIONS
    }

    #[cfg(feature = "config")]
    fn configurables(&self) -> Vec<Box<dyn Configurable>> {
        let all = configurables::<RateLimit>();
        #[cfg(feature = "keyed")]
        let all = all.chain(configurables::<KeyedRateLimits>());
        all.collect()
    }

    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    fn families(&self, top_keys: usize) -> Vec<crate::telemetry::Family> {
        super::metrics::families(top_keys)
    }
}
