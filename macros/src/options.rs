//! The grammar that all attributes share: `key = value`, `key(value, ...)`, separated by commas.
//!
//! An [`Options`] holds what was written. An attribute takes out what it knows; what is left then is unknown.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use syn::{
    Error, Expr, ExprLit, Lit, LitInt, Path, Result, Token, Type,
    ext::IdentExt as _,
    parse::{Parse, ParseStream, Parser as _},
    punctuated::Punctuated,
    token,
};

use crate::{
    errors::Errors,
    spelling::{list, nearest},
};

/// The options of one attribute, as written.
pub(crate) struct Options {
    written: Vec<Written>,
    /// Whether all that was written could be read.
    complete: bool,
}

/// One option, as written.
pub(crate) struct Written {
    pub(crate) key: Ident,
    value: Value,
}

enum Value {
    Nothing,
    Expression(Expr),
    List(Group),
}

/// An option that was given, with its key for errors.
pub(crate) struct Given<T> {
    pub(crate) key: Ident,
    pub(crate) value: T,
}

impl Options {
    /// Parses the arguments of an attribute. What can't be parsed is an error and left out, and so is an option that
    /// is given twice.
    pub(crate) fn parse(args: TokenStream, errors: &mut Errors) -> Self {
        let mut options = Self { written: Vec::new(), complete: true };
        for result in read_all(args, Written::parse) {
            options.add(result, errors);
        }
        options
    }

    /// The same where values without a name stand among the options, as in `timeout(2s)`. `words` are the options that can
    /// stand without a `=`.
    pub(crate) fn parse_with_values(args: TokenStream, words: &[&str], errors: &mut Errors) -> (Vec<Expr>, Self) {
        let (mut values, mut options) = (Vec::new(), Self { written: Vec::new(), complete: true });
        for result in read_all(args, |input| Item::parse(input, words)) {
            match result {
                Ok(Item::Value(value)) => values.push(value),
                Ok(Item::Option(option)) => options.add(Ok(option), errors),
                Err(error) => options.add(Err(error), errors),
            }
        }
        (values, options)
    }

    fn add(&mut self, result: Result<Written>, errors: &mut Errors) {
        match errors.keep(result) {
            Some(option) if self.written.iter().any(|other| other.key == option.key) => {
                errors.at(&option.key, format!("`{}` is given twice", option.key));
            }
            Some(option) => self.written.push(option),
            None => self.complete = false,
        }
    }

    /// Whether all that was written could be read.
    pub(crate) const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether an option of that name was written, or something that may have been meant for it.
    pub(crate) fn mentions(&self, name: &str, known: &[&str]) -> bool {
        !self.complete || self.written.iter().any(|option| option.key == name || option.means(known) == Some(name))
    }

    /// Takes an option of any form.
    pub(crate) fn take(&mut self, name: &str) -> Option<Written> {
        let index = self.written.iter().position(|option| option.key == name)?;
        Some(self.written.remove(index))
    }

    /// Takes `name = value`, and understands the value.
    pub(crate) fn value<T>(
        &mut self,
        name: &str,
        example: &str,
        errors: &mut Errors,
        parse: impl FnOnce(Expr) -> Result<T>,
    ) -> Option<Given<T>> {
        let written = self.take(name)?;
        let key = written.key.clone();
        let value = errors.keep(written.expression(example).and_then(parse))?;
        Some(Given { key, value })
    }

    /// Takes `name = true`, `name = false` or `name` alone, which is as good as `true`.
    pub(crate) fn flag(&mut self, name: &str, errors: &mut Errors) -> Option<Given<Expr>> {
        let written = self.take(name)?;
        let key = written.key.clone();
        let value = match written.value {
            Value::Nothing => Ok(syn::parse_quote!(true)),
            Value::Expression(Expr::Lit(ExprLit { lit: Lit::Bool(literal), .. })) => Ok(syn::parse_quote!(#literal)),
            Value::Expression(value @ Expr::Lit(_)) => {
                Err(Error::new_spanned(value, format!("`{name}` is `true` or `false`")))
            }
            Value::Expression(value) => Ok(value),
            Value::List(_) => Err(Error::new_spanned(&key, format!("`{name}` is `true` or `false`: `{name} = true`"))),
        };
        Some(Given { value: errors.keep(value)?, key })
    }

    /// Reports what nobody took. `known` are the valid options, `hints` what else people may write, and what to say.
    pub(crate) fn finish(self, known: &[&str], hints: &[(&str, &str)], errors: &mut Errors) {
        for written in self.written {
            let (key, name) = (&written.key, written.key.to_string());
            let hint = hints.iter().find(|(other, _)| *other == name);
            let message = match (hint, written.means(known)) {
                (Some((_, hint)), _) => format!("unknown option `{name}`: {hint}"),
                (None, Some(near)) => format!("unknown option `{name}`: did you mean `{near}`?"),
                (None, None) => format!("unknown option `{name}`"),
            };
            errors.at(key, format!("{message}\nthe options are {}", list(known)));
        }
    }
}

impl Written {
    /// The known name that its key probably stands for.
    fn means<'a>(&self, known: &[&'a str]) -> Option<&'a str> {
        nearest(&self.key.to_string(), known)
    }

    /// The value of `key = value`.
    pub(crate) fn expression(self, example: &str) -> Result<Expr> {
        match self.value {
            Value::Expression(value) => Ok(value),
            Value::Nothing | Value::List(_) => {
                Err(Error::new_spanned(&self.key, format!("`{}` needs a value: `{example}`", self.key)))
            }
        }
    }

    /// Either the value of `key = value` or the types of `key(Type, ...)`.
    pub(crate) fn expression_or_types(self, example: &str) -> Result<Either> {
        match self.value {
            Value::Expression(value) => Ok(Either::Expression(value)),
            Value::List(group) => {
                let types = Punctuated::<Type, Token![,]>::parse_terminated.parse2(group.stream())?;
                if types.is_empty() {
                    return Err(Error::new(
                        group.span(),
                        format!("`{}` needs at least one type: `{example}`", self.key),
                    ));
                }
                Ok(Either::Types(types.into_iter().collect()))
            }
            Value::Nothing => Err(Error::new_spanned(&self.key, format!("`{}` needs a value: `{example}`", self.key))),
        }
    }

    /// The names of `key(a, b)`.
    pub(crate) fn names(self, example: &str) -> Result<Vec<Ident>> {
        match self.value {
            Value::List(group) if !group.stream().is_empty() => {
                let names = Punctuated::<Ident, Token![,]>::parse_terminated.parse2(group.stream())?;
                Ok(names.into_iter().collect())
            }
            _ => {
                Err(Error::new_spanned(&self.key, format!("`{}` needs the names of arguments: `{example}`", self.key)))
            }
        }
    }
}

/// The two forms that a condition can take.
pub(crate) enum Either {
    Expression(Expr),
    Types(Vec<Type>),
}

impl Parse for Written {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let key = input
            .call(Ident::parse_any)
            .map_err(|error| Error::new(error.span(), "expected the name of an option, as in `name = value`"))?;
        if input.peek(Token![:]) || input.peek(Token![==]) {
            return Err(input.error(format!("expected `=`, as in `{key} = value`")));
        }
        let value = if input.parse::<Option<Token![=]>>()?.is_some() {
            if input.is_empty() || input.peek(Token![,]) {
                return Err(Error::new_spanned(&key, format!("`{key} =` has no value")));
            }
            let value = input.parse().map_err(|error| {
                let text = format!("the value of `{key}` can't be read: {error}");
                // An error at the end of the input has no token to point at.
                Error::new(if input.is_empty() { key.span() } else { error.span() }, text)
            })?;
            Value::Expression(ungroup(value))
        } else {
            match input.cursor().token_tree() {
                Some((TokenTree::Group(group), _)) if group.delimiter() == Delimiter::Parenthesis => {
                    input.parse::<TokenTree>()?;
                    Value::List(group)
                }
                _ => Value::Nothing,
            }
        };
        if input.is_empty() || input.peek(Token![,]) {
            return Ok(Self { key, value });
        }
        Err(input.error("expected `,` and the next option"))
    }
}

/// What stands between two commas.
enum Item {
    Option(Written),
    Value(Expr),
}

impl Item {
    fn parse(input: ParseStream<'_>, words: &[&str]) -> Result<Self> {
        if is_option(input, words) {
            return input.parse().map(Self::Option);
        }
        let value = ungroup(input.parse()?);
        if input.is_empty() || input.peek(Token![,]) {
            return Ok(Self::Value(value));
        }
        Err(input.error("expected `,`"))
    }
}

/// `key = ...`, `key: ...`, which is a mistake of its own, or one of the words.
fn is_option(input: ParseStream<'_>, words: &[&str]) -> bool {
    let ahead = input.fork();
    let Ok(key) = ahead.call(Ident::parse_any) else { return false };
    let is_named = ahead.peek(Token![=]) && !ahead.peek(Token![==]) || ahead.peek(Token![:]) && !ahead.peek(Token![::]);
    let ends = ahead.is_empty() || ahead.peek(Token![,]) || ahead.peek(token::Paren);
    is_named || ends && words.iter().any(|word| key == word)
}

/// Reads one item after the other; what can't be read is skipped to the next comma.
fn read_all<T>(args: TokenStream, read: impl Fn(ParseStream<'_>) -> Result<T>) -> Vec<Result<T>> {
    let parser = |input: ParseStream<'_>| {
        let mut results = Vec::new();
        while !input.is_empty() {
            let result = read(input);
            if result.is_err() {
                skip_to_comma(input)?;
            }
            results.push(result);
            input.parse::<Option<Token![,]>>()?;
        }
        Ok(results)
    };
    parser.parse2(args).unwrap_or_else(|error| vec![Err(error)])
}

fn skip_to_comma(input: ParseStream<'_>) -> Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}

/// What a `macro_rules!` fragment such as `$limit:expr` arrives in has no brackets, but is a group.
pub(crate) fn ungroup(mut value: Expr) -> Expr {
    while let Expr::Group(group) = value {
        value = *group.expr;
    }
    value
}

/// A whole number: known now, or an expression that is const.
pub(crate) enum Count {
    Literal(u32, LitInt),
    Expression(Expr),
}

impl Count {
    /// Parses a number of at least 1.
    pub(crate) fn parse(name: &str, why_not_zero: &str, value: Expr) -> Result<Self> {
        let literal = match value {
            Expr::Lit(ExprLit { lit: Lit::Int(literal), .. }) => literal,
            Expr::Lit(_) | Expr::Unary(_) | Expr::Closure(_) | Expr::Range(_) | Expr::Array(_) | Expr::Tuple(_) => {
                return Err(Error::new_spanned(value, format!("`{name}` is a whole number of at least 1, such as 5")));
            }
            _ => return Ok(Self::Expression(value)),
        };
        if !matches!(literal.suffix(), "" | "u32") {
            return Err(Error::new(literal.span(), format!("`{name}` is a number of calls, without a unit")));
        }
        match literal.base10_parse() {
            Ok(0) => Err(Error::new(literal.span(), format!("`{name}` must be at least 1: {why_not_zero}"))),
            Ok(number) => Ok(Self::Literal(number, literal)),
            Err(_) => Err(Error::new(literal.span(), format!("`{name}` must be at most {}", u32::MAX))),
        }
    }

    pub(crate) const fn known(&self) -> Option<u32> {
        match self {
            Self::Literal(number, _) => Some(*number),
            Self::Expression(_) => None,
        }
    }
}

impl quote::ToTokens for Count {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Literal(_, literal) => literal.to_tokens(tokens),
            Self::Expression(value) => value.to_tokens(tokens),
        }
    }
}

/// The name of an expression that is a single word, such as `full`.
pub(crate) fn word(value: &Expr) -> Option<&Ident> {
    match value {
        Expr::Path(path) if path.qself.is_none() => path.path.get_ident(),
        _ => None,
    }
}

/// Parses `crate = path`.
pub(crate) fn path(value: Expr) -> Result<Path> {
    match value {
        Expr::Path(path) if path.qself.is_none() => Ok(path.path),
        other => Err(Error::new_spanned(other, "expected the path of the steadfast crate, such as `::steadfast`")),
    }
}
