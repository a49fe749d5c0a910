//! Returned values that borrow from a `&mut` argument.
//!
//! A function that returns a borrow of a `&mut` argument keeps it borrowed for as long as the caller uses the result. The compiler cannot
//! see that a failed attempt returns no borrow, so a layer that uses the argument again does not compile.

use proc_macro2::Ident;
use syn::{
    FnArg, Lifetime, ParenthesizedGenericArguments, Pat, ReceiverKind, Signature, Type, TypeFnPtr, TypeReference,
    visit::{self, Visit},
};

use super::{ownership::Ownership, uses::Uses};
use crate::errors::Errors;

/// Reports a returned borrow of a `&mut` argument that a layer uses after the call.
pub(super) fn check(signature: &Signature, output: Option<&Type>, error: &str, uses: &Uses<'_>, errors: &mut Errors) {
    let Some(output) = output else { return };
    let mut find = Find { signature, uses, errors, error, is_found: false };
    find.visit_type(output);
}

struct Find<'a> {
    signature: &'a Signature,
    uses: &'a Uses<'a>,
    errors: &'a mut Errors,
    error: &'a str,
    is_found: bool,
}

impl Find<'_> {
    /// Reports the first part of the return type that borrows from an argument.
    fn report(&mut self, part: impl quote::ToTokens, lifetime: Option<&Lifetime>) {
        if !self.is_found && sources(self.signature, lifetime).iter().any(|name| self.uses.needs_after_call(name)) {
            self.is_found = true;
            self.errors.at(part, self.error);
        }
    }
}

impl<'ast> Visit<'ast> for Find<'_> {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        self.report(reference, reference.lifetime.as_ref());
        visit::visit_type(self, &reference.elem);
    }

    // The lifetimes in `dyn Fn(&str) -> &str` and `fn(&str) -> &str` are those of a call.
    fn visit_parenthesized_generic_arguments(&mut self, _: &'ast ParenthesizedGenericArguments) {}
    fn visit_type_fn_ptr(&mut self, _: &'ast TypeFnPtr) {}

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        self.report(lifetime, Some(lifetime));
    }
}

/// The `&mut` arguments of which a value with this lifetime is a borrow. `None` stands for an elided lifetime, which is that of `self`, or of
/// the only reference. Returns none if the value may borrow from another argument instead.
fn sources(signature: &Signature, lifetime: Option<&Lifetime>) -> Vec<Ident> {
    let receiver = signature.receiver().filter(|receiver| !matches!(receiver.kind, ReceiverKind::Value));
    let is_mutable = |input: &&FnArg| matches!(Ownership::of(input), Ownership::Mutable | Ownership::Pinned);
    let inputs = signature.inputs.iter();
    let inputs: Vec<_> = match lifetime.filter(|lifetime| lifetime.ident != "_") {
        Some(named) => inputs.filter(|input| has_lifetime(input, named)).collect(),
        None if receiver.is_some() => inputs.filter(|input| matches!(input, FnArg::Receiver(_))).collect(),
        None => inputs.filter(is_mutable).collect(),
    };
    if inputs.iter().all(is_mutable) { inputs.into_iter().filter_map(name).collect() } else { Vec::new() }
}

/// Returns true if the type of the argument names the lifetime.
fn has_lifetime(input: &FnArg, lifetime: &Lifetime) -> bool {
    struct Find<'a>(&'a Lifetime, bool);
    impl<'ast> Visit<'ast> for Find<'_> {
        fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
            self.1 |= lifetime == self.0;
        }
    }

    let mut find = Find(lifetime, false);
    find.visit_fn_arg(input);
    find.1
}

/// The name of an argument.
fn name(input: &FnArg) -> Option<Ident> {
    match input {
        FnArg::Receiver(receiver) => Some(Ident::new("self", receiver.self_token.span)),
        FnArg::Typed(input) => match &*input.pat {
            Pat::Ident(pattern) => Some(pattern.ident.clone()),
            _ => None,
        },
    }
}
