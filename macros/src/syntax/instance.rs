//! The breaker, bulkhead or rate limit that an attribute refers to: one with a name, or the user's static.

use proc_macro2::{Ident, Span};
use quote::ToTokens as _;
use syn::Expr;

use super::{options::Options, values};
use crate::errors::Errors;

/// The breaker, bulkhead or rate limit that an attribute refers to.
pub(crate) enum Instance {
    /// The one with this name. Its settings are given in the attribute or declared elsewhere.
    Named(Expr),
    /// The user's static.
    Static(Expr),
    /// Unknown; an error was reported.
    Missing,
}

/// The terms that one attribute uses for its instances.
pub(crate) struct Terms {
    /// The option that takes a static: `bulkhead`.
    pub(crate) option: &'static str,
    /// An example of a name: `database`.
    pub(crate) name: &'static str,
    /// The singular: `bulkhead`.
    pub(crate) noun: &'static str,
}

impl Instance {
    /// Returns true if both are written as the same name, or as the same static.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Named(one), Self::Named(other)) | (Self::Static(one), Self::Static(other)) => {
                one.to_token_stream().to_string() == other.to_token_stream().to_string()
            }
            _ => false,
        }
    }

    /// Takes `name = "..."`, or the option for a static.
    pub(crate) fn take(options: &mut Options, terms: &Terms, attribute: Span, errors: &mut Errors) -> Self {
        let Terms { option, name, noun } = terms;
        let may_have_name = options.may_have("name") || options.may_have(option);
        let named = options.value("name", errors, values::name);
        let own = options.value(option, errors, Ok);
        match (named, own) {
            (Some(_), Some(own)) => {
                errors.at(own.key, format!("`{option}` and `name` both select the {noun}: remove one of them"));
                Self::Missing
            }
            (None, Some(own)) => Self::Static(own.value),
            (Some(name), None) => Self::Named(name.value),
            (None, None) => {
                // A name that could not be parsed has already been reported.
                if !may_have_name {
                    let message = format!(
                        "a {noun} needs a name: `name = \"{name}\"`\nfunctions with the same name share one {noun}"
                    );
                    errors.at_span(attribute, message);
                }
                Self::Missing
            }
        }
    }

    /// Reports settings beside a static. `example` returns the declaration of a static with the setting of that name.
    pub(crate) fn check_settings<'a>(
        &self,
        settings: impl IntoIterator<Item = &'a Ident>,
        example: impl Fn(&Ident) -> String,
        errors: &mut Errors,
    ) {
        if let Self::Static(_) = self {
            for key in settings {
                errors.at(key, format!("set `{key}` where the static is declared: `{}`", example(key)));
            }
        }
    }
}
