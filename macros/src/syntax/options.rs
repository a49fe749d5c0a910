//! The options of an attribute: `key = value` and `key(value, ...)`, separated by commas.
//!
//! [`Options`] holds them as they are written. An attribute takes its options; [`Options::finish`] reports the rest.

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::{Error, Expr, ExprLit, Lit, Result};

use super::{
    spelling::{list, nearest, snake_case},
    text::one_line,
    values::single_ident,
    written::{Item, NamedOrLiteral, Value, Written, parse_items},
};
use crate::{errors::Errors, item::function::Function};

/// Values that are words of the grammar, also if an argument has the same name.
const WORDS: [&str; 4] = ["unlimited", "none", "full", "equal"];

/// The options of an attribute. The parser, the spelling hints and the fuzzer all use this list.
#[derive(Clone, Copy)]
pub(crate) struct Grammar {
    /// The valid options, each with an example of its use.
    pub(crate) options: &'static [(&'static str, &'static str)],
    /// Options of other libraries or of other attributes, each with the advice for the error.
    pub(crate) hints: &'static [(&'static str, &'static str)],
}

/// The options of one attribute that are not taken yet.
pub(crate) struct Options {
    grammar: Grammar,
    written: Vec<Written>,
    is_complete: bool,
}

/// The parsed value of an option, with its key for errors.
pub(crate) struct Given<T> {
    pub(crate) key: Ident,
    pub(crate) value: T,
}

impl Grammar {
    fn names(&self) -> Vec<&'static str> {
        self.options.iter().map(|(name, _)| *name).collect()
    }

    /// The options whose example has no `=`, such as `if(io::Error)` and `allow_order`. They are parsed as options, not as values without a
    /// key.
    fn bare_names(&self) -> Vec<&'static str> {
        self.options.iter().filter(|(_, example)| !example.contains('=')).map(|(name, _)| *name).collect()
    }

    /// A value without a name as the option that it probably stands for: `3` is `max_attempts = 3` in `#[retry]`.
    fn by_name(&self, value: &Lit) -> String {
        let text = value.to_token_stream().to_string();
        let candidates: &[&str] = match value {
            Lit::Str(_) => &["name"],
            Lit::Int(number) if number.suffix().is_empty() => {
                &["max_attempts", "max_concurrent", "limit", "failure_threshold"]
            }
            _ => &["per", "max_elapsed", "max_wait", "recovery_timeout"],
        };
        let name = candidates.iter().find(|name| self.options.iter().any(|(option, _)| option == *name));
        format!("{} = {text}", name.unwrap_or(&"option"))
    }

    fn example(&self, name: &str) -> &'static str {
        self.options.iter().find(|(other, _)| *other == name).map_or("", |(_, example)| *example)
    }
}

impl Options {
    /// Parses the arguments of an attribute. Options that cannot be parsed or are given twice are reported and left out.
    pub(crate) fn parse(args: TokenStream, grammar: Grammar, errors: &mut Errors) -> Self {
        let mut options = Self::none(grammar);
        let mut values = Vec::new();
        for result in parse_items(args, NamedOrLiteral::parse) {
            match result {
                Ok(NamedOrLiteral::Named(option)) => options.add(Ok(option), errors),
                Ok(NamedOrLiteral::Literal(value)) => values.push(value),
                Err(error) => options.add(Err(error), errors),
            }
        }
        // All values without a name are one mistake.
        if let [first, ..] = &values[..] {
            let example: Vec<_> = values.iter().map(|value| grammar.by_name(value)).collect();
            let message = format!("options have names: `{}`", example.join(", "));
            options.add(Err(Error::new_spanned(first, message)), errors);
        }
        options
    }

    /// Parses the arguments of an attribute that also takes values without a key, as in `timeout(2s)`.
    pub(crate) fn parse_with_values(args: TokenStream, grammar: Grammar, errors: &mut Errors) -> (Vec<Expr>, Self) {
        let bare = grammar.bare_names();
        let (mut values, mut options) = (Vec::new(), Self::none(grammar));
        for result in parse_items(args, |input| Item::parse(input, &bare)) {
            match result {
                Ok(Item::Value(value)) => values.push(value),
                Ok(Item::Option(option)) => options.add(Ok(option), errors),
                Err(error) => options.add(Err(error), errors),
            }
        }
        (values, options)
    }

    const fn none(grammar: Grammar) -> Self {
        Self { grammar, written: Vec::new(), is_complete: true }
    }

    fn add(&mut self, result: Result<Written>, errors: &mut Errors) {
        match errors.handle(result) {
            Some(option) if self.written.iter().any(|other| other.key == option.key) => {
                errors.at(&option.key, format!("`{}` is given twice", option.key));
            }
            Some(mut option) => {
                option.example = self.grammar.example(&option.key.to_string());
                self.written.push(option);
            }
            None => self.is_complete = false,
        }
    }

    /// Returns true if the option is given, possibly misspelled, or if part of the attribute could not be parsed and may contain the
    /// option. Checks for a missing option use this, so that one mistake is reported once.
    pub(crate) fn may_have(&self, name: &str) -> bool {
        let names = self.grammar.names();
        self.has(name) || self.written.iter().any(|option| option.intended(&names) == Some(name))
    }

    /// Returns true if the option is given under this exact name, or if part of the attribute could not be parsed and may contain the
    /// option.
    pub(crate) fn has(&self, name: &str) -> bool {
        !self.is_complete || self.written.iter().any(|option| option.key == name)
    }

    /// Returns true if an option that has a hint is given, or if part of the attribute could not be parsed.
    pub(crate) fn has_hinted(&self) -> bool {
        !self.is_complete || self.grammar.hints.iter().any(|(hint, _)| self.has(hint))
    }

    /// Removes and returns a word that is neither an option, nor similar to one, nor one of another library.
    pub(super) fn take_word(&mut self) -> Option<Ident> {
        let names = self.grammar.names();
        let index = self.written.iter().position(|option| {
            let name = option.key.to_string();
            matches!(option.value, Value::None)
                && name.starts_with(char::is_lowercase)
                && nearest(&name, &names).is_none()
                && !self.grammar.hints.iter().any(|(hint, _)| *hint == name)
        })?;
        Some(self.written.remove(index).key)
    }

    /// Removes and returns an option in any form.
    pub(crate) fn take(&mut self, name: &str) -> Option<Written> {
        let index = self.written.iter().position(|option| option.key == name)?;
        Some(self.written.remove(index))
    }

    /// Takes `name = value` and parses the value.
    pub(crate) fn value<T>(
        &mut self,
        name: &str,
        errors: &mut Errors,
        parse: impl FnOnce(Expr) -> Result<T>,
    ) -> Option<Given<T>> {
        let written = self.take(name)?;
        let key = written.key.clone();
        let value = errors.handle(written.expression().and_then(parse))?;
        Some(Given { key, value })
    }

    /// Takes `name = true`, `name = false`, or `name` alone, which means `true`.
    pub(crate) fn flag(&mut self, name: &str, errors: &mut Errors) -> Option<Given<Expr>> {
        let written = self.take(name)?;
        let key = written.key.clone();
        let value = match written.value {
            Value::None => Ok(syn::parse_quote!(true)),
            Value::Expression(Expr::Lit(ExprLit { lit: Lit::Bool(literal), .. })) => Ok(syn::parse_quote!(#literal)),
            Value::Expression(value) if is_no_flag(&value) => {
                Err(Error::new_spanned(value, format!("`{name}` must be `true` or `false`")))
            }
            Value::Expression(value) => Ok(value),
            Value::List(_) => {
                Err(Error::new_spanned(&key, format!("`{name}` must be `true` or `false`: `{name} = true`")))
            }
        };
        Some(Given { value: errors.handle(value)?, key })
    }

    /// Returns true if the option is given under this exact name.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.written.iter().any(|option| option.key == name)
    }

    /// Reports options among `names` whose value depends on an argument of the function, and removes them. `advice` names the option for such
    /// values.
    pub(crate) fn refuse_run_time(&mut self, names: &[&str], function: &Function, advice: &str, errors: &mut Errors) {
        let mut is_complete = true;
        self.written.retain(|option| {
            let Value::Expression(value) = &option.value else { return true };
            let is_constant = names.iter().any(|name| option.key == name);
            let Some(argument) = is_constant.then(|| argument_in(value, function)).flatten() else {
                return true;
            };
            errors.at(
                value,
                format!(
                    "`{}` must be a constant, but `{argument}` is known only when the function is called\n{advice}",
                    option.key
                ),
            );
            is_complete = false;
            false
        });
        self.is_complete &= is_complete;
    }

    /// Takes `allow_order`, or `allow_order = true`.
    pub(crate) fn allows_order(&mut self, errors: &mut Errors) -> bool {
        match self.flag("allow_order", errors) {
            Some(Given { value: Expr::Lit(ExprLit { lit: Lit::Bool(is_allowed), .. }), .. }) => is_allowed.value,
            Some(Given { key, .. }) => {
                errors.at(key, "`allow_order` takes no value");
                true
            }
            None => false,
        }
    }

    /// The tokens of `name = value` as text, for options that have not been taken.
    pub(crate) fn value_text(&self, name: &str) -> Option<String> {
        self.written.iter().filter(|option| option.key == name).find_map(|option| match &option.value {
            Value::Expression(value) => Some(one_line(value)),
            Value::None | Value::List(_) => None,
        })
    }

    /// Reports predicates that are called, as in `retry_if = is_busy(error)`, and removes them. `is_bound` returns true for the name of an
    /// argument of the function.
    pub(crate) fn refuse_called_predicates(&mut self, is_bound: impl Fn(&Ident) -> bool, errors: &mut Errors) {
        const PREDICATES: [&str; 6] =
            ["retry_if", "retry_if_result", "failure_if", "failure_if_result", "if", "on_retry"];
        const PLACEHOLDERS: [&str; 5] = ["error", "err", "e", "result", "value"];
        let is_placeholder = |argument: &Expr| {
            single_ident(argument)
                .is_some_and(|name| PLACEHOLDERS.iter().any(|placeholder| name == placeholder) && !is_bound(name))
        };
        let written = self.written.len();
        self.written.retain(|option| {
            let Value::Expression(Expr::Call(call)) = &option.value else { return true };
            let is_called = !call.args.is_empty() && call.args.iter().all(is_placeholder);
            if !is_called || !PREDICATES.iter().any(|name| option.key == name) {
                return true;
            }
            let (key, function) = (&option.key, one_line(&call.func));
            errors.at(call, format!("write the function without calling it: `{key} = {function}`"));
            false
        });
        self.is_complete &= self.written.len() == written;
    }

    /// Reports the options that were not taken as unknown.
    pub(crate) fn finish(self, errors: &mut Errors) {
        let names = self.grammar.names();
        for written in self.written {
            let (key, name) = (&written.key, written.key.to_string());
            let snake_case = snake_case(&name);
            let hint = self.grammar.hints.iter().find(|(other, _)| *other == name || *other == snake_case);
            // `retry(MAX)` is a value without a name.
            if matches!(written.value, Value::None) && name.starts_with(char::is_uppercase) {
                errors
                    .at(key, format!("options have names, as in `option = {name}`\nthe options are {}", list(&names)));
                continue;
            }
            let intended = written.intended(&names).or_else(|| nearest(&snake_case, &names));
            let message = match (hint, intended) {
                (Some((_, hint)), _) => format!("unknown option `{name}`: {hint}"),
                (None, Some(near)) => format!("unknown option `{name}`: did you mean `{near}`?"),
                (None, None) => format!("unknown option `{name}`"),
            };
            errors.at(key, format!("{message}\nthe options are {}", list(&names)));
        }
    }
}

/// Returns the first argument of the function that the value of an option uses.
fn argument_in(value: &Expr, function: &Function) -> Option<Ident> {
    match value {
        // The name is that of a backoff, a window or a constructor.
        Expr::Call(call) if single_ident(&call.func).is_some() => {
            call.args.iter().find_map(|parameter| argument_in(parameter, function))
        }
        value if single_ident(value).is_some_and(|word| WORDS.iter().any(|other| word == other)) => None,
        value => function.argument_in(value),
    }
}

/// Returns true for the value of a flag that is certainly not a `bool`: a literal of another type, or a word such as `yes`. The name of a
/// `const` would be in capitals.
fn is_no_flag(value: &Expr) -> bool {
    match value {
        Expr::Lit(ExprLit { lit, .. }) => !matches!(lit, Lit::Bool(_)),
        value => single_ident(value).is_some_and(|word| word.to_string().contains(char::is_lowercase)),
    }
}
