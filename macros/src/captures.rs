//! How the innermost block or closure takes over the function's arguments.
//!
//! A plain function drops its arguments when its body ends, the last one first. A closure captures only what it mentions, by the
//! weakest mode that will do, and drops that in the order of the first mention. So the generated block begins with a branch
//! that is never taken and mentions the arguments as they are to be captured:
//!
//! ```text
//! if false {
//!     let _given = b;       // by value: dropped with the block, and before `a`
//!     let _given = a;
//!     let _lent = &mut c;   // by unique reference: `Send` if `C` is `Send`, where `&C` would ask for `Sync`
//!     return never();
//! }
//! ```
//!
//! The branch costs nothing at run time, and the future has no room for a second copy of an argument.

mod rebind;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use syn::{
    Attribute, FnArg, Lifetime, Local, PatIdent, Signature, Token, Type, TypeReference, visit::Visit,
    visit_mut::VisitMut,
};

use crate::{
    arguments::{Argument, Supply},
    expand::code,
    form::{AsyncBody, Form, Holding},
    function::Function,
};

/// The modes of capture of one function's arguments.
#[derive(Default)]
pub(crate) struct Captures {
    /// Captured by value, in the order in which they are dropped.
    given: Vec<Argument>,
    /// Captured by unique reference.
    lent: Vec<Argument>,
    /// Bound again at the start of the block, in the order of their declaration.
    rebound: Vec<Rebound>,
    /// Nothing outside of the block has a use for what it mentions.
    pub(crate) is_move: bool,
}

/// `let pattern = name;`
struct Rebound {
    attributes: Vec<Attribute>,
    pattern: TokenStream,
    name: Ident,
}

/// The uses of arguments outside of the innermost block.
pub(crate) struct Uses<'a> {
    /// A retry calls the block more than once.
    pub(crate) repeats: bool,
    /// Expressions that are evaluated after the block has begun.
    pub(crate) later: TokenStream,
    /// Fallbacks are called with all arguments.
    pub(crate) passes_all: bool,
    /// Expressions whose value is borrowed while the block runs.
    pub(crate) held: TokenStream,
    /// The arguments of all attributes, as they are written.
    pub(crate) written: &'a TokenStream,
    /// The name that `#[async_trait]` gives to `self`.
    pub(crate) renamed_self: Option<Ident>,
}

impl Uses<'_> {
    /// The argument stays outside of the block.
    pub(crate) fn keeps(&self, name: &Ident) -> bool {
        let is_self = name == "self" || self.renamed_self.as_ref() == Some(name);
        let name = if is_self { &Ident::new("self", Span::call_site()) } else { name };
        self.repeats || self.passes_all && !is_self || mentions(self.later.clone(), name)
    }
}

impl Captures {
    /// Decides for each of the `candidates`; of those that are `needed`, each call of the block has one for itself. What has to be bound otherwise in the signature, or in the renames at the start of
    /// the body, is changed there.
    pub(crate) fn of(
        function: &Function,
        candidates: Vec<Argument>,
        needed: &[Argument],
        uses: &Uses<'_>,
        signature: &mut Signature,
        body: &mut Option<AsyncBody>,
    ) -> Self {
        let block = function.body.stream();
        let is_mentioned = |name: &Ident| mentions(block.clone(), name);
        let is_given = |name: &Ident| needed.iter().any(|needed| needed.name == *name) || !uses.keeps(name);

        let mut names: Vec<_> = receiver(signature).filter(|_| uses.renamed_self.is_none()).into_iter().collect();
        names.extend(candidates);
        names.retain(|argument| argument.supply != Supply::Copy);
        let is_move = !uses.repeats && names.iter().all(|name| is_given(&name.name) || !is_mentioned(&name.name));

        let is_lendable = function.is_async()
            && (body.is_some() || !matches!(function.form, Form::Future { .. }))
            && !(uses.repeats && uses.passes_all);
        let may_point_inside = function.output().is_some_and(has_lifetime);
        let lent: Vec<_> = names
            .iter()
            .filter(|argument| is_lendable && !is_given(&argument.name) && is_mentioned(&argument.name))
            .filter(|argument| argument.is_plain && !mentions(uses.held.clone(), &argument.name))
            .filter(|argument| argument.supply != Supply::Reborrow || !may_point_inside)
            .cloned()
            .collect();
        make_mutable(&lent, signature, body.as_mut().map_or(&mut [][..], |body| &mut body.renames[..]));

        // The body of an `async` block captures in an order of its own, after what is bound at its start.
        let is_ordered = |argument: &Argument| body.is_none() || argument.is_renamed || !is_move;
        names.retain(|argument| is_given(&argument.name) && is_ordered(argument));
        let rebound = if uses.repeats || !needed.is_empty() || body.is_some() {
            Vec::new()
        } else {
            rebind::rebind(function, &mut names, uses, signature)
        };
        names.reverse();
        Self { given: names, lent, rebound, is_move }
    }

    /// The branch that is never taken and mentions the arguments, and what is bound again. `exit` leaves the block.
    pub(crate) fn tokens(&self, exit: &TokenStream) -> TokenStream {
        let given = self.given.iter().map(|Argument { name, cfgs, .. }| code!(#(#cfgs)* let _given = #name;));
        let lent = self.lent.iter().map(|Argument { name, cfgs, supply, .. }| match supply {
            Supply::Reborrow => code!(#(#cfgs)* let _lent = &mut *#name;),
            _ => code!(#(#cfgs)* let _lent = &mut #name;),
        });
        let rebound = self
            .rebound
            .iter()
            .map(|Rebound { attributes, pattern, name }| code!(#(#attributes)* let #pattern = #name;));
        code! {
            if false {
                #(#given)*
                #(#lent)*
                #exit
            }
            #(#rebound)*
        }
    }

    /// There is nothing to say about how arguments are captured.
    pub(crate) const fn is_empty(&self) -> bool {
        self.given.is_empty() && self.lent.is_empty()
    }

    /// Arguments are bound again, so that the old body has to be a block of its own.
    pub(crate) const fn rebinds(&self) -> bool {
        !self.rebound.is_empty()
    }
}

/// The receiver as an argument.
fn receiver(signature: &Signature) -> Option<Argument> {
    let receiver = signature.receiver()?;
    Some(Argument {
        name: Ident::new("self", receiver.self_token.span),
        mutability: None,
        cfgs: Vec::new(),
        supply: Supply::of(Holding::of_receiver(receiver)),
        is_plain: true,
        is_renamed: false,
    })
}

/// Makes the arguments that are borrowed mutably `mut`.
fn make_mutable(lent: &[Argument], signature: &mut Signature, renames: &mut [Local]) {
    struct MakeMut<'a>(&'a [Argument]);
    impl VisitMut for MakeMut<'_> {
        fn visit_pat_ident_mut(&mut self, pattern: &mut PatIdent) {
            if self.0.iter().any(|argument| argument.name == pattern.ident) {
                pattern.mutability.get_or_insert(Token![mut](Span::mixed_site()));
            }
        }
    }

    let lent: Vec<_> = lent.iter().filter(|argument| argument.supply != Supply::Reborrow).cloned().collect();
    for input in &mut signature.inputs {
        match input {
            FnArg::Receiver(receiver) if lent.iter().any(|argument| argument.name == "self") => {
                receiver.mutability.get_or_insert(Token![mut](Span::mixed_site()));
            }
            FnArg::Receiver(_) => {}
            FnArg::Typed(input) => MakeMut(&lent).visit_pat_mut(&mut input.pat),
        }
    }
    for rename in renames {
        MakeMut(&lent).visit_pat_mut(&mut rename.pat);
    }
}

/// A returned value of this type may point into an argument, as far as one can see.
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

/// A name occurs, as it is or in a format: `"{name}"`, `"{name:?}"`, `"{:name$}"`.
pub(crate) fn mentions(tokens: TokenStream, name: &Ident) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => mentions(group.stream(), name),
        TokenTree::Ident(ident) => ident == *name,
        TokenTree::Literal(literal) => {
            let literal = literal.to_string();
            let is_format = |text: &str| literal.contains(text);
            is_format(&format!("{{{name}}}")) || is_format(&format!("{{{name}:")) || is_format(&format!("{name}$"))
        }
        TokenTree::Punct(_) => false,
    })
}
