//! The captures of the innermost block or closure: the mode in which it captures each of the function's arguments.
//!
//! A plain function drops its arguments when its body ends, the last one first. A closure captures only the names that it mentions, by the
//! weakest mode that suffices, and drops them in the order of their first mention. The generated block therefore begins with a branch that
//! is never taken and mentions each argument in the required mode (`codegen/body.rs` writes the branch):
//!
//! ```text
//! if false {
//!     let _moved = b;           // by value: dropped with the block, and before `a`
//!     let _moved = a;
//!     let _borrowed = &mut c;   // by unique reference: `Send` if `C` is `Send`, while `&C` would require `Sync`
//!     return never();
//! }
//! ```
//!
//! The branch costs nothing at run time, and a future holds no second copy of an argument.

mod rebind;

use proc_macro2::{Ident, Span, TokenStream};
use syn::{
    Attribute, FnArg, Lifetime, Local, PatIdent, Signature, Token, Type, TypeReference, visit::Visit,
    visit_mut::VisitMut,
};

use super::{
    arguments::{Argument, Rebind},
    async_body::AsyncBody,
    function::Function,
    ownership::Ownership,
    shape::Shape,
    uses::{Uses, mentions},
};

/// The captures of the innermost block.
#[derive(Default)]
pub(crate) struct Captures {
    /// The arguments that are captured by value, in the order in which they are dropped.
    pub(crate) by_value: Vec<Argument>,
    /// The arguments that are captured by unique reference.
    pub(crate) by_reference: Vec<Argument>,
    /// The arguments that are rebound at the start of the block, in the order of their declaration.
    pub(crate) rebindings: Vec<Rebinding>,
    /// True if no code outside the block uses the names that the block mentions, so that the block can be `move`.
    pub(crate) is_move: bool,
}

/// `let pattern = name;`
pub(crate) struct Rebinding {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) pattern: TokenStream,
    pub(crate) name: Ident,
}

impl Captures {
    /// Determines the capture mode of each candidate. A `rebound` argument is captured by value, since each call of the block gets its own.
    /// Patterns and `mut`s are adjusted in the signature, or in the renames at the start of the body.
    pub(crate) fn of(
        function: &Function,
        candidates: Vec<Argument>,
        rebound: &[Argument],
        uses: &Uses<'_>,
        signature: &mut Signature,
        body: &mut Option<AsyncBody>,
    ) -> Self {
        let block = function.body.stream();
        let is_mentioned = |name: &Ident| mentions(block.clone(), name);
        let is_by_value =
            |name: &Ident| rebound.iter().any(|rebound| rebound.name == *name) || !uses.needs_after_call(name);

        let mut names: Vec<_> = receiver(signature).filter(|_| uses.renamed_self.is_none()).into_iter().collect();
        names.extend(candidates);
        names.retain(|argument| argument.rebind != Rebind::Copy);
        let is_move = !uses.repeats && names.iter().all(|name| is_by_value(&name.name) || !is_mentioned(&name.name));

        let is_borrowable = function.is_async()
            && (body.is_some() || !matches!(function.shape, Shape::Future { .. }))
            && !(uses.repeats && uses.forwards_all);
        let may_point_inside = function.output().is_some_and(has_lifetime);
        let by_reference: Vec<_> = names
            .iter()
            .filter(|argument| is_borrowable && !is_by_value(&argument.name) && is_mentioned(&argument.name))
            .filter(|argument| argument.is_plain && !mentions(uses.during_call.clone(), &argument.name))
            .filter(|argument| argument.rebind != Rebind::Reborrow || !may_point_inside)
            .cloned()
            .collect();
        make_mutable(&by_reference, signature, body.as_mut().map_or(&mut [][..], |body| &mut body.renames[..]));

        // A `move` block around the rest of an `AsyncBody` captures arguments in the order in which it mentions them, as in the old body.
        // Only the renamed ones, which the old body bound at its start, need a fixed order.
        let is_ordered = |argument: &Argument| body.is_none() || argument.is_renamed || !is_move;
        names.retain(|argument| is_by_value(&argument.name) && is_ordered(argument));
        let rebindings = if uses.repeats || !rebound.is_empty() || body.is_some() {
            Vec::new()
        } else {
            rebind::rebind(function, &mut names, uses, signature)
        };
        names.reverse();
        Self { by_value: names, by_reference, rebindings, is_move }
    }

    /// Returns true if no argument needs a certain capture mode.
    pub(crate) const fn is_empty(&self) -> bool {
        self.by_value.is_empty() && self.by_reference.is_empty()
    }
}

/// The receiver as an argument.
fn receiver(signature: &Signature) -> Option<Argument> {
    let receiver = signature.receiver()?;
    Some(Argument {
        name: Ident::new("self", receiver.self_token.span),
        mutability: None,
        cfgs: Vec::new(),
        rebind: Rebind::of(Ownership::of_receiver(receiver)),
        is_plain: true,
        is_renamed: false,
    })
}

/// Declares the arguments that are borrowed mutably as `mut`.
fn make_mutable(borrowed: &[Argument], signature: &mut Signature, renames: &mut [Local]) {
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
    for rename in renames {
        MakeMut(&borrowed).visit_pat_mut(&mut rename.pat);
    }
}

/// Returns true if a value of this type may point into an argument, as far as the written type shows.
fn has_lifetime(output: &Type) -> bool {
    struct Find(bool);
    impl<'ast> Visit<'ast> for Find {
        fn visit_type_reference(&mut self, _: &'ast TypeReference) {
            self.0 = true;
        }

        fn visit_lifetime(&mut self, _: &'ast Lifetime) {
            self.0 = true;
        }
    }

    let mut find = Find(false);
    find.visit_type(output);
    find.0
}
