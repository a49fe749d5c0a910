//! The errors for options that cannot be parsed: the usual mistakes, each with its fix.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use syn::{Error, Expr, Lit, Token, parse::ParseStream, parse2};

use super::{
    duration::is_unit,
    text::one_line,
    variants::{is_pattern, matches},
};

/// The error for tokens that are not the name of an option.
pub(super) fn not_an_option(input: ParseStream<'_>, error: &Error) -> Error {
    let message = if input.peek(Token![,]) {
        "expected an option before this comma".to_owned()
    } else if let (Some(Lit::Str(key)), true) = (input.fork().parse().ok(), input.peek2(Token![=])) {
        format!("write the name of the option without quotes: `{} = ...`", key.value())
    } else {
        "expected an option, as in `option = value`".to_owned()
    };
    Error::new(error.span(), message)
}

/// The error for the token after the name of an option, unless it is `=`, `(`, `,` or the end.
pub(super) fn after_key(key: &Ident, input: ParseStream<'_>) -> Option<Error> {
    let ahead = input.fork();
    if input.peek(Token![::]) {
        return Some(Error::new(key.span(), "expected an option, as in `option = value`"));
    }
    let message = if input.peek(Token![:]) || input.peek(Token![==]) || input.peek(Token![=>]) {
        format!("expected `=`, as in `{key} = value`")
    } else if input.peek(Token![-]) && ahead.parse::<Token![-]>().is_ok() && ahead.peek(syn::Ident) {
        let second = ahead.parse::<Ident>().ok()?;
        format!("the names of options have underscores: `{key}_{second}`")
    } else if let Ok(value) = ahead.parse::<Lit>() {
        format!("expected `=`: `{key} = {}`", one_line(&value))
    } else {
        return None;
    };
    Some(input.error(message))
}

/// The error for a value that is not an expression. `value` starts at the value; `is_at_end` is true if the tokens ended too early.
pub(super) fn not_a_value(key: &Ident, value: ParseStream<'_>, is_at_end: bool, error: &Error) -> Error {
    let tokens: Vec<_> = value.parse::<TokenStream>().unwrap_or_default().into_iter().collect();
    let end = tokens.iter().position(|token| is_punct(token, ',')).unwrap_or(tokens.len());
    if let Some(mistake) = in_tokens(&tokens[..end], false) {
        return mistake;
    }
    // An error at the end of the input has no token to point at.
    if is_at_end {
        Error::new(key.span(), format!("the value of `{key}` is incomplete"))
    } else {
        Error::new(error.span(), format!("the value of `{key}` cannot be parsed: {error}"))
    }
}

/// The error for a percentage, or for a parameter that is followed by `:` instead of `=`.
fn in_tokens(tokens: &[TokenTree], are_parameters: bool) -> Option<Error> {
    let mut rest = tokens;
    while let [first, following @ ..] = rest {
        match (first, following) {
            (TokenTree::Group(group), _) => {
                let inner: Vec<_> = group.stream().into_iter().collect();
                let is_closure = inner.iter().any(|token| is_punct(token, '|'));
                let are_parameters = group.delimiter() == Delimiter::Parenthesis && !is_closure;
                if let Some(mistake) = in_tokens(&inner, are_parameters) {
                    return Some(mistake);
                }
            }
            (TokenTree::Literal(number), [percent, end @ ..])
                if is_punct(percent, '%') && end.first().is_none_or(|next| is_punct(next, ',')) =>
            {
                let sign = TokenStream::from_iter([first.clone(), percent.clone()]);
                let share = number.to_string().replace('_', "").parse::<f64>().ok().map(|percent| percent / 100.0);
                let share = share.map_or_else(|| "0.5".to_owned(), |share| format!("{share:?}"));
                let message = format!("write a percentage as a fraction: `{share}`");
                return Some(Error::new_spanned(sign, message));
            }
            (TokenTree::Ident(key), [TokenTree::Punct(colon), next, ..])
                if are_parameters && colon.as_char() == ':' && !is_punct(next, ':') =>
            {
                return Some(Error::new(colon.span(), format!("expected `=`, as in `{key} = value`")));
            }
            _ => {}
        }
        // The second `:` of a `::` does not follow a name.
        rest = following;
    }
    None
}

fn is_punct(token: &TokenTree, expected: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == expected)
}

/// The error for a token after a complete value.
pub(super) fn after_value(input: ParseStream<'_>, expected: &str) -> Error {
    if input.peek(Token![;]) {
        return input.error("options are separated by `,`");
    }
    match input.fork().parse::<Ident>() {
        Ok(unit) if is_unit(&unit.to_string()) => {
            input.error(format!("write the unit directly after the number, without a space, as in `5{unit}`"))
        }
        _ => input.error(expected),
    }
}

/// The error for `key(...)` with something other than types in the parentheses.
pub(super) fn not_types(key: &Ident, list: &Group, error: &Error) -> Error {
    let tokens = list.stream();
    let first = tokens.clone().into_iter().next();
    let is_closure = first.as_ref().is_some_and(|first| {
        is_punct(first, '|') || matches!(first, TokenTree::Ident(word) if word == "move" || word == "async")
    });
    if is_closure {
        return Error::new_spanned(
            &tokens,
            format!("`{key}(...)` takes error types; write a predicate after `=`: `{key} = {}`", one_line(&tokens)),
        );
    }
    if let Some(variant) = parse2::<Expr>(tokens.clone()).ok().filter(is_pattern) {
        let predicate = matches([tokens.clone()]);
        let message = format!("`{key}(...)` takes error types; match a variant in a predicate: `{key} = {predicate}`");
        return Error::new_spanned(variant, message);
    }
    let example = match first {
        Some(TokenTree::Literal(value)) => format!("|error| *error == {value}"),
        _ => "|error| ...".to_owned(),
    };
    Error::new(
        error.span(),
        format!(
            "`{key}(...)` takes error types, separated by commas; for other conditions, write a predicate: `{key} = {example}`"
        ),
    )
}

/// The error for `key(...)` with something other than names of arguments in the parentheses.
pub(super) fn not_names(key: &Ident, example: &str, error: &Error) -> Error {
    let message = format!("`{key}` takes the names of arguments, separated by commas: `{example}`");
    if error.to_string().contains("keyword `self`") {
        let advice = "`self` cannot be among them: begin the body with `let this = self.clone();`";
        return Error::new(error.span(), format!("{message}\n{advice}"));
    }
    Error::new(error.span(), message)
}
