//! The function item. Its body is kept as tokens, so that incomplete code in an editor is preserved.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{
    AttrStyle, Attribute, Error, GenericArgument, PathArguments, PathSegment, Result, ReturnType, Signature, Token,
    Type, TypePath, Visibility,
    parse::{Parse, ParseStream, Parser as _},
    parse2,
    spanned::Spanned,
    visit_mut::{self, VisitMut},
};

use super::{
    clients::missing_feature,
    shape::{Shape, ungroup},
};
use crate::errors::Errors;

/// A function item.
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    visibility: Visibility,
    defaultness: Option<Token![default]>,
    pub(crate) signature: Signature,
    pub(crate) shape: Shape,
    pub(crate) body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let defaultness = input.parse()?;
        let signature: Signature = input.parse()?;
        let body = match input.parse::<TokenTree>()? {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => group,
            // The body is a `$body:block` of a `macro_rules!` macro.
            TokenTree::Group(group) if group.delimiter() == Delimiter::None => parse2(group.stream())?,
            other => {
                return Err(Error::new_spanned(
                    other,
                    "this function has no body: put the attribute on its implementation",
                ));
            }
        };
        let body = hoist_attributes(body, &mut attributes)?;
        let shape = Shape::of(&signature);
        Ok(Self { attributes, visibility, defaultness, signature, shape, body })
    }
}

impl Function {
    pub(crate) const fn is_async(&self) -> bool {
        !matches!(self.shape, Shape::Sync)
    }

    /// The result type of a call: the declared return type, or the output of the returned future.
    pub(crate) fn output(&self) -> Option<&Type> {
        match (&self.shape, &self.signature.output) {
            (Shape::Future { output, .. }, _) | (_, ReturnType::Type(_, output)) => Some(ungroup(output)),
            (_, ReturnType::Default) => None,
        }
    }

    /// [`output`](Self::output) as a type inside the body. An `impl Trait` cannot be written there, so it is replaced by `_`.
    pub(crate) fn inner_output(&self) -> TokenStream {
        struct HideImplTrait;
        impl VisitMut for HideImplTrait {
            fn visit_type_mut(&mut self, ty: &mut Type) {
                if let Type::ImplTrait(_) = ty {
                    *ty = syn::parse_quote!(_);
                }
                visit_mut::visit_type_mut(self, ty);
            }
        }

        self.output().map_or_else(
            || quote!(()),
            |output| {
                let mut output = output.clone();
                HideImplTrait.visit_type_mut(&mut output);
                output.into_token_stream()
            },
        )
    }

    /// The span at which errors about the return type are reported: the `E` of a `Result<T, E>`, otherwise the type.
    pub(crate) fn output_span(&self) -> Span {
        let Some(output) = self.output() else { return self.signature.ident.span() };
        error_type(output).map_or_else(|| output.span(), Spanned::span)
    }

    /// Returns the trait of the runtime for the error type of a client library that would be `Transient` with a feature that is off.
    pub(crate) fn missing_feature(&self) -> Option<&'static str> {
        self.output().and_then(|output| missing_feature(output, error_type(output)))
    }

    /// Returns true if the return type is written as an `Option`.
    pub(crate) fn returns_option(&self) -> bool {
        self.output().is_some_and(is_option)
    }

    /// Returns true if the written return type is named `Result`.
    pub(crate) fn returns_result(&self) -> bool {
        let Some(Type::Path(output)) = self.output() else { return false };
        output.path.segments.last().is_some_and(|segment| segment.ident == "Result")
    }

    /// Returns the function with other `statements`, and with a signature that differs in patterns only.
    ///
    /// The new body has the span of the old one: attributes below, such as `#[logcall]`, quote code with the hygiene of the body.
    pub(crate) fn with_body(&self, signature: &Signature, statements: TokenStream) -> TokenStream {
        let Self { attributes, visibility, defaultness, .. } = self;
        let mut body = Group::new(Delimiter::Brace, statements);
        body.set_span(self.body.span());
        quote!(#(#attributes)* #visibility #defaultness #signature #body)
    }

    /// Returns true for the function that `#[wasm_bindgen]` or `#[napi]` generates beside the annotated one, with a copy of its attributes.
    /// It converts arguments and calls the annotated function, which makes the retries.
    pub(crate) fn is_binding(&self) -> bool {
        let name = self.signature.ident.to_string();
        name.starts_with("__wasm_bindgen_generated_")
            || name.ends_with("_c_callback") && self.signature.output.to_token_stream().to_string().contains("napi")
    }

    /// Reports `#[track_caller]`, which would have no effect. `attribute` is the name of the attribute.
    pub(crate) fn check_caller(&self, attribute: &str, errors: &mut Errors) {
        let found = self.attributes.iter().find(|found| found.path().is_ident("track_caller"));
        if let (Some(found), Shape::Sync) = (found, &self.shape) {
            errors.at(
                found,
                format!(
                    "`#[track_caller]` has no effect with `#[{attribute}]`: the body runs in a closure, which gets no location from the compiler\n\
                     remove it; if the body needs the location, add an argument `caller: &Location<'_>`, and take `Location::caller()` in the callers"
                ),
            );
        }
    }

    /// Reports `const` and variadic functions, which no attribute supports. `attribute` is the name of the attribute.
    pub(crate) fn check(&self, attribute: &str, errors: &mut Errors) {
        let signature = &self.signature;
        if let Some(constness) = &signature.constness {
            errors.at(
                constness,
                format!(
                    "`#[{attribute}]` cannot be on a `const fn`: it keeps state and may wait, which is impossible in a constant"
                ),
            );
        }
        if let Some(variadic) = &signature.variadic {
            errors.at(variadic, format!("`#[{attribute}]` cannot forward the arguments of a variadic function"));
        }
    }

    /// Reports a return type that cannot express a failure. `help` is the advice that completes the error.
    pub(crate) fn check_output(&self, attribute: &str, help: &str, errors: &mut Errors) {
        match self.output() {
            None => errors.at(
                &self.signature.ident,
                format!(
                    "this function returns nothing; `#[{attribute}]` needs an outcome that can be an error: return a `Result` or an `Option`"
                ),
            ),
            Some(output) if is_infallible(output) => errors.at(
                output,
                format!("this is neither a `Result` nor an `Option`; `#[{attribute}]` needs an outcome that can be an error\n{help}"),
            ),
            Some(_) => {}
        }
    }
}

/// Input: `{ #![allow(unused)] ... }`. Output: `{ ... }`, with `#[allow(unused)]` among the attributes of the function. The new body may
/// be in a place where inner attributes are not allowed.
fn hoist_attributes(body: Group, attributes: &mut Vec<Attribute>) -> Result<Group> {
    let starts_with_attribute = {
        let mut tokens = body.stream().into_iter().map(|token| token.to_string());
        tokens.next().as_deref() == Some("#") && tokens.next().as_deref() == Some("!")
    };
    if !starts_with_attribute {
        return Ok(body);
    }
    let split = |input: ParseStream<'_>| Ok((input.call(Attribute::parse_inner)?, input.parse::<TokenStream>()?));
    let (inner, rest) = split.parse2(body.stream())?;
    attributes.extend(inner.into_iter().map(|attribute| Attribute { style: AttrStyle::Outer, ..attribute }));
    let mut hoisted = Group::new(Delimiter::Brace, rest);
    hoisted.set_span(body.span());
    Ok(hoisted)
}

/// The `E` of a `Result<T, E>`.
fn error_type(output: &Type) -> Option<&GenericArgument> {
    let Type::Path(path) = output else { return None };
    match path.path.segments.last() {
        Some(PathSegment { ident, arguments: PathArguments::AngleBracketed(arguments) }) if ident == "Result" => {
            arguments.args.iter().nth(1)
        }
        _ => None,
    }
}

/// Returns true for an `Option` by its name or its path in the standard library.
fn is_option(output: &Type) -> bool {
    let Type::Path(TypePath { qself: None, path, .. }) = output else { return false };
    let names: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    matches!(&*names.iter().map(String::as_str).collect::<Vec<_>>(), ["Option"] | ["core" | "std", "option", "Option"])
}

/// Returns true if the written type is neither a `Result` nor an `Option`, provided that no type of the user has the name of a standard
/// type. Aliases and the user's own types are left to the compiler.
fn is_infallible(output: &Type) -> bool {
    const PLAIN: [&str; 20] = [
        "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "str", "u8", "u16", "u32", "u64",
        "u128", "usize", "String", "Vec", "Duration",
    ];
    match output {
        Type::Array(_) | Type::Slice(_) | Type::Reference(_) | Type::Tuple(_) | Type::Ptr(_) | Type::FnPtr(_) => true,
        Type::Path(path) => path
            .path
            .segments
            .last()
            .is_some_and(|last| path.path.segments.len() == 1 && PLAIN.iter().any(|plain| last.ident == plain)),
        _ => false,
    }
}
