//! The `mut` of arguments, in the signature or in the statements that bind them.

use proc_macro2::Span;
use syn::{
    Attribute, FnArg, Pat, PatIdent, Signature, Stmt, Token,
    visit_mut::{self, VisitMut},
};

use super::{
    arguments::{Argument, Rebind},
    async_body::AsyncBody,
    patterns::bindings,
};

/// Declares the arguments that are borrowed mutably as `mut`.
pub(super) fn make_mutable(borrowed: &[Argument], signature: &mut Signature, body: Option<&mut AsyncBody>) {
    struct MakeMut<'a>(&'a [Argument]);
    impl VisitMut for MakeMut<'_> {
        fn visit_pat_ident_mut(&mut self, pattern: &mut PatIdent) {
            if self.0.iter().any(|argument| argument.name == pattern.ident) {
                pattern.mutability.get_or_insert(Token![mut](Span::mixed_site()));
            }
        }
    }

    let borrowed: Vec<_> = borrowed.iter().filter(|argument| argument.rebind != Rebind::Reborrow).cloned().collect();
    for input in &mut signature.inputs {
        match input {
            FnArg::Receiver(receiver) if borrowed.iter().any(|argument| argument.name == "self") => {
                receiver.mutability.get_or_insert(Token![mut](Span::mixed_site()));
            }
            FnArg::Receiver(_) => {}
            FnArg::Typed(input) => MakeMut(&borrowed).visit_pat_mut(&mut input.pat),
        }
    }
    if let Some(body) = body {
        let leading = body.leading.iter_mut().filter_map(|statement| match statement {
            Stmt::Local(local) => Some(local),
            _ => None,
        });
        for local in leading.chain(&mut body.renames) {
            MakeMut(&borrowed).visit_pat_mut(&mut local.pat);
        }
    }
}

/// Removes the `mut` of these arguments, which are rebound inside the body. Leading statements may change their own variables and the
/// arguments, so after them the `mut` is kept, without a warning.
pub(super) fn strip_mut(arguments: &[Argument], signature: &mut Signature, body: Option<&mut AsyncBody>) {
    struct Strip<'a>(&'a [Argument]);
    impl VisitMut for Strip<'_> {
        fn visit_pat_ident_mut(&mut self, pattern: &mut PatIdent) {
            if self.0.iter().any(|argument| argument.name == pattern.ident) {
                pattern.mutability = None;
            }
            visit_mut::visit_pat_ident_mut(self, pattern);
        }
    }

    let has_leading = body.as_ref().is_some_and(|body| !body.leading.is_empty());
    // The `mut` of an argument without one is that of a lent argument.
    let changed = arguments.iter().filter(|argument| argument.mutability.is_some()).cloned();
    let (kept, stripped): (Vec<_>, Vec<_>) = changed.partition(|argument| argument.rebind == Rebind::CloneOrLend);
    let keeps = |pattern: &Pat, kept: &[Argument]| {
        bindings(pattern)
            .iter()
            .any(|binding| binding.mutability.is_some() && kept.iter().any(|argument| argument.name == binding.name))
    };
    let allow = |attributes: &mut Vec<Attribute>| attributes.push(syn::parse_quote!(#[allow(unused_mut)]));
    for argument in &mut signature.inputs {
        if let FnArg::Typed(argument) = argument {
            if keeps(&argument.pat, if has_leading { arguments } else { &kept }) {
                allow(&mut argument.attrs);
            }
            if !has_leading {
                Strip(&stripped).visit_pat_mut(&mut argument.pat);
            }
        }
    }
    let Some(body) = body else { return };
    for statement in &mut body.leading {
        if let Stmt::Local(local) = statement
            && keeps(&local.pat, arguments)
        {
            allow(&mut local.attrs);
        }
    }
    for rename in &mut body.renames {
        if keeps(&rename.pat, &kept) {
            allow(&mut rename.attrs);
        }
        Strip(&stripped).visit_pat_mut(&mut rename.pat);
    }
}
