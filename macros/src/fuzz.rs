//! Random attributes on random functions: the macros never panic, and what they write is Rust.
//!
//! `PROPTEST_CASES` says how many are tried of each kind.

use proc_macro2::TokenStream;
use proptest::{prelude::*, sample::select};
use syn::{File, parse2};

use crate::{
    derive,
    function::Function,
    stack::{self, Kind},
};

/// Words, literals and punctuation that occur in attributes, and some that should not.
const TOKENS: [&str; 79] = [
    "max_attempts",
    "max_attemps",
    "backoff",
    "jitter",
    "max_elapsed",
    "retry_if",
    "retry_if_result",
    "clone",
    "crate",
    "name",
    "breaker",
    "failure_threshold",
    "recovery_timeout",
    "half_open_max_calls",
    "failure_if",
    "window",
    "calls",
    "time",
    "failure_rate",
    "min_calls",
    "slow_call",
    "slow_call_rate",
    "recovery_jitter",
    "ramp_up",
    "observe_only",
    "preset",
    "critical",
    "key",
    "max_keys",
    "true",
    "exponential",
    "fixed",
    "linear",
    "fibonacci",
    "decorrelated",
    "none",
    "full",
    "equal",
    "proportional",
    "base",
    "max",
    "factor",
    "step",
    "unlimited",
    "any",
    "io::Error",
    "self",
    "if",
    "async",
    "r#type",
    "'a",
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
    "{ x }",
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

/// Tokens in a row, with groups among them.
fn attribute() -> impl Strategy<Value = String> {
    let token = select(&TOKENS[..]).prop_map(ToOwned::to_owned);
    let tokens = |inner: BoxedStrategy<String>| prop::collection::vec(inner, 0..7).prop_map(|tokens| tokens.join(" "));
    let tree = token.prop_recursive(3, 24, 6, move |inner| {
        let inner = tokens(inner.boxed());
        (inner, select(&["()", "[]", "{}"][..])).prop_map(|(inner, brackets)| {
            let (open, close) = brackets.split_at(1);
            format!("{open}{inner}{close}")
        })
    });
    prop::collection::vec(tree, 0..9).prop_map(|tokens| tokens.join(" "))
}

/// Options as someone might really write them.
fn plausible() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        select(&TOKENS[45..]).prop_map(ToOwned::to_owned),
        select(&TOKENS[15..31]).prop_map(ToOwned::to_owned),
        (select(&TOKENS[15..24]), select(&TOKENS[24..28]), select(&TOKENS[52..63]))
            .prop_map(|(name, key, value)| format!("{name}({key} = {value})")),
    ];
    let option = (select(&TOKENS[..15]), value).prop_map(|(key, value)| format!("{key} = {value}"));
    prop::collection::vec(option, 0..5).prop_map(|options| options.join(", "))
}

/// What can stand below.
const SIBLINGS: [&str; 5] = ["circuit_breaker", "timeout", "fallback", "rate_limit", "bulkhead"];

/// Arguments of the others of the family that are right, or nearly so.
fn family() -> impl Strategy<Value = String> {
    let parts = [
        "2s",
        "LIMIT",
        "cached",
        "self.cached",
        "|e| Ok(e)",
        "|| x",
        "|a, b, e| a",
        "if = |e| e.is()",
        "if(E)",
        "allow_order",
        "name = \"n\"",
        "limit = 5",
        "per = 1s",
        "max_wait = 1s",
        "key = x",
        "store = S",
        "max_concurrent = 3",
        "max_wait = 5ms",
        "cached()",
        "5",
        "0s",
        "a::b::<C>",
        "algorithm = gcra",
    ];
    prop::collection::vec(select(parts.to_vec()), 0..5).prop_map(|parts| parts.join(", "))
}

fn function() -> impl Strategy<Value = String> {
    let arguments = prop::collection::vec(select(&ARGUMENTS[..]), 0..4);
    (select(&QUALIFIERS[..]), arguments, select(&OUTPUTS[..]), select(&BODIES[..])).prop_map(
        |(qualifiers, arguments, output, body)| {
            format!("{qualifiers} fn f<'a, T>({}) {output} {body}", arguments.join(", "))
        },
    )
}

fn expand(first: &str, second: Option<(&str, &str)>, function: &str) -> Option<(bool, TokenStream)> {
    let below = second.map(|(name, second)| format!("#[{name}({second})]")).unwrap_or_default();
    let item: TokenStream = format!("{below} {function}").parse().ok()?;
    let is_function = parse2::<Function>(item.clone()).is_ok();
    Some((is_function, stack::expand(Kind::Retry, first.parse().ok()?, item)))
}

/// 2,000 cases, unless the environment says otherwise.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { 2_000 };
    ProptestConfig { cases, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn attributes(first in prop_oneof![attribute(), plausible()], second in prop::option::of((select(&SIBLINGS[..]), prop_oneof![attribute(), plausible(), family()])), function in function()) {
        // A body that is no Rust stays what it is, and so the whole can't be parsed either.
        let has_broken_body = syn::parse_str::<syn::Block>(&function[function.find('{').unwrap_or(0)..]).is_err();
        if let Some((true, output)) = expand(&first, second.as_ref().map(|(name, second)| (*name, second.as_str())), &function)
            && !has_broken_body
            && !function.contains("self")
            && !function.starts_with("default")
        {
            let text = output.to_string();
            prop_assert!(parse2::<File>(output).is_ok(), "{text}");
        }
    }

    #[test]
    fn items(item in attribute(), args in attribute()) {
        if let (Ok(args), Ok(item)) = (args.parse::<TokenStream>(), item.parse::<TokenStream>()) {
            stack::expand(Kind::CircuitBreaker, args, item);
        }
    }

    #[test]
    fn derives(attribute in prop_oneof![attribute(), select(&["inherit", "retry_after = 0", "retry_after = x", ""][..]).prop_map(ToOwned::to_owned)]) {
        for item in [
            format!("enum E<T> {{ #[transient({attribute})] A(#[from] T, u8), #[transient({attribute})] B {{ x: u8 }}, C }}"),
            format!("#[transient({attribute})] struct S<'a, T: 'a>(&'a T) where T: Copy;"),
            format!("#[transient({attribute})] union U {{ a: u8 }}"),
        ] {
            if let Ok(item) = item.parse::<TokenStream>() {
                let output = derive::expand(item);
                let text = output.to_string();
                prop_assert!(parse2::<File>(output).is_ok(), "{text}");
            }
        }
    }
}
