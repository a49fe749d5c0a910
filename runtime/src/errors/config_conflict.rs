use std::{any::Any, error::Error, fmt, panic::Location, sync::Arc};

use crate::{ConfigChange, escape::escaped, layers::ConfigOptions};

/// Two declarations of one name that contradict each other.
///
/// One of:
///
/// - The declarations give different settings or a different `failure_if`.
/// - One has a `key`, and the other has none.
/// - Both are statics.
/// - No declaration gives the settings that a policy of this kind requires. `first` and `second` are then the same.
///
/// The `Display` text contains both locations and the fix.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigConflict {
    /// The name that both declare.
    pub name: &'static str,
    /// The declaration whose settings are in force.
    pub first: DeclarationSite,
    /// The declaration that contradicts it.
    pub second: DeclarationSite,
}

/// A declaration of a circuit breaker, a rate limit or a bulkhead: its location and its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeclarationSite {
    /// The file, line and column of the declaration.
    pub location: &'static Location<'static>,
    /// The declared settings.
    pub config: DeclaredConfig,
    /// The maximum number of keys; `None` without a `key`.
    pub max_keys: Option<usize>,
    /// The text of the option that selects the errors or results that count as failures: `failure_if(io::Error)`, or
    /// `failure_if_result = is_outage`. `None` without the option.
    pub failure_if: Option<&'static str>,
}

/// The settings of one declaration, of any kind of policy.
///
/// A `DeclaredConfig` can be compared with settings, such as a [`BreakerConfig`](crate::BreakerConfig). The `Display` text has the form of
/// the options of the attribute.
#[derive(Clone)]
pub struct DeclaredConfig {
    terms: &'static PolicyTerms,
    config: Option<Arc<dyn ErasedConfig>>,
}

/// The settings of a kind of policy. Their `Display` text has the form of the options of the attribute.
pub trait PolicyConfig: Any + Copy + PartialEq + fmt::Debug + fmt::Display + ConfigOptions + Send + Sync {
    /// The terms for this kind in messages and settings files.
    const TERMS: &'static PolicyTerms;

    /// The change of a policy's settings to `config`; `None` if no layer gives settings any more.
    fn change(name: &'static str, config: Option<Self>) -> ConfigChange {
        ConfigChange::new(Self::TERMS.table, name, DeclaredConfig::new(config))
    }
}

/// The terms for a kind of policy in messages and settings files.
#[derive(Debug)]
pub struct PolicyTerms {
    /// The kind in a sentence: `circuit breaker`.
    pub(crate) kind: &'static str,
    /// The table in a settings file: `breaker`.
    pub(crate) table: &'static str,
    /// Example settings for messages: `failure_threshold = 5`.
    pub(crate) example: &'static str,
}

/// A [`PolicyConfig`] whose type is erased.
trait ErasedConfig: fmt::Debug + fmt::Display + Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn equals(&self, other: &dyn Any) -> bool;
}

impl<C: PolicyConfig> ErasedConfig for C {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }
}

impl DeclaredConfig {
    pub(crate) fn new<C: PolicyConfig>(config: Option<C>) -> Self {
        Self { terms: C::TERMS, config: config.map(|config| Arc::new(config) as _) }
    }

    /// Returns the settings if they are of type `C`.
    ///
    /// `None` if they are of another type, and for a declaration without settings.
    #[must_use]
    pub fn downcast_ref<C: 'static>(&self) -> Option<&C> {
        self.config.as_deref()?.as_any().downcast_ref()
    }
}

impl PartialEq for DeclaredConfig {
    fn eq(&self, other: &Self) -> bool {
        match (&self.config, &other.config) {
            (Some(own), Some(others)) => own.equals(others.as_any()),
            (None, None) => self.terms.table == other.terms.table,
            _ => false,
        }
    }
}

impl Eq for DeclaredConfig {}

impl<C: PolicyConfig> PartialEq<C> for DeclaredConfig {
    fn eq(&self, other: &C) -> bool {
        self.downcast_ref() == Some(other)
    }
}

impl fmt::Debug for DeclaredConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DeclaredConfig").field(&self.config).finish()
    }
}

impl fmt::Display for DeclaredConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.config {
            Some(config) => config.fmt(f),
            None => f.write_str("no settings"),
        }
    }
}

impl fmt::Display for ConfigConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, first, second } = self;
        let name = escaped(name);
        let PolicyTerms { kind, example, .. } = first.config.terms;
        if first.max_keys.is_some() != second.max_keys.is_some() {
            let (with, without) = if first.max_keys.is_some() { (first, second) } else { (second, first) };
            return write!(
                f,
                "{kind} `{name}` is declared with a `key` at {} and without one at {}; rename one of them",
                with.location, without.location,
            );
        }
        if first.config.config.is_none() {
            return write!(
                f,
                "{kind} `{name}` is declared at {} without settings, and no other declaration gives any; add them: `{example}`",
                first.location,
            );
        }
        let same_settings = first.config == second.config && first.max_keys == second.max_keys;
        if same_settings && first.failure_if != second.failure_if {
            let [one, other] = [first, second].map(|site| site.failure_if.unwrap_or("every error"));
            let by_result =
                |site: &DeclarationSite| site.failure_if.is_some_and(|text| text.starts_with("failure_if_result"));
            let [judged, option] = if by_result(first) || by_result(second) {
                ["results", "condition"]
            } else {
                ["errors", "`failure_if`"]
            };
            return write!(
                f,
                "{kind} `{name}` counts different {judged} as failures: `{one}` at {}, `{other}` at {}; use the same \
                 {option} in both places, or rename one of them",
                first.location, second.location,
            );
        }
        if same_settings {
            return write!(
                f,
                "two statics declare {kind} `{name}`, at {} and at {}; share one static, or rename one of them",
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
    /// The settings with `max_keys` and `failure_if`, in the form of the options of the attribute.
    fn settings(&self) -> impl fmt::Display {
        fmt::from_fn(|f| {
            write!(f, "{}", self.config)?;
            self.max_keys.map_or(Ok(()), |max_keys| write!(f, ", max_keys = {max_keys}"))?;
            self.failure_if.map_or(Ok(()), |failure_if| write!(f, ", {failure_if}"))
        })
    }
}
