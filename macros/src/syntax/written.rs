//! One option as written in the attribute: `key`, `key = value` or `key(...)`.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use syn::{
    Error, Expr, Lit, Result, Token, Type,
    ext::IdentExt as _,
    parse::{Parse, ParseStream, Parser as _, discouraged::Speculative as _},
    parse2,
    punctuated::Punctuated,
    token,
};

use super::{mistakes, spelling::nearest, text::one_line, values::ungroup};

/// One option as written in the attribute.
pub(crate) struct Written {
    pub(crate) key: Ident,
    pub(super) value: Value,
    /// An example of the option, for errors.
    pub(super) example: &'static str,
}

pub(super) enum Value {
    /// `key`
    None,
    /// `key = expression`
    Expression(Expr),
    /// `key(...)`
    List(Group),
}

impl Written {
    /// The option in `known` that the key is probably a misspelling of.
    pub(super) fn intended<'a>(&self, known: &[&'a str]) -> Option<&'a str> {
        nearest(&self.key.to_string(), known)
    }

    /// The value of `key = value`.
    pub(crate) fn expression(self) -> Result<Expr> {
        match self.value {
            Value::Expression(value) => Ok(value),
            Value::None => Err(self.needs("a value")),
            Value::List(ref list) => Err(self.takes_value_after_equals(list)),
        }
    }

    fn takes_value_after_equals(&self, list: &Group) -> Error {
        let Self { key, example, .. } = self;
        let name = key.to_string();
        if let (Some(by_error), Ok(Type::Path(ty))) = (name.strip_suffix("_result"), parse2::<Type>(list.stream()))
            && ty.path.segments.last().is_some_and(|last| last.ident.to_string().starts_with(char::is_uppercase))
        {
            let ty = one_line(&ty);
            let message = format!(
                "`{key}` takes a predicate over the returned value; for errors of a type, write `{by_error}({ty})`"
            );
            return Error::new_spanned(key, message);
        }
        // `max_attempts(3)` is shown as `max_attempts = 3`, and a list of parameters as the example of the option.
        let value = parse2::<Expr>(list.stream()).ok().filter(|value| !matches!(value, Expr::Assign(_)));
        let example = value.map_or_else(|| (*example).to_owned(), |value| format!("{key} = {}", one_line(&value)));
        Error::new_spanned(key, format!("`{key}` takes its value after `=`: `{example}`"))
    }

    /// The value of `key = value`, or the types of `key(Type, ...)`.
    pub(crate) fn expression_or_types(self) -> Result<ExprOrTypes> {
        match self.value {
            Value::Expression(value) => Ok(ExprOrTypes::Expression(value)),
            Value::List(ref group) => {
                let types = Punctuated::<Type, Token![,]>::parse_terminated
                    .parse2(group.stream())
                    .map_err(|error| mistakes::not_types(&self.key, group, &error))?;
                if types.is_empty() {
                    let message = format!("`{}` needs at least one type: `{}`", self.key, self.example);
                    return Err(Error::new(group.span(), message));
                }
                Ok(ExprOrTypes::Types(types.into_iter().collect()))
            }
            Value::None => Err(self.needs("a value")),
        }
    }

    /// The names of `key(a, b)`.
    pub(crate) fn names(self) -> Result<Vec<Ident>> {
        match self.value {
            Value::List(group) if !group.stream().is_empty() => {
                let names = Punctuated::<Ident, Token![,]>::parse_terminated
                    .parse2(group.stream())
                    .map_err(|error| mistakes::not_names(&self.key, self.example, &error))?;
                Ok(names.into_iter().collect())
            }
            _ => Err(self.needs("the names of arguments")),
        }
    }

    /// Returns true for `key = ...` and `key(...)`.
    pub(crate) const fn has_value(&self) -> bool {
        !matches!(self.value, Value::None)
    }

    fn needs(&self, missing: &str) -> Error {
        Error::new_spanned(&self.key, format!("`{}` needs {missing}: `{}`", self.key, self.example))
    }
}

/// The two forms of a condition.
pub(crate) enum ExprOrTypes {
    Expression(Expr),
    Types(Vec<Type>),
}

impl Parse for Written {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let key = input.call(Ident::parse_any).map_err(|error| mistakes::not_an_option(input, &error))?;
        if let Some(mistake) = mistakes::after_key(&key, input) {
            return Err(mistake);
        }
        let value = if input.parse::<Option<Token![=]>>()?.is_some() {
            if input.is_empty() || input.peek(Token![,]) {
                return Err(Error::new_spanned(&key, format!("`{key} =` has no value")));
            }
            let tokens = input.fork();
            let value =
                input.parse().map_err(|error| mistakes::not_a_value(&key, &tokens, input.is_empty(), &error))?;
            Value::Expression(ungroup(value))
        } else {
            match input.cursor().token_tree() {
                Some((TokenTree::Group(group), _)) if group.delimiter() == Delimiter::Parenthesis => {
                    input.parse::<TokenTree>()?;
                    Value::List(group)
                }
                _ => Value::None,
            }
        };
        if input.is_empty() || input.peek(Token![,]) {
            return Ok(Self { key, value, example: "" });
        }
        Err(mistakes::after_value(input, "expected `,` and the next option"))
    }
}

/// The tokens between two commas.
pub(super) enum Item {
    Option(Written),
    Value(Expr),
}

impl Item {
    pub(super) fn parse(input: ParseStream<'_>, bare: &[&str]) -> Result<Self> {
        if is_option(input, bare) {
            return input.parse().map(Self::Option);
        }
        let value = ungroup(input.parse()?);
        if input.is_empty() || input.peek(Token![,]) {
            return Ok(Self::Value(value));
        }
        Err(mistakes::after_value(input, "expected `,`"))
    }
}

/// The tokens between two commas in an attribute that takes no values without a key.
pub(super) enum NamedOrLiteral {
    Named(Written),
    /// A literal, which is a mistake.
    Literal(Lit),
}

impl NamedOrLiteral {
    pub(super) fn parse(input: ParseStream<'_>) -> Result<Self> {
        let ahead = input.fork();
        match ahead.parse::<Lit>() {
            Ok(literal) if ahead.is_empty() || ahead.peek(Token![,]) => {
                input.advance_to(&ahead);
                Ok(Self::Literal(literal))
            }
            _ => input.parse().map(Self::Named),
        }
    }
}

/// Returns true for `key = ...`, for `key: ...`, which is reported as a mistake, and for the options of `bare`.
fn is_option(input: ParseStream<'_>, bare: &[&str]) -> bool {
    let ahead = input.fork();
    let Ok(key) = ahead.call(Ident::parse_any) else { return false };
    let has_value =
        ahead.peek(Token![=]) && !ahead.peek(Token![==]) || ahead.peek(Token![:]) && !ahead.peek(Token![::]);
    let ends = ahead.is_empty() || ahead.peek(Token![,]) || ahead.peek(token::Paren);
    has_value || ends && bare.iter().any(|option| key == option)
}

/// Parses the items between the commas. After an error, parsing continues after the next comma.
pub(super) fn parse_items<T>(args: TokenStream, parse: impl Fn(ParseStream<'_>) -> Result<T>) -> Vec<Result<T>> {
    let mut results = Vec::new();
    let parser = |input: ParseStream<'_>| {
        while !input.is_empty() {
            let result = parse(input);
            if result.is_err() {
                skip_to_comma(input)?;
            }
            results.push(result);
            input.parse::<Option<Token![,]>>()?;
        }
        Ok(())
    };
    // The parser also fails for tokens in parentheses that were left over by an item that has reported an error.
    if let (Err(error), true) = (parser.parse2(args), results.iter().all(Result::is_ok)) {
        results.push(Err(error));
    }
    results
}

fn skip_to_comma(input: ParseStream<'_>) -> Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}
