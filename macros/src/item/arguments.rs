//! The arguments of a function, as the names that they bind.

use proc_macro2::Ident;
use syn::{Attribute, Expr, FnArg, Local, Pat, PatType, Signature, Token, Type};

use super::{
    async_body::{self, AsyncBody},
    ownership::Ownership,
    patterns::{Binding, bindings, is_plain},
    shape::ungroup,
};

/// A name that the arguments bind.
#[derive(Clone)]
pub(crate) struct Argument {
    pub(crate) name: Ident,
    pub(crate) mutability: Option<Token![mut]>,
    /// The `#[cfg]`s that the argument depends on.
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) rebind: Rebind,
    /// True if the pattern is a plain name: that of the whole argument, or of an element of a tuple.
    pub(crate) is_plain: bool,
    /// True if a statement at the start of the body binds the name, rather than the signature.
    pub(crate) is_renamed: bool,
}

/// The way in which each attempt, or each function of a fallback, gets its own argument.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rebind {
    /// An owned argument is cloned; the last attempt or fallback gets the original value.
    Clone,
    /// A `&mut` is borrowed again.
    Reborrow,
    /// A `&` is copied.
    Copy,
    /// A `Pin<&mut T>` is pinned again.
    Repin,
}

impl Rebind {
    pub(crate) const fn of(ownership: Ownership) -> Self {
        match ownership {
            Ownership::Owned => Self::Clone,
            Ownership::Mutable => Self::Reborrow,
            Ownership::Shared => Self::Copy,
            Ownership::Pinned => Self::Repin,
        }
    }
}

/// All names that the arguments bind, with the way in which each can be rebound. The variables that the leading statements of an
/// [`AsyncBody`] bind are used like arguments.
pub(crate) fn candidates(signature: &Signature, body: Option<&AsyncBody>) -> Vec<Argument> {
    let renames = body.map_or(&[][..], |body| &body.renames);
    let mut candidates = Vec::new();
    for input in &signature.inputs {
        if let FnArg::Typed(argument) = input {
            bind_parts(&argument.pat, &argument.ty, &argument.attrs, &mut candidates);
        }
    }
    if let Some(body) = body {
        candidates.retain(|argument| !body.consumed.contains(&argument.name));
        body.locals().for_each(|local| bind_local(local, &mut candidates));
    }
    for rename in renames {
        let Some(source) = async_body::renamed(rename) else { continue };
        let input = signature.inputs.iter().find(|input| is_named(input, source));
        // The new name replaces the old one.
        candidates.retain(|argument| argument.name != *source);
        let first = candidates.len();
        match input {
            Some(FnArg::Typed(input)) => bind_parts(&rename.pat, &input.ty, &rename.attrs, &mut candidates),
            input => bind(&rename.pat, &rename.attrs, input.map_or(Ownership::Owned, Ownership::of), &mut candidates),
        }
        candidates[first..].iter_mut().for_each(|argument| argument.is_renamed = true);
    }
    candidates
}

fn is_named(argument: &FnArg, name: &Ident) -> bool {
    match argument {
        FnArg::Receiver(_) => name == "self",
        FnArg::Typed(argument) => matches!(&*argument.pat, Pat::Ident(pattern) if pattern.ident == *name),
    }
}

fn bind_parts(pattern: &Pat, ty: &Type, attributes: &[Attribute], candidates: &mut Vec<Argument>) {
    match (pattern, ungroup(ty)) {
        (Pat::Tuple(pattern), Type::Tuple(ty)) if pattern.elems.len() == ty.elems.len() => {
            for (pattern, ty) in pattern.elems.iter().zip(&ty.elems) {
                bind_parts(pattern, ty, attributes, candidates);
            }
        }
        (pattern, ty) => bind(pattern, attributes, Ownership::of_type(ty), candidates),
    }
}

fn bind(pattern: &Pat, attributes: &[Attribute], ownership: Ownership, candidates: &mut Vec<Argument>) {
    let is_plain = is_plain(pattern);
    if ownership != Ownership::Owned && !matches!(pattern, Pat::Ident(_)) {
        return; // A pattern that matches through a reference binds references.
    }
    let rebind = Rebind::of(ownership);
    let cfgs: Vec<_> = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).cloned().collect();
    let by_value = bindings(pattern).into_iter().filter(|binding| !binding.by_ref);
    candidates.extend(by_value.map(|Binding { name, mutability, .. }| Argument {
        name,
        mutability,
        cfgs: cfgs.clone(),
        rebind,
        is_plain,
        is_renamed: false,
    }));
}

/// Adds the names that a leading statement binds.
fn bind_local(local: &Local, candidates: &mut Vec<Argument>) {
    let first = candidates.len();
    match &local.pat {
        Pat::Type(pattern) => bind_parts(&pattern.pat, &pattern.ty, &local.attrs, candidates),
        pattern => {
            let ownership = match local.init.as_ref().map(|init| &*init.expr) {
                Some(Expr::Reference(reference)) if reference.mutability.is_some() => Ownership::Mutable,
                Some(Expr::Reference(_)) => Ownership::Shared,
                _ => Ownership::Owned,
            };
            bind(pattern, &local.attrs, ownership, candidates);
        }
    }
    // A later variable with the same name replaces the earlier one.
    let names: Vec<_> = candidates[first..].iter().map(|argument| argument.name.clone()).collect();
    let mut index = 0;
    candidates.retain(|argument| {
        index += 1;
        index > first || !names.contains(&argument.name)
    });
}

/// The arguments of a function without its receiver.
pub(crate) fn typed(signature: &Signature) -> impl Iterator<Item = &PatType> {
    signature.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(argument) => Some(argument),
        FnArg::Receiver(_) => None,
    })
}
