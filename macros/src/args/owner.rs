//! Which bulkhead or rate limit it is: one by name, or the user's own.

use proc_macro2::{Ident, Span};
use syn::{Expr, spanned::Spanned};

use crate::{errors::Errors, options::Options};

/// Which one it is.
pub(crate) enum Owner {
    /// The one of that name, with the settings given here or with those declared elsewhere.
    Named(Expr),
    /// The user's own static.
    Static(Expr),
    /// Not known: an error was reported.
    Missing,
}

/// What an attribute calls the thing.
pub(super) struct Words {
    /// The option that gives a static: `bulkhead`.
    pub(super) option: &'static str,
    /// A path to show: `DATABASE`.
    pub(super) example: &'static str,
    /// A name to show: `database`.
    pub(super) name: &'static str,
    /// In a sentence: `a bulkhead`.
    pub(super) what: &'static str,
    /// How a static gets its settings: `Bulkhead::new(name, BulkheadConfig::new()...)`.
    pub(super) constructor: &'static str,
}

impl Owner {
    /// Takes `name = "..."` or `bulkhead = PATH`. `settings` are the keys of those that were given.
    pub(super) fn take(
        options: &mut Options,
        words: &Words,
        known: &[&str],
        settings: &[Ident],
        attribute: Span,
        errors: &mut Errors,
    ) -> Self {
        let Words { option, example, name, what, constructor } = words;
        let has_name = options.mentions("name", known) || options.mentions(option, known);
        let named = options.value("name", &format!("name = \"{name}\""), errors, super::name);
        let own = options.value(option, &format!("{option} = {example}"), errors, Ok);
        match (named, own) {
            (Some(_), Some(own)) => {
                errors.at(own.key, format!("`{option}` and `name` both say which one it is: give one of them"));
                Self::Missing
            }
            (None, Some(own)) => {
                if let Some(key) = settings.first() {
                    errors.at(key, format!("`{key}` is set where the static is declared: `{constructor}`"));
                }
                Self::Static(own.value)
            }
            (Some(name), None) => Self::Named(name.value),
            (None, None) => {
                // A name that was written but not understood is one mistake, and reported.
                if !has_name {
                    let message =
                        format!("{what} needs a name: `name = \"{name}\"`\nfunctions with the same name share one");
                    errors.at_span(attribute, message);
                }
                Self::Missing
            }
        }
    }

    /// Where an error about a static of another type belongs.
    pub(crate) fn span(&self) -> Span {
        match self {
            Self::Named(value) | Self::Static(value) => value.span(),
            Self::Missing => Span::call_site(),
        }
    }
}
