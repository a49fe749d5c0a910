//! The new body of a function: its layers around the old body.

use std::mem;

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt as _;

use crate::{
    attributes::{Layer, Position, Reads, Timeouts},
    codegen::{context::Context, registry, spans::quote_mixed},
    errors::Errors,
    item::{
        arguments::{self, Argument},
        async_body::{self, AsyncBody, rename_self},
        captures::Captures,
        function::Function,
        inputs::Inputs,
        ownership::Ownership,
        receivers::only_receiver,
        shape::Shape,
        uses::{Uses, mentions},
    },
};

/// Input: `fn f(a: A) -> R { body }` and its layers, the topmost first. Output: the same function with a body that starts with the
/// `prelude` and runs the layers; or the errors that depend on the whole stack.
///
/// `attributes` holds the spans of the layers' attributes, and `written` the arguments of all of them.
pub(super) fn compose(
    function: &Function,
    layers: &[Box<dyn Layer>],
    attributes: &[Span],
    written: &TokenStream,
    prelude: &TokenStream,
) -> Result<TokenStream, Errors> {
    let mut signature = function.signature.clone();
    let mut body = match function.shape {
        Shape::Future { .. } => {
            let forwards_all = layers.iter().any(|layer| layer.forwards_arguments());
            let is_used = |name: &Ident| forwards_all && name != "self" || mentions(written.clone(), name);
            AsyncBody::of(&function.body, &signature, is_used)
        }
        Shape::Sync | Shape::Async => None,
    };
    let mut candidates = arguments::candidates(&signature, body.as_ref());
    let uses = uses(layers, written, body.as_ref());
    let inputs = Inputs::of(function, &mut candidates, &uses, &mut signature, &mut body)?;
    let may_move = only_receiver(function.body.stream(), &candidates).map(|name| name.span());
    let captures = Captures::of(function, candidates, &inputs, &uses, &mut signature, &mut body);
    // A body that may move an argument, because each attempt has its own, is called only once. A closure that is stored in a variable cannot
    // return what it borrows mutably.
    let borrows_mutably =
        signature.inputs.iter().any(|input| matches!(Ownership::of(input), Ownership::Mutable | Ownership::Pinned));
    let is_reused = uses.repeats && inputs.rebound.is_empty() && captures.by_value.is_empty() && !borrows_mutably;

    // With the hygiene of the user's code, an error does not name the topmost attribute, whose expansion this is.
    let of_layer = |index: usize| attributes[index].resolved_at(function.signature.fn_token.span);
    // An error about a body that cannot be called again names the attribute that calls it again.
    let repeating = layers.iter().rposition(|layer| layer.repeats());
    let krate = layers
        .iter()
        .find_map(|layer| layer.krate())
        .map_or_else(|| quote_mixed!(::steadfast), ToTokens::to_token_stream);
    let breakers = layers.iter().filter_map(|layer| registry::stack_breaker(layer.breaker()?, &krate)).collect();
    let mut context = Context {
        is_async: function.is_async(),
        function: signature.ident.unraw().to_string(),
        krate,
        breakers,
        output: function.inner_output(),
        output_span: Span::mixed_site().located_at(function.output_span()),
        attribute: of_layer(repeating.unwrap_or_default()),
        returns_option: function.returns_option(),
        returns_result: function.returns_result(),
        type_parameters: function.signature.generics.type_params().map(|parameter| parameter.ident.clone()).collect(),
        missing_feature: function.missing_feature(),
        inputs,
        is_attempt: is_attempt(layers),
        renamed_self: uses.renamed_self,
        may_move: may_move.filter(|_| is_reused && matches!(function.shape, Shape::Sync)),
        captures,
    };
    // The expressions of the layers see `self` under the name that `#[async_trait]` gives to it, and the body has replaced it already.
    let inner = body.as_mut().filter(|_| context.renamed_self.is_some());
    let inner =
        inner.map(|body| mem::replace(&mut body.rest, Ident::new(BODY, Span::mixed_site()).into_token_stream()));
    let mut call = context.call(function, body.as_ref());
    for (index, layer) in layers.iter().enumerate().rev() {
        let above = || layers.iter().take(index).map(|above| &**above);
        let below = layers.iter().skip(index + 1).map(|below| &**below);
        let read_above = above().map(Layer::reads).max().unwrap_or(Reads::Nothing);
        let position = Position { index, read_above, timeouts: Timeouts::between(above(), below) };
        context.attribute = of_layer(index);
        call = layer.expand(&call, position, &mut context);
    }
    if let Some(inner) = inner {
        call.code = with_body(context.renamed(call.code), &inner);
    }
    // The body may borrow an argument that is lent once more, as if it was the value.
    let allow = context.inputs.may_lend().then(|| quote_mixed!(#[allow(clippy::needless_borrow)]));
    let lent =
        context.inputs.lent.iter().map(|Argument { name, cfgs, .. }| quote_mixed!(#(#cfgs)* let #name = &mut #name;));
    let (lent, code) = (quote_mixed!(#(#lent)*), call.code);
    let Shape::Future { boxed, .. } = function.shape else {
        let function = function.with_body(&signature, quote_mixed!(#prelude { #lent #code }));
        return Ok(quote_mixed!(#allow #function));
    };
    let (leading, renames) = body.map(|AsyncBody { leading, renames, .. }| (leading, renames)).unwrap_or_default();
    // The block has the span of the old body, since `#[instrument]` takes its hygiene from there.
    let mut block = Group::new(Delimiter::Brace, quote_mixed!(#(#renames)* #lent #code));
    block.set_span(function.body.span());
    let future = quote_mixed!(async move #block);
    let code = if boxed {
        quote_mixed!(#(#leading)* ::std::boxed::Box::pin(#future))
    } else {
        quote_mixed!(#(#leading)* #future)
    };
    let function = function.with_body(&signature, quote_mixed!(#prelude #code));
    Ok(quote_mixed!(#allow #function))
}

/// The identifier that stands for the old body while the layers are built around it.
const BODY: &str = "__steadfast_body";

/// Replaces [`BODY`] by the statements of the `body`.
fn with_body(tokens: TokenStream, body: &TokenStream) -> TokenStream {
    let replace = |token| match token {
        TokenTree::Ident(ident) if ident == BODY => body.clone(),
        TokenTree::Group(group) => {
            let mut inner = Group::new(group.delimiter(), with_body(group.stream(), body));
            inner.set_span(group.span());
            inner.into_token_stream()
        }
        other => other.into(),
    };
    tokens.into_iter().map(replace).collect()
}

/// The uses that the layers make of the function's arguments.
fn uses<'a>(layers: &[Box<dyn Layer>], written: &'a TokenStream, body: Option<&AsyncBody>) -> Uses<'a> {
    // The error of a layer that repeats the call takes precedence.
    let repeating = layers.iter().filter(|layer| layer.repeats());
    let renamed_self = body.and_then(|body| async_body::renamed_self(&body.renames));
    let renamed = |tokens| rename_self(tokens, renamed_self.as_ref());
    Uses {
        repeats: layers.iter().any(|layer| layer.repeats()),
        reuse_error: repeating.chain(layers).find_map(|layer| layer.reuse_error()),
        forwards_all: layers.iter().any(|layer| layer.forwards_arguments()),
        clones: layers.iter().flat_map(|layer| layer.clones()).cloned().collect(),
        lends: layers.iter().flat_map(|layer| layer.lends()).cloned().collect(),
        after_call: layers.iter().map(|layer| renamed(layer.evaluated_after())).collect(),
        during_call: layers.iter().map(|layer| renamed(layer.borrowed_during())).collect(),
        written,
        renamed_self: renamed_self.clone(),
    }
}

/// Returns true if the innermost repeating layer can scope the call of the old body as its attempt, because only transparent layers are
/// between the two. Other layers must be inside the scope, since they wait or call other functions.
fn is_attempt(layers: &[Box<dyn Layer>]) -> bool {
    let innermost = layers.iter().rposition(|layer| layer.repeats());
    innermost.is_some_and(|repeating| {
        layers[repeating].scopes_attempts() && layers[repeating + 1..].iter().all(|layer| layer.is_transparent())
    })
}
