//! Named retries: counts by name, settings from a file or the environment, metrics.

use std::collections::BTreeMap;

#[cfg(feature = "config")]
use super::RetryPolicy;
use super::{listed, named_policy::NamedPolicy, statistics::RetrySnapshot};
#[cfg(feature = "config")]
use crate::{
    ConfigChange,
    errors::PolicyTerms,
    layers::ExternalOptions,
    registry::Configurable,
    settings::{Issues, Section},
};
use crate::{registry::Capability, slices::slices};

/// Returns the counts of every named retry of the program, sorted by name, including those that have not been called.
///
/// Named retries are the `#[retry]` attributes with a `name`, and the policies with a [`RetryPolicy::name`](super::RetryPolicy::name) that
/// have been called or [registered](crate::register). Unlike breakers and limits, a retry has no state to share: functions with the same
/// name may have different policies, and are counted together. Therefore the list contains snapshots.
///
/// ```
/// # use std::io;
/// use steadfast::retry;
///
/// #[retry(name = "charge")]
/// fn charge() -> io::Result<()> {
///     Ok(())
/// }
///
/// charge()?;
/// for retry in steadfast::retries() {
///     println!("{retry}"); // charge: 1 call, 1 succeeded at once, ...
/// }
/// assert!(steadfast::retries().iter().any(|retry| retry.name == "charge" && retry.first_try_successes == 1));
/// # Ok::<(), io::Error>(())
/// ```
#[must_use]
pub fn retries() -> Vec<RetrySnapshot> {
    let mut by_name = counts();
    for policy in policies() {
        let Some(snapshot) = by_name.get_mut(policy.name()) else { continue };
        for setting in policy.settings() {
            if !snapshot.settings.contains(&setting) {
                snapshot.settings.push(setting);
            }
        }
    }
    by_name.into_values().collect()
}

/// The counts of the named retries by name, without their settings.
fn counts() -> BTreeMap<&'static str, RetrySnapshot> {
    let mut by_name = BTreeMap::new();
    for policy in policies() {
        let name = policy.name();
        policy.statistics().add_to(by_name.entry(name).or_insert_with(|| RetrySnapshot::empty(name)));
    }
    by_name
}

fn policies() -> impl Iterator<Item = &'static NamedPolicy> {
    POLICIES.iter().copied().chain(listed::all()).map(NamedPolicy::isolated)
}

slices! {
    /// The policies of all `#[retry]` attributes with a `name`. Several policies may have the same name.
    POLICIES = STEADFAST_0_1_0_POLICIES: [&'static NamedPolicy];
}

#[cfg(feature = "config")]
const TERMS: PolicyTerms = PolicyTerms { kind: "retry", table: "retry", example: "max_attempts = 3" };

/// The capability of named retries. Several functions may share a name; each has its own policy.
pub(crate) struct Retries;

impl Capability for Retries {
    #[cfg(feature = "config")]
    fn terms(&self) -> &'static PolicyTerms {
        &TERMS
    }

    #[cfg(feature = "config")]
    fn options(&self) -> &'static [&'static str] {
        &super::merge::OPTIONS
    }

    #[cfg(feature = "config")]
    fn configurables(&self) -> Vec<Box<dyn Configurable>> {
        let policies = POLICIES.iter().copied().chain(listed::registered());
        policies
            .map(NamedPolicy::isolated)
            .map(|policy| Box::new(Merged { policy, config: None, options: ExternalOptions::new() }) as _)
            .collect()
    }

    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    fn families(&self, _: usize) -> Vec<crate::telemetry::Family> {
        super::metrics::families(counts().into_values().collect())
    }
}

/// A named policy, and the policy that settings from a file and the environment make of it; `None` without such settings.
#[cfg(feature = "config")]
struct Merged {
    policy: &'static NamedPolicy,
    config: Option<RetryPolicy>,
    /// The options that these settings have set.
    options: ExternalOptions,
}

#[cfg(feature = "config")]
impl Configurable for Merged {
    fn name(&self) -> &'static str {
        self.policy.name()
    }

    fn merge(&mut self, sections: &[&Section], issues: &mut Issues) {
        if sections.is_empty() {
            return;
        }
        let mut policy = self.policy.declared();
        for section in sections {
            let merged = policy.merge(section, issues);
            section.add_options_to(&mut self.options, Some(&policy), &merged);
            policy = merged;
        }
        self.config = Some(policy);
    }

    fn replace(&self) -> Option<ConfigChange> {
        let has_changed = self.policy.replace(self.config, self.options);
        has_changed.then(|| ConfigChange::new(TERMS.table, self.policy.name(), self.policy.current()))
    }

    /// Does nothing, since each call reads the current policy when it begins.
    fn apply(&self) {}
}
