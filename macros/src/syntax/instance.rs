//! The breaker, bulkhead or rate limit that an attribute refers to: one with a name, the user's static, or one that is known at run time.

use proc_macro2::{Ident, Span};
use quote::ToTokens as _;
use syn::{Error, Expr, Result};

use super::{options::Options, values};
use crate::{errors::Errors, item::function::Function};

/// The breaker, bulkhead or rate limit that an attribute refers to.
pub(crate) enum Instance {
    /// The one with this name. Its settings are given in the attribute or declared elsewhere.
    Named(Expr),
    /// The user's static.
    Static(Expr),
    /// An expression that is evaluated at each call.
    RunTime(Expr),
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
    /// The types of an instance, without and with keys.
    pub(crate) types: [&'static str; 2],
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

    /// Takes `name = "..."`, or the option for an instance of the user.
    pub(crate) fn take(
        options: &mut Options,
        terms: &Terms,
        attribute: Span,
        function: &Function,
        errors: &mut Errors,
    ) -> Self {
        let Terms { option, name, noun, .. } = terms;
        let may_have_name = options.may_have("name") || options.may_have(option);
        let named = options.value("name", errors, values::name);
        let own = options.value(option, errors, |value| terms.own(value));
        match (named, own) {
            (Some(_), Some(own)) => {
                errors.at(own.key, format!("`{option}` and `name` both select the {noun}: remove one of them"));
                Self::Missing
            }
            (None, Some(own)) if function.is_static_path(&own.value) => Self::Static(own.value),
            (None, Some(own)) => Self::RunTime(own.value),
            (Some(name), None) => Self::Named(name.value),
            (None, None) => {
                // A name that could not be parsed has already been reported.
                if may_have_name {
                    return Self::Missing;
                }
                if let Some(word) = options.take_word() {
                    errors.at(&word, format!("a {noun} needs a name: write `name = \"{word}\"`"));
                } else {
                    let message = format!(
                        "a {noun} needs a name: `name = \"{name}\"`\nfunctions with the same name share one {noun}"
                    );
                    errors.at_span(attribute, message);
                }
                Self::Missing
            }
        }
    }

    /// The expression that is evaluated at each call.
    pub(crate) const fn run_time(&self) -> Option<&Expr> {
        match self {
            Self::RunTime(value) => Some(value),
            Self::Named(_) | Self::Static(_) | Self::Missing => None,
        }
    }

    /// The expression that is evaluated at each call, if its value may borrow from an argument: `self.breaker`, but not `self.breaker.clone()`.
    pub(crate) fn borrowed(&self) -> Option<&Expr> {
        self.run_time().filter(|value| !is_clone(value))
    }

    /// Reports settings beside an instance of the user. `example` returns an expression that creates one with the setting of that name.
    pub(crate) fn check_settings<'a>(
        &self,
        settings: impl IntoIterator<Item = &'a Ident>,
        example: impl Fn(&Ident) -> String,
        errors: &mut Errors,
    ) {
        let place = match self {
            Self::Static(_) => "the static is declared",
            Self::RunTime(_) => "it is created",
            Self::Named(_) | Self::Missing => return,
        };
        for key in settings {
            errors.at(key, format!("set `{key}` where {place}: `{}`", example(key)));
        }
    }
}

impl Terms {
    /// Parses the value of the option for an instance of the user.
    fn own(&self, value: Expr) -> Result<Expr> {
        let Self { option, name, noun, types: [ty, _] } = self;
        if let Expr::Lit(_) | Expr::Closure(_) = &value {
            return Err(Error::new_spanned(
                value,
                format!(
                    "`{option}` must be the path of a `static {}: {ty}`, or an expression such as `self.{option}`\nfor one with a name: `name = \"{name}\"`",
                    name.to_uppercase()
                ),
            ));
        }
        if self.creates_instance(&value) {
            let constant = name.to_uppercase();
            return Err(Error::new_spanned(
                value,
                format!(
                    "this creates a {noun} for each call\ndeclare a `static {constant}: {ty} = ...;` and write `{option} = {constant}`"
                ),
            ));
        }
        Ok(value)
    }

    /// Returns true for `CircuitBreaker::new(...)`, possibly with methods or behind a `&`.
    fn creates_instance(&self, value: &Expr) -> bool {
        match value {
            Expr::MethodCall(call) => self.creates_instance(&call.receiver),
            Expr::Reference(reference) => self.creates_instance(&reference.expr),
            Expr::Paren(paren) => self.creates_instance(&paren.expr),
            Expr::Call(call) => match &*call.func {
                Expr::Path(function) => {
                    let mut names = function.path.segments.iter().rev().map(|segment| &segment.ident);
                    let [last, ty] = [names.next(), names.next()];
                    last.is_some_and(|last| last == "new" || last == "default")
                        && ty.is_some_and(|ty| self.types.iter().any(|name| ty == name))
                }
                _ => false,
            },
            _ => false,
        }
    }
}

/// Returns true for `value.clone()` and `Arc::clone(&value)`.
fn is_clone(value: &Expr) -> bool {
    match value {
        Expr::Paren(paren) => is_clone(&paren.expr),
        Expr::Group(group) => is_clone(&group.expr),
        Expr::MethodCall(call) => call.method == "clone",
        Expr::Call(call) => {
            let Expr::Path(function) = &*call.func else { return false };
            function.path.segments.last().is_some_and(|last| last.ident == "clone")
        }
        _ => false,
    }
}
