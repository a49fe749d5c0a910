//! The function that an attribute stands on. Its body is kept as tokens, so that what is half typed survives.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{
    AttrStyle, Attribute, Error, Result, ReturnType, Signature, Token, Type, Visibility,
    parse::{Parse, ParseStream, Parser as _},
    parse2,
    visit_mut::{self, VisitMut},
};

use crate::{errors::Errors, form::Form};

/// A function item.
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    visibility: Visibility,
    defaultness: Option<Token![default]>,
    pub(crate) signature: Signature,
    pub(crate) form: Form,
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
            // What a `$body:block` of a macro arrives in.
            TokenTree::Group(group) if group.delimiter() == Delimiter::None => parse2(group.stream())?,
            other => {
                return Err(Error::new_spanned(
                    other,
                    "this function has no body to guard: put the attribute on its implementation",
                ));
            }
        };
        let body = hoist_attributes(body, &mut attributes)?;
        let form = Form::of(&signature);
        Ok(Self { attributes, visibility, defaultness, signature, form, body })
    }
}

impl Function {
    pub(crate) const fn is_async(&self) -> bool {
        !matches!(self.form, Form::Sync)
    }

    /// What a call comes to: the declared return type, or the output of the future that it is.
    pub(crate) fn output(&self) -> Option<&Type> {
        match (&self.form, &self.signature.output) {
            (Form::Future { output, .. }, _) | (_, ReturnType::Type(_, output)) => Some(output),
            (_, ReturnType::Default) => None,
        }
    }

    /// The same type as it can be written inside the body: what `impl Trait` hides is inferred there.
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

    /// The same function with another body, and a signature that differs in patterns only.
    pub(crate) fn with_body(&self, signature: &Signature, body: &TokenStream) -> TokenStream {
        let Self { attributes, visibility, defaultness, .. } = self;
        quote!(#(#attributes)* #visibility #defaultness #signature #body)
    }

    /// Reports what no attribute of ours can stand on. `attribute` is its name.
    pub(crate) fn check(&self, attribute: &str, value_is_judged: bool, errors: &mut Errors) {
        let signature = &self.signature;
        if let Some(constness) = &signature.constness {
            errors.at(
                constness,
                format!(
                    "`#[{attribute}]` can't stand on a `const fn`: it keeps state and waits, which a constant can't"
                ),
            );
        }
        if let Some(variadic) = &signature.variadic {
            errors.at(variadic, format!("`#[{attribute}]` can't pass on the arguments of a variadic function"));
        }
        match self.output() {
            None if !value_is_judged => errors.at(
                &signature.ident,
                format!("this function returns nothing that `#[{attribute}]` could tell a failure by: return a `Result` or an `Option`"),
            ),
            Some(output) if !value_is_judged && says_nothing(output) => errors.at(
                output,
                format!("this is neither a `Result` nor an `Option`, so `#[{attribute}]` can't tell a failure by it\n{}", match attribute {
                    "retry" => "return one of them, or say which values to try again for: `retry_if_result = |value| ...`",
                    "timeout" => "return one of them: a call that takes too long has to return something, too",
                    "fallback" => "return one of them",
                    "rate_limit" => "return one of them: a call that is above the limit has to return something, too",
                    "bulkhead" => "return one of them: a call that finds no place has to return something, too",
                    _ => "return one of them: a call that the circuit does not admit has to return something, too",
                }),
            ),
            _ => {}
        }
    }
}

/// Input: `{ #![allow(unused)] ... }`. Output: `{ ... }`, and `#[allow(unused)]` with the attributes of the function,
/// since the body will not stand where an inner attribute may.
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

/// A type that is plainly no `Result`, whatever is in scope. What an alias or a type of the user's own is, the compiler
/// finds out.
fn says_nothing(output: &Type) -> bool {
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
