//! Settings from outside the code, as text: sections of assignments with their source places, and values in the syntax of the attributes.
//!
//! [`configure`](crate::configure) reads sections from a file or the environment. Each capability merges the sections of its names into
//! its configuration.

mod issues;
mod source;
pub(crate) mod value;

use crate::layers::{ConfigLayer, ConfigOptions, ExternalOptions};

pub use self::issues::{ConfigError, ConfigIssue};
pub(crate) use self::{
    issues::{Issues, nearest, quoted, shortened, unknown},
    source::{Source, Text},
};

/// The settings of one name in one layer.
#[derive(Debug)]
pub(crate) struct Section {
    /// The table of the capability: `breaker`.
    pub(crate) table: &'static str,
    pub(crate) name: String,
    pub(crate) source: Source,
    pub(crate) assignments: Vec<Assignment>,
}

/// A setting as it is written in its source.
#[derive(Debug)]
pub(crate) struct Assignment {
    pub(crate) option: String,
    pub(crate) value: String,
    pub(crate) source: Source,
    /// The setting as shown in messages, such as `breaker.payments.window`; empty if the source is a variable, whose name contains it.
    pub(crate) key: String,
}

impl Section {
    /// Applies the assignments to `config` in order, each by a call of `set`, and adds the errors that `set` returns to `issues`.
    pub(crate) fn apply<C: Copy>(
        &self,
        mut config: C,
        issues: &mut Issues,
        set: impl Fn(C, &str, &str) -> value::Parsed<C>,
    ) -> C {
        for Assignment { option, value, source, key } in &self.assignments {
            match set(config, option, value.trim()) {
                Ok(changed) => config = changed,
                Err(message) => issues.add(source, key, message),
            }
        }
        config
    }

    /// Returns the first assignment of an option, if there is one.
    pub(crate) fn find(&self, option: &str) -> Option<&Assignment> {
        self.assignments.iter().find(|assignment| assignment.option == option)
    }

    /// Adds the options that this section has set to `options`. It has made `merged` of `below`.
    pub(crate) fn add_options_to<C: ConfigOptions>(
        &self,
        options: &mut ExternalOptions,
        below: Option<&C>,
        merged: &C,
    ) {
        let layer = match self.source {
            Source::Text(..) => ConfigLayer::File,
            Source::Variable(..) => ConfigLayer::Environment,
        };
        // A preset replaces all options.
        let assigns_all = self.find("preset").is_some();
        options.add(layer, |option| assigns_all || self.find(option).is_some(), below, merged);
    }

    /// Returns the section as shown in messages: `breaker.payments`.
    pub(crate) fn key(&self) -> String {
        format!("{}.{}", self.table, shortened(&self.name))
    }
}
