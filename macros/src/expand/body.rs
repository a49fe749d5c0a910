//! The old body as a call.

use proc_macro2::{Delimiter, Group, Span, TokenStream};

use super::{Attempt, Context, code};
use crate::{
    form::{AsyncBody, Form},
    function::Function,
};

impl Context {
    /// One call of the old body, which runs until its own end. `captured` says how it takes the arguments over.
    ///
    /// | form | input | output |
    /// | --- | --- | --- |
    /// | sync | `{ body }` | `once(\|\| -> R { captured; body })` |
    /// | async | `{ body }` | `async { captured; body }.await` |
    /// | future | `{ async move { body } }`, perhaps in a box | `async { captured; body }.await` |
    /// | future | `{ body }` | `once(\|\| -> F { captured; body }).await` |
    ///
    /// As an attempt of a retry it is `attempts.within(policy, \|\| -> R { body })`, and `attempts.scope(pin!(future)).await`.
    pub(super) fn call(&self, function: &Function, body: Option<&AsyncBody>) -> Attempt {
        let (block, output, krate) = (&function.body, &self.output, &self.krate);
        let future = match (&function.form, body) {
            (Form::Sync, _) => {
                let block = self.closure_body(block);
                return self.attempt(if self.is_attempt {
                    code!(attempts.within(policy, || -> #output #block))
                } else {
                    code!(#krate::__private::once(|| -> #output #block))
                });
            }
            (Form::Async, _) => self.async_block(block, &block.stream()),
            (Form::Future { .. }, Some(AsyncBody { rest, .. })) => self.async_block(block, rest),
            (Form::Future { boxed, .. }, None) => {
                let future = boxed.then_some(&function.signature.output);
                let block = self.closure_body(block);
                // In a block, so that what makes the future runs when it is polled.
                code!(async { #krate::__private::once(|| #future #block).await })
            }
        };
        // Pinned where it stands, so that it is not moved.
        let pinned = code!(::core::pin::pin!(#future));
        if self.is_attempt {
            let scoped = code!(attempts.scope(#pinned));
            Attempt { future: Some(scoped.clone()), ..self.attempt(code!(#scoped.await)) }
        } else {
            Attempt { future: Some(pinned), ..self.attempt(code!(#future.await)) }
        }
    }

    /// The call itself, without a layer around it.
    const fn attempt(&self, code: TokenStream) -> Attempt {
        Attempt { code, future: None, has_passage: false, is_limited: false, is_scoped: self.is_attempt }
    }

    /// Input: `{ body }`. Output: `{ captured; body }`.
    fn closure_body(&self, block: &Group) -> Group {
        if self.captures.is_empty() {
            return block.clone();
        }
        let krate = &self.krate;
        self.body(block, &block.stream(), &code!(return #krate::__private::never();))
    }

    /// Input: `statements`. Output: `async { captured; statements }`, where `captured` has a `return` that is never
    /// reached and pins the type, since an `async` block has no place to declare one.
    fn async_block(&self, block: &Group, statements: &TokenStream) -> TokenStream {
        let (output, krate) = (&self.output, &self.krate);
        let block = self.body(block, statements, &code!(return #krate::__private::never::<#output>();));
        let capture = self.captures.is_move.then(|| code!(move));
        code!(async #capture #block)
    }

    /// Input: `statements`. Output: `{ captured; statements }`, in place of the `block` that they are from.
    ///
    /// Where arguments are bound again it is `{ captured; { statements } }`. In editions before 2024 the temporary values of a block's
    /// last expression outlive its variables, and so the arguments. The edition is that of the inner block, so this is ours.
    fn body(&self, block: &Group, statements: &TokenStream, exit: &TokenStream) -> Group {
        let braces = |stream, span| {
            let mut group = Group::new(Delimiter::Brace, stream);
            group.set_span(span);
            group
        };
        let captured = self.captures.tokens(exit);
        if self.captures.rebinds() {
            let inner = braces(statements.clone(), Span::mixed_site().located_at(block.span()));
            braces(code!(#captured #inner), block.span())
        } else {
            braces(code!(#captured #statements), block.span())
        }
    }
}
