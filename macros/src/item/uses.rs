//! The uses of the arguments outside of the function's body: by retries, fallbacks, predicates and hooks.

use proc_macro2::{Group, Ident, Literal, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::Expr;

use super::patterns::bindings;

/// The uses that the layers make of the function's arguments.
pub(crate) struct Uses<'a> {
    /// True if a layer calls the body more than once.
    pub(crate) repeats: bool,
    /// The error for a returned borrow of a `&mut` argument. `None` if no layer uses an argument after the first call of the body.
    pub(crate) reuse_error: Option<&'static str>,
    /// True if a layer calls other functions with all arguments.
    pub(crate) forwards_all: bool,
    /// The arguments that `clone(...)` names.
    pub(crate) clones: Vec<Ident>,
    /// The arguments that `lend(...)` names.
    pub(crate) lends: Vec<Ident>,
    /// The user's expressions that are evaluated after the body has begun.
    pub(crate) after_call: TokenStream,
    /// The user's expressions whose value is borrowed while the body runs.
    pub(crate) during_call: TokenStream,
    /// The arguments of all attributes, as they are written.
    pub(crate) written: &'a TokenStream,
    /// The name that `#[async_trait]` gives to `self`.
    pub(crate) renamed_self: Option<Ident>,
}

impl Uses<'_> {
    /// Returns true if a layer uses the argument after the body has begun, so that the body must not consume the argument.
    pub(crate) fn needs_after_call(&self, name: &Ident) -> bool {
        let is_self = name == "self" || self.renamed_self.as_ref() == Some(name);
        self.repeats || self.forwards_all && !is_self || mentions(self.after_call.clone(), name)
    }

    /// Returns true if an expression that is evaluated after the body has begun names the argument.
    pub(crate) fn mentions_after_call(&self, name: &Ident) -> bool {
        mentions(self.after_call.clone(), name)
    }
}

/// The tokens of an expression. Those of a closure do not contain the names of its parameters, which are no arguments of the function.
pub(crate) fn used_by(expr: &Expr) -> TokenStream {
    let Expr::Closure(closure) = expr else { return expr.to_token_stream() };
    let parameters: Vec<_> = closure.inputs.iter().flat_map(bindings).map(|binding| binding.name.to_string()).collect();
    without(closure.body.to_token_stream(), &parameters)
}

fn without(tokens: TokenStream, names: &[String]) -> TokenStream {
    tokens
        .into_iter()
        .filter_map(|token| match token {
            TokenTree::Ident(ident) if names.contains(&ident.to_string()) => None,
            TokenTree::Group(group) => Some(Group::new(group.delimiter(), without(group.stream(), names)).into()),
            TokenTree::Literal(literal) => {
                let text = names.iter().fold(literal.to_string(), |text, name| {
                    text.replace(&format!("{{{name}}}"), "").replace(&format!("{{{name}:"), "{:")
                });
                Some(text.parse::<Literal>().unwrap_or(literal).into())
            }
            other => Some(other),
        })
        .collect()
}

/// Returns true if the name occurs in the tokens, as an identifier or in a format string: `"{name}"`, `"{name:?}"`, `"{:name$}"`.
pub(crate) fn mentions(tokens: TokenStream, name: &Ident) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => mentions(group.stream(), name),
        TokenTree::Ident(ident) => ident == *name,
        TokenTree::Literal(literal) => {
            let literal = literal.to_string();
            let is_format = |text: &str| literal.contains(text);
            is_format(&format!("{{{name}}}")) || is_format(&format!("{{{name}:")) || is_format(&format!("{name}$"))
        }
        TokenTree::Punct(_) => false,
    })
}
