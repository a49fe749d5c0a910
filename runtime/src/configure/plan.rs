//! What the sections come to, once all of them are checked against what the code declares.

use super::{
    Kind, Section, breaker, bulkhead,
    error::{Mistakes, unknown},
    rate_limit, retry,
};
#[cfg(feature = "keyed")]
use crate::KeyedRateLimits;
use crate::{
    BreakerConfig, Bulkhead, BulkheadConfig, RateLimit, RateLimitConfig, RetryPolicy, bulkheads, rate_limits,
    registry::{Configurable, Shared, configurables},
    retry::named::NamedPolicy,
    slices::POLICIES,
};

pub(super) struct Plan(Vec<Change>);

enum Change {
    Breaker(Configurable, BreakerConfig),
    Retry(&'static NamedPolicy, RetryPolicy),
    RateLimit(&'static RateLimit, RateLimitConfig),
    #[cfg(feature = "keyed")]
    KeyedRateLimits(&'static KeyedRateLimits, RateLimitConfig),
    Bulkhead(&'static Bulkhead, BulkheadConfig),
}

impl Plan {
    pub(super) fn of(sections: &[Section], mistakes: &mut Mistakes) -> Self {
        let breakers = configurables();
        let mut changes = Vec::new();
        for section in sections {
            let Section { kind, name, place, assignments } = section;
            if !kind.names().contains(&name.as_str()) {
                let message = unknown(kind.table(), name, &kind.names());
                mistakes.add(place, &format!("{}.{name}", kind.table()), message);
                continue;
            }
            match kind {
                Kind::Breaker => {
                    let breaker = breakers.iter().find(|breaker| breaker.name() == name);
                    changes.extend(breaker.map(|breaker| {
                        Change::Breaker(*breaker, breaker::merge(breaker.declared(), assignments, mistakes))
                    }));
                }
                // Several functions may give the same name, each with settings of its own.
                Kind::Retry => changes.extend(
                    POLICIES
                        .iter()
                        .filter(|policy| policy.name() == name)
                        .map(|policy| Change::Retry(policy, retry::merge(policy.declared(), assignments, mistakes))),
                ),
                Kind::RateLimit => {
                    let limit = rate_limits().into_iter().find(|limit| limit.name() == name);
                    changes.extend(limit.and_then(|limit| {
                        Some(Change::RateLimit(limit, rate_limit::merge(limit.declared(), section, mistakes)?))
                    }));
                    #[cfg(feature = "keyed")]
                    changes.extend(crate::keyed_rate_limits(name).and_then(|limits| {
                        let declared = limits.declared().map(|(config, _)| config);
                        Some(Change::KeyedRateLimits(limits, rate_limit::merge(declared, section, mistakes)?))
                    }));
                }
                Kind::Bulkhead => {
                    let bulkhead = bulkheads().into_iter().find(|bulkhead| bulkhead.name() == name);
                    changes.extend(bulkhead.map(|bulkhead| {
                        let declared = bulkhead.declared().unwrap_or_default();
                        Change::Bulkhead(bulkhead, bulkhead::merge(declared, assignments, mistakes))
                    }));
                }
            }
        }
        Self(changes)
    }

    pub(super) fn carry_out(self) {
        for change in self.0 {
            match change {
                Change::Breaker(breaker, config) => breaker.reconfigure(config),
                Change::Retry(named, policy) => named.replace(policy),
                Change::RateLimit(limit, config) => limit.reconfigure(config),
                #[cfg(feature = "keyed")]
                Change::KeyedRateLimits(limits, config) => limits.reconfigure(config),
                Change::Bulkhead(bulkhead, config) => bulkhead.reconfigure(config),
            }
        }
    }
}

impl Kind {
    /// The names of all that there are, sorted.
    pub(super) fn names(self) -> Vec<&'static str> {
        let mut names: Vec<_> = match self {
            Self::Breaker => configurables().iter().map(Configurable::name).collect(),
            Self::Retry => POLICIES.iter().map(|policy| policy.name()).collect(),
            Self::RateLimit => rate_limits().into_iter().map(<RateLimit>::name).chain(keyed_names()).collect(),
            Self::Bulkhead => bulkheads().into_iter().map(Bulkhead::name).collect(),
        };
        names.sort_unstable();
        names.dedup();
        names
    }
}

#[cfg(feature = "keyed")]
fn keyed_names() -> impl Iterator<Item = &'static str> {
    crate::all_keyed_rate_limits().into_iter().map(KeyedRateLimits::name)
}

#[cfg(not(feature = "keyed"))]
fn keyed_names() -> impl Iterator<Item = &'static str> {
    std::iter::empty()
}
