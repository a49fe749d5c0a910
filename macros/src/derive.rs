//! `#[derive(Transient)]`

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Attribute, Data, DeriveInput, Expr, Fields, Member, Path, Variant, parse2, spanned::Spanned};

use crate::{
    errors::Errors,
    options::{self, Options, word},
    spelling,
};

/// What an attribute says of a variant or a struct.
enum Rule {
    /// What the field's value says of a rejection is passed on, if there is such a field.
    Permanent(Option<Member>),
    Transient,
    /// Transient, with a wait that a field holds.
    RetryAfter(Member),
    /// As transient as the one field's value.
    Inherit(Member),
}

const EXPLAIN: &str = "write `#[transient]`, `#[transient(retry_after = field)]` or `#[transient(inherit)]`";

/// Input: the item. Output: `impl Transient` for it, with one arm for each variant that has something to say.
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
            container(&item.attrs, &mut krate, &mut errors);
            let variants = data.variants.iter();
            variants
                .map(|Variant { attrs, ident, fields, .. }| {
                    (quote!(Self::#ident), rule(attrs, fields, &mut krate, &mut errors))
                })
                .collect()
        }
        Data::Union(data) => {
            errors.at(data.union_token, "a union can't tell which of its values are transient");
            Vec::new()
        }
    };
    let krate = krate.map_or_else(|| quote!(::steadfast), |path: Path| quote!(#path));
    // What is missing is explained by a trait of our own; of a type parameter it is said best by the compiler, which suggests the bound.
    let asked = match item.generics.type_params().next() {
        Some(_) => quote!(#krate::Transient),
        None => quote!(#krate::__private::InheritTransient),
    };
    let (is_transient, retry_after): (TokenStream, TokenStream) =
        rules.iter().map(|(pattern, rule)| rule.arms(pattern, &krate, &asked)).unzip();
    let is_rejection: TokenStream = rules.iter().map(|(pattern, rule)| rule.rejection(pattern, &krate)).collect();
    let (name, (generics, arguments, bounds)) = (&item.ident, item.generics.split_for_impl());
    // A type with parameters has no one type to look for.
    let known = item.generics.params.is_empty().then(|| known(name, &krate));
    let errors = errors.into_tokens();
    quote! {
        #errors
        #known
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
                use #krate::__private::{NoRejection as _, TransientRejection as _};
                match self {
                    #is_rejection
                    #[allow(unreachable_patterns)]
                    _ => false,
                }
            }
        }
    }
}

/// Lists the type, so that it is found inside of boxed errors.
fn known(name: &Ident, krate: &TokenStream) -> TokenStream {
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
    /// The arms of `is_transient` and of `retry_after`; nothing where the last arm says it. `asked` is the trait of a field that inherits.
    fn arms(&self, pattern: &TokenStream, krate: &TokenStream, asked: &TokenStream) -> (TokenStream, TokenStream) {
        let field_at = |field: &Member| {
            let place = Span::mixed_site().located_at(field.span());
            (place, Ident::new("value", place))
        };
        match self {
            Self::Permanent(_) => Default::default(),
            Self::Transient => (quote!(#pattern { .. } => true,), TokenStream::new()),
            Self::RetryAfter(field) => {
                let (place, value) = field_at(field);
                let hint = quote_spanned!(place=> #krate::__private::RetryAfterField::retry_after(*#value));
                (quote!(#pattern { .. } => true,), quote!(#pattern { #field: #value, .. } => #hint,))
            }
            Self::Inherit(field) => {
                let (place, value) = field_at(field);
                let is_transient = quote_spanned!(place=> #asked::is_transient(#value));
                let hint = quote_spanned!(place=> #asked::retry_after(#value));
                (
                    quote!(#pattern { #field: #value, .. } => #is_transient,),
                    quote!(#pattern { #field: #value, .. } => #hint,),
                )
            }
        }
    }
}

impl Rule {
    /// The arm of `is_rejection`. What is transient ends no retry by itself, so nobody asks it.
    fn rejection(&self, pattern: &TokenStream, krate: &TokenStream) -> TokenStream {
        match self {
            Self::Permanent(Some(field)) | Self::Inherit(field) => quote_spanned! {Span::mixed_site()=>
                #pattern { #field: value, .. } => (&#krate::__private::Rejection(value)).is_rejection(),
            },
            Self::Permanent(None) | Self::Transient | Self::RetryAfter(_) => TokenStream::new(),
        }
    }
}

/// On an enum itself only `#[transient(crate = path)]` has a meaning.
fn container(attributes: &[Attribute], krate: &mut Option<Path>, errors: &mut Errors) {
    for attribute in ours(attributes) {
        let mut options = options_of(attribute, errors);
        let Some(path) = options.value("crate", "crate = ::steadfast", errors, options::path) else {
            errors.at(attribute, "on an enum, `#[transient]` stands on the variants that are transient");
            continue;
        };
        *krate = Some(path.value);
        options.finish(&["crate"], &[], errors);
    }
}

fn rule(attributes: &[Attribute], fields: &Fields, krate: &mut Option<Path>, errors: &mut Errors) -> Rule {
    for field in fields {
        for attribute in ours(&field.attrs) {
            errors.at(attribute, format!("`#[transient]` stands on variants or on a struct, not on fields: {EXPLAIN}"));
        }
    }
    let mut ours = ours(attributes);
    let Some(attribute) = ours.next() else { return Rule::Permanent(inherited(fields)) };
    if let Some(second) = ours.next() {
        errors.at(second, "`#[transient]` is given twice");
    }
    if let syn::Meta::NameValue(_) = attribute.meta {
        errors.at(attribute, EXPLAIN);
        return Rule::Transient;
    }
    let mut options = options_of(attribute, errors);
    if let Some(path) = options.value("crate", "crate = ::steadfast", errors, options::path) {
        *krate = Some(path.value);
    }
    let retry_after = options.value("retry_after", "retry_after = field", errors, |value| field_of(&value, fields));
    let inherit = options.take("inherit");
    options.finish(&["retry_after", "inherit", "crate"], &[], errors);
    match (retry_after, inherit) {
        (Some(_), Some(inherit)) => {
            errors.at(inherit.key, "`inherit` takes the wait from the error inside as well: leave `retry_after` out");
            Rule::Transient
        }
        (Some(field), None) => Rule::RetryAfter(field.value),
        (None, Some(inherit)) => match inherited(fields) {
            Some(field) => Rule::Inherit(field),
            None => {
                let message =
                    "`inherit` needs to know the error inside: one field, or one marked `#[from]` or `#[source]`";
                errors.at(inherit.key, message);
                Rule::Transient
            }
        },
        (None, None) => Rule::Transient,
    }
}

fn ours(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("transient"))
}

fn options_of(attribute: &Attribute, errors: &mut Errors) -> Options {
    match &attribute.meta {
        syn::Meta::List(list) => Options::parse(list.tokens.clone(), errors),
        _ => Options::parse(TokenStream::new(), errors),
    }
}

/// The field that is named, by its name or, in a tuple, by its number.
fn field_of(value: &Expr, fields: &Fields) -> syn::Result<Member> {
    let member = match value {
        Expr::Lit(literal) => parse2::<Member>(quote!(#literal)).ok(),
        other => word(other).cloned().map(Member::Named),
    };
    let error = |message: String| syn::Error::new_spanned(value, message);
    let member = member.ok_or_else(|| error("expected the name or the number of a field".to_owned()))?;
    if fields.members().any(|field| field == member) {
        return Ok(member);
    }
    let names: Vec<String> = fields.members().map(|field| quote!(#field).to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let what = quote!(#member).to_string();
    Err(error(match (spelling::nearest(&what, &names), names.as_slice()) {
        (Some(near), _) => format!("no field `{what}`: did you mean `{near}`?"),
        (None, []) => "there is no field to take the wait from".to_owned(),
        (None, [only]) => format!("no field `{what}`: the only one is `{only}`"),
        (None, names) => format!("no field `{what}`: the fields are {}", spelling::list(names)),
    }))
}

/// The field that holds the error inside: the only one, or the one that thiserror would take.
fn inherited(fields: &Fields) -> Option<Member> {
    let is_source = |field: &syn::Field| {
        field.attrs.iter().any(|attribute| attribute.path().is_ident("from") || attribute.path().is_ident("source"))
            || field.ident.as_ref().is_some_and(|name| name == "source")
    };
    let mut all = fields.members().zip(fields);
    if fields.len() == 1 {
        return all.next().map(|(member, _)| member);
    }
    all.find(|(_, field)| is_source(field)).map(|(member, _)| member)
}
