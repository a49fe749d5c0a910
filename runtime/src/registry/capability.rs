#[cfg(feature = "config")]
use super::Policy;
use crate::{BlindSpot, ConfigConflict};
#[cfg(feature = "config")]
use crate::{
    ConfigChange,
    errors::{PolicyConfig, PolicyTerms},
    layers::ExternalOptions,
    settings::{Issues, Section},
};

/// A capability of the crate, such as circuit breakers, for the code that treats all of them alike: validation, external settings,
/// metrics.
///
/// `crate::capabilities` is the table of all capabilities.
pub(crate) trait Capability: Sync {
    /// Returns the terms for this capability in messages and settings files.
    #[cfg(feature = "config")]
    fn terms(&self) -> &'static PolicyTerms;

    /// Returns the conflicts among the declarations of this capability.
    fn conflicts(&self) -> Vec<ConfigConflict> {
        Vec::new()
    }

    /// Returns the functions in which policies of this capability do not see calls that hang.
    fn blind_spots(&self) -> Vec<BlindSpot> {
        Vec::new()
    }

    /// Returns the names of the options that external settings can set.
    #[cfg(feature = "config")]
    fn options(&self) -> &'static [&'static str];

    /// Returns everything that external settings can configure. Several configurables can have the same name.
    #[cfg(feature = "config")]
    fn configurables(&self) -> Vec<Box<dyn Configurable>>;

    /// Returns the metrics of everything that has a name. For policies with keys, at most `top_keys` keys of each name have series of their
    /// own.
    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    fn families(&self, top_keys: usize) -> Vec<crate::telemetry::Family>;
}

/// Something that external settings can configure.
#[cfg(feature = "config")]
pub(crate) trait Configurable {
    fn name(&self) -> &'static str;

    /// Merges the sections of all layers, the lowest first, into the declared settings.
    fn merge(&mut self, sections: &[&Section], issues: &mut Issues);

    /// Replaces the settings of the external layers with the merged ones. Returns the change if the settings in force differ
    /// from the previous ones. The caller must then call [`apply`](Self::apply).
    fn replace(&self) -> Option<ConfigChange>;

    /// Evaluates the existing counts under the settings in force, which may open circuits and wake waiters. The caller must not hold a
    /// lock.
    fn apply(&self);
}

/// A configuration whose options a section of external settings can set.
#[cfg(feature = "config")]
pub(crate) trait MergeSection: PolicyConfig {
    /// Merges a section into `below`, the settings of the layers below, and reports its issues. `below` is `None` if these layers have no
    /// settings.
    fn merge(below: Option<Self>, section: &Section, issues: &mut Issues) -> Option<Self>;
}

/// A [`Policy`] whose settings can be replaced by external settings.
#[cfg(feature = "config")]
pub(crate) trait PolicySettings: Policy<Config: MergeSection> {
    /// Replaces the settings of the external layers, which set these `options`, as [`Configurable::replace`] does.
    fn set_external(&self, config: Option<Self::Config>, options: ExternalOptions) -> Option<ConfigChange>;

    /// Evaluates the existing counts under the settings in force, as [`Configurable::apply`] does.
    fn apply_settings(&self);
}

/// Returns all policies of a kind as [`Configurable`]s.
#[cfg(feature = "config")]
pub(crate) fn configurables<P: PolicySettings>() -> impl Iterator<Item = Box<dyn Configurable>> {
    P::registry()
        .all()
        .into_iter()
        .map(|policy| Box::new(Merged { policy, config: None, options: ExternalOptions::new() }) as _)
}

/// A policy with the merged settings of the external layers, which are `None` if these layers have no settings for it.
#[cfg(feature = "config")]
struct Merged<P: PolicySettings> {
    policy: &'static P,
    config: Option<P::Config>,
    /// The options that these layers have set.
    options: ExternalOptions,
}

#[cfg(feature = "config")]
impl<P: PolicySettings> Configurable for Merged<P> {
    fn name(&self) -> &'static str {
        self.policy.name()
    }

    fn merge(&mut self, sections: &[&Section], issues: &mut Issues) {
        if sections.is_empty() {
            return;
        }
        let mut config = self.policy.declared();
        for section in sections {
            let merged = P::Config::merge(config, section, issues);
            if let Some(merged) = &merged {
                section.add_options_to(&mut self.options, config.as_ref(), merged);
            }
            config = merged;
        }
        self.config = config;
    }

    fn replace(&self) -> Option<ConfigChange> {
        self.policy.set_external(self.config, self.options)
    }

    fn apply(&self) {
        self.policy.apply_settings();
    }
}
