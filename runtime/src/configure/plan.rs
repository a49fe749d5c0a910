//! The settings of the whole program: the settings in the code, merged with the sections of all layers and checked.

use std::collections::HashMap;

use super::ExternalSettings;
use crate::{
    ConfigChange, capabilities,
    registry::{Capability, Configurable},
    settings::{Issues, Section, unknown},
};

/// All configurables, with their merged settings.
pub(super) struct Plan(Vec<Box<dyn Configurable>>);

impl Plan {
    /// Merges the sections of all layers, and adds all issues to `issues`.
    pub(super) fn new(external: &ExternalSettings, issues: &mut Issues) -> Self {
        let mut sections: HashMap<(&str, &str), Vec<&Section>> = HashMap::new();
        let known = capabilities::ALL.map(|capability| (capability.terms().table, names(capability)));
        for section in external.layers().flatten() {
            let Section { table, name, source, .. } = section;
            let known = known.iter().find(|(other, _)| other == table).map_or(&[][..], |(_, names)| names);
            if known.binary_search(&name.as_str()).is_ok() {
                sections.entry((table, name)).or_default().push(section);
            } else if !issues.is_full() {
                issues.add(source, &section.key(), unknown(table, name, known));
            } else {
                break;
            }
        }
        let mut all = Vec::new();
        for capability in capabilities::ALL {
            for mut configurable in capability.configurables() {
                let key = (capability.terms().table, configurable.name());
                configurable.merge(sections.get(&key).map_or(&[][..], Vec::as_slice), issues);
                all.push(configurable);
            }
        }
        Self(all)
    }

    /// Replaces the settings, and returns the changes of the settings in force. Removes the configurables without a change, so that
    /// [`apply`](Self::apply) skips them.
    pub(super) fn replace(&mut self) -> Vec<ConfigChange> {
        let mut changes = Vec::new();
        self.0.retain(|configurable| {
            let change = configurable.replace();
            let has_changed = change.is_some();
            changes.extend(change);
            has_changed
        });
        changes
    }

    /// Applies the changed settings, which may open circuits and wake waiters. The caller must not hold a lock.
    pub(super) fn apply(&self) {
        for configurable in &self.0 {
            configurable.apply();
        }
    }
}

/// The names that a capability can configure, sorted.
pub(super) fn names(capability: &dyn Capability) -> Vec<&'static str> {
    let mut names: Vec<_> = capability.configurables().iter().map(|configurable| configurable.name()).collect();
    names.sort_unstable();
    names.dedup();
    names
}
