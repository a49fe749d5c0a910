//! The arguments of a function, as the names that they bind.

use proc_macro2::{Ident, Span};
use quote::ToTokens as _;
use syn::{Attribute, Expr, FnArg, Local, Pat, PatType, Signature, Token, Type};

use super::{
    async_body::{self, AsyncBody},
    ownership::Ownership,
    patterns::{Binding, bindings, is_plain},
    shape::ungroup,
    uses::mentions,
};

/// A name that the arguments bind.
#[derive(Clone)]
pub(crate) struct Argument {
    pub(crate) name: Ident,
    pub(crate) mutability: Option<Token![mut]>,
    /// The `#[cfg]`s that the argument depends on.
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) rebind: Rebind,
    /// True if the name can be declared `mut`, since its pattern does not match through a reference.
    pub(crate) can_be_mut: bool,
    /// True if the argument is lent if its type turns out not to be `Clone`. For a type parameter, `lend(...)` must say so.
    pub(crate) can_be_lent: bool,
    /// True if a statement at the start of the body binds the name, rather than the signature.
    pub(crate) is_renamed: bool,
}

/// The way in which each attempt, or each function of a fallback, gets its own argument.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rebind {
    /// An owned argument is cloned; the last attempt or fallback gets the original value.
    Clone,
    /// An owned argument is cloned if its type is `Clone`, and otherwise lent as a `&mut`.
    CloneOrLend,
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
            let first = candidates.len();
            bind_parts(&argument.pat, &argument.ty, &argument.attrs, &mut candidates);
            let can_be_lent = can_be_lent(&argument.ty, signature);
            candidates[first..].iter_mut().for_each(|argument| argument.can_be_lent = can_be_lent);
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
        let can_be_lent = matches!(input, Some(FnArg::Typed(input)) if can_be_lent(&input.ty, signature));
        for argument in &mut candidates[first..] {
            (argument.is_renamed, argument.can_be_lent) = (true, can_be_lent);
        }
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
    if ownership != Ownership::Owned && !matches!(pattern, Pat::Ident(_)) {
        return; // A pattern that matches through a reference binds references.
    }
    let rebind = Rebind::of(ownership);
    let cfgs: Vec<_> = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).cloned().collect();
    let by_value = bindings(pattern).into_iter().filter(|binding| !binding.by_ref);
    candidates.extend(by_value.map(|Binding { name, mutability, .. }| Argument {
        mutability,
        cfgs: cfgs.clone(),
        rebind,
        can_be_mut: binds_directly(pattern, &name),
        can_be_lent: true,
        name,
        is_renamed: false,
    }));
}

/// Returns true if the pattern of the name matches the value, or a part of it, and not through a reference.
fn binds_directly(pattern: &Pat, name: &Ident) -> bool {
    let is_name = |pattern: &Pat| matches!(pattern, Pat::Ident(plain) if plain.ident == *name && is_plain(pattern));
    match pattern {
        Pat::TupleStruct(parts) => parts.elems.iter().any(is_name),
        Pat::Struct(parts) => parts.fields.iter().any(|field| is_name(&field.pat)),
        pattern => is_name(pattern),
    }
}

/// Returns true if the type may not be `Clone`, and names neither a type parameter of the function nor an `impl Trait`.
fn can_be_lent(ty: &Type, signature: &Signature) -> bool {
    const CLONE: [&str; 19] = [
        "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64", "u128",
        "usize", "String", "PathBuf", "Duration",
    ];
    if matches!(ungroup(ty), Type::Path(path) if CLONE.iter().any(|name| path.path.is_ident(name))) {
        return false;
    }
    let tokens = ty.to_token_stream();
    let is_named = |name: &Ident| mentions(tokens.clone(), name);
    !is_named(&Ident::new("impl", Span::call_site()))
        && !signature.generics.type_params().any(|parameter| is_named(&parameter.ident))
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
