//! Tokens as text, for messages: much like a formatter would write them, in one line.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens;

/// Tokens as text. The same tokens have the same text, however they are laid out.
pub(crate) fn of(tokens: &impl ToTokens) -> String {
    let mut words = Vec::new();
    split(tokens.to_token_stream(), &mut words);
    let (mut text, mut last) = (String::new(), "");
    // Between the bars of a closure's parameters.
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

/// Splits into words, where an operator is one.
fn split(tokens: TokenStream, words: &mut Vec<String>) {
    let mut operator = String::new();
    for token in tokens {
        match token {
            TokenTree::Punct(punct) => {
                // The bar of a closure and what its parameter is a reference by are two.
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
            // A lifetime is a mark and a word.
            TokenTree::Ident(ident) => words.push(std::mem::take(&mut operator) + &ident.to_string()),
            TokenTree::Literal(literal) => words.push(literal.to_string()),
        }
    }
}

/// Whether there is no space between two words.
fn is_tight(last: &str, word: &str) -> bool {
    let follows_a_word = last.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ')' | ']' | '!'));
    last.is_empty()
        || word.is_empty()
        || matches!(last, "(" | "[" | "." | ".." | "::" | "&" | "!")
        || matches!(word, ")" | "]" | "," | ";" | ":" | "." | ".." | "::" | "?")
        || (matches!(word, "(" | "[" | "!") && follows_a_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_written_as_a_formatter_would() {
        for text in [
            "|_| false",
            "is_outage",
            "Transient::is_transient",
            "|error| error.kind() == io::ErrorKind::TimedOut",
            "move |error: &io::Error| -> bool { !matches!(error.kind(), io::ErrorKind::NotFound) && limit[0] > 1.5 }",
            "|error| error.to_string().contains(\"a ( b\")",
            "|&(a, _)| a.is_none_or(|a| a > 3)",
        ] {
            let tokens: TokenStream = text.parse().expect("tokens");
            assert_eq!(of(&tokens), text);
            let loose = tokens.to_string();
            assert_eq!(of(&loose.parse::<TokenStream>().expect("the same tokens")), text);
            let parsed: syn::Expr = syn::parse2(tokens).expect("an expression");
            assert_eq!(of(&parsed), text);
        }
    }
}
