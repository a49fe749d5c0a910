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
//! An argument that an option uses after the call stays in the function, and so do the owned arguments before it, which are dropped later.
//!
//! The branch costs nothing at run time, and a future holds no second copy of an argument.

mod rebind;

use proc_macro2::{Ident, TokenStream};
use syn::{Attribute, Lifetime, Signature, Type, TypeReference, visit::Visit};

use super::{
    arguments::{Argument, Rebind},
    async_body::AsyncBody,
    function::Function,
    inputs::Inputs,
    mutability::make_mutable,
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
    /// The arguments that the body moves and the layers use later. The block binds copies of them at its start.
    pub(crate) copied: Vec<Argument>,
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
    /// Determines the capture mode of each candidate. A rebound argument is captured by value, since each call of the block gets its own.
    /// Patterns and `mut`s are adjusted in the signature, or in the renames at the start of the body.
    pub(crate) fn of(
        function: &Function,
        candidates: Vec<Argument>,
        inputs: &Inputs,
        uses: &Uses<'_>,
        signature: &mut Signature,
        body: &mut Option<AsyncBody>,
    ) -> Self {
        let block = match body {
            Some(AsyncBody { leading, rest, .. }) if !leading.is_empty() => rest.clone(),
            _ => function.body.stream(),
        };
        let is_mentioned = |name: &Ident| mentions(block.clone(), name);
        let is_borrowable = function.is_async()
            && (body.is_some() || !matches!(function.shape, Shape::Future { .. }))
            && !(uses.repeats && uses.forwards_all);
        let is_rebound = |name: &Ident| inputs.rebound.iter().any(|rebound| rebound.name == *name);
        let may_lend = is_borrowable || !function.is_async();
        // An expression that names what a call binds for itself sees it after the call.
        let is_lent = |name: &Ident| may_lend && is_rebound(name) && uses.mentions_after_call(name);

        let mut names: Vec<_> = receiver(signature).filter(|_| uses.renamed_self.is_none()).into_iter().collect();
        names.extend(candidates);
        let is_consumed = |name: &Ident| body.as_ref().is_some_and(|body| body.consumed.contains(name));
        names.retain(|argument| {
            argument.rebind != Rebind::Copy && !(argument.name == "self" && is_consumed(&argument.name))
        });
        let staying = if uses.repeats || !may_lend { Vec::new() } else { staying(&names, uses) };
        let is_by_value = |name: &Ident| {
            !is_lent(name) && (is_rebound(name) || !uses.needs_after_call(name) && !staying.contains(name))
        };
        let is_move = !uses.repeats && names.iter().all(|name| is_by_value(&name.name) || !is_mentioned(&name.name));
        let may_point_inside = function.output().is_some_and(has_lifetime);
        let by_reference: Vec<_> = names
            .iter()
            .filter(|argument| is_borrowable && !is_by_value(&argument.name) && is_mentioned(&argument.name))
            .filter(|argument| argument.can_be_mut && !mentions(uses.during_call.clone(), &argument.name))
            .filter(|argument| argument.rebind != Rebind::Reborrow || !may_point_inside)
            .cloned()
            .collect();
        let declared: Vec<_> = by_reference.iter().filter(|argument| !is_rebound(&argument.name)).cloned().collect();
        make_mutable(&declared, signature, body.as_mut());

        // A `move` block around the rest of an `AsyncBody` captures arguments in the order in which it mentions them, as in the old body.
        // Only the renamed ones, which the old body bound at its start, need a fixed order.
        let is_ordered = |argument: &Argument| body.is_none() || argument.is_renamed || !is_move;
        names.retain(|argument| is_by_value(&argument.name) && is_ordered(argument));
        let rebindings = if uses.repeats || !inputs.rebound.is_empty() || !inputs.copied.is_empty() || body.is_some() {
            Vec::new()
        } else {
            rebind::rebind(function, &mut names, staying.last(), uses, signature)
        };
        names.reverse();
        Self { by_value: names, by_reference, copied: inputs.copied.clone(), rebindings, is_move }
    }

    /// Returns true if no argument needs a certain capture mode.
    pub(crate) const fn is_empty(&self) -> bool {
        self.by_value.is_empty() && self.by_reference.is_empty() && self.copied.is_empty()
    }
}

/// The owned arguments up to the last one that a layer uses after the call, in the order of their declaration.
fn staying(arguments: &[Argument], uses: &Uses<'_>) -> Vec<Ident> {
    let owned = arguments.iter().filter(|argument| argument.rebind == Rebind::Clone && argument.can_be_mut);
    let mut names: Vec<_> = owned.map(|argument| argument.name.clone()).collect();
    names.truncate(names.iter().rposition(|name| uses.needs_after_call(name)).map_or(0, |last| last + 1));
    names
}

/// The receiver as an argument.
fn receiver(signature: &Signature) -> Option<Argument> {
    let receiver = signature.receiver()?;
    Some(Argument {
        name: Ident::new("self", receiver.self_token.span),
        mutability: None,
        cfgs: Vec::new(),
        rebind: Rebind::of(Ownership::of_receiver(receiver)),
        can_be_mut: true,
        can_be_lent: false,
        is_renamed: false,
    })
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
