//! The values of `backoff` and `jitter`.

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Error, Expr, Result, spanned::Spanned};

use super::parameters::{Number, Parameters, factor, share};
use crate::{duration::Time, errors::Errors, options::Given};

/// The value of `backoff`.
pub(crate) struct Backoff {
    name: Ident,
    /// The arguments of the schedule's constructor, in its order.
    arguments: Vec<Box<dyn ToTokens>>,
    /// Whether it is the user's own.
    pub(crate) is_own: bool,
}

/// The value of `jitter`.
pub(crate) enum Jitter {
    Full,
    Equal,
    Proportional(Number),
    None,
}

const BACKOFFS: [&str; 6] = ["exponential", "fixed", "linear", "fibonacci", "decorrelated", "none"];
const JITTERS: [&str; 4] = ["full", "equal", "proportional", "none"];

impl Backoff {
    pub(crate) fn parse(value: Expr) -> Result<Self> {
        if let Some(own) = own(&value) {
            let name = Ident::new("custom", Span::call_site());
            return Ok(Self { name, arguments: vec![Box::new(own)], is_own: true });
        }
        let (name, mut parameters) = Parameters::of(value, "backoff", &BACKOFFS)?;
        let (base, max) = (|| millis(100), || millis(30_000));
        let arguments: Vec<Box<dyn ToTokens>> = match name.to_string().as_str() {
            "exponential" => {
                let (base, max) = parameters.base_and_max(base(), max())?;
                let factor = parameters.take("factor").map_or(Ok(Number::known(2.0)), factor)?;
                vec![Box::new(base), Box::new(factor), Box::new(max)]
            }
            "linear" => {
                let (base, max) = parameters.base_and_max(millis(1_000), millis(10_000))?;
                let step = parameters.time("step", millis(1_000))?;
                vec![Box::new(base), Box::new(step), Box::new(max)]
            }
            "fibonacci" | "decorrelated" => {
                let (base, max) = parameters.base_and_max(base(), millis(10_000))?;
                vec![Box::new(base), Box::new(max)]
            }
            "fixed" => match parameters.take("") {
                Some(delay) => vec![Box::new(Time::parse(delay)?)],
                None if !parameters.is_empty() => Vec::new(), // reported below
                None => return Err(Error::new(name.span(), "`fixed` needs its delay: `fixed(1s)`")),
            },
            _ => Vec::new(),
        };
        parameters.finish()?;
        Ok(Self { name, arguments, is_own: false })
    }

    pub(crate) fn schedule(&self, krate: &TokenStream) -> TokenStream {
        let Self { name, arguments, .. } = self;
        let name = Ident::new(&name.to_string(), Span::call_site().located_at(name.span()));
        quote!(#krate::Schedule::#name(#(#arguments),*))
    }
}

/// A reference to a backoff of the user's own: a path that is not the name of one of ours, nor was meant for it.
fn own(value: &Expr) -> Option<TokenStream> {
    let Expr::Path(path) = value else { return None };
    let is_name = path.path.get_ident().is_some_and(|name| !name.to_string().starts_with(char::is_uppercase));
    // A type that does not fit is a mistake at the path.
    let place = Span::call_site().located_at(path.span());
    (!is_name).then(|| quote_spanned!(place=> &#path))
}

impl Jitter {
    pub(crate) fn parse(value: Expr) -> Result<Self> {
        let (name, mut parameters) = Parameters::of(value, "jitter", &JITTERS)?;
        let jitter = match name.to_string().as_str() {
            "full" => Self::Full,
            "equal" => Self::Equal,
            "none" => Self::None,
            _ => match parameters.take("") {
                Some(value) => Self::Proportional(share("the share of `proportional`", value)?),
                None => return Err(Error::new(name.span(), "`proportional` needs its share: `proportional(0.1)`")),
            },
        };
        parameters.finish()?;
        Ok(jitter)
    }

    pub(crate) fn tokens(&self, krate: &TokenStream) -> TokenStream {
        match self {
            Self::Full => quote!(#krate::Jitter::full()),
            Self::Equal => quote!(#krate::Jitter::equal()),
            Self::Proportional(share) => quote!(#krate::Jitter::proportional(#share)),
            Self::None => quote!(#krate::Jitter::none()),
        }
    }
}

/// A backoff without a delay, or with its own randomness, has no use for a jitter.
pub(crate) fn check_jitter(backoff: Option<&Given<Backoff>>, jitter: Option<&Given<Jitter>>, errors: &mut Errors) {
    let (Some(backoff), Some(jitter)) = (backoff, jitter) else { return };
    if let Jitter::None = jitter.value {
        return; // says what is so anyway
    }
    let why = match backoff.value.name.to_string().as_str() {
        "none" => "there is no delay to spread",
        "decorrelated" => "it is random by itself",
        _ => return,
    };
    errors.at(&jitter.key, format!("`jitter` means nothing with `backoff = {}`: {why}", backoff.value.name));
}

fn millis(millis: u64) -> Time {
    Time::Literal(Duration::from_millis(millis), Span::call_site())
}
