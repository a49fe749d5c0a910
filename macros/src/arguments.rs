//! The arguments that each attempt of a retry needs for itself.

use std::collections::HashSet;

use proc_macro2::{Ident, Span, TokenStream};
use syn::{
    Attribute, FnArg, Local, Pat, PatIdent, PatType, Signature, Token, Type, TypeReference,
    visit::{self, Visit},
    visit_mut::{self, VisitMut},
};

use crate::{
    errors::Errors,
    form::{self, Holding},
    moves::Moved,
};

/// An argument that is bound again for each attempt.
#[derive(Clone)]
pub(crate) struct Argument {
    pub(crate) name: Ident,
    pub(crate) mutability: Option<Token![mut]>,
    /// The `#[cfg]`s that the argument depends on.
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) supply: Supply,
    /// A pattern of its own binds it, or a tuple of such.
    pub(crate) is_plain: bool,
    /// A statement at the start of the body binds it, and not the signature.
    pub(crate) is_renamed: bool,
}

/// What needs the arguments more than once.
#[derive(Clone, Copy)]
pub(crate) enum Repeats {
    Retry,
    Fallback,
}

/// Where an attempt's own comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Supply {
    /// A clone, but for the last attempt, which gets the caller's.
    Clone,
    /// A `&mut` that the body gives away, or moves on, is borrowed again.
    Reborrow,
    /// A `&` that the body moves on is copied.
    Copy,
    /// A `Pin<&mut T>` is pinned again.
    Repin,
}

impl Supply {
    pub(crate) const fn of(holding: Holding) -> Self {
        match holding {
            Holding::Owned => Self::Clone,
            Holding::Mutable => Self::Reborrow,
            Holding::Shared => Self::Copy,
            Holding::Pinned => Self::Repin,
        }
    }
}

/// All names that a function's arguments bind, and how each attempt could get its own.
pub(crate) fn candidates(signature: &Signature, renames: &[Local]) -> Vec<Argument> {
    let mut candidates = Vec::new();
    for input in &signature.inputs {
        if let FnArg::Typed(argument) = input {
            bind_parts(&argument.pat, &argument.ty, &argument.attrs, &mut candidates);
        }
    }
    for rename in renames {
        let Some(source) = rename.init.as_ref().and_then(|init| form::source(&init.expr)) else { continue };
        let input = signature.inputs.iter().find(|input| form::is_called(input, source));
        // The new name takes the place of the old one.
        candidates.retain(|argument| argument.name != *source);
        let first = candidates.len();
        match input {
            Some(FnArg::Typed(input)) => bind_parts(&rename.pat, &input.ty, &rename.attrs, &mut candidates),
            input => bind(&rename.pat, &rename.attrs, input.map_or(Holding::Owned, Holding::of), &mut candidates),
        }
        candidates[first..].iter_mut().for_each(|argument| argument.is_renamed = true);
    }
    candidates
}

/// The arguments of a function, without its receiver.
pub(crate) fn typed(signature: &Signature) -> impl Iterator<Item = &PatType> {
    signature.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(argument) => Some(argument),
        FnArg::Receiver(_) => None,
    })
}

/// Reports arguments that can't be passed on, since they have no name.
pub(crate) fn check_names(signature: &Signature, errors: &mut Errors) {
    for PatType { attrs, pat, .. } in typed(signature) {
        if !matches!(&**pat, Pat::Ident(pattern) if pattern.by_ref.is_none() && pattern.subpat.is_none()) {
            errors.at(pat, NO_NAME);
        } else if let Some(cfg) = attrs.iter().find(|attribute| attribute.path().is_ident("cfg")) {
            errors.at(
                cfg,
                "a fallback can't be called with an argument that is not always there: use a closure, `|error| ...`",
            );
        }
    }
}

const NO_NAME: &str = "a fallback gets this argument by its name: give it one, and take it apart in the body";

/// The arguments in their order, for a function that gets the same. `#[async_trait]` gives names to those that have none
/// and takes them apart later.
pub(crate) fn passed(
    signature: &Signature,
    renames: &[Local],
    candidates: &[Argument],
    errors: &mut Errors,
) -> Vec<Argument> {
    let names = typed(signature).filter_map(|argument| match &*argument.pat {
        Pat::Ident(pattern) => Some(&pattern.ident),
        _ => None,
    });
    let find = |name: &Ident| candidates.iter().find(|argument| argument.name == *name).cloned();
    let is_source = |rename: &&Local, name| {
        rename.init.as_ref().and_then(|init| form::source(&init.expr)).is_some_and(|source| source == name)
    };
    names
        .filter_map(|name| {
            let found = find(name);
            if let (None, Some(rename)) = (&found, renames.iter().find(|rename| is_source(rename, name))) {
                errors.at(&rename.pat, NO_NAME);
            }
            found
        })
        .collect()
}

/// What `#[async_trait]` calls `self`.
pub(crate) fn renamed_self(renames: &[Local]) -> Option<Ident> {
    renames.iter().find_map(|rename| {
        let is_self = form::source(&rename.init.as_ref()?.expr)? == "self";
        match &rename.pat {
            Pat::Ident(pattern) if is_self => Some(pattern.ident.clone()),
            _ => None,
        }
    })
}

fn bind_parts(pattern: &Pat, ty: &Type, attributes: &[Attribute], candidates: &mut Vec<Argument>) {
    match (pattern, form::plain(ty)) {
        (Pat::Tuple(pattern), Type::Tuple(ty)) if pattern.elems.len() == ty.elems.len() => {
            for (pattern, ty) in pattern.elems.iter().zip(&ty.elems) {
                bind_parts(pattern, ty, attributes, candidates);
            }
        }
        (pattern, ty) => bind(pattern, attributes, Holding::of_type(ty), candidates),
    }
}

fn bind(pattern: &Pat, attributes: &[Attribute], holding: Holding, candidates: &mut Vec<Argument>) {
    let is_plain = matches!(pattern, Pat::Ident(pattern) if pattern.by_ref.is_none() && pattern.subpat.is_none());
    if holding != Holding::Owned && !matches!(pattern, Pat::Ident(_)) {
        return; // A pattern that looks through a reference binds references.
    }
    let supply = Supply::of(holding);
    let cfgs: Vec<_> = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).cloned().collect();
    let mut bindings = Bindings(Vec::new());
    bindings.visit_pat(pattern);
    candidates.extend(bindings.0.into_iter().map(|(name, mutability)| Argument {
        name,
        mutability,
        cfgs: cfgs.clone(),
        supply,
        is_plain,
        is_renamed: false,
    }));
}

/// Those that the body moves, that it may change, or that `clone(...)` names.
pub(crate) fn needed(candidates: Vec<Argument>, moved: &Moved, named: &HashSet<Ident>) -> Vec<Argument> {
    let is_needed = |argument: &Argument| match argument.supply {
        Supply::Clone => {
            argument.mutability.is_some() || moved.contains(&argument.name) || named.contains(&argument.name)
        }
        Supply::Reborrow | Supply::Repin => argument.mutability.is_some() || moved.contains(&argument.name),
        Supply::Copy => argument.mutability.is_some(),
    };
    candidates.into_iter().filter(is_needed).collect()
}

/// Reports a `self` that a failed attempt would take away or leave changed: nothing else can be bound to that name.
///
/// One that the body uses up is no mistake if it is `Copy`, which only the compiler knows: the answer is where to ask it.
pub(crate) fn check_self(signature: &Signature, moved: &Moved, errors: &mut Errors) -> Option<Span> {
    let receiver = signature.receiver()?;
    let has_self = |moved: &HashSet<Ident>| moved.iter().any(|name| name == "self");
    match (Holding::of_receiver(receiver), receiver.mutability) {
        (Holding::Mutable, _) if has_self(&moved.captured) => errors.at(
            receiver,
            "an `async move` block in the body takes `self` away from the attempts that follow\n\
             if it comes from another attribute, such as `#[instrument]`, put that below `#[retry]`",
        ),
        (Holding::Owned, Some(mutability)) => errors.at(
            mutability,
            "a failed attempt would leave its changes to `self` for the next one\n\
             take `&mut self` if that is wanted, or change a clone: `let mut this = self.clone();`",
        ),
        (Holding::Owned | Holding::Pinned, _) if has_self(&moved.all) => return Some(receiver.self_token.span),
        _ => {}
    }
    None
}

/// Reports a returned `&mut` that may point into an argument: the next attempt would need that, too.
pub(crate) fn check_output(signature: &Signature, output: Option<&Type>, what: Repeats, errors: &mut Errors) {
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
    if !is_static && signature.inputs.iter().any(|input| Holding::of(input) == Holding::Mutable) {
        errors.at(
            reference,
            match what {
                Repeats::Retry => {
                    "a retry can't return a `&mut` into an argument: the next attempt would need that, too\n\
                     return what it points to, or put the `#[retry]` on a function that only finds it"
                }
                Repeats::Fallback => {
                    "a function with a fallback can't return a `&mut` into an argument: the fallback would need that, too\n\
                     return what it points to, or put the `#[fallback]` on a function that only finds it"
                }
            },
        );
    }
}

/// Takes the `mut` off these arguments: they are bound again inside.
pub(crate) fn strip_mut(arguments: &[Argument], signature: &mut Signature, renames: &mut [Local]) {
    struct Strip<'a>(&'a [Argument]);
    impl VisitMut for Strip<'_> {
        fn visit_pat_ident_mut(&mut self, pattern: &mut PatIdent) {
            if self.0.iter().any(|argument| argument.name == pattern.ident) {
                pattern.mutability = None;
            }
            visit_mut::visit_pat_ident_mut(self, pattern);
        }
    }

    for argument in &mut signature.inputs {
        if let FnArg::Typed(argument) = argument {
            Strip(arguments).visit_pat_mut(&mut argument.pat);
        }
    }
    for rename in renames {
        Strip(arguments).visit_pat_mut(&mut rename.pat);
    }
}

/// The names that a pattern binds by value.
struct Bindings(Vec<(Ident, Option<Token![mut]>)>);

impl<'ast> Visit<'ast> for Bindings {
    fn visit_pat_ident(&mut self, pattern: &'ast PatIdent) {
        if pattern.by_ref.is_none() {
            self.0.push((pattern.ident.clone(), pattern.mutability));
        }
        visit::visit_pat_ident(self, pattern);
    }
}

/// Reports what `clone(...)` names and the function does not have.
pub(crate) fn check_named(named: &HashSet<Ident>, candidates: &[Argument], errors: &mut Errors) {
    for name in named {
        match candidates.iter().find(|argument| argument.name == *name) {
            Some(Argument { supply: Supply::Clone, .. }) => {}
            Some(_) => {
                errors.at(name, format!("`{name}` is a reference: it is borrowed again for each attempt, not cloned"));
            }
            None => errors.at(name, format!("there is no owned argument `{name}` to clone")),
        }
    }
}

/// The tokens of the renames, in their order.
pub(crate) fn tokens(renames: &[Local]) -> TokenStream {
    quote::quote!(#(#renames)*)
}
