//! The settings of everything in the program, once the sections of all layers are checked against those in the code.

use std::collections::HashMap;

use super::{
    Kind, Outside, Section, breaker, bulkhead,
    error::{Issues, named, unknown},
    rate_limit, retry,
};
#[cfg(feature = "keyed")]
use crate::KeyedRateLimits;
use crate::{
    BreakerConfig, Bulkhead, BulkheadConfig, ConfigChange, RateLimit, RateLimitConfig, RetryPolicy, bulkheads,
    rate_limits,
    registry::{Configurable, Shared, configurables},
    retry::named::NamedPolicy,
    slices::POLICIES,
};

/// Everything that can be configured, each with what the layers make of its settings; `None` where they say nothing.
pub(super) struct Plan(Vec<Setting>);

enum Setting {
    Breaker(Configurable, Option<BreakerConfig>),
    Retry(&'static NamedPolicy, Option<RetryPolicy>),
    RateLimit(&'static RateLimit, Option<RateLimitConfig>),
    #[cfg(feature = "keyed")]
    KeyedRateLimits(&'static KeyedRateLimits, Option<RateLimitConfig>),
    Bulkhead(&'static Bulkhead, Option<BulkheadConfig>),
}

/// The sections about one name, the lowest layer first.
type Sections<'s> = HashMap<(Kind, &'s str), Vec<&'s Section>>;

impl Plan {
    pub(super) fn of(outside: &Outside, mistakes: &mut Issues) -> Self {
        let mut sections = Sections::new();
        let names = Kind::ALL.map(|kind| (kind, kind.names()));
        for section in outside.layers().flatten() {
            let Section { kind, name, place, .. } = section;
            let known = names.iter().find(|(other, _)| other == kind).map_or(&[][..], |(_, names)| names);
            if known.binary_search(&name.as_str()).is_ok() {
                sections.entry((*kind, name)).or_default().push(section);
            } else if !mistakes.is_full() {
                let key = format!("{}.{}", kind.table(), named(name));
                mistakes.add(place, &key, unknown(kind.table(), name, known));
            } else {
                break;
            }
        }
        let about = |kind, name: &'static str| sections.get(&(kind, name)).map_or(&[][..], Vec::as_slice);

        let mut settings = Vec::new();
        settings.extend(configurables().into_iter().map(|breaker| {
            let sections = about(Kind::Breaker, breaker.name());
            let config = layered(breaker.declared(), sections, |below, section| {
                breaker::merge(below, &section.assignments, mistakes)
            });
            Setting::Breaker(breaker, config)
        }));
        // Several functions may give the same name, each with settings of its own.
        settings.extend(POLICIES.iter().map(|policy| {
            let sections = about(Kind::Retry, policy.name());
            let merged = layered(policy.declared(), sections, |below, section| {
                retry::merge(below, &section.assignments, mistakes)
            });
            Setting::Retry(policy, merged)
        }));
        settings.extend(rate_limits().into_iter().map(|limit| {
            let sections = about(Kind::RateLimit, limit.name());
            let config =
                layered(limit.declared(), sections, |below, section| rate_limit::merge(below, section, mistakes));
            Setting::RateLimit(limit, config.flatten())
        }));
        #[cfg(feature = "keyed")]
        settings.extend(crate::all_keyed_rate_limits().into_iter().map(|limits| {
            let sections = about(Kind::RateLimit, limits.name());
            let declared = limits.declared().map(|(config, _)| config);
            let config = layered(declared, sections, |below, section| rate_limit::merge(below, section, mistakes));
            Setting::KeyedRateLimits(limits, config.flatten())
        }));
        settings.extend(bulkheads().into_iter().map(|bulkhead| {
            let sections = about(Kind::Bulkhead, bulkhead.name());
            let config = layered(bulkhead.declared().unwrap_or_default(), sections, |below, section| {
                bulkhead::merge(below, &section.assignments, mistakes)
            });
            Setting::Bulkhead(bulkhead, config)
        }));
        Self(settings)
    }

    /// Replaces the settings. Gives those that have changed, and keeps what goes by them: it has yet to [adopt](Self::apply_settings) them.
    pub(super) fn carry_out(&mut self) -> Vec<ConfigChange> {
        let mut changes = Vec::new();
        self.0.retain(|setting| {
            let change = setting.carry_out();
            let has_changed = change.is_some();
            changes.extend(change);
            has_changed
        });
        changes
    }

    /// Lets what has changed go by the settings in force, which may open circuits and wake waiters: no lock is held.
    pub(super) fn apply_settings(&self) {
        for setting in &self.0 {
            match setting {
                Setting::Breaker(breaker, _) => breaker.apply_settings(),
                Setting::Bulkhead(bulkhead, _) => bulkhead.apply_settings(),
                Setting::RateLimit(limit, _) => limit.apply_settings(),
                #[cfg(feature = "keyed")]
                Setting::KeyedRateLimits(limits, _) => limits.apply_settings(),
                // Each call looks at the policy.
                Setting::Retry(..) => {}
            }
        }
    }
}

/// The declared settings with one section after the other on top; `None` without a section.
fn layered<C>(declared: C, sections: &[&Section], mut merge: impl FnMut(C, &Section) -> C) -> Option<C> {
    let is_given = !sections.is_empty();
    let merged = sections.iter().fold(declared, |below, section| merge(below, section));
    is_given.then_some(merged)
}

impl Setting {
    fn carry_out(&self) -> Option<ConfigChange> {
        match self {
            Self::Breaker(breaker, config) => breaker.set_outside(*config),
            Self::Retry(named, policy) => {
                named.replace(*policy).then(|| ConfigChange::new(Kind::Retry.table(), named.name(), named.current()))
            }
            Self::RateLimit(limit, config) => limit.set_outside(*config),
            #[cfg(feature = "keyed")]
            Self::KeyedRateLimits(limits, config) => limits.set_outside(*config),
            Self::Bulkhead(bulkhead, config) => bulkhead.set_outside(*config),
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
