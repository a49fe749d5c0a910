//! The values of `backoff` and `jitter`.

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Error, Expr, ExprLit, ExprUnary, Lit, Result, UnOp, spanned::Spanned};

use crate::{
    duration::Time,
    errors::Errors,
    options::{Given, ungroup, word},
    spelling::{list, nearest},
};

/// The value of `backoff`.
pub(crate) struct Backoff {
    name: Ident,
    /// The arguments of the schedule's constructor, in its order.
    arguments: Vec<Box<dyn ToTokens>>,
}

/// The value of `jitter`.
pub(crate) enum Jitter {
    Full,
    Equal,
    Proportional(Expr),
    None,
}

const BACKOFFS: [&str; 6] = ["exponential", "fixed", "linear", "fibonacci", "decorrelated", "none"];
const JITTERS: [&str; 4] = ["full", "equal", "proportional", "none"];

impl Backoff {
    pub(crate) fn parse(value: Expr) -> Result<Self> {
        let (name, mut parameters) = Parameters::of(value, "backoff", &BACKOFFS)?;
        let (base, max) = (|| millis(100), || millis(30_000));
        let arguments: Vec<Box<dyn ToTokens>> = match name.to_string().as_str() {
            "exponential" => {
                let (base, max) = parameters.base_and_max(base(), max())?;
                let factor = parameters.take("factor").map(factor).transpose()?;
                let factor = factor.unwrap_or_else(|| quote!(2.0));
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
                None if !parameters.given.is_empty() => Vec::new(), // reported below
                None => return Err(Error::new(name.span(), "`fixed` needs its delay: `fixed(1s)`")),
            },
            _ => Vec::new(),
        };
        parameters.finish()?;
        Ok(Self { name, arguments })
    }

    pub(crate) fn schedule(&self, krate: &TokenStream) -> TokenStream {
        let Self { name, arguments } = self;
        let name = Ident::new(&name.to_string(), Span::call_site().located_at(name.span()));
        quote!(#krate::Schedule::#name(#(#arguments),*))
    }
}

impl Jitter {
    pub(crate) fn parse(value: Expr) -> Result<Self> {
        let (name, mut parameters) = Parameters::of(value, "jitter", &JITTERS)?;
        let jitter = match name.to_string().as_str() {
            "full" => Self::Full,
            "equal" => Self::Equal,
            "none" => Self::None,
            _ => match parameters.take("") {
                Some(share) => Self::Proportional(checked_share(share)?),
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

/// The parameters of `name(key = value, ...)`, `name(value)` or `name`.
struct Parameters {
    owner: Ident,
    given: Vec<Parameter>,
    /// Those that somebody asked for.
    known: Vec<&'static str>,
}

struct Parameter {
    /// A value without a key has none.
    key: Option<Ident>,
    value: Expr,
}

impl Parameter {
    fn is(&self, name: &str) -> bool {
        self.key.as_ref().map_or(name.is_empty(), |key| key == name)
    }

    fn span(&self) -> Span {
        self.key.as_ref().map_or_else(|| self.value.span(), Ident::span)
    }
}

impl Parameters {
    fn of(value: Expr, option: &str, names: &[&str]) -> Result<(Ident, Self)> {
        let expected =
            |tokens: &dyn ToTokens| Error::new_spanned(tokens, format!("`{option}` is one of {}", list(names)));
        let (function, arguments) = match value {
            Expr::Call(call) => (*call.func, call.args.into_iter().collect()),
            other => (other, Vec::new()),
        };
        let name = word(&function).cloned().ok_or_else(|| expected(&function))?;
        let text = name.to_string();
        if !names.contains(&text.as_str()) {
            return Err(match nearest(&text, names) {
                Some(near) => Error::new_spanned(
                    &name,
                    format!("unknown {option} `{text}`: did you mean `{near}`?\nthere are {}", list(names)),
                ),
                None => Error::new_spanned(&name, format!("unknown {option} `{text}`: there are {}", list(names))),
            });
        }
        let mut parameters = Self { owner: name.clone(), given: Vec::new(), known: Vec::new() };
        for argument in arguments {
            let parameter = match argument {
                Expr::Assign(assign) => match word(&assign.left) {
                    Some(key) => Parameter { key: Some(key.clone()), value: ungroup(*assign.right) },
                    None => return Err(Error::new_spanned(assign.left, "expected the name of a parameter")),
                },
                value => Parameter { key: None, value: ungroup(value) },
            };
            let name = parameter.key.as_ref().map(ToString::to_string).unwrap_or_default();
            if parameters.given.iter().any(|other| other.is(&name)) {
                return Err(Error::new(
                    parameter.span(),
                    if name.is_empty() {
                        format!("`{text}` takes a single value")
                    } else {
                        format!("`{name}` is given twice")
                    },
                ));
            }
            parameters.given.push(parameter);
        }
        Ok((name, parameters))
    }

    fn take(&mut self, key: &'static str) -> Option<Expr> {
        self.known.push(key);
        let index = self.given.iter().position(|given| given.is(key))?;
        Some(self.given.remove(index).value)
    }

    fn time(&mut self, key: &'static str, default: Time) -> Result<Time> {
        self.take(key).map_or(Ok(default), Time::parse)
    }

    fn base_and_max(&mut self, default_base: Time, default_max: Time) -> Result<(Time, Time)> {
        let (base, max) = (self.take("base"), self.take("max"));
        let place = max.as_ref().or(base.as_ref()).map_or_else(|| self.owner.span(), Spanned::span);
        let base = base.map_or(Ok(default_base), Time::parse)?;
        let max_is_default = max.is_none();
        let max = max.map_or(Ok(default_max), Time::parse)?;
        match (base.known(), max.known()) {
            (Some(base), Some(max)) if max < base => Err(Error::new(
                place,
                if max_is_default {
                    format!("`base` is above the default `max` of {max:?}: give a `max` as well")
                } else {
                    format!("`max` ({max:?}) must not be below `base` ({base:?})")
                },
            )),
            _ => Ok((base, max)),
        }
    }

    fn finish(self) -> Result<()> {
        let Some(left) = self.given.first() else { return Ok(()) };
        let named: Vec<_> = self.known.iter().copied().filter(|key| !key.is_empty()).collect();
        let owner = &self.owner;
        let message = match (&left.key, named.as_slice()) {
            (_, []) if self.known.is_empty() => format!("`{owner}` takes nothing in parentheses"),
            (_, []) => format!("`{owner}` takes a single value, without a name"),
            (None, named) => format!("`{owner}` takes its parameters by name: {}", list(named)),
            (Some(key), named) => {
                let near = nearest(&key.to_string(), named).map(|near| format!(": did you mean `{near}`?"));
                format!("`{owner}` has no parameter `{key}`{}\nit takes {}", near.unwrap_or_default(), list(named))
            }
        };
        Err(Error::new(left.span(), message))
    }
}

fn millis(millis: u64) -> Time {
    Time::Literal(Duration::from_millis(millis), Span::call_site())
}

/// A factor of at least 1; a whole number is as good as any.
fn factor(value: Expr) -> Result<TokenStream> {
    match number(&value)? {
        Some(number) if number >= 1.0 && number.is_finite() => {
            let literal = proc_macro2::Literal::f64_unsuffixed(number);
            Ok(quote!(#literal))
        }
        Some(_) => Err(Error::new_spanned(value, "`factor` must be at least 1: with less the delays would shrink")),
        None => Ok(value.into_token_stream()),
    }
}

fn checked_share(value: Expr) -> Result<Expr> {
    match number(&value)? {
        Some(share) if !(0.0..=1.0).contains(&share) => {
            Err(Error::new_spanned(value, "the share of `proportional` must be in 0.0..=1.0; 0.1 adds up to 10 %"))
        }
        Some(share) => {
            let literal = proc_macro2::Literal::f64_unsuffixed(share);
            syn::parse2(quote!(#literal))
        }
        None => Ok(value),
    }
}

/// A number that is known now; `None` for an expression.
fn number(value: &Expr) -> Result<Option<f64>> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Int(literal), .. }) if literal.suffix().is_empty() => {
            literal.base10_parse().map(Some)
        }
        Expr::Lit(ExprLit { lit: Lit::Float(literal), .. }) if matches!(literal.suffix(), "" | "f64") => {
            literal.base10_parse().map(Some)
        }
        Expr::Lit(_) => Err(Error::new_spanned(value, "expected a number such as `2` or `1.5`")),
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => Ok(number(expr)?.map(|number| -number)),
        _ => Ok(None),
    }
}
