//! Random attributes on random functions: the macros never panic, and their output is valid Rust.
//!
//! The options are those of the table of attributes, so that a new attribute is covered without a change here. The environment variable
//! `PROPTEST_CASES` sets the number of cases of each test.

use proc_macro2::TokenStream;
use proptest::{prelude::*, sample::select};
use syn::{File, parse2};

use crate::{
    attributes::{ATTRIBUTES, Row},
    item::function::Function,
    stack, transient,
};

/// Values of options, and names that occur in them.
const VALUES: [&str; 46] = [
    "true",
    "critical",
    "unlimited",
    "none",
    "full",
    "equal",
    "proportional",
    "fixed",
    "linear",
    "exponential",
    "fibonacci",
    "decorrelated",
    "calls",
    "time",
    "gcra",
    "base",
    "max",
    "factor",
    "step",
    "any",
    "io::Error",
    "self",
    "LIMIT",
    "x",
    "&x",
    "self.limit",
    "T::limit(x)",
    "5",
    "0",
    "256",
    "100ms",
    "1.5m",
    "0s",
    "99999999999999999999999h",
    "1e400",
    "0.1",
    "\"payments\"",
    "\"\"",
    "\"5s\"",
    "50%",
    "-5s",
    "2 * 5s",
    "Error::Timeout",
    "A::B | A::C",
    "matches!(e, A)",
    "println!(\"x\")",
];

/// Arguments of attributes that take values without a key: such values, and options that can stand among them.
const POSITIONAL: [&str; 12] = [
    "2s",
    "LIMIT",
    "cached",
    "self.cached",
    "a::b::<C>",
    "cached()",
    "|| x",
    "|e| Ok(e)",
    "|a, b, e| a",
    "if = |e| e.is()",
    "if(E)",
    "allow_order",
];

/// Punctuation, keywords and names, some of which are invalid in an attribute.
const PUNCTUATION: [&str; 24] = [
    "=",
    "=",
    "=",
    ",",
    ",",
    ",",
    "|e|",
    "|",
    "::",
    ":",
    "==",
    "-",
    "%",
    "!",
    "#",
    "&",
    "if",
    "async",
    "r#type",
    "'a",
    "{ x }",
    "max_attemps",
    "x",
    "a::b",
];

const ARGUMENTS: [&str; 16] = [
    "&self",
    "&mut self",
    "self",
    "mut self",
    "self: Arc<Self>",
    "self: Pin<&mut Self>",
    "x: &T",
    "x: &mut T",
    "mut x: T",
    "x: T",
    "(x, _): (T, &mut U)",
    "_: T",
    "#[cfg(any())] x: T",
    "x: impl Fn() -> T",
    "&x: &T",
    "ref x: T",
];

const OUTPUTS: [&str; 12] = [
    "",
    "-> Result<T, E>",
    "-> io::Result<()>",
    "-> Option<T>",
    "-> u8",
    "-> !",
    "-> impl Future<Output = Result<T, E>>",
    "-> Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>",
    "-> BoxFuture<'_, Result<T, E>>",
    "-> Result<&mut T, E>",
    "-> Result<impl Display, E>",
    "-> (T, U)",
];

const BODIES: [&str; 14] = [
    "{ }",
    "{ Ok(x) }",
    "{ send(x).await? }",
    "{ let y = x; Ok(y) }",
    "{ async move { x } }",
    "{ Box::pin(async move { let x = x; let __self = self; Ok(x) }) }",
    "{ #![allow(unused)] Ok(1) }",
    "{ match x { Some(ref y) if y.is() => y, (a, b) => a } }",
    "{ for x in x { println!(\"{x}\") } }",
    "{ let x = ; }",
    "{ if let Some(x) = x && let Some(y) = x { return y } }",
    "{ move |x: u8, y| x + y + self }",
    "{ 'a: loop { break 'a x } }",
    "{ vec![x, format!(\"{x}\"), ..x] }",
];

const QUALIFIERS: [&str; 10] = [
    "",
    "pub",
    "async",
    "pub(crate) async",
    "const",
    "unsafe",
    "extern \"C\"",
    "default async",
    "async unsafe",
    "#[inline]",
];

/// The names of all options, and of the unknown options that have a hint.
fn option_names() -> Vec<&'static str> {
    let grammars = ATTRIBUTES.iter().map(|row| row.grammar);
    grammars.flat_map(|grammar| grammar.options.iter().chain(grammar.hints).map(|(name, _)| *name)).collect()
}

/// The examples of all options.
fn examples() -> Vec<&'static str> {
    ATTRIBUTES.iter().flat_map(|row| row.grammar.options.iter().map(|(_, example)| *example)).collect()
}

fn text(texts: impl Into<Vec<&'static str>>) -> impl Strategy<Value = String> {
    select(texts.into()).prop_map(ToOwned::to_owned)
}

/// Random tokens, with groups among them.
fn tokens() -> impl Strategy<Value = String> {
    let token = prop_oneof![text(option_names()), text(VALUES), text(PUNCTUATION)];
    let join = |inner: BoxedStrategy<String>| prop::collection::vec(inner, 0..7).prop_map(|tokens| tokens.join(" "));
    let tree = token.prop_recursive(3, 24, 6, move |inner| {
        let inner = join(inner.boxed());
        (inner, select(&["()", "[]", "{}"][..])).prop_map(|(inner, brackets)| {
            let (open, close) = brackets.split_at(1);
            format!("{open}{inner}{close}")
        })
    });
    prop::collection::vec(tree, 0..9).prop_map(|tokens| tokens.join(" "))
}

/// Arguments as a user might write them.
fn plausible() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        text(VALUES),
        text(option_names()),
        (select(&VALUES[..]), select(&VALUES[..]), select(&VALUES[..]))
            .prop_map(|(name, key, value)| format!("{name}({key} = {value})")),
    ];
    let argument = prop_oneof![
        text(examples()),
        text(POSITIONAL),
        (text(option_names()), value).prop_map(|(key, value)| format!("{key} = {value}")),
    ];
    prop::collection::vec(argument, 0..5).prop_map(|arguments| arguments.join(", "))
}

/// An attribute with random arguments.
fn attribute() -> impl Strategy<Value = (&'static Row, String)> {
    (0..ATTRIBUTES.len(), prop_oneof![tokens(), plausible()]).prop_map(|(index, args)| (&ATTRIBUTES[index], args))
}

fn function() -> impl Strategy<Value = String> {
    let arguments = prop::collection::vec(select(&ARGUMENTS[..]), 0..4);
    (select(&QUALIFIERS[..]), arguments, select(&OUTPUTS[..]), select(&BODIES[..])).prop_map(
        |(qualifiers, arguments, output, body)| {
            format!("{qualifiers} fn f<'a, T>({}) {output} {body}", arguments.join(", "))
        },
    )
}

/// 2,000 cases, unless `PROPTEST_CASES` is set.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { 2_000 };
    ProptestConfig { cases, ..default }
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn attributes((first, args) in attribute(), below in prop::collection::vec(attribute(), 0..3), function in function()) {
        let below: Vec<_> = below.iter().map(|(row, args)| format!("#[{}({args})]", row.name)).collect();
        if let (Ok(args), Ok(item)) = (args.parse(), format!("{} {function}", below.join(" ")).parse::<TokenStream>()) {
            let is_function = parse2::<Function>(item.clone()).is_ok();
            let are_old = (syn1::parse2::<syn1::ItemFn>(item.clone()).is_ok(), syn2::parse2::<syn2::ItemFn>(item.clone()).is_ok());
            let output = stack::expand(first, args, item);
            // A body that is not valid Rust is passed through unchanged, so that the output cannot be parsed either.
            let has_valid_body = syn::parse_str::<syn::Block>(&function[function.find('{').unwrap_or(0)..]).is_ok();
            if is_function && has_valid_body && !function.contains("self") && !function.starts_with("default") {
                let text = output.to_string();
                prop_assert!(parse2::<File>(output.clone()).is_ok(), "{text}");
                prop_assert!(!are_old.0 || syn1::parse2::<syn1::File>(output.clone()).is_ok(), "syn 1: {text}");
                prop_assert!(!are_old.1 || syn2::parse2::<syn2::File>(output).is_ok(), "syn 2: {text}");
            }
        }
    }

    #[test]
    fn items((row, args) in attribute(), item in tokens()) {
        if let (Ok(args), Ok(item)) = (args.parse::<TokenStream>(), item.parse::<TokenStream>()) {
            stack::expand(row, args, item);
        }
    }

    #[test]
    fn derives(args in prop_oneof![tokens(), plausible(), text(["inherit", "retry_after = 0", "retry_after = x", ""])]) {
        for item in [
            format!("enum E<T> {{ #[transient({args})] A(#[from] T, u8), #[transient({args})] B {{ x: u8 }}, C }}"),
            format!("#[transient({args})] struct S<'a, T: 'a>(&'a T) where T: Copy;"),
            format!("#[transient({args})] union U {{ a: u8 }}"),
        ] {
            if let Ok(item) = item.parse::<TokenStream>() {
                let output = transient::expand(item);
                let text = output.to_string();
                prop_assert!(parse2::<File>(output).is_ok(), "{text}");
            }
        }
    }
}
