//! The call of the old body.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::quote_spanned;
use syn::Token;

use super::{
    context::{Call, Context},
    spans::{located_at, quote_mixed, respan},
};
use crate::item::{
    arguments::{Argument, Rebind},
    async_body::AsyncBody,
    captures::{Captures, Rebinding},
    function::Function,
    shape::Shape,
};

impl Context {
    /// One call of the old body. `captured` stands for the code that captures the arguments.
    ///
    /// | shape | input | output |
    /// | --- | --- | --- |
    /// | sync | `{ body }` | `once(\|\| -> R { captured; body })` |
    /// | async | `{ body }` | `async { captured; body }.await` |
    /// | future | `{ async move { body } }`, perhaps in a box | `async { captured; body }.await` |
    /// | future | `{ body }` | `once(\|\| -> F { captured; body }).await` |
    ///
    /// As an attempt of a retry, the output is `attempts.within(policy, \|\| -> R { body })`, and `attempts.scope(pin!(future)).await`.
    pub(crate) fn call(&self, function: &Function, body: Option<&AsyncBody>) -> Call {
        let (block, output, krate) = (&function.body, &self.output, &self.krate);
        let future = match (&function.shape, body) {
            (Shape::Sync, _) => {
                let block = self.closure_body(block);
                let body = self.reusable(quote_mixed!(|| -> #output #block));
                return self.bare(if self.is_attempt {
                    quote_mixed!(attempts.within(policy, #body))
                } else {
                    quote_mixed!(#krate::__private::once(#body))
                });
            }
            (Shape::Async, _) => self.async_block(block, &block.stream()),
            (Shape::Future { .. }, Some(AsyncBody { rest, .. })) => self.async_block(block, rest),
            (Shape::Future { boxed, .. }, None) => {
                let future = boxed.then_some(&function.signature.output);
                let block = self.closure_body(block);
                // The `async` block delays the body until the future is polled.
                quote_mixed!(async { #krate::__private::once(|| #future #block).await })
            }
        };
        // The future is pinned in place, because a future that is moved would be stored twice.
        let pinned = quote_mixed!(::core::pin::pin!(#future));
        if self.is_attempt {
            let scoped = quote_mixed!(attempts.scope(#pinned));
            Call { future: Some(scoped.clone()), ..self.bare(quote_mixed!(#scoped.await)) }
        } else {
            let future_in_place = quote_mixed!(#krate::__private::InPlace(#pinned));
            Call { future: Some(future_in_place), ..self.bare(quote_mixed!(#future.await)) }
        }
    }

    /// The closure of the body. If the body may move an argument that the next attempt needs, the output is
    /// `{ let body = closure; ReusableBody::check(&body); body }`, so that the error about the trait explains the mistake.
    fn reusable(&self, closure: TokenStream) -> TokenStream {
        let Some(argument) = self.may_move else { return closure };
        let here = respan(self.attribute, &self.krate);
        let check = Ident::new("check", self.attribute);
        let check = quote_spanned!(self.attribute=> #here::__private::ReusableBody::<_>::#check);
        // The variable has the hygiene of the user's code, so that an error shows the argument. The user's code is not in its scope.
        let body = quote_spanned!(argument=> body);
        let reference = quote_spanned!(argument=> &#body);
        quote_mixed!({
            let #body = #closure;
            #check(#reference);
            #body
        })
    }

    /// The call without a layer around it.
    const fn bare(&self, code: TokenStream) -> Call {
        let is_scoped = self.is_attempt;
        Call { code, future: None, has_disposition: false, is_limited: false, has_made_values: false, is_scoped }
    }

    /// Input: `{ body }`. Output: `{ captured; body }`.
    fn closure_body(&self, block: &Group) -> Group {
        if self.captures.is_empty() {
            return block.clone();
        }
        let krate = &self.krate;
        self.block(block, &block.stream(), &quote_mixed!(return #krate::__private::never();))
    }

    /// Input: `statements`. Output: `async { captured; statements }`. An unreachable `return` in `captured` determines the type, which
    /// cannot be declared on an `async` block.
    fn async_block(&self, block: &Group, statements: &TokenStream) -> TokenStream {
        let (output, krate) = (&self.output, &self.krate);
        let block = self.block(block, statements, &quote_mixed!(return #krate::__private::never::<#output>();));
        let capture = self.captures.is_move.then(|| quote_mixed!(move));
        // An error about an argument that the block moves in each attempt points at this token.
        let asynchronous = Token![async](Span::mixed_site().located_at(self.attribute));
        quote_mixed!(#asynchronous #capture #block)
    }

    /// Input: the `statements` of `block`. Output: `{ captured; statements }`.
    ///
    /// If arguments are rebound, the output is `{ captured; { statements } }`. In editions before 2024 the temporary values of a block's
    /// last expression outlive its local variables, so they would outlive the arguments. The edition of a block is that of its span, so the
    /// inner block gets a span of this crate.
    fn block(&self, block: &Group, statements: &TokenStream, exit: &TokenStream) -> Group {
        let braces = |stream, span| {
            let mut group = Group::new(Delimiter::Brace, stream);
            group.set_span(span);
            group
        };
        let captured = captured(&self.captures, exit, self);
        if self.captures.rebindings.is_empty() {
            braces(quote_mixed!(#captured #statements), block.span())
        } else {
            let inner = braces(statements.clone(), Span::mixed_site().located_at(block.span()));
            braces(quote_mixed!(#captured #inner), block.span())
        }
    }
}

/// The branch that captures the arguments and is never taken, followed by the copies and the rebindings. `exit` is the statement that ends the branch.
fn captured(captures: &Captures, exit: &TokenStream, context: &Context) -> TokenStream {
    let Captures { by_value, by_reference, copied, rebindings, .. } = captures;
    let moved = by_value.iter().map(|Argument { name, cfgs, .. }| quote_mixed!(#(#cfgs)* let _moved = #name;));
    let borrowed = by_reference.iter().map(|Argument { name, cfgs, rebind, .. }| match rebind {
        Rebind::Reborrow => quote_mixed!(#(#cfgs)* let _borrowed = &mut *#name;),
        _ => quote_mixed!(#(#cfgs)* let _borrowed = &mut #name;),
    });
    let rebound = rebindings
        .iter()
        .map(|Rebinding { attributes, pattern, name }| quote_mixed!(#(#attributes)* let #pattern = #name;));
    let copies = copied.iter().map(|argument| {
        let Argument { name, mutability, cfgs, rebind, .. } = argument;
        let allow = context.inputs.lint_of_mut(argument);
        let span = Span::mixed_site().located_at(name.span());
        let krate = located_at(span, &context.krate);
        let own = match rebind {
            Rebind::Reborrow => quote_mixed!(&mut *#name),
            Rebind::Repin => quote_mixed!(#name.as_mut()),
            _ => quote_spanned!(span=> #krate::__private::CloneUsedLater::clone_used(&#name)),
        };
        quote_mixed!(#(#cfgs)* #allow let #mutability #name = #own;)
    });
    quote_mixed! {
        if false {
            #(#moved)*
            #(#borrowed)*
            #exit
        }
        #(#copies)*
        #(#rebound)*
    }
}
