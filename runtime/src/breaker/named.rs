//! Breakers in the registry: lookup by name, settings from files and the environment, metrics.

#[cfg(feature = "keyed")]
use std::collections::BTreeMap;

#[cfg(feature = "keyed")]
use super::KeyedBreakers;
use super::{BreakerConfig, CircuitBreaker};
use crate::{
    BlindSpot, ConfigConflict,
    errors::UnknownBreaker,
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

/// Returns the circuit breaker with this name, even before its first call.
///
/// Returns `None` if there is no such breaker, or if the name is declared with a `key`: [`find_breaker`] returns an error that says which, and
/// `keyed_breakers` finds the latter.
#[must_use]
pub fn breaker(name: &str) -> Option<&'static CircuitBreaker> {
    CircuitBreaker::registry().get(name)
}

/// Returns the circuit breaker with this name, or an error that explains why there is none.
///
/// ```
/// # use std::io;
/// use steadfast::{circuit_breaker, find_breaker};
///
/// #[circuit_breaker(name = "regions", key = region)]
/// fn list(region: &str) -> io::Result<String> {
///     # Ok(region.to_owned())
/// }
///
/// let error = find_breaker("regions").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "circuit breaker `regions` is declared with a `key`: use `keyed_breakers(\"regions\")`",
/// );
/// ```
///
/// # Errors
///
/// Returns an error if there is no such breaker, or if the name is declared with a `key`.
pub fn find_breaker(name: &str) -> Result<&'static CircuitBreaker, UnknownBreaker> {
    #[cfg(feature = "keyed")]
    let is_keyed = || keyed_breakers(name).is_some();
    #[cfg(not(feature = "keyed"))]
    let is_keyed = || false;
    breaker(name).ok_or_else(|| UnknownBreaker { name: name.to_owned(), is_keyed: is_keyed() })
}

/// Returns all named circuit breakers of the program without a `key`, sorted by name, even before their first call.
///
/// Breakers with a `key` are left out: `all_keyed_breakers` returns them, so that an overview of all breakers needs both lists.
///
/// ```
/// for breaker in steadfast::breakers() {
///     println!("{breaker}"); // payments: closed, 0 failures in a row; ...
/// }
/// ```
#[must_use]
pub fn breakers() -> Vec<&'static CircuitBreaker> {
    CircuitBreaker::registry().all()
}

/// Returns the keyed circuit breakers with this name, even before their first call.
///
/// ```
/// # use std::io;
/// use steadfast::circuit_breaker;
///
/// #[circuit_breaker(name = "mirrors", key = host, failure_threshold = 3)]
/// fn fetch(host: &str) -> io::Result<String> {
///     # Ok(host.to_owned())
/// }
///
/// fetch("a.example.org")?;
/// let mirrors = steadfast::keyed_breakers("mirrors").expect("declared above");
/// assert_eq!(mirrors.len(), 1);
/// for breaker in mirrors.iter() {
///     println!("{breaker}"); // mirrors[a.example.org]: closed, 0 failures in a row; ...
/// }
/// # Ok::<(), io::Error>(())
/// ```
#[cfg(feature = "keyed")]
#[must_use]
pub fn keyed_breakers(name: &str) -> Option<&'static KeyedBreakers> {
    KeyedBreakers::registry().get(name)
}

/// Returns all named circuit breakers of the program with a `key`, sorted by name, even before their first call.
#[cfg(feature = "keyed")]
#[must_use]
pub fn all_keyed_breakers() -> Vec<&'static KeyedBreakers> {
    KeyedBreakers::registry().all()
}

slices! {
    /// The attributes that declare a circuit breaker without a `key`.
    BREAKERS = STEADFAST_0_1_0_BREAKERS: [&'static Declared<CircuitBreaker>];
    /// The attributes that declare circuit breakers with a `key`.
    #[cfg(feature = "keyed")]
    KEYED_BREAKERS = STEADFAST_0_1_0_KEYED_BREAKERS: [&'static Declared<KeyedBreakers>];
}

impl Policy for CircuitBreaker {
    type Config = BreakerConfig;

    const DEFAULT_CONFIG: Option<BreakerConfig> = Some(BreakerConfig::new());

    fn create(name: &'static str, config: Option<BreakerConfig>, _: Option<usize>) -> Self {
        Self::new(name, config.unwrap_or_default())
    }

    fn name(&self) -> &'static str {
        self.name()
    }

    fn declared(&self) -> Option<BreakerConfig> {
        Some(self.declared())
    }

    fn blind_to(&self, hang: Hang) -> Option<&'static str> {
        blind_to(self.config(), hang)
    }

    fn declarations() -> &'static [&'static Declared<Self>] {
        &BREAKERS
    }

    fn shared_registry() -> &'static Registry<Self> {
        static REGISTRY: Registry<CircuitBreaker> = Registry::new();
        &REGISTRY
    }

    #[cfg(feature = "keyed")]
    fn counterparts() -> BTreeMap<&'static str, DeclarationSite> {
        sites::<KeyedBreakers>()
    }
}

#[cfg(feature = "keyed")]
impl Policy for KeyedBreakers {
    type Config = BreakerConfig;

    const DEFAULT_CONFIG: Option<BreakerConfig> = Some(BreakerConfig::new());
    const DEFAULT_MAX_KEYS: Option<usize> = Some(Self::DEFAULT_MAX_KEYS);

    fn create(name: &'static str, config: Option<BreakerConfig>, max_keys: Option<usize>) -> Self {
        Self::new(name, config.unwrap_or_default()).max_keys(max_keys.unwrap_or(Self::DEFAULT_MAX_KEYS))
    }

    fn name(&self) -> &'static str {
        self.name()
    }

    fn declared(&self) -> Option<BreakerConfig> {
        Some(self.declared().0)
    }

    fn max_keys(&self) -> Option<usize> {
        Some(self.declared().1)
    }

    fn blind_to(&self, hang: Hang) -> Option<&'static str> {
        blind_to(self.config(), hang)
    }

    fn declarations() -> &'static [&'static Declared<Self>] {
        &KEYED_BREAKERS
    }

    fn shared_registry() -> &'static Registry<Self> {
        static REGISTRY: Registry<KeyedBreakers> = Registry::new();
        &REGISTRY
    }

    fn counterparts() -> BTreeMap<&'static str, DeclarationSite> {
        sites::<CircuitBreaker>()
    }
}

/// Returns the advice if a breaker with these settings does not see a call that hangs.
const fn blind_to(config: BreakerConfig, hang: Hang) -> Option<&'static str> {
    match (config.get_hung_call(), config.get_cancelled_call(), hang) {
        (Some(_), ..) | (_, Some(_), Hang::Cancelled) => None,
        (.., Hang::Endless) => Some("; put a `#[timeout]` below it, or add `hung_call = 5s`"),
        (.., Hang::Cancelled) => Some(
            ", because the timeout above it cancels them; put a `#[timeout]` below it, or add a `hung_call` that is shorter \
             than the timeout",
        ),
    }
}

#[cfg(feature = "config")]
impl PolicySettings for CircuitBreaker {
    fn set_external(&self, config: Option<BreakerConfig>, options: ExternalOptions) -> Option<ConfigChange> {
        self.settings.change(|layers| layers.set_external(config, options)).map(|config| self.config_change(config))
    }

    fn apply_settings(&self) {
        self.view().apply_settings();
    }
}

/// Circuit breakers, with and without keys.
pub(crate) struct Breakers;

impl Capability for Breakers {
    #[cfg(feature = "config")]
    fn terms(&self) -> &'static PolicyTerms {
        BreakerConfig::TERMS
    }

    fn conflicts(&self) -> Vec<ConfigConflict> {
        let conflicts = CircuitBreaker::registry().conflicts();
        #[cfg(feature = "keyed")]
        let conflicts = conflicts.chain(KeyedBreakers::registry().conflicts());
        conflicts.collect()
    }

    fn blind_spots(&self) -> Vec<BlindSpot> {
        let blind_spots = registry::blind_spots::<CircuitBreaker>();
        #[cfg(feature = "keyed")]
        let blind_spots = [blind_spots, registry::blind_spots::<KeyedBreakers>()].concat();
        blind_spots
    }

    #[cfg(feature = "config")]
    fn options(&self) -> &'static [&'static str] {
        &super::config::OPTIONS
    }

    #[cfg(feature = "config")]
    fn configurables(&self) -> Vec<Box<dyn Configurable>> {
        let all = configurables::<CircuitBreaker>();
        #[cfg(feature = "keyed")]
        let all = all.chain(configurables::<KeyedBreakers>());
        all.collect()
    }

    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    fn families(&self, top_keys: usize) -> Vec<crate::telemetry::Family> {
        super::metrics::families(top_keys)
    }
}
