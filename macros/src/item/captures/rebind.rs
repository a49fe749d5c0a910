//! The arguments that are rebound inside the innermost block.

use proc_macro2::{Ident, Span};
use quote::{ToTokens as _, format_ident, quote};
use syn::{
    Attribute, FnArg, Pat, PatIdent, PatType, Signature, Type,
    spanned::Spanned as _,
    visit_mut::{self, VisitMut},
};

use super::Rebinding;
use crate::item::{
    arguments::{Argument, Rebind},
    function::Function,
    patterns::bindings,
    shape::ungroup,
    uses::{Uses, mentions},
};

/// A part of the signature, in the order of declaration: a name, or a pattern that was replaced by a name.
struct Part {
    argument: Argument,
    pattern: Option<Pat>,
    attributes: Vec<Attribute>,
}

/// Rebinds arguments inside the block where a capture is not enough: the parts of an argument that its pattern does not bind would stay
/// outside the block, and the compiler does not warn about a captured argument that the body does not use. Local variables are dropped
/// before the captures of a block, so all arguments after the first rebound one are rebound as well.
///
/// Input: `f(a: A, (b, _): (B, C), mut d: D)`. Output: `f(a: A, parameter_1: (B, C), d: D)`, and
/// `let parameter_1 = parameter_1; let (b, _) = parameter_1; let mut d = d;`
pub(super) fn rebind(
    function: &Function,
    names: &mut Vec<Argument>,
    last_used: Option<&Ident>,
    uses: &Uses<'_>,
    signature: &mut Signature,
) -> Vec<Rebinding> {
    let may_rename = function.attributes.iter().all(is_built_in);
    let block = function.body.stream();
    // The arguments up to the last one that is used after the call stay in the function.
    let last_used = last_used.and_then(|name| signature.inputs.iter().position(|input| is_bound(name, input)));
    let mut parts = Vec::new();
    for (index, input) in signature.inputs.iter_mut().enumerate() {
        let bound: Vec<_> = names.iter().filter(|name| is_bound(&name.name, input)).cloned().collect();
        match input {
            FnArg::Typed(input)
                if may_rename
                    && last_used.is_none_or(|last| index > last)
                    && !is_whole(&input.pat, &input.ty)
                    && may_replace_pattern(input, uses) =>
            {
                parts.push(replace_pattern(index, input));
            }
            input => parts.extend(bound.into_iter().map(|argument| {
                let attributes = match input {
                    FnArg::Typed(input) => input.attrs.clone(),
                    FnArg::Receiver(_) => Vec::new(),
                };
                Part { argument, pattern: None, attributes }
            })),
        }
    }
    let is_unused = |name: &Ident| {
        !name.to_string().starts_with('_') && !mentions(block.clone(), name) && !mentions(uses.written.clone(), name)
    };
    let needs_rebinding = |part: &Part| match (&part.pattern, &part.argument) {
        (Some(pattern), _) => !matches!(pattern, Pat::Wild(_)),
        (None, Argument { name, mutability, .. }) => {
            // In an `async` function, the future would store the argument twice.
            let is_changed = mutability.is_some() && !function.is_async();
            name != "self" && (is_changed || is_unused(name))
        }
    };
    *names = parts.iter().map(|part| part.argument.clone()).collect();
    let first = parts.iter().position(needs_rebinding).unwrap_or(parts.len());
    let rest = parts.split_off(first);
    Strip(&rest).visit_signature_mut(signature);
    rest.into_iter().flat_map(Part::rebindings).collect()
}

impl Part {
    fn rebindings(self) -> Vec<Rebinding> {
        let Argument { name, mutability, .. } = self.argument;
        if name == "self" {
            return Vec::new();
        }
        let attributes: Vec<_> = self
            .attributes
            .into_iter()
            .filter(|attribute| attribute.path().is_ident("cfg") || is_lint(attribute))
            .collect();
        let pattern = quote!(#mutability #name);
        let whole = Rebinding { attributes: attributes.clone(), pattern, name: name.clone() };
        match self.pattern {
            Some(pattern) if !matches!(pattern, Pat::Wild(_)) => {
                vec![whole, Rebinding { attributes, pattern: pattern.into_token_stream(), name }]
            }
            _ => vec![whole],
        }
    }
}

/// Input: `(a, _): (A, B)`. Output: `parameter_0: (A, B)`, and the pattern.
fn replace_pattern(index: usize, input: &mut PatType) -> Part {
    let span = Span::mixed_site().located_at(input.pat.span());
    let name = format_ident!("parameter_{index}", span = span);
    let pattern = std::mem::replace(&mut *input.pat, syn::parse_quote!(#name));
    let cfgs = input.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg")).cloned().collect();
    // With `ref mut` in the pattern, the argument itself must be `mut`.
    let mutability =
        bindings(&pattern).into_iter().filter(|binding| binding.by_ref).find_map(|binding| binding.mutability);
    let argument = Argument {
        name,
        mutability,
        cfgs,
        rebind: Rebind::Clone,
        can_be_mut: true,
        can_be_lent: false,
        is_renamed: false,
    };
    Part { argument, pattern: Some(pattern), attributes: input.attrs.clone() }
}

/// Returns true if the pattern binds the whole argument by value, so that no part of the argument stays outside the block.
fn is_whole(pattern: &Pat, ty: &Type) -> bool {
    match (pattern, ungroup(ty)) {
        // Dropping a reference has no effect.
        (_, Type::Reference(_)) => true,
        (Pat::Ident(pattern), _) => pattern.by_ref.is_none() && pattern.subpat.is_none(),
        (Pat::Tuple(pattern), Type::Tuple(ty)) => {
            pattern.elems.len() == ty.elems.len()
                && pattern.elems.iter().zip(&ty.elems).all(|(pattern, ty)| is_whole(pattern, ty))
        }
        _ => false,
    }
}

/// Returns true if no attribute mentions a name that the pattern binds.
fn may_replace_pattern(input: &PatType, uses: &Uses<'_>) -> bool {
    !bindings(&input.pat).iter().any(|binding| mentions(uses.written.clone(), &binding.name))
}

fn is_bound(name: &Ident, input: &FnArg) -> bool {
    match input {
        FnArg::Receiver(_) => name == "self",
        FnArg::Typed(input) => bindings(&input.pat).iter().any(|binding| binding.name == *name),
    }
}

/// Returns true for an attribute of the compiler. Any other attribute may depend on the patterns in the signature, which then must stay.
fn is_built_in(attribute: &Attribute) -> bool {
    const BUILT_IN: [&str; 15] = [
        "cfg",
        "cold",
        "deprecated",
        "doc",
        "export_name",
        "ignore",
        "inline",
        "link_section",
        "must_use",
        "no_mangle",
        "should_panic",
        "target_feature",
        "test",
        "track_caller",
        "unsafe",
    ];
    is_lint(attribute) || BUILT_IN.iter().any(|name| attribute.path().is_ident(name))
}

/// Returns true for an attribute that sets the level of a lint.
fn is_lint(attribute: &Attribute) -> bool {
    ["allow", "expect", "warn", "deny", "forbid"].iter().any(|name| attribute.path().is_ident(name))
}

/// Removes the `mut` and the lint levels of the arguments that are rebound inside the block.
struct Strip<'a>(&'a [Part]);

impl VisitMut for Strip<'_> {
    fn visit_pat_type_mut(&mut self, input: &mut PatType) {
        if let Pat::Ident(pattern) = &mut *input.pat
            && self.0.iter().any(|part| part.argument.name == pattern.ident)
        {
            pattern.mutability = None;
            input.attrs.retain(|attribute| !is_lint(attribute));
        } else {
            visit_mut::visit_pat_type_mut(self, input);
        }
    }

    fn visit_pat_ident_mut(&mut self, pattern: &mut PatIdent) {
        if self.0.iter().any(|part| part.argument.name == pattern.ident) {
            pattern.mutability = None;
        }
    }
}
