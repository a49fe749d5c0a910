//! The arguments that the layers use more than once, and the checks that this is possible.

use std::collections::HashSet;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Local, Pat, PatType, Signature};

use super::{
    arguments::{Argument, Rebind, typed},
    async_body::{self, AsyncBody},
    borrows,
    function::Function,
    moves::Moved,
    mutability::{make_mutable, strip_mut},
    ownership::Ownership,
    patterns::is_plain,
    uses::Uses,
};
use crate::errors::Errors;

/// The arguments that the layers use more than once.
#[derive(Default)]
pub(crate) struct Inputs {
    /// The arguments that each attempt of a retry binds for itself.
    pub(crate) rebound: Vec<Argument>,
    /// The arguments that each call of the body copies, since the body moves them and an expression of a layer names them. No layer binds
    /// them, so that each of these expressions can use the caller's value.
    pub(crate) copied: Vec<Argument>,
    /// The arguments that the function lends to each call, as a `&mut`.
    pub(crate) lent: Vec<Argument>,
    /// True if statements before the body may be the only ones that change a `mut` argument.
    pub(crate) has_leading: bool,
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
        candidates: &mut [Argument],
        uses: &Uses<'_>,
        signature: &mut Signature,
        body: &mut Option<AsyncBody>,
    ) -> Result<Self, Errors> {
        let block = match body {
            Some(AsyncBody { rest, .. }) => quote!({ #rest }),
            None => function.body.to_token_stream(),
        };
        let mut errors = Errors::default();
        check_clones(&uses.clones, candidates, &mut errors);
        let has_leading = body.as_ref().is_some_and(|body| !body.leading.is_empty());
        let lent = lend(uses, candidates, &mut errors);
        make_mutable(&lent, signature, body.as_mut());
        let names = candidates.iter().map(|argument| argument.name.clone());
        let this = Ident::new("self", Span::call_site());
        let moved = Moved::by(&block, names.chain([this.clone()]));
        let all = candidates.to_vec();
        let (copied, candidates): (Vec<_>, Vec<_>) = candidates.iter().cloned().partition(|argument| {
            let is_changed = argument.rebind == Rebind::Reborrow && argument.mutability.is_some();
            let is_moved = moved.contains(&argument.name) || uses.clones.contains(&argument.name) || is_changed;
            is_moved && argument.rebind != Rebind::Copy && uses.mentions_after_call(&argument.name)
        });
        strip_mut(&copied, signature, body.as_mut());
        let pinned: Vec<_> = copied.iter().filter(|argument| argument.rebind == Rebind::Repin).cloned().collect();
        make_mutable(&pinned, signature, body.as_mut());
        let renames = body.as_ref().map_or(&[][..], |body| &body.renames);
        let Some(reuse_error) = uses.reuse_error else {
            return errors.into_result(Self { copied, lent, has_leading, ..Self::default() });
        };
        let forwarded = if uses.forwards_all {
            forwarded(signature, renames, &all, &mut errors)
        } else {
            forwarded(signature, renames, &all, &mut Errors::default())
        };
        let consumed_self = uses.needs_after_call(&this).then(|| check_self(signature, &moved, &mut errors)).flatten();
        borrows::check(signature, function.output(), reuse_error, uses, &mut errors);
        let mut rebound = rebound(candidates, &moved, &uses.clones);
        // The body may consume the arguments that no layer uses later.
        rebound.retain(|argument| uses.needs_after_call(&argument.name));
        strip_mut(&rebound, signature, body.as_mut());
        errors.into_result(Self { rebound, copied, lent, has_leading, consumed_self, forwarded })
    }

    /// The attribute of a statement that rebinds an argument, if its `mut` may be unused there.
    pub(crate) fn lint_of_mut(&self, argument: &Argument) -> Option<TokenStream> {
        let is_optional = argument.rebind == Rebind::CloneOrLend || self.has_leading && argument.mutability.is_some();
        is_optional.then(|| quote!(#[allow(unused_mut)]))
    }

    /// Returns true if an argument may be lent without `lend(...)`.
    pub(crate) fn may_lend(&self) -> bool {
        self.rebound.iter().any(|argument| argument.rebind == Rebind::CloneOrLend)
    }

    /// Ends the scope in which the rebound arguments are `mut`: a layer above binds its own copies without `mut`. An argument that may be
    /// lent stays `mut`, since the layer below borrows it.
    pub(crate) fn end_changes(&mut self) {
        for argument in &mut self.rebound {
            if argument.rebind != Rebind::CloneOrLend {
                argument.mutability = None;
            }
        }
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
fn rebound(candidates: Vec<Argument>, moved: &Moved, clones: &[Ident]) -> Vec<Argument> {
    let is_rebound = |argument: &Argument| match argument.rebind {
        Rebind::Clone => {
            argument.mutability.is_some() || moved.contains(&argument.name) || clones.contains(&argument.name)
        }
        Rebind::Reborrow | Rebind::Repin => argument.mutability.is_some() || moved.contains(&argument.name),
        Rebind::Copy => argument.mutability.is_some(),
        Rebind::CloneOrLend => true,
    };
    let can_be_lent = |argument: &Argument| {
        argument.rebind == Rebind::Clone
            && argument.can_be_lent
            && !moved.contains(&argument.name)
            && !moved.assigned.contains(&argument.name)
            && !clones.contains(&argument.name)
    };
    let lend = |argument: Argument| {
        if can_be_lent(&argument) { Argument { rebind: Rebind::CloneOrLend, ..argument } } else { argument }
    };
    candidates.into_iter().filter(is_rebound).map(lend).collect()
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

/// Makes the arguments that `lend(...)` names references, and returns them. Reports names that are not owned arguments.
fn lend(uses: &Uses<'_>, candidates: &mut [Argument], errors: &mut Errors) -> Vec<Argument> {
    let mut lent = Vec::new();
    for name in &uses.lends {
        match candidates.iter_mut().find(|argument| argument.name == *name) {
            Some(Argument { rebind: Rebind::Clone, .. }) if uses.clones.contains(name) => {
                errors.at(name, format!("`{name}` is in `clone(...)` as well: remove one of the two"));
            }
            Some(argument @ Argument { rebind: Rebind::Clone, .. }) => {
                lent.push(argument.clone());
                (argument.rebind, argument.mutability) = (Rebind::Reborrow, None);
            }
            Some(_) => {
                errors.at(
                    name,
                    format!("`{name}` is a reference: each attempt borrows it again, so `lend` is not needed"),
                );
            }
            None => errors.at(name, format!("there is no owned argument `{name}` to lend")),
        }
    }
    lent
}

/// Reports names in `clone(...)` that are not owned arguments.
fn check_clones(clones: &[Ident], candidates: &[Argument], errors: &mut Errors) {
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
