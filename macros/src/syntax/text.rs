//! Tokens as text on one line, with spaces close to those of rustfmt.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens;

/// Returns the tokens as text, which depends on the tokens alone, not on the white space between them.
pub(crate) fn one_line(tokens: &impl ToTokens) -> String {
    let mut words = Vec::new();
    split(tokens.to_token_stream(), &mut words);
    let (mut text, mut last) = (String::new(), "");
    // True between the bars around a closure's parameters.
    let mut in_bars = false;
    for word in &words {
        let opens = word == "|" && !in_bars && matches!(last, "" | "(" | "," | "=" | "move" | "async");
        let closes = word == "|" && in_bars;
        let is_first = in_bars && last == "|";
        if !closes && !is_first && !is_tight(last, word) {
            text.push(' ');
        }
        in_bars = opens || (in_bars && !closes);
        text.push_str(word);
        last = word;
    }
    text
}

/// Splits the tokens into words. All characters of an operator form one word.
fn split(tokens: TokenStream, words: &mut Vec<String>) {
    let mut operator = String::new();
    for token in tokens {
        match token {
            TokenTree::Punct(punct) => {
                // In `|&x|`, the bar and the `&` are two words.
                if operator == "|" && punct.as_char() == '&' {
                    words.push(std::mem::take(&mut operator));
                }
                operator.push(punct.as_char());
                if punct.spacing() == Spacing::Alone {
                    words.push(std::mem::take(&mut operator));
                }
            }
            TokenTree::Group(group) => {
                let [open, close] = match group.delimiter() {
                    Delimiter::Parenthesis => ["(", ")"],
                    Delimiter::Bracket => ["[", "]"],
                    Delimiter::Brace => ["{", "}"],
                    Delimiter::None => ["", ""],
                };
                words.push(open.to_owned());
                split(group.stream(), words);
                words.push(close.to_owned());
            }
            // A lifetime is an apostrophe and an identifier.
            TokenTree::Ident(ident) => words.push(std::mem::take(&mut operator) + &ident.to_string()),
            TokenTree::Literal(literal) => words.push(literal.to_string()),
        }
    }
}

/// Returns true if there is no space between `last` and `word`.
fn is_tight(last: &str, word: &str) -> bool {
    let follows_a_word = last.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ')' | ']' | '!'));
    last.is_empty()
        || word.is_empty()
        || matches!(last, "(" | "[" | "." | "::" | "&" | "!")
        || matches!(word, ")" | "]" | "," | ";" | ":" | "." | "::" | "?")
        || (last == ".." && word != "}")
        || (word == ".." && !matches!(last, "{" | ","))
        || (matches!(word, "(" | "[" | "!") && follows_a_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_formatted() {
        for text in [
            "|_| false",
            "is_outage",
            "Transient::is_transient",
            "|error| error.kind() == io::ErrorKind::TimedOut",
            "move |error: &io::Error| -> bool { !matches!(error.kind(), io::ErrorKind::NotFound) && limit[0] > 1.5 }",
            "|error| error.to_string().contains(\"a ( b\")",
            "|&(a, _)| a.is_none_or(|a| a > 3)",
            "|error| matches!(error, Kind::Status { code: 500..600, .. } | Kind::Closed { .. })",
        ] {
            let tokens: TokenStream = text.parse().expect("tokens");
            assert_eq!(one_line(&tokens), text);
            let loose = tokens.to_string();
            assert_eq!(one_line(&loose.parse::<TokenStream>().expect("the same tokens")), text);
            let parsed: syn::Expr = syn::parse2(tokens).expect("an expression");
            assert_eq!(one_line(&parsed), text);
        }
    }
}
