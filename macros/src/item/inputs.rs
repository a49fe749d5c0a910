//! The arguments that the layers use more than once, and the checks that this is possible.

use std::collections::HashSet;

use proc_macro2::{Ident, Span};
use quote::{ToTokens, quote};
use syn::{
    FnArg, Local, Pat, PatIdent, PatType, Signature, Stmt, Type, TypeReference,
    visit::{self, Visit},
    visit_mut::{self, VisitMut},
};

use super::{
    arguments::{Argument, Rebind, typed},
    async_body::{self, AsyncBody},
    function::Function,
    moves::Moved,
    ownership::Ownership,
    patterns::{bindings, is_plain},
    uses::Uses,
};
use crate::errors::Errors;

/// The arguments that the layers use more than once.
#[derive(Default)]
pub(crate) struct Inputs {
    /// The arguments that each attempt of a retry binds for itself.
    pub(crate) rebound: Vec<Argument>,
    /// The span of a `self` that the body consumes. Such a `self` must be `Copy`; an error of that check is reported at this span.
    pub(crate) consumed_self: Option<Span>,
    /// The arguments in the order of the signature, for functions that are called with the same arguments.
    pub(crate) forwarded: Vec<Argument>,
}

impl Inputs {
    /// Determines the inputs and reports arguments that cannot be used as the layers need them. Removes the `mut` of rebound arguments from
    /// the signature or from the renames at the start of the body.
    pub(crate) fn of(
        function: &Function,
        candidates: &[Argument],
        uses: &Uses<'_>,
        signature: &mut Signature,
        body: &mut Option<AsyncBody>,
    ) -> Result<Self, Errors> {
        let block = match body {
            Some(AsyncBody { rest, .. }) => quote!({ #rest }),
            None => function.body.to_token_stream(),
        };
        let renames = body.as_ref().map_or(&[][..], |body| &body.renames);
        let mut errors = Errors::default();
        check_clones(&uses.clones, candidates, &mut errors);
        let Some(reuse_error) = uses.reuse_error else { return errors.into_result(Self::default()) };
        let forwarded = if uses.forwards_all {
            forwarded(signature, renames, candidates, &mut errors)
        } else {
            forwarded(signature, renames, candidates, &mut Errors::default())
        };
        let names = candidates.iter().map(|argument| argument.name.clone());
        let this = Ident::new("self", Span::call_site());
        let moved = Moved::by(&block, names.chain([this.clone()]));
        let consumed_self = uses.needs_after_call(&this).then(|| check_self(signature, &moved, &mut errors)).flatten();
        check_output(signature, function.output(), reuse_error, &mut errors);
        let mut rebound = rebound(candidates.to_vec(), &moved, &uses.clones);
        // The body may consume the arguments that no layer uses later.
        rebound.retain(|argument| uses.needs_after_call(&argument.name));
        strip_mut(&rebound, signature, body.as_mut());
        errors.into_result(Self { rebound, consumed_self, forwarded })
    }

    /// Adds the forwarded arguments to the rebound ones.
    pub(crate) fn rebind_forwarded(&mut self) {
        for argument in &self.forwarded {
            if !self.rebound.iter().any(|rebound| rebound.name == argument.name) {
                self.rebound.push(Argument { mutability: None, ..argument.clone() });
            }
        }
    }
}

const UNNAMED: &str = "a fallback is called with this argument, so it needs a name: destructure it in the body";

/// Reports arguments that cannot be forwarded because they have no name, or exist only under a `#[cfg]`.
pub(crate) fn check_names(signature: &Signature, errors: &mut Errors) {
    for PatType { attrs, pat, .. } in typed(signature) {
        if !is_plain(pat) {
            errors.at(pat, UNNAMED);
        } else if let Some(cfg) = attrs.iter().find(|attribute| attribute.path().is_ident("cfg")) {
            errors.at(cfg, "a fallback cannot be called with a conditional argument: use a closure, `|error| ...`");
        }
    }
}

/// The arguments in the order of the signature. `#[async_trait]` gives a name to an argument with a pattern and destructures it in the
/// body; such an argument cannot be forwarded and is reported.
fn forwarded(signature: &Signature, renames: &[Local], candidates: &[Argument], errors: &mut Errors) -> Vec<Argument> {
    let names = typed(signature).filter_map(|argument| match &*argument.pat {
        Pat::Ident(pattern) => Some(&pattern.ident),
        _ => None,
    });
    let find = |name: &Ident| candidates.iter().find(|argument| argument.name == *name).cloned();
    let is_source = |rename: &&Local, name| async_body::renamed(rename).is_some_and(|source| source == name);
    names
        .filter_map(|name| {
            let found = find(name);
            if let (None, Some(rename)) = (&found, renames.iter().find(|rename| is_source(rename, name))) {
                errors.at(&rename.pat, UNNAMED);
            }
            found
        })
        .collect()
}

/// The arguments that the body moves or may change, and those that `clone(...)` names.
fn rebound(candidates: Vec<Argument>, moved: &Moved, clones: &HashSet<Ident>) -> Vec<Argument> {
    let is_rebound = |argument: &Argument| match argument.rebind {
        Rebind::Clone => {
            argument.mutability.is_some() || moved.contains(&argument.name) || clones.contains(&argument.name)
        }
        Rebind::Reborrow | Rebind::Repin => argument.mutability.is_some() || moved.contains(&argument.name),
        Rebind::Copy => argument.mutability.is_some(),
    };
    candidates.into_iter().filter(is_rebound).collect()
}

/// Reports a `self` that a failed attempt would consume or change: no other value can be bound to that name.
///
/// Returns the span of a `self` that the body consumes. It is valid if its type is `Copy`, which only the compiler can check.
fn check_self(signature: &Signature, moved: &Moved, errors: &mut Errors) -> Option<Span> {
    let receiver = signature.receiver()?;
    let has_self = |moved: &HashSet<Ident>| moved.iter().any(|name| name == "self");
    match (Ownership::of_receiver(receiver), receiver.mutability) {
        (Ownership::Mutable, _) if has_self(&moved.captured) => errors.at(
            receiver,
            "an `async move` block in the body moves `self`, which later attempts need\n\
             if the block is from another attribute, such as `#[instrument]`, put that attribute below `#[retry]`",
        ),
        (Ownership::Owned, Some(mutability)) => errors.at(
            mutability,
            "a failed attempt would leave its changes to `self` for the next one\n\
             take `&mut self` if that is intended, or change a clone: `let mut this = self.clone();`",
        ),
        (Ownership::Owned | Ownership::Pinned, _) if has_self(&moved.all) => return Some(receiver.self_token.span),
        _ => {}
    }
    None
}

/// Reports a returned `&mut` that may point into an argument, which would still be borrowed when the argument is used again.
fn check_output(signature: &Signature, output: Option<&Type>, error: &str, errors: &mut Errors) {
    struct FindMut<'ast>(Option<&'ast TypeReference>);
    impl<'ast> Visit<'ast> for FindMut<'ast> {
        fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
            if reference.mutability.is_some() {
                self.0.get_or_insert(reference);
            }
            visit::visit_type_reference(self, reference);
        }
    }

    let Some(output) = output else { return };
    let mut found = FindMut(None);
    found.visit_type(output);
    let Some(reference) = found.0 else { return };
    let is_static = reference.lifetime.as_ref().is_some_and(|lifetime| lifetime.ident == "static");
    if !is_static && signature.inputs.iter().any(|input| Ownership::of(input) == Ownership::Mutable) {
        errors.at(reference, error);
    }
}

/// Removes the `mut` of these arguments, which are rebound inside the body. Leading statements may change their own variables and the
/// arguments, so after them the `mut` is kept, without a warning.
fn strip_mut(arguments: &[Argument], signature: &mut Signature, body: Option<&mut AsyncBody>) {
    struct Strip<'a>(&'a [Argument]);
    impl VisitMut for Strip<'_> {
        fn visit_pat_ident_mut(&mut self, pattern: &mut PatIdent) {
            if self.0.iter().any(|argument| argument.name == pattern.ident) {
                pattern.mutability = None;
            }
            visit_mut::visit_pat_ident_mut(self, pattern);
        }
    }

    let is_changed = |pattern: &Pat| {
        bindings(pattern).iter().any(|binding| {
            binding.mutability.is_some() && arguments.iter().any(|argument| argument.name == binding.name)
        })
    };
    let has_leading = body.as_ref().is_some_and(|body| !body.leading.is_empty());
    for argument in &mut signature.inputs {
        match argument {
            FnArg::Typed(argument) if has_leading && is_changed(&argument.pat) => {
                argument.attrs.push(syn::parse_quote!(#[allow(unused_mut)]));
            }
            FnArg::Typed(argument) if !has_leading => Strip(arguments).visit_pat_mut(&mut argument.pat),
            FnArg::Typed(_) | FnArg::Receiver(_) => {}
        }
    }
    let Some(body) = body else { return };
    for statement in &mut body.leading {
        if let Stmt::Local(local) = statement
            && is_changed(&local.pat)
        {
            local.attrs.push(syn::parse_quote!(#[allow(unused_mut)]));
        }
    }
    for rename in &mut body.renames {
        Strip(arguments).visit_pat_mut(&mut rename.pat);
    }
}

/// Reports names in `clone(...)` that are not owned arguments.
fn check_clones(clones: &HashSet<Ident>, candidates: &[Argument], errors: &mut Errors) {
    for name in clones {
        match candidates.iter().find(|argument| argument.name == *name) {
            Some(Argument { rebind: Rebind::Clone, .. }) => {}
            Some(_) => {
                errors
                    .at(name, format!("`{name}` is a reference: each attempt borrows it again, so it needs no clone"));
            }
            None => errors.at(name, format!("there is no owned argument `{name}` to clone")),
        }
    }
}
