//! Arguments that are bound again inside of the block.

use proc_macro2::{Ident, Span};
use quote::{ToTokens as _, format_ident, quote};
use syn::{
    Attribute, FnArg, Pat, PatIdent, PatType, Signature, Token, Type,
    spanned::Spanned as _,
    visit::{self, Visit},
    visit_mut::{self, VisitMut},
};

use super::{Rebound, Uses, mentions};
use crate::{
    arguments::{Argument, Supply},
    form::plain,
    function::Function,
};

/// A part of the signature in the order of declaration: a name, or a pattern that was taken out of the signature.
struct Part {
    argument: Argument,
    pattern: Option<Pat>,
    attributes: Vec<Attribute>,
}

/// Binds arguments again inside of the block where to capture them is not enough: a pattern leaves parts of its argument outside
/// of the block, and the compiler warns only of a variable that nobody mentions. A local variable is dropped before all that the block
/// has captured, so the arguments behind it are bound again as well.
pub(super) fn rebind(
    function: &Function,
    names: &mut Vec<Argument>,
    uses: &Uses<'_>,
    signature: &mut Signature,
) -> Vec<Rebound> {
    let may_rename = function.attributes.iter().all(is_built_in);
    let block = function.body.stream();
    let mut parts = Vec::new();
    for (index, input) in signature.inputs.iter_mut().enumerate() {
        let bound: Vec<_> = names.iter().filter(|name| is_bound(&name.name, input)).cloned().collect();
        match input {
            FnArg::Typed(input) if may_rename && !is_whole(&input.pat, &input.ty) && may_take_apart(input, uses) => {
                parts.push(take_pattern(index, input));
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
    let has_to_be = |part: &Part| match (&part.pattern, &part.argument) {
        (Some(pattern), _) => !matches!(pattern, Pat::Wild(_)),
        (None, Argument { name, mutability, .. }) => {
            // A future would have room for it twice.
            let is_changed = mutability.is_some() && !function.is_async();
            name != "self" && (is_changed || is_unused(name))
        }
    };
    *names = parts.iter().map(|part| part.argument.clone()).collect();
    let first = parts.iter().position(has_to_be).unwrap_or(parts.len());
    let rest = parts.split_off(first);
    Strip(&rest).visit_signature_mut(signature);
    rest.into_iter().flat_map(Part::rebound).collect()
}

impl Part {
    fn rebound(self) -> Vec<Rebound> {
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
        let whole = Rebound { attributes: attributes.clone(), pattern, name: name.clone() };
        match self.pattern {
            Some(pattern) if !matches!(pattern, Pat::Wild(_)) => {
                vec![whole, Rebound { attributes, pattern: pattern.into_token_stream(), name }]
            }
            _ => vec![whole],
        }
    }
}

/// Input: `(a, _): (A, B)`. Output: `parameter_0: (A, B)`, and the pattern.
fn take_pattern(index: usize, input: &mut PatType) -> Part {
    let place = Span::mixed_site().located_at(input.pat.span());
    let name = format_ident!("parameter_{index}", span = place);
    let pattern = std::mem::replace(&mut *input.pat, syn::parse_quote!(#name));
    let cfgs = input.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg")).cloned().collect();
    let mutability = Bindings::of(&pattern).by_ref_mut;
    let argument = Argument { name, mutability, cfgs, supply: Supply::Clone, is_plain: true, is_renamed: false };
    Part { argument, pattern: Some(pattern), attributes: input.attrs.clone() }
}

/// The pattern binds the whole argument by value, so that nothing of it is left.
fn is_whole(pattern: &Pat, ty: &Type) -> bool {
    match (pattern, plain(ty)) {
        // Of a reference there is nothing to drop.
        (_, Type::Reference(_)) => true,
        (Pat::Ident(pattern), _) => pattern.by_ref.is_none() && pattern.subpat.is_none(),
        (Pat::Tuple(pattern), Type::Tuple(ty)) => {
            pattern.elems.len() == ty.elems.len()
                && pattern.elems.iter().zip(&ty.elems).all(|(pattern, ty)| is_whole(pattern, ty))
        }
        _ => false,
    }
}

/// No attribute mentions what the pattern binds.
fn may_take_apart(input: &PatType, uses: &Uses<'_>) -> bool {
    !Bindings::of(&input.pat).names.iter().any(|name| mentions(uses.written.clone(), name))
}

fn is_bound(name: &Ident, input: &FnArg) -> bool {
    match input {
        FnArg::Receiver(_) => name == "self",
        FnArg::Typed(input) => Bindings::of(&input.pat).names.contains(name),
    }
}

/// All names in a pattern.
#[derive(Default)]
struct Bindings {
    names: Vec<Ident>,
    /// The first `ref mut`: what it points to is `mut`.
    by_ref_mut: Option<Token![mut]>,
}

impl Bindings {
    fn of(pattern: &Pat) -> Self {
        let mut bindings = Self::default();
        bindings.visit_pat(pattern);
        bindings
    }
}

impl<'ast> Visit<'ast> for Bindings {
    fn visit_pat_ident(&mut self, pattern: &'ast PatIdent) {
        self.names.push(pattern.ident.clone());
        self.by_ref_mut = self.by_ref_mut.or(pattern.mutability.filter(|_| pattern.by_ref.is_some()));
        visit::visit_pat_ident(self, pattern);
    }
}

/// An attribute of the compiler's. Others may go by the patterns in the signature, so these are left as they are.
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

/// An attribute that sets the level of a lint.
fn is_lint(attribute: &Attribute) -> bool {
    ["allow", "expect", "warn", "deny", "forbid"].iter().any(|name| attribute.path().is_ident(name))
}

/// Takes the `mut` and the levels of lints off the arguments that are bound again inside.
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
