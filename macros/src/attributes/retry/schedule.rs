//! The values of `backoff` and `jitter`.

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Error, Expr, Result, spanned::Spanned};

use crate::syntax::{
    duration::DurationExpr,
    parameters::Parameters,
    values::{Number, factor, share, symmetric_share},
};

/// The value of `backoff`.
pub(super) struct Backoff {
    pub(super) name: Ident,
    /// The arguments of the constructor of the schedule, in its order.
    arguments: Vec<Box<dyn ToTokens>>,
    /// True for a `Backoff` that the user implements.
    pub(super) is_custom: bool,
}

/// The value of `jitter`.
pub(super) enum Jitter {
    Full,
    Equal,
    Proportional(Number),
    Symmetric(Number),
    None,
}

const BACKOFFS: [&str; 6] = ["exponential", "fixed", "linear", "fibonacci", "decorrelated", "none"];
const JITTERS: [&str; 5] = ["full", "equal", "proportional", "symmetric", "none"];

impl Backoff {
    pub(super) fn parse(value: Expr) -> Result<Self> {
        if let Some(custom) = custom(&value) {
            let name = Ident::new("custom", Span::call_site());
            return Ok(Self { name, arguments: vec![Box::new(custom)], is_custom: true });
        }
        let (name, mut parameters) = Parameters::parse(value, "backoff", &BACKOFFS)?;
        let (base, max) = (|| millis(100), || millis(30_000));
        let arguments: Vec<Box<dyn ToTokens>> = match name.to_string().as_str() {
            "exponential" => {
                let (base, max) = parameters.base_and_max(base(), max())?;
                let factor = parameters.take("factor").map_or(Ok(Number::default_of(2.0)), factor)?;
                vec![Box::new(base), Box::new(factor), Box::new(max)]
            }
            "linear" => {
                let (base, max) = parameters.base_and_max(millis(1_000), millis(10_000))?;
                let step = parameters.duration("step", millis(1_000))?;
                vec![Box::new(base), Box::new(step), Box::new(max)]
            }
            "fibonacci" | "decorrelated" => {
                let (base, max) = parameters.base_and_max(base(), millis(10_000))?;
                vec![Box::new(base), Box::new(max)]
            }
            "fixed" => match parameters.take("") {
                Some(delay) => vec![Box::new(DurationExpr::parse(delay)?)],
                None if !parameters.is_empty() => Vec::new(), // `finish` reports the parameters.
                None => return Err(Error::new(name.span(), "`fixed` needs a delay: `fixed(1s)`")),
            },
            _ => Vec::new(),
        };
        parameters.finish()?;
        Ok(Self { name, arguments, is_custom: false })
    }

    /// The schedule as a const expression.
    pub(super) fn schedule(&self, krate: &TokenStream) -> TokenStream {
        let Self { name, arguments, .. } = self;
        let name = Ident::new(&name.to_string(), Span::call_site().located_at(name.span()));
        quote!(#krate::Schedule::#name(#(#arguments),*))
    }
}

/// A reference to the user's `Backoff`, if the value is the path of one. A path that is a single lowercase name is a built-in schedule,
/// possibly misspelled.
fn custom(value: &Expr) -> Option<TokenStream> {
    let Expr::Path(path) = value else { return None };
    let is_name = path.path.get_ident().is_some_and(|name| !name.to_string().starts_with(char::is_uppercase));
    // A static of the wrong type is reported at its path.
    let span = Span::call_site().located_at(path.span());
    (!is_name).then(|| quote_spanned!(span=> &#path))
}

impl Jitter {
    pub(super) fn parse(value: Expr) -> Result<Self> {
        let (name, mut parameters) = Parameters::parse(value, "jitter", &JITTERS)?;
        let jitter = match name.to_string().as_str() {
            "full" => Self::Full,
            "equal" => Self::Equal,
            "none" => Self::None,
            "symmetric" => match parameters.take("") {
                Some(value) => Self::Symmetric(symmetric_share("the share of `symmetric`", value)?),
                None => return Err(Error::new(name.span(), "`symmetric` needs a share: `symmetric(0.2)`")),
            },
            _ => match parameters.take("") {
                Some(value) => Self::Proportional(share("the share of `proportional`", value)?),
                None => return Err(Error::new(name.span(), "`proportional` needs a share: `proportional(0.1)`")),
            },
        };
        parameters.finish()?;
        Ok(jitter)
    }

    /// The jitter as a const expression.
    pub(super) fn tokens(&self, krate: &TokenStream) -> TokenStream {
        match self {
            Self::Full => quote!(#krate::Jitter::full()),
            Self::Equal => quote!(#krate::Jitter::equal()),
            Self::Proportional(share) => quote!(#krate::Jitter::proportional(#share)),
            Self::Symmetric(share) => quote!(#krate::Jitter::symmetric(#share)),
            Self::None => quote!(#krate::Jitter::none()),
        }
    }
}

fn millis(millis: u64) -> DurationExpr {
    DurationExpr::default_of(Duration::from_millis(millis))
}
