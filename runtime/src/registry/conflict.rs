use std::{error::Error, fmt, panic::Location};

use crate::{BreakerConfig, BulkheadConfig, RateLimitConfig};

/// Two places declare the same breaker, rate limit or bulkhead with different settings, or a breaker with a different `failure_if`; or none
/// gives a rate limit its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigConflict {
    /// The name.
    pub name: &'static str,
    /// The place whose settings hold.
    pub first: DeclarationSite,
    /// The place that disagrees.
    pub second: DeclarationSite,
}

/// Settings, and where in the program they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeclarationSite {
    /// File, line and column.
    pub location: &'static Location<'static>,
    /// The settings.
    pub config: DeclaredConfig,
    /// How many keys there are at most; `None` without a `key`.
    pub max_keys: Option<usize>,
    /// Which errors are failures, as the attribute says it: `failure_if(io::Error)`. `None` without the option.
    pub failure_if: Option<&'static str>,
}

/// Settings of any kind. Its `Display` reads like the attribute's options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeclaredConfig {
    /// Those of a circuit breaker.
    Breaker(BreakerConfig),
    /// Those of a rate limit; `None` where no place gives any.
    RateLimit(Option<RateLimitConfig>),
    /// Those of a bulkhead.
    Bulkhead(BulkheadConfig),
}

impl DeclaredConfig {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Breaker(_) => "circuit breaker",
            Self::RateLimit(_) => "rate limit",
            Self::Bulkhead(_) => "bulkhead",
        }
    }
}

impl PartialEq<BreakerConfig> for DeclaredConfig {
    fn eq(&self, other: &BreakerConfig) -> bool {
        matches!(self, Self::Breaker(config) if config == other)
    }
}

impl fmt::Display for DeclaredConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Breaker(config) => config.fmt(f),
            Self::RateLimit(Some(config)) => config.fmt(f),
            Self::RateLimit(None) => f.write_str("no limit"),
            Self::Bulkhead(config) => config.fmt(f),
        }
    }
}

impl fmt::Display for ConfigConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, first, second } = self;
        let name = crate::escaped(name);
        let kind = first.config.kind();
        if first.max_keys.is_some() != second.max_keys.is_some() {
            let (with, without) = if first.max_keys.is_some() { (first, second) } else { (second, first) };
            return write!(
                f,
                "{kind} `{name}` is declared with a `key` at {} and without one at {}; give one of them another name",
                with.location, without.location,
            );
        }
        if first.config == DeclaredConfig::RateLimit(None) {
            return write!(
                f,
                "rate limit `{name}` is declared at {} without a limit, and nowhere with one; add one there: \
                 `limit = 100, per = 60s`",
                first.location,
            );
        }
        let same_settings = first.config == second.config && first.max_keys == second.max_keys;
        if same_settings && first.failure_if != second.failure_if {
            let [one, other] = [first, second].map(|place| place.failure_if.unwrap_or("every error"));
            return write!(
                f,
                "{kind} `{name}` counts different errors as failures: `{one}` at {}, `{other}` at {}; give both places the same \
                 `failure_if`, or each a name of its own",
                first.location, second.location,
            );
        }
        if same_settings {
            return write!(
                f,
                "two statics are {kind} `{name}`, at {} and at {}; share one, or give each a name of its own",
                first.location, second.location,
            );
        }
        write!(
            f,
            "{kind} `{name}` is declared with different settings: `{}` at {}, `{}` at {}; give the settings in \
             one place, and the name alone in the others",
            first.settings(),
            first.location,
            second.settings(),
            second.location,
        )
    }
}

impl Error for ConfigConflict {}

impl DeclarationSite {
    fn settings(&self) -> impl fmt::Display {
        fmt::from_fn(|f| {
            write!(f, "{}", self.config)?;
            self.max_keys.map_or(Ok(()), |max_keys| write!(f, ", max_keys = {max_keys}"))?;
            self.failure_if.map_or(Ok(()), |failure_if| write!(f, ", {failure_if}"))
        })
    }
}
