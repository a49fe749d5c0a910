//! What the sections come to, once all of them are checked against what the code declares.

use super::{
    Kind, Section, breaker,
    error::{Mistakes, unknown},
    retry,
};
use crate::{
    BreakerConfig, RetryPolicy,
    registry::{Configurable, configurables},
    retry::named::{NamedPolicy, POLICIES},
};

pub(super) struct Plan(Vec<Change>);

enum Change {
    Breaker(Configurable, BreakerConfig),
    Retry(&'static NamedPolicy, RetryPolicy),
}

impl Plan {
    pub(super) fn of(sections: &[Section], mistakes: &mut Mistakes) -> Self {
        let breakers = configurables();
        let mut changes = Vec::new();
        for Section { kind, name, place, assignments } in sections {
            let before = changes.len();
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
            }
            if changes.len() == before {
                let message = unknown(kind.table(), name, &kind.names());
                mistakes.add(place, &format!("{}.{name}", kind.table()), message);
            }
        }
        Self(changes)
    }

    pub(super) fn carry_out(self) {
        for change in self.0 {
            match change {
                Change::Breaker(breaker, config) => breaker.reconfigure(config),
                Change::Retry(named, policy) => named.replace(policy),
            }
        }
    }
}

impl Kind {
    /// The names of all that there are, sorted.
    pub(super) fn names(self) -> Vec<&'static str> {
        match self {
            Self::Breaker => configurables().iter().map(Configurable::name).collect(),
            Self::Retry => {
                let mut names: Vec<_> = POLICIES.iter().map(|policy| policy.name()).collect();
                names.sort_unstable();
                names.dedup();
                names
            }
        }
    }
}
