//! Values of the form `name(key = value, ...)`, `name(value)` or `name`, and the numbers in them.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::ToTokens;
use syn::{Error, Expr, ExprLit, ExprUnary, Lit, Result, UnOp, spanned::Spanned};

use crate::{
    duration::Time,
    options::{ungroup, word},
    spelling::{list, nearest},
};

/// The parameters of `name(key = value, ...)`, `name(value)` or `name`.
pub(super) struct Parameters {
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
    pub(super) fn of(value: Expr, option: &str, names: &[&str]) -> Result<(Ident, Self)> {
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

    pub(super) const fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    pub(super) fn take(&mut self, key: &'static str) -> Option<Expr> {
        self.known.push(key);
        let index = self.given.iter().position(|given| given.is(key))?;
        Some(self.given.remove(index).value)
    }

    pub(super) fn time(&mut self, key: &'static str, default: Time) -> Result<Time> {
        self.take(key).map_or(Ok(default), Time::parse)
    }

    pub(super) fn base_and_max(&mut self, default_base: Time, default_max: Time) -> Result<(Time, Time)> {
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

    pub(super) fn finish(self) -> Result<()> {
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

/// A number with a fraction.
pub(super) enum Number {
    /// Known now, and where it stands.
    Literal(f64, Span),
    /// An expression that is const.
    Expression(Expr),
}

impl Number {
    /// One that nobody has written.
    pub(super) fn known(number: f64) -> Self {
        Self::Literal(number, Span::call_site())
    }
}

impl ToTokens for Number {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Literal(number, span) => {
                let mut literal = Literal::f64_unsuffixed(*number);
                literal.set_span(*span);
                literal.to_tokens(tokens);
            }
            Self::Expression(value) => value.to_tokens(tokens),
        }
    }
}

/// A factor of at least 1; a whole number is as good as any.
pub(super) fn factor(value: Expr) -> Result<Number> {
    checked(
        value,
        |factor| factor >= 1.0 && factor.is_finite(),
        || "`factor` must be at least 1: with less the delays would shrink".to_owned(),
    )
}

/// A share of what is added at random.
pub(super) fn share(name: &str, value: Expr) -> Result<Number> {
    checked(value, |share| (0.0..=1.0).contains(&share), || format!("{name} must be in 0.0..=1.0; 0.1 adds up to 10 %"))
}

/// A share of calls at which something happens.
pub(super) fn rate(name: &str, value: Expr) -> Result<Number> {
    checked(
        value,
        |rate| rate > 0.0 && rate <= 1.0,
        || format!("`{name}` must be above 0.0 and at most 1.0: 0.5 is half of the calls"),
    )
}

fn checked(value: Expr, is_valid: impl Fn(f64) -> bool, message: impl Fn() -> String) -> Result<Number> {
    match number(&value)? {
        Some(number) if is_valid(number) => Ok(Number::Literal(number, value.span())),
        Some(_) => Err(Error::new_spanned(value, message())),
        None => Ok(Number::Expression(value)),
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
