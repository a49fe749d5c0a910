//! `#[derive(Transient)]`: implements the trait as the attributes of the variants or of the struct specify.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Attribute, Data, DeriveInput, Expr, Field, Fields, Member, Path, Type, Variant, parse2, spanned::Spanned};

use crate::{
    errors::Errors,
    syntax::{
        options::{Grammar, Options},
        spelling::{list, nearest},
        values::{crate_path, single_ident},
    },
};

/// The marks of a variant or a struct.
struct Rule {
    class: Class,
    /// The value of `may_have_taken_effect`; `None` if it is that of the inner error.
    effect: Option<bool>,
    /// The field that holds the inner error.
    inner: Option<Member>,
}

/// The classification of a variant or a struct.
enum Class {
    /// Permanent. With a field that holds an inner error, it is a rejection if the inner error is one.
    Permanent,
    Transient,
    /// Transient, with the time to wait in a field.
    RetryAfter(Member),
    /// Transient if the value of a field is.
    Inherit(Member),
}

/// The options of `#[transient(...)]`.
const GRAMMAR: Grammar = Grammar {
    options: &[
        ("retry_after", "retry_after = field"),
        ("inherit", "inherit"),
        ("no_effect", "no_effect"),
        ("maybe_effect", "maybe_effect"),
        ("crate", "crate = ::steadfast"),
    ],
    hints: &[],
};
/// The options of `#[transient(...)]` on an enum.
const ENUM_GRAMMAR: Grammar = Grammar { options: &[("crate", "crate = ::steadfast")], hints: &[] };

const FORMS: &str = "write `#[transient]`, `#[transient(retry_after = field)]` or `#[transient(inherit)]`";

/// The errors of this crate that are transient, so that a variant for one of them is probably not permanent.
const TRANSIENT_ERRORS: [&str; 3] = ["TimedOut", "RateLimited", "BulkheadFull"];

/// Input: the item. Output: an implementation of `InnerError`, for `steadfast::Error<E>`, and one of `Transient` with one arm for each variant that is not permanent:
///
/// ```text
/// impl InnerError for E {}
/// impl Transient for E {
///     fn is_transient(&self) -> bool { match self { Self::A { .. } => true, _ => false } }
///     fn retry_after(&self) -> Option<Duration> { ... }
///     fn is_rejection(&self) -> bool { ... }
///     fn may_have_taken_effect(&self) -> bool { ... }
///     fn as_dyn_display(&self) -> Option<&dyn Display> { ... }
///     fn as_dyn_std_error(&self) -> Option<&(dyn Error + 'static)> { ... }
/// }
/// ```
pub(crate) fn expand(item: TokenStream) -> TokenStream {
    let item: DeriveInput = match parse2(item) {
        Ok(item) => item,
        Err(error) => return error.to_compile_error(),
    };
    let mut errors = Errors::default();
    let mut krate = None;
    let rules: Vec<_> = match &item.data {
        Data::Struct(data) => vec![(quote!(Self), rule(&item.attrs, &data.fields, &mut krate, &mut errors))],
        Data::Enum(data) => {
            enum_attribute(&item.attrs, &mut krate, &mut errors);
            let variants = data.variants.iter();
            variants
                .map(|Variant { attrs, ident, fields, .. }| {
                    (quote!(Self::#ident), rule(attrs, fields, &mut krate, &mut errors))
                })
                .collect()
        }
        Data::Union(data) => {
            errors.at(data.union_token, "`Transient` cannot be derived for a union");
            Vec::new()
        }
    };
    let krate = krate.map_or_else(|| quote!(::steadfast), |path: Path| quote!(#path));
    // The error about the hidden trait explains that a field is not `Transient`. For a type parameter, the error about `Transient` itself
    // suggests the bound.
    let inherited_trait = match item.generics.type_params().next() {
        Some(_) => quote!(#krate::Transient),
        None => quote!(#krate::__private::InheritTransient),
    };
    let (is_transient, retry_after): (TokenStream, TokenStream) =
        rules.iter().map(|(pattern, rule)| rule.arms(pattern, &krate, &inherited_trait)).unzip();
    let is_rejection: TokenStream = rules.iter().map(|(pattern, rule)| rule.rejection(pattern, &krate)).collect();
    let effect: TokenStream = rules.iter().map(|(pattern, rule)| rule.effect(pattern, &krate)).collect();
    let (name, (generics, arguments, bounds)) = (&item.ident, item.generics.split_for_impl());
    // A generic type is not a single type that the runtime could search for.
    let is_concrete = item.generics.params.is_empty();
    let registration = is_concrete.then(|| registration(name, &krate));
    let as_dyn_std_error = is_concrete.then(|| as_dyn_std_error(&krate));
    let errors = errors.into_tokens();
    quote! {
        #errors
        #registration
        #[automatically_derived]
        impl #generics #krate::InnerError for #name #arguments #bounds {}
        #[automatically_derived]
        impl #generics #krate::Transient for #name #arguments #bounds {
            fn is_transient(&self) -> bool {
                match self {
                    #is_transient
                    #[allow(unreachable_patterns)]
                    _ => false,
                }
            }

            fn retry_after(&self) -> ::core::option::Option<::core::time::Duration> {
                match self {
                    #retry_after
                    #[allow(unreachable_patterns)]
                    _ => ::core::option::Option::None,
                }
            }

            fn is_rejection(&self) -> bool {
                #[allow(unused_imports)]
                use #krate::__private::{OtherInner as _, TransientInner as _};
                match self {
                    #is_rejection
                    #[allow(unreachable_patterns)]
                    _ => false,
                }
            }

            fn may_have_taken_effect(&self) -> bool {
                #[allow(unused_imports)]
                use #krate::__private::{OtherInner as _, TransientInner as _};
                match self {
                    #effect
                    #[allow(unreachable_patterns)]
                    _ => true,
                }
            }

            fn as_dyn_display(&self) -> ::core::option::Option<&dyn ::core::fmt::Display> {
                #[allow(unused_imports)]
                use #krate::__private::{DisplayValue as _, NoDisplayValue as _};
                (&&#krate::__private::Probe(self)).as_dyn_display()
            }

            #as_dyn_std_error
        }
    }
}

/// The method that returns the value as `&dyn Error`. A type with parameters need not be `'static`, as the probe requires.
fn as_dyn_std_error(krate: &TokenStream) -> TokenStream {
    quote! {
        fn as_dyn_std_error(&self) -> ::core::option::Option<&(dyn ::core::error::Error + 'static)> {
            #[allow(unused_imports)]
            use #krate::__private::{LookDeref as _, LookError as _, NoError as _};
            (&&#krate::__private::Probe(self)).look()
        }
    }
}

/// The static that registers the type, so that the runtime finds it inside boxed errors.
fn registration(name: &Ident, krate: &TokenStream) -> TokenStream {
    quote! {
        const _: () = {
            #[#krate::__private::linkme::distributed_slice(#krate::__private::KNOWN)]
            #[linkme(crate = #krate::__private::linkme)]
            static FIND: #krate::__private::Find = |error| {
                #[allow(unused_imports)]
                use #krate::__private::{FindError as _, FindNothing as _};
                (&#krate::__private::DerivedType::<#name>::new()).find(error)
            };
        };
    }
}

impl Rule {
    /// The arms of `is_transient` and of `retry_after`. Empty where the default arm applies. `inherited_trait` is the bound on the field of
    /// `inherit`.
    fn arms(
        &self,
        pattern: &TokenStream,
        krate: &TokenStream,
        inherited_trait: &TokenStream,
    ) -> (TokenStream, TokenStream) {
        let field_at = |field: &Member| {
            let span = Span::mixed_site().located_at(field.span());
            (span, Ident::new("value", span))
        };
        match &self.class {
            Class::Permanent => Default::default(),
            Class::Transient => (quote!(#pattern { .. } => true,), TokenStream::new()),
            Class::RetryAfter(field) => {
                let (span, value) = field_at(field);
                let hint = quote_spanned!(span=> #krate::__private::RetryAfterField::retry_after(*#value));
                (quote!(#pattern { .. } => true,), quote!(#pattern { #field: #value, .. } => #hint,))
            }
            Class::Inherit(field) => {
                let (span, value) = field_at(field);
                let is_transient = quote_spanned!(span=> #inherited_trait::is_transient(#value));
                let hint = quote_spanned!(span=> #inherited_trait::retry_after(#value));
                (
                    quote!(#pattern { #field: #value, .. } => #is_transient,),
                    quote!(#pattern { #field: #value, .. } => #hint,),
                )
            }
        }
    }

    /// The arm of `is_rejection`. The method is called for permanent errors only, so a rule that is always transient needs no arm.
    fn rejection(&self, pattern: &TokenStream, krate: &TokenStream) -> TokenStream {
        match self.class {
            Class::Permanent | Class::Inherit(_) => self.of_inner("is_rejection", pattern, krate),
            Class::Transient | Class::RetryAfter(_) => TokenStream::new(),
        }
    }

    /// The arm of `may_have_taken_effect`.
    fn effect(&self, pattern: &TokenStream, krate: &TokenStream) -> TokenStream {
        match self.effect {
            Some(effect) => quote!(#pattern { .. } => #effect,),
            None => self.of_inner("may_have_taken_effect", pattern, krate),
        }
    }

    /// An arm with the result of a method of the inner error. Empty if there is no inner error, so that the default arm applies.
    fn of_inner(&self, method: &str, pattern: &TokenStream, krate: &TokenStream) -> TokenStream {
        let Some(field) = &self.inner else { return TokenStream::new() };
        let span = Span::mixed_site();
        let method = Ident::new(method, span);
        quote_spanned! {span=>
            #pattern { #field: value, .. } => (&#krate::__private::Inner(value)).#method(),
        }
    }
}

/// Parses the `#[transient(crate = path)]` of an enum.
fn enum_attribute(attributes: &[Attribute], krate: &mut Option<Path>, errors: &mut Errors) {
    for attribute in permanent(attributes) {
        errors.at(attribute, "in an enum, put `#[permanent]` on the variants");
    }
    for attribute in transient(attributes) {
        let mut options = options_of(attribute, ENUM_GRAMMAR, errors);
        let Some(path) = options.value("crate", errors, crate_path) else {
            errors.at(attribute, "in an enum, put `#[transient]` on the variants that are transient");
            continue;
        };
        *krate = Some(path.value);
        options.finish(errors);
    }
}

/// Parses the `#[transient]` of a variant or a struct.
fn rule(attributes: &[Attribute], fields: &Fields, krate: &mut Option<Path>, errors: &mut Errors) -> Rule {
    for field in fields {
        for attribute in transient(&field.attrs) {
            errors.at(attribute, format!("put `#[transient]` on the variant or the struct, not on a field: {FORMS}"));
        }
        for attribute in permanent(&field.attrs) {
            errors.at(attribute, "put `#[permanent]` on the variant or the struct, not on a field");
        }
    }
    let permanent = permanent(attributes).next();
    if let Some(permanent) = permanent
        && permanent.meta.require_path_only().is_err()
    {
        errors.at(permanent, "`#[permanent]` takes no value");
    }
    let inner = inner_error(fields);
    let mut attributes = transient(attributes);
    let Some(attribute) = attributes.next() else {
        if permanent.is_none() {
            check_unmarked(fields, errors);
        }
        return Rule { class: Class::Permanent, effect: None, inner };
    };
    if let Some(permanent) = permanent {
        errors.at(permanent, "`#[permanent]` contradicts `#[transient]`: remove one of them");
    }
    if let Some(second) = attributes.next() {
        errors.at(second, "`#[transient]` is given twice");
    }
    if let syn::Meta::NameValue(_) = attribute.meta {
        errors.at(attribute, FORMS);
        return Rule { class: Class::Transient, effect: None, inner };
    }
    let mut options = options_of(attribute, GRAMMAR, errors);
    if let Some(path) = options.value("crate", errors, crate_path) {
        *krate = Some(path.value);
    }
    let retry_after = options.value("retry_after", errors, |value| field_of(&value, fields));
    let inherit = word(&mut options, "inherit", errors);
    let effect = effect(&mut options, errors);
    options.finish(errors);
    let class = match (retry_after, inherit) {
        (Some(retry_after), Some(_)) => {
            errors.at(retry_after.key, "`inherit` also takes `retry_after` from the inner error: remove `retry_after`");
            Class::Transient
        }
        (Some(field), None) => Class::RetryAfter(field.value),
        (None, Some(inherit)) => match &inner {
            Some(field) => Class::Inherit(field.clone()),
            None => {
                let message =
                    "`inherit` needs an inner error: a single field, or a field with `#[from]` or `#[source]`";
                errors.at(inherit, message);
                Class::Transient
            }
        },
        (None, None) => Class::Transient,
    };
    Rule { class, effect, inner }
}

/// Takes `no_effect` or `maybe_effect`: the value of `may_have_taken_effect`.
fn effect(options: &mut Options, errors: &mut Errors) -> Option<bool> {
    let no_effect = word(options, "no_effect", errors);
    let maybe_effect = word(options, "maybe_effect", errors);
    if let (Some(_), Some(second)) = (&no_effect, &maybe_effect) {
        errors.at(second, "`maybe_effect` contradicts `no_effect`: remove one of them");
    }
    no_effect.map(|_| false).or(maybe_effect.map(|_| true))
}

/// Takes an option without a value, and returns its key.
fn word(options: &mut Options, name: &str, errors: &mut Errors) -> Option<Ident> {
    let written = options.take(name)?;
    if written.has_value() {
        errors.at(&written.key, format!("`{name}` takes no value"));
    }
    Some(written.key)
}

/// Reports a field for a transient error of this crate in a variant or a struct without a mark.
fn check_unmarked(fields: &Fields, errors: &mut Errors) {
    // A mark on a field has been reported.
    let is_marked = |field: &Field| transient(&field.attrs).chain(permanent(&field.attrs)).next().is_some();
    let is_from = |field: &Field| named(&field.attrs, "from").next().is_some();
    for field in fields.iter().filter(|field| is_from(field) && !is_marked(field)) {
        let Type::Path(ty) = &field.ty else { continue };
        let Some(last) = ty.path.segments.last() else { continue };
        if TRANSIENT_ERRORS.iter().any(|name| last.ident == name) {
            let message = format!(
                "`{}` is transient, but without a mark this error is permanent: a retry ends with it, and \
                 `failure_if = Transient::is_transient` ignores it\n\
                 add `#[transient(inherit)]`, or `#[permanent]` if this is intended",
                last.ident,
            );
            errors.at(ty, message);
        }
    }
}

/// The `#[transient]` attributes.
fn transient(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    named(attributes, "transient")
}

/// The `#[permanent]` attributes.
fn permanent(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    named(attributes, "permanent")
}

fn named<'a>(attributes: &'a [Attribute], name: &str) -> impl Iterator<Item = &'a Attribute> {
    attributes.iter().filter(move |attribute| attribute.path().is_ident(name))
}

fn options_of(attribute: &Attribute, grammar: Grammar, errors: &mut Errors) -> Options {
    match &attribute.meta {
        syn::Meta::List(list) => Options::parse(list.tokens.clone(), grammar, errors),
        _ => Options::parse(TokenStream::new(), grammar, errors),
    }
}

/// The field with this name, or with this number in a tuple.
fn field_of(value: &Expr, fields: &Fields) -> syn::Result<Member> {
    let member = match value {
        Expr::Lit(literal) => parse2::<Member>(quote!(#literal)).ok(),
        other => single_ident(other).cloned().map(Member::Named),
    };
    let error = |message: String| syn::Error::new_spanned(value, message);
    let member = member.ok_or_else(|| error("expected the name or the number of a field".to_owned()))?;
    if fields.members().any(|field| field == member) {
        return Ok(member);
    }
    let names: Vec<String> = fields.members().map(|field| quote!(#field).to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let name = quote!(#member).to_string();
    Err(error(match (nearest(&name, &names), names.as_slice()) {
        (Some(near), _) => format!("no field `{name}`: did you mean `{near}`?"),
        (None, []) => "there is no field that could hold the time to wait".to_owned(),
        (None, [only]) => format!("no field `{name}`: the only field is `{only}`"),
        (None, names) => format!("no field `{name}`: the fields are {}", list(names)),
    }))
}

/// The field with the inner error: the only field, or the one that `thiserror` uses as the source.
fn inner_error(fields: &Fields) -> Option<Member> {
    let is_source = |field: &Field| {
        ["from", "source"].iter().any(|name| named(&field.attrs, name).next().is_some())
            || field.ident.as_ref().is_some_and(|name| name == "source")
    };
    let mut all = fields.members().zip(fields);
    if fields.len() == 1 {
        return all.next().map(|(member, _)| member);
    }
    all.find(|(_, field)| is_source(field)).map(|(member, _)| member)
}
