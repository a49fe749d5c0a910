//! Values of options: counts, numbers, names and paths.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Error, Expr, ExprLit, ExprUnary, Lit, LitInt, LitStr, Path, Result, UnOp, spanned::Spanned};

use super::spelling::list;

use crate::errors::Errors;

/// A whole number: a literal or a const expression.
pub(crate) enum Count {
    Literal(u32, LitInt),
    Expression(Expr),
}

impl Count {
    /// Parses a number of at least 1. `zero` is the reason in the error for 0.
    pub(crate) fn parse(name: &str, zero: &str, value: Expr) -> Result<Self> {
        let literal = match value {
            Expr::Lit(ExprLit { lit: Lit::Int(literal), .. }) => literal,
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) if text.value().trim().parse::<u32>().is_ok() => {
                return Err(without_quotes(&text, &[]));
            }
            Expr::Lit(_) | Expr::Unary(_) | Expr::Closure(_) | Expr::Range(_) | Expr::Array(_) | Expr::Tuple(_) => {
                return Err(Error::new_spanned(value, whole_number(name)));
            }
            Expr::Path(ref path) if path.path.get_ident().is_some_and(|word| is_unbounded(&word.to_string())) => {
                return Err(Error::new_spanned(value, whole_number(name)));
            }
            _ => return Ok(Self::Expression(value)),
        };
        if !matches!(literal.suffix(), "" | "u32") {
            return Err(Error::new(literal.span(), format!("`{name}` must be a number without a unit")));
        }
        match literal.base10_parse() {
            Ok(0) => Err(Error::new(literal.span(), format!("`{name}` must be at least 1: {zero}"))),
            Ok(number) => Ok(Self::Literal(number, literal)),
            Err(_) => Err(Error::new(literal.span(), format!("`{name}` must be at most {}", u32::MAX))),
        }
    }

    /// The number, or `None` for an expression.
    pub(crate) const fn known(&self) -> Option<u32> {
        match self {
            Self::Literal(number, _) => Some(*number),
            Self::Expression(_) => None,
        }
    }
}

impl ToTokens for Count {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Literal(_, literal) => literal.to_tokens(tokens),
            Self::Expression(value) => value.to_tokens(tokens),
        }
    }
}

/// Parses the value of `permits`: an expression of an integer type that is evaluated for each call.
pub(crate) fn permits(value: Expr) -> Result<Expr> {
    match &value {
        Expr::Lit(ExprLit { lit: Lit::Int(literal), attrs }) => {
            // A number of any integer type.
            let is_typed = literal.suffix().starts_with(['u', 'i']);
            let number = if is_typed { LitInt::new(literal.base10_digits(), literal.span()) } else { literal.clone() };
            let number = Expr::Lit(ExprLit { lit: Lit::Int(number), attrs: attrs.clone() });
            Count::parse("permits", "with 0 the call would not be limited", number)?;
            Ok(value)
        }
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), .. }) => {
            Err(Error::new_spanned(value, "`permits` must be at least 1: with less the call would not be limited"))
        }
        Expr::Lit(_) | Expr::Closure(_) | Expr::Range(_) | Expr::Array(_) | Expr::Tuple(_) => Err(Error::new_spanned(
            value,
            "`permits` must be an expression of an integer type, such as `permits = batch.len()`",
        )),
        _ => Ok(value),
    }
}

/// Reports a literal number of permits above the capacity, the value of the option `name`.
pub(crate) fn check_permits(permits: &Expr, name: &str, capacity: Option<u32>, errors: &mut Errors) {
    let Expr::Lit(ExprLit { lit: Lit::Int(literal), .. }) = permits else { return };
    if let (Ok(permits), Some(capacity)) = (literal.base10_parse::<u32>(), capacity)
        && permits > capacity
    {
        errors.at(literal, format!("`permits` must be at most `{name} = {capacity}`: no call would ever be admitted"));
    }
}

fn whole_number(name: &str) -> String {
    format!("`{name}` must be a whole number of at least 1, such as 5")
}

/// Returns true for a word that stands for a number without a bound in other libraries. As the name of a `const`, it would be in capitals.
fn is_unbounded(word: &str) -> bool {
    ["infinite", "infinity", "forever", "never", "none", "None", "unlimited", "Unlimited"].contains(&word)
}

/// The error for a text, if it is a number or one of the `words` in quotes, or else the list of the words.
pub(crate) fn without_quotes(text: &LitStr, words: &[&str]) -> Error {
    let content = text.value();
    let content = content.trim();
    let message = if words.is_empty() || words.contains(&content) {
        format!("write the value without quotes: `{content}`")
    } else {
        format!("write the value without quotes: one of {}", list(words))
    };
    Error::new(text.span(), message)
}

/// A number with a fraction: a literal with its span, or a const expression.
pub(crate) enum Number {
    Literal(f64, Span),
    Expression(Expr),
}

impl Number {
    /// A default value, which is not written in the attribute.
    pub(crate) fn default_of(number: f64) -> Self {
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

/// Parses the factor of an exponential schedule: at least 1.
pub(crate) fn factor(value: Expr) -> Result<Number> {
    checked(
        value,
        |factor| factor >= 1.0 && factor.is_finite(),
        || "`factor` must be at least 1: below it the delays would shrink".to_owned(),
    )
}

/// Parses the share of a random addition, in `0.0..=1.0`.
pub(crate) fn share(name: &str, value: Expr) -> Result<Number> {
    checked(value, |share| (0.0..=1.0).contains(&share), || format!("{name} must be in 0.0..=1.0; 0.1 adds up to 10 %"))
}

/// Parses the share of a random addition or subtraction, in `0.0..=1.0`.
pub(crate) fn symmetric_share(name: &str, value: Expr) -> Result<Number> {
    let message = || format!("{name} must be in 0.0..=1.0; 0.2 is up to 20 % less or more");
    checked(value, |share| (0.0..=1.0).contains(&share), message)
}

/// Parses a rate of failures or slow calls, above 0.0 and at most 1.0.
pub(crate) fn rate(name: &str, value: Expr) -> Result<Number> {
    checked(
        value,
        |rate| rate > 0.0 && rate <= 1.0,
        || format!("`{name}` must be above 0.0 and at most 1.0: 0.5 is half of the calls"),
    )
}

fn checked(value: Expr, is_valid: impl Fn(f64) -> bool, message: impl Fn() -> String) -> Result<Number> {
    if let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &value
        && text.value().trim().parse::<f64>().is_ok()
    {
        return Err(without_quotes(text, &[]));
    }
    match number(&value)? {
        Some(number) if is_valid(number) => Ok(Number::Literal(number, value.span())),
        Some(_) => Err(Error::new_spanned(value, message())),
        None => Ok(Number::Expression(value)),
    }
}

/// The number of a literal, possibly negative; `None` for an expression.
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

/// Parses the value of `name`: a string literal, or a path or macro call that evaluates to a string.
pub(crate) fn name(value: Expr) -> Result<Expr> {
    match &value {
        Expr::Lit(ExprLit { lit: Lit::Str(name), .. }) if name.value().trim().is_empty() => {
            Err(Error::new_spanned(value, "the name must not be empty: listings and settings refer to it"))
        }
        Expr::Path(path)
            if path.path.get_ident().is_some_and(|ident| ident.to_string().starts_with(char::is_lowercase)) =>
        {
            let ident = path.path.require_ident()?;
            Err(Error::new_spanned(ident, format!("the name must be a string literal: `name = \"{ident}\"`")))
        }
        Expr::Lit(ExprLit { lit: Lit::Str(_), .. }) | Expr::Path(_) | Expr::Macro(_) => Ok(value),
        _ => Err(Error::new_spanned(
            value,
            "the name must be a string literal, such as `name = \"payments\"`, or the path of a `const`",
        )),
    }
}

/// The given name, or the path of the function.
pub(crate) fn name_or_path(name: Option<&Expr>, function: &str) -> TokenStream {
    let function = format!("::{function}");
    name.map_or_else(|| quote!(::core::concat!(::core::module_path!(), #function)), |name| quote!(#name))
}

/// Parses the value of `crate`.
pub(crate) fn crate_path(value: Expr) -> Result<Path> {
    match value {
        Expr::Path(path) if path.qself.is_none() => Ok(path.path),
        other => Err(Error::new_spanned(other, "expected the path of the steadfast crate, such as `::steadfast`")),
    }
}

/// Parses the value of `rejection`: a closure over the rejection, or the path of a function. `parameter` is a name for it.
pub(crate) fn rejection(parameter: &str, value: Expr) -> Result<Expr> {
    let is_function = match &value {
        Expr::Closure(closure) => closure.inputs.len() == 1,
        Expr::Lit(_) | Expr::Struct(_) | Expr::Array(_) | Expr::Tuple(_) | Expr::Unary(_) | Expr::Macro(_) => false,
        _ => true,
    };
    if is_function {
        return Ok(value);
    }
    Err(Error::new_spanned(
        value,
        format!(
            "`rejection` must be a function of the rejection: a closure `|{parameter}| ...`, or a path such as `MyError::from`"
        ),
    ))
}

/// The identifier of an expression that is a single identifier, such as `full`.
pub(crate) fn single_ident(value: &Expr) -> Option<&Ident> {
    match value {
        Expr::Path(path) if path.qself.is_none() => path.path.get_ident(),
        _ => None,
    }
}

/// Removes the invisible groups around a `macro_rules!` fragment such as `$limit:expr`.
pub(crate) fn ungroup(mut value: Expr) -> Expr {
    while let Expr::Group(group) = value {
        value = *group.expr;
    }
    value
}
