//! The generated code in the parsers of other people's attributes, most of which use an older syn.

use proc_macro2::TokenStream;
use syn::parse2;

use crate::{attributes::ATTRIBUTES, stack};

/// Each attribute with each kind of option, as a single layer and in stacks. The first attribute of a stack is the one that is expanded.
const SYNC: [&[(&str, &str)]; 15] = [
    &[("retry", "")],
    &[("retry", "max_attempts = 1")],
    &[(
        "retry",
        "name = \"a\", retry_if(io::Error), on_retry = |a, d, e| {}, budget = BUDGET, stop_on = STOP, nested = inherit",
    )],
    &[("retry", "retry_if_result = |value, attempt| true, max_attempts = unlimited, max_elapsed = 1s")],
    &[("circuit_breaker", "name = \"a\"")],
    &[(
        "circuit_breaker",
        "name = \"a\", key = x, failure_if(io::Error, CircuitOpen), window = time(60s), slow_call = 2s",
    )],
    &[("circuit_breaker", "breaker = OWN, failure_if = |error| error.is()")],
    &[("fallback", "cached, self.cached, |error| Ok(1), |x, error| Ok(2), if = |error| true")],
    &[("fallback", "cached, if(io::Error)")],
    &[("rate_limit", "name = \"a\", limit = 1, per = 1s")],
    &[("rate_limit", "rate_limit = LIMIT, key = x")],
    &[("bulkhead", "name = \"a\", max_concurrent = 1, max_wait = 1s")],
    &[("retry", "clone(x)"), ("circuit_breaker", "name = \"a\"")],
    &[
        ("circuit_breaker", "name = \"a\""),
        ("retry", "retry_if = any"),
        ("rate_limit", "name = \"a\", limit = 1, per = 1s"),
    ],
    &[
        ("fallback", "|error| Ok(1)"),
        ("retry", ""),
        ("circuit_breaker", "name = \"a\", failure_if(io::Error)"),
        ("rate_limit", "name = \"a\", limit = 1, per = 1s"),
        ("bulkhead", "name = \"a\", max_concurrent = 1"),
        ("retry", "max_attempts = 1"),
    ],
];

/// Stacks with a timeout, which are only for `async` functions.
const TIMED: [&[(&str, &str)]; 4] = [
    &[("timeout", "1s")],
    &[("timeout", "LIMIT"), ("fallback", "cached")],
    &[("timeout", "1s"), ("circuit_breaker", "name = \"a\", hung_call = 500ms")],
    &[
        ("fallback", "|error| Ok(1)"),
        ("timeout", "10s"),
        ("retry", "on_retry = |a, d, e| {}"),
        ("circuit_breaker", "name = \"a\", failure_if(io::Error)"),
        ("rate_limit", "name = \"a\", limit = 1, per = 1s, max_wait = 1s"),
        ("bulkhead", "name = \"a\", max_concurrent = 1"),
        ("timeout", "1s"),
    ],
];

const SYNC_FUNCTIONS: [&str; 9] = [
    "fn f(x: &str) -> io::Result<u8> { Ok(1) }",
    "fn f(x: String) -> io::Result<String> { Ok(x) }",
    "fn f(mut x: String, (a, _): (A, B), #[cfg(any())] missing: C) -> Result<u8, Error> { x.push('x'); Ok(1) }",
    "fn f(x: &str) -> Option<u8> { None }",
    "fn f<'a, T: Clone, const N: usize>(x: &'a mut T, y: [u8; N]) -> Result<&'a T, ()> where T: Copy { Ok(x) }",
    "pub(crate) fn f(&self, x: impl Fn() -> u8) -> Result<impl Iterator<Item = u8>, Error> { Ok(x) }",
    "unsafe fn f(&mut self, x: T) -> Result<T, Error> { 'a: loop { break 'a Ok(x); } }",
    "extern \"C\" fn f(self: Arc<Self>, x: T) -> Result<T, Error> { return Ok(x); }",
    "fn f<E: Error>(x: Pin<&mut T>) -> Result<(), E> { x.get()?; Ok(()) }",
];

const ASYNC_FUNCTIONS: [&str; 9] = [
    "async fn f(x: &str) -> io::Result<u8> { x.send().await?; Ok(1) }",
    "async fn f(x: String) -> io::Result<String> { Ok(x) }",
    "async fn f(mut x: String, (a, _): (A, B), #[cfg(any())] missing: C) -> Result<u8, Error> { x.push('x'); Ok(1) }",
    "async fn f(&mut self, x: T) -> Option<impl Display> { Some(x) }",
    "async fn f<E: Error>(self: Pin<&mut Self>, x: T) -> Result<(), E> { Ok(()) }",
    "fn f(x: String) -> impl Future<Output = io::Result<u8>> + Send { async move { Ok(x) } }",
    "fn f(&self, x: T) -> impl Future<Output = io::Result<u8>> { let c = self.c.clone(); async move { c.send(x).await } }",
    "fn f<'a>(&'a self, x: T) -> BoxFuture<'a, io::Result<u8>> { let c = self.c.clone(); Box::pin(async move { Ok(x) }) }",
    "fn f<'a, 'b>(&'a mut self, x: T) -> ::core::pin::Pin<Box<dyn ::core::future::Future<Output = io::Result<u8>> + Send + 'a>> where 'b: 'a \
     { Box::pin(async move { if let Some(__ret) = None::<io::Result<u8>> { return __ret; } let __self = self; let mut x = x; let __ret: io::Result<u8> = { Ok(x) }; __ret }) }",
];

#[test]
fn older_parsers_accept_the_generated_code() {
    let cases = |functions: &'static [&str], stacks: &'static [&[(&str, &str)]]| {
        functions.iter().flat_map(move |function| stacks.iter().map(move |stack| (*function, *stack)))
    };
    let all =
        cases(&SYNC_FUNCTIONS, &SYNC).chain(cases(&ASYNC_FUNCTIONS, &SYNC)).chain(cases(&ASYNC_FUNCTIONS, &TIMED));
    for (function, stack) in all {
        let [(first, args), below @ ..] = stack else { continue };
        let below: Vec<_> = below.iter().map(|(name, args)| format!("#[{name}({args})]")).collect();
        let item: TokenStream =
            format!("{} {function}", below.join(" ")).parse().unwrap_or_else(|_| panic!("{function}"));
        let row = ATTRIBUTES.iter().find(|row| row.name == *first).unwrap_or_else(|| panic!("{first}"));
        let output = stack::expand(row, args.parse().unwrap_or_else(|_| panic!("{args}")), item);
        let text = output.to_string();
        // Some options need arguments that not every function has.
        if text.contains("compile_error") {
            continue;
        }
        // The parser of this crate is part of the test: it finds mistakes that have nothing to do with the version.
        assert_eq!(
            parse2::<syn::ItemFn>(output.clone()).err().map(|error| error.to_string()),
            None,
            "{stack:?} {function}\n{text}"
        );
        assert_eq!(
            syn2::parse2::<syn2::ItemFn>(output.clone()).err().map(|error| error.to_string()),
            None,
            "syn 2: {stack:?} {function}\n{text}"
        );
        assert_eq!(
            syn1::parse2::<syn1::ItemFn>(output).err().map(|error| error.to_string()),
            None,
            "syn 1: {stack:?} {function}\n{text}"
        );
    }
}
