//! Functions of every shape under each attribute and under stacks of them: they compile, and the body runs as often as it should.
//!
//! The body of each function begins with `step()?`, which fails twice and then succeeds. `signatures.rs` has the shapes that return other types.

#![allow(
    clippy::all,
    clippy::pedantic,
    dead_code,
    deprecated,
    improper_ctypes_definitions,
    unused_mut,
    reason = "code as users write it, not the best code"
)]

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    collections::HashMap,
    fmt::{Debug, Display},
    future::Future,
    io,
    marker::PhantomPinned,
    pin::Pin,
    rc::Rc,
    sync::{Arc, Mutex},
};

use steadfast::{bulkhead, circuit_breaker, fallback, rate_limit, retry, timeout};
use tokio::task::yield_now;

type Io<T> = io::Result<T>;
type Ran = (&'static str, u32, bool);

thread_local!(static STEPS: Cell<u32> = const { Cell::new(0) });

/// Fails twice after each reset, and then succeeds.
fn step() -> io::Result<()> {
    STEPS.set(STEPS.get() + 1);
    if STEPS.get() < 3 { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
}

fn ran<T, E>(name: &'static str, result: Result<T, E>) -> Ran {
    (name, STEPS.take(), result.is_ok())
}

fn take<T>(_: T) {}

fn text() -> String {
    "abc".to_owned()
}

struct Fields {
    a: String,
    b: String,
}

struct Parts(String, u8, u8);

macro_rules! call {
    ($name:ident($($argument:expr),*)) => { ran(stringify!($name), $name($($argument),*)) };
}

macro_rules! call_async {
    ($name:ident($($argument:expr),*)) => { ran(stringify!($name), $name($($argument),*).await) };
}

/// A function whose parts come from the caller of the macro.
macro_rules! generated {
    ($(#[$attribute:meta])* $name:ident($($argument:ident: $ty:ty),*) -> $output:ty $body:block) => {
        $(#[$attribute])* fn $name($($argument: $ty),*) -> $output $body
    };
    (async $(#[$attribute:meta])* $name:ident($($argument:ident: $ty:ty),*) -> $output:ty $body:block) => {
        $(#[$attribute])* async fn $name($($argument: $ty),*) -> $output $body
    };
}

macro_rules! method {
    ($(#[$attribute:meta])* $name:ident($this:ident, $argument:ident: $ty:ty) => $body:expr) => {
        $(#[$attribute])* fn $name(&$this, $argument: $ty) -> io::Result<usize> { step()?; $body }
    };
}

macro_rules! sync_shapes {
    ($module:ident: $(#[$attribute:meta])*) => {
        mod $module {
            use super::*;

            // Arguments.
            $(#[$attribute])* fn const_generic<const N: usize, T: Clone>(x: [T; N]) -> Io<[T; N]> { step()?; Ok(x) }
            $(#[$attribute])* fn trait_objects(x: &dyn Display, y: Box<dyn Fn(&str) -> usize + Send>) -> Io<usize> { step()?; Ok(y(&x.to_string())) }
            $(#[$attribute])* fn higher_ranked<F>(f: F) -> Io<usize> where F: for<'a> Fn(&'a str) -> &'a str { step()?; Ok(f("a").len()) }
            $(#[$attribute])* fn hidden_higher_ranked(f: impl for<'a> Fn(&'a str) -> Io<&'a str>) -> Io<usize> { step()?; Ok(f("a")?.len()) }
            $(#[$attribute])* fn elided(x: Cow<'_, str>, y: std::slice::Iter<'_, u8>) -> Io<usize> { step()?; Ok(x.len() + y.len()) }
            $(#[$attribute])* fn two_lifetimes<'a, 'b: 'a>(x: &'a str, y: &'b str) -> Io<&'a str> { step()?; Ok(if x.is_empty() { x } else { y }) }
            $(#[$attribute])* fn nested_pattern(((a, b), [c, ..]): ((u8, String), [u8; 3])) -> Io<usize> { step()?; Ok(b.len() + usize::from(a + c)) }
            $(#[$attribute])* fn reference_pattern(&(ref a, b): &(String, u8), &x: &u8) -> Io<usize> { step()?; Ok(a.len() + usize::from(b + x)) }
            $(#[$attribute])* fn through_mut(a: &mut (String, u8), (b, c): &mut (String, u8)) -> Io<usize> { a.0.push('x'); b.push('y'); *c += 1; step()?; Ok(a.0.len()) }
            $(#[$attribute])* fn fields(Fields { a, b: c }: Fields, Parts(d, ..): Parts) -> Io<usize> { step()?; Ok(a.len() + c.len() + d.len()) }
            $(#[$attribute])* fn raw(r#type: String, r#fn: &str) -> Io<usize> { step()?; take(r#type); Ok(r#fn.len()) }
            $(#[$attribute])* fn r#match(x: u8) -> Io<u8> { step()?; Ok(x) }
            $(#[$attribute])* fn function_pointer(f: fn(u8) -> u8, g: extern "C" fn()) -> Io<u8> { step()?; g(); Ok(f(1)) }
            $(#[$attribute])* fn bounds<K, V>(m: HashMap<K, V>) -> Io<usize> where K: Eq + std::hash::Hash, V: Default { step()?; Ok(m.len()) }
            $(#[$attribute])* fn associated_type<I: Iterator + Clone>(mut i: I) -> Io<usize> where I::Item: Debug { step()?; Ok(i.by_ref().count()) }
            $(#[$attribute])* fn behind_cfg(#[cfg(all())] x: String, #[cfg(any())] y: Missing, #[allow(unused_variables)] z: u8) -> Io<usize> { #[cfg(any())] { missing(y) } step()?; #[cfg(all())] let n = x.len(); Ok(n) }
            $(#[$attribute])* fn lint_names(outcome: u8, attempts: u8, permit: u8, error: u8, call: u8, policy: u8, verdict: u8, success: u8, failure: u8, open: u8, guard: u8) -> Io<u8> { step()?; Ok(outcome + attempts + permit + error + call + policy + verdict + success + failure + open + guard) }
            $(#[$attribute])* fn never(x: Option<std::convert::Infallible>) -> Io<u8> { step()?; match x { Some(never) => match never {}, None => Ok(1) } }

            // Bodies.
            $(#[$attribute])* fn unit() -> Io<()> { step() }
            $(#[$attribute])* fn closures(x: Vec<u8>) -> Io<usize> { let f = |y: &u8| -> usize { if *y == 0 { return 1; } 2 }; step()?; Ok(x.iter().map(f).sum()) }
            $(#[$attribute])* fn items(x: u8) -> Io<u8> { use std::collections::HashSet; const C: u8 = 1; static S: u8 = 2; struct L(u8); impl L { fn g(&self) -> u8 { self.0 } } mod m { pub(super) fn f() -> u8 { 1 } } macro_rules! plus { ($e:expr) => { $e + 1 } } fn inner(x: u8) -> Io<u8> { Ok(x) } step()?; take(HashSet::<u8>::new()); Ok(plus!(inner(x)?) + C + S + L(1).g() + m::f()) }
            $(#[$attribute])* fn annotated_inside(x: u8) -> Io<u8> { #[retry(max_attempts = 2, backoff = none)] fn inner(x: u8) -> Io<u8> { Ok(x) } step()?; inner(x) }
            $(#[$attribute])* fn labels(x: u8) -> Io<u8> { 'call_0: { if x > 1 { break 'call_0; } } let y = 'attempt_0: loop { break 'attempt_0 1; }; 'fallback_0: while x > 3 { break 'fallback_0; } step()?; Ok(y) }
            $(#[$attribute])* fn let_else(x: Option<u8>) -> Io<u8> { step()?; let Some(y) = x else { return Ok(0); }; if let Some(z) = x && z > 1 { return Ok(z); } Ok(y) }
            $(#[$attribute])* fn macros(x: u8) -> Io<u8> { assert!(x < 255, "{x} {x:?} {}", x); let v = vec![x; 3]; step()?; Ok(u8::from(matches!(x, 1..=2)) + v[0]) }
            $(#[$attribute])* fn literals(x: u8) -> Io<usize> { let c = c"abc"; let b = b"x"; let r = r#"a"b"#; let raw = &raw const x; let k = const { 1 + 1 }; step()?; Ok(c.count_bytes() + b.len() + r.len() + k + usize::from(raw.is_null())) }
            $(#[$attribute])* fn recursive(x: u8) -> Io<u8> { if x == 0 { step()?; return Ok(0); } if STEPS.get() > 2 { Ok(0) } else { step()?; Ok(x) } }
            $(#[$attribute])* fn borrows_cells(c: &RefCell<u8>, m: Arc<Mutex<u8>>) -> Io<u8> { step()?; *c.borrow_mut() += 1; let g = m.lock().unwrap(); Ok(*g + *c.borrow()) }
            $(#[$attribute])* fn temporary_in_tail(m: &Mutex<u8>) -> Io<u8> { step()?; Ok(*m.lock().unwrap()) }
            $(#[$attribute])* fn match_in_tail(x: Option<String>) -> Io<usize> { step()?; match &x { Some(s) if s.is_empty() => Ok(0), Some(s) => Ok(s.len()), None => Err(io::ErrorKind::Other.into()) } }
            $(#[$attribute])* fn boxed_error(x: &str) -> Result<usize, Box<dyn std::error::Error + Send + Sync>> { if x.is_empty() { return Err("empty".into()); } step()?; Ok(x.len()) }
            $(#[$attribute])* fn any_error(x: &str) -> anyhow::Result<usize> { if x.is_empty() { anyhow::bail!("empty") } step()?; Ok(x.len()) }
            $(#[$attribute])* fn inner_attribute(x: u8) -> Io<u8> { #![allow(unused)] let y = 1; step()?; Ok(x) }

            // Returned values.
            $(#[$attribute])* fn borrowed(x: &str) -> Io<Cow<'_, str>> { step()?; Ok(Cow::Borrowed(x)) }
            $(#[$attribute])* fn hidden(x: &[u8]) -> Io<impl Iterator<Item = &u8> + use<'_>> { step()?; Ok(x.iter()) }
            $(#[$attribute])* fn closure(x: u8) -> Io<impl Fn() -> u8> { step()?; Ok(move || x) }
            $(#[$attribute])* fn trait_object(x: u8) -> Io<Box<dyn Fn() -> u8 + Send>> { step()?; Ok(Box::new(move || x)) }

            // Qualifiers and attributes.
            $(#[$attribute])* extern "C" fn foreign(x: u8) -> Io<u8> { step()?; Ok(x) }
            $(#[$attribute])* extern "C-unwind" fn unwinding(x: u8) -> Io<u8> { step()?; Ok(x) }
            /// Documented.
            #[must_use] #[inline(always)] #[allow(clippy::all)] #[cold] $(#[$attribute])* #[doc(hidden)] fn decorated(x: u8) -> Io<u8> { step()?; Ok(x) }
            #[deprecated = "old"] $(#[$attribute])* fn old(x: u8) -> Io<u8> { step()?; Ok(x) }
            $(#[$attribute])* pub(super) fn restricted(x: u8) -> Io<u8> { step()?; Ok(x) }
            generated! { $(#[$attribute])* from_macro(x: &str, y: String) -> std::io::Result<Vec<u8>> { step()?; take(y); Ok(x.bytes().collect()) } }
            generated! { $(#[$attribute])* without_arguments() -> io::Result<u8> { step()?; Ok(1) } }

            // Methods.
            #[derive(Clone, Default)]
            struct Client<T = u8>(T, String);

            impl<T: Clone> Client<T> {
                const SIZE: usize = 1;
                method! { $(#[$attribute])* from_macro(self, x: &str) => Ok(x.len() + self.1.len()) }
                $(#[$attribute])* fn by_reference(&self) -> Io<&T> { step()?; Ok(&self.0) }
                $(#[$attribute])* fn by_mut(&mut self, x: &mut String) -> Io<usize> { self.1.push('x'); x.push('y'); step()?; Ok(self.1.len()) }
                $(#[$attribute])* fn makes_itself(&self) -> Io<Self> { step()?; Ok(Self(self.0.clone(), Self::SIZE.to_string())) }
                $(#[$attribute])* fn by_arc(self: Arc<Self>) -> Io<usize> { step()?; Ok(self.1.len()) }
                $(#[$attribute])* fn by_arc_reference(self: &Arc<Self>) -> Io<usize> { step()?; Ok(Arc::clone(self).1.len()) }
                $(#[$attribute])* fn by_rc(self: Rc<Self>) -> Io<usize> { step()?; Ok(self.1.len()) }
                $(#[$attribute])* fn by_box(self: Box<Self>) -> Io<usize> { step()?; Ok(self.1.len()) }
                $(#[$attribute])* fn by_pin(self: Pin<&mut Self>) -> Io<usize> { step()?; Ok(self.1.len()) }
                $(#[$attribute])* fn by_shared_pin(self: Pin<&Self>) -> Io<usize> { step()?; Ok(self.1.len()) }
                $(#[$attribute])* fn by_typed_mut(self: &mut Self) -> Io<usize> { self.1.push('x'); step()?; Ok(1) }
                $(#[$attribute])* fn with_lifetime<'a>(&'a self, x: &'a str) -> Io<&'a str> { step()?; Ok(if x.is_empty() { &self.1 } else { x }) }
            }

            trait Calls {
                $(#[$attribute])* fn provided(&self, x: u8) -> Io<u8> { step()?; Ok(self.number() + x) }
                fn number(&self) -> u8;
                fn required(&self) -> Io<u8>;
            }

            impl<T> Calls for Client<T> {
                fn number(&self) -> u8 { 1 }
                $(#[$attribute])* fn required(&self) -> Io<u8> { step()?; Ok(1) }
            }

            pub(super) fn run() -> Vec<Ran> {
                extern "C" fn nothing() {}
                let client = || Client(1_u8, text());
                vec![
                    call!(const_generic([1])), call!(trait_objects(&1, Box::new(str::len))), call!(higher_ranked(|x| x)), call!(hidden_higher_ranked(|x| Ok(x))),
                    call!(elided("a".into(), [1].iter())), call!(two_lifetimes("a", "b")), call!(nested_pattern(((1, text()), [1, 2, 3]))), call!(reference_pattern(&(text(), 1), &1)),
                    call!(through_mut(&mut (text(), 1), &mut (text(), 1))), call!(fields(Fields { a: text(), b: text() }, Parts(text(), 1, 2))), call!(raw(text(), "a")), call!(r#match(1)),
                    call!(function_pointer(|x| x, nothing)), call!(bounds(HashMap::<u8, u8>::new())), call!(associated_type(0..3)), call!(behind_cfg(text(), 1)),
                    call!(lint_names(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)), call!(never(None)), call!(unit()), call!(closures(vec![1])), call!(items(1)), call!(annotated_inside(1)), call!(labels(1)),
                    call!(let_else(Some(1))), call!(macros(1)), call!(literals(1)), call!(recursive(1)), call!(borrows_cells(&RefCell::new(1), Arc::default())), call!(temporary_in_tail(&Mutex::new(1))),
                    call!(match_in_tail(Some(text()))), call!(boxed_error("a")), call!(any_error("a")), call!(inner_attribute(1)), call!(borrowed("a")), call!(hidden(&[1])), call!(closure(1)),
                    call!(trait_object(1)), call!(foreign(1)), call!(unwinding(1)), call!(decorated(1)), call!(old(1)), call!(restricted(1)),
                    call!(from_macro("a", text())), call!(without_arguments()),
                    ran("method of a macro", client().from_macro("a")), ran("&self", client().by_reference()), ran("&mut self", client().by_mut(&mut text())), ran("Self", client().makes_itself()),
                    ran("Arc<Self>", Arc::new(client()).by_arc()), ran("&Arc<Self>", Arc::new(client()).by_arc_reference()), ran("Rc<Self>", Rc::new(client()).by_rc()),
                    ran("Box<Self>", Box::new(client()).by_box()), ran("Pin<&mut Self>", Pin::new(&mut client()).by_pin()), ran("Pin<&Self>", Pin::new(&client()).by_shared_pin()),
                    ran("self: &mut Self", client().by_typed_mut()), ran("&'a self", client().with_lifetime("a")), ran("provided", client().provided(1)), ran("required", client().required()),
                ]
            }
        }
    };
}

macro_rules! async_shapes {
    ($module:ident: $(#[$attribute:meta])*) => {
        mod $module {
            use super::*;

            // Arguments.
            $(#[$attribute])* async fn const_generic<const N: usize, T: Clone>(x: [T; N]) -> Io<[T; N]> { yield_now().await; step()?; Ok(x) }
            $(#[$attribute])* async fn trait_objects(x: &dyn Display, y: Box<dyn Fn(&str) -> usize>) -> Io<usize> { yield_now().await; step()?; Ok(y(&x.to_string())) }
            $(#[$attribute])* async fn higher_ranked<F>(f: F) -> Io<usize> where F: for<'a> Fn(&'a str) -> &'a str { step()?; yield_now().await; Ok(f("a").len()) }
            $(#[$attribute])* async fn elided(x: Cow<'_, str>, y: std::slice::Iter<'_, u8>) -> Io<usize> { step()?; yield_now().await; Ok(x.len() + y.len()) }
            $(#[$attribute])* async fn two_lifetimes<'a, 'b: 'a>(x: &'a str, y: &'b str) -> Io<&'a str> { step()?; Ok(if x.is_empty() { x } else { y }) }
            $(#[$attribute])* async fn nested_pattern(((a, b), [c, ..]): ((u8, String), [u8; 3])) -> Io<usize> { step()?; yield_now().await; Ok(b.len() + usize::from(a + c)) }
            $(#[$attribute])* async fn reference_pattern(&(ref a, b): &(String, u8), &x: &u8) -> Io<usize> { step()?; yield_now().await; Ok(a.len() + usize::from(b + x)) }
            $(#[$attribute])* async fn through_mut(a: &mut (String, u8), (b, c): &mut (String, u8)) -> Io<usize> { a.0.push('x'); b.push('y'); *c += 1; yield_now().await; step()?; Ok(a.0.len()) }
            $(#[$attribute])* async fn fields(Fields { a, b: c }: Fields, Parts(d, ..): Parts) -> Io<usize> { step()?; yield_now().await; Ok(a.len() + c.len() + d.len()) }
            $(#[$attribute])* async fn raw(r#type: String, r#fn: &str) -> Io<usize> { step()?; take(r#type); yield_now().await; Ok(r#fn.len()) }
            $(#[$attribute])* async fn behind_cfg(#[cfg(all())] x: String, #[cfg(any())] y: Missing, #[allow(unused_variables)] z: u8) -> Io<usize> { #[cfg(any())] { missing(y).await } step()?; #[cfg(all())] let n = x.len(); Ok(n) }
            $(#[$attribute])* async fn pinned(mut x: Pin<&mut String>, _y: Pin<&mut PhantomPinned>) -> Io<usize> { x.as_mut().push('x'); yield_now().await; step()?; Ok(x.len()) }
            $(#[$attribute])* async fn callback(f: impl AsyncFn(u8) -> Io<u8>) -> Io<u8> { step()?; f(1).await }
            $(#[$attribute])* async fn not_send(x: Rc<u8>) -> Io<u8> { step()?; yield_now().await; Ok(*x) }

            // Bodies.
            $(#[$attribute])* async fn unit() -> Io<()> { step() }
            $(#[$attribute])* async fn async_closure(x: &str) -> Io<usize> { let f = async |y: &str| -> Io<usize> { yield_now().await; step()?; Ok(y.len()) }; Ok(f(x).await?) }
            $(#[$attribute])* async fn async_block(x: String) -> Io<usize> { let f = async { step()?; Ok::<_, io::Error>(x.len()) }; f.await }
            $(#[$attribute])* async fn items(x: u8) -> Io<u8> { const C: u8 = 1; macro_rules! plus { ($e:expr) => { $e + 1 } } async fn inner(x: u8) -> Io<u8> { Ok(x) } step()?; Ok(plus!(inner(x).await?) + C) }
            $(#[$attribute])* async fn annotated_inside(x: u8) -> Io<u8> { #[retry(max_attempts = 2, backoff = none)] async fn inner(x: u8) -> Io<u8> { Ok(x) } step()?; inner(x).await }
            $(#[$attribute])* async fn labels(x: u8) -> Io<u8> { 'call_0: { if x > 1 { break 'call_0; } } let y = 'attempt_0: loop { yield_now().await; break 'attempt_0 1; }; step()?; Ok(y) }
            $(#[$attribute])* async fn let_else(x: Option<u8>) -> Io<u8> { step()?; let Some(y) = x else { return Ok(0); }; if let Some(z) = x && z > 1 { return Ok(z); } Ok(y) }
            $(#[$attribute])* async fn join(x: u8) -> Io<u8> { let (a, b) = tokio::join!(async { Ok::<_, io::Error>(x) }, async { step() }); b?; a }
            $(#[$attribute])* async fn select(x: u8) -> Io<u8> { tokio::select! { biased; () = std::future::ready(()) => { step()?; Ok(x) } () = std::future::pending() => Ok(0) } }
            $(#[$attribute])* async fn recursive(x: u8) -> Io<u8> { if x == 0 { return Ok(0); } step()?; Ok(x) }
            $(#[$attribute])* async fn temporary_in_tail(m: &Mutex<u8>) -> Io<u8> { yield_now().await; step()?; Ok(*m.lock().unwrap()) }
            $(#[$attribute])* async fn boxed_error(x: &str) -> Result<usize, Box<dyn std::error::Error + Send + Sync>> { if x.is_empty() { return Err("empty".into()); } step()?; yield_now().await; Ok(x.len()) }
            $(#[$attribute])* async fn any_error(x: &str) -> anyhow::Result<usize> { if x.is_empty() { anyhow::bail!("empty") } step()?; yield_now().await; Ok(x.len()) }
            $(#[$attribute])* async fn inner_attribute(x: u8) -> Io<u8> { #![allow(unused)] let y = 1; step()?; Ok(x) }
            /// Documented.
            #[must_use] #[inline] #[allow(clippy::all)] $(#[$attribute])* async fn decorated(x: u8) -> Io<u8> { step()?; Ok(x) }
            generated! { async $(#[$attribute])* from_macro(x: &str, y: String) -> std::io::Result<Vec<u8>> { step()?; take(y); yield_now().await; Ok(x.bytes().collect()) } }

            // Returned values.
            $(#[$attribute])* async fn borrowed(x: &str) -> Io<Cow<'_, str>> { step()?; Ok(Cow::Borrowed(x)) }
            $(#[$attribute])* async fn hidden(x: &[u8]) -> Io<impl Iterator<Item = &u8> + use<'_>> { step()?; Ok(x.iter()) }
            $(#[$attribute])* fn future(x: String) -> impl Future<Output = Io<usize>> + Send { async move { yield_now().await; step()?; Ok(x.len()) } }
            $(#[$attribute])* fn future_of<'a, T: Display>(x: &'a T, y: String) -> impl Future<Output = Io<String>> + use<'a, T> { let y = y + "b"; async move { step()?; Ok(x.to_string() + &y) } }
            generated! { $(#[$attribute])* boxed_from_macro(x: u8) -> Pin<Box<dyn Future<Output = Io<u8>> + Send>> { Box::pin(async move { step()?; yield_now().await; Ok(x) }) } }
            $(#[$attribute])* fn boxed(x: &mut String) -> Pin<Box<dyn Future<Output = Io<usize>> + Send + '_>> { x.push('x'); Box::pin(async move { step()?; x.push('y'); Ok(x.len()) }) }

            // Methods.
            #[derive(Clone, Default)]
            struct Client<T = u8>(T, String);

            impl<T: Clone + Send + Sync> Client<T> {
                $(#[$attribute])* async fn by_reference(&self) -> Io<&T> { step()?; yield_now().await; Ok(&self.0) }
                $(#[$attribute])* async fn by_mut(&mut self, x: &mut String) -> Io<usize> { self.1.push('x'); x.push('y'); yield_now().await; step()?; Ok(self.1.len()) }
                $(#[$attribute])* async fn makes_itself(&self) -> Io<Self> { step()?; Ok(self.clone()) }
                $(#[$attribute])* async fn by_arc(self: Arc<Self>) -> Io<usize> { step()?; yield_now().await; Ok(self.1.len()) }
                $(#[$attribute])* async fn by_arc_reference(self: &Arc<Self>) -> Io<usize> { step()?; Ok(Arc::clone(self).1.len()) }
                $(#[$attribute])* async fn by_box(self: Box<Self>) -> Io<usize> { step()?; yield_now().await; Ok(self.1.len()) }
                $(#[$attribute])* async fn by_pin(self: Pin<&mut Self>) -> Io<usize> { step()?; yield_now().await; Ok(self.1.len()) }
                $(#[$attribute])* async fn by_value(self, x: String) -> Io<usize> { take(x); step()?; yield_now().await; Ok(self.1.len()) }
                $(#[$attribute])* fn future(&self, x: String) -> impl Future<Output = Io<usize>> + Send + use<T> { let own = self.1.clone(); async move { yield_now().await; step()?; take(x); Ok(own.len()) } }
                $(#[$attribute])* fn boxed<'a>(&'a mut self, x: &'a str) -> Pin<Box<dyn Future<Output = Io<usize>> + Send + 'a>> { let n = x.len(); Box::pin(async move { self.1.push('x'); step()?; Ok(n) }) }
            }

            trait Calls {
                $(#[$attribute])* async fn provided(&self, x: u8) -> Io<u8> { step()?; Ok(self.number() + x) }
                $(#[$attribute])* fn provided_future(&self, x: u8) -> impl Future<Output = Io<u8>> { async move { step()?; Ok(self.number() + x) } }
                fn number(&self) -> u8;
                async fn required(&self) -> Io<u8>;
            }

            impl<T> Calls for Client<T> {
                fn number(&self) -> u8 { 1 }
                $(#[$attribute])* async fn required(&self) -> Io<u8> { step()?; Ok(1) }
            }

            #[async_trait::async_trait]
            trait Boxes {
                async fn required(&self, mut x: String, (a, _): (String, u8), y: &mut Vec<u8>) -> Io<usize>;
                async fn by_mut(&mut self, x: &str) -> Io<&str>;
                async fn by_box(self: Box<Self>) -> Io<usize>;
            }

            #[async_trait::async_trait]
            impl Boxes for Client {
                $(#[$attribute])* async fn required(&self, mut x: String, (a, _): (String, u8), y: &mut Vec<u8>) -> Io<usize> { x.push('x'); y.push(1); yield_now().await; step()?; take(a); Ok(x.len()) }
                async fn by_mut(&mut self, x: &str) -> Io<&str> { _ = x; Ok(&self.1) }
                $(#[$attribute])* async fn by_box(self: Box<Self>) -> Io<usize> { step()?; yield_now().await; Ok(self.1.len()) }
            }

            pub(super) async fn run() -> Vec<Ran> {
                let client = || Client(1_u8, text());
                vec![
                    call_async!(const_generic([1])), call_async!(trait_objects(&1, Box::new(str::len))), call_async!(higher_ranked(|x| x)), call_async!(elided("a".into(), [1].iter())),
                    call_async!(two_lifetimes("a", "b")), call_async!(nested_pattern(((1, text()), [1, 2, 3]))), call_async!(reference_pattern(&(text(), 1), &1)),
                    call_async!(through_mut(&mut (text(), 1), &mut (text(), 1))), call_async!(fields(Fields { a: text(), b: text() }, Parts(text(), 1, 2))), call_async!(raw(text(), "a")),
                    call_async!(behind_cfg(text(), 1)), call_async!(pinned(Pin::new(&mut text()), std::pin::pin!(PhantomPinned))), call_async!(callback(async |x| Ok(x))), call_async!(not_send(Rc::new(1))),
                    call_async!(unit()), call_async!(async_closure("a")), call_async!(async_block(text())), call_async!(items(1)), call_async!(annotated_inside(1)), call_async!(labels(1)), call_async!(let_else(Some(1))),
                    call_async!(join(1)), call_async!(select(1)), call_async!(recursive(1)), call_async!(temporary_in_tail(&Mutex::new(1))), call_async!(boxed_error("a")), call_async!(any_error("a")),
                    call_async!(inner_attribute(1)), call_async!(decorated(1)), call_async!(from_macro("a", text())), call_async!(borrowed("a")), call_async!(hidden(&[1])),
                    call_async!(future(text())), call_async!(future_of(&1, text())), call_async!(boxed(&mut text())), call_async!(boxed_from_macro(1)),
                    ran("&self", client().by_reference().await), ran("&mut self", client().by_mut(&mut text()).await), ran("Self", client().makes_itself().await), ran("Arc<Self>", Arc::new(client()).by_arc().await),
                    ran("&Arc<Self>", Arc::new(client()).by_arc_reference().await), ran("Box<Self>", Box::new(client()).by_box().await), ran("Pin<&mut Self>", Pin::new(&mut client()).by_pin().await),
                    ran("self", client().by_value(text()).await), ran("method, impl Future", client().future(text()).await), ran("method, Pin<Box<dyn Future>>", client().boxed("a").await),
                    ran("provided", client().provided(1).await), ran("provided, impl Future", client().provided_future(1).await), ran("required", Calls::required(&client()).await),
                    ran("async_trait", Boxes::required(&client(), text(), (text(), 1), &mut Vec::new()).await), ran("async_trait, Box<Self>", Boxes::by_box(Box::new(client())).await),
                ]
            }
        }
    };
}

/// The stacks without a timeout.
macro_rules! stacks {
    ($shapes:ident) => {
        $shapes!(plain:);
        $shapes!(retried: #[retry(backoff = none)]);
        $shapes!(behind_breaker: #[circuit_breaker(name = "shapes", failure_threshold = 10_000)]);
        $shapes!(with_fallback: #[fallback(|error| Err(error))]);
        $shapes!(limited: #[rate_limit(name = "shapes", limit = 1_000_000, per = 1s)] #[bulkhead(name = "shapes", max_concurrent = 10)]);
        $shapes!(retry_over_breaker: #[retry(backoff = none)] #[circuit_breaker(name = "shapes")]);
    };
}

/// Checks that all functions of a stack ran so often, and whether they succeeded.
fn check(stack: &str, functions: Vec<Ran>, calls: u32) {
    assert!(functions.len() >= 50);
    for (name, ran, succeeded) in functions {
        assert_eq!((ran, succeeded), (calls, calls == 3), "{name} under {stack}");
    }
}

mod sync {
    use super::*;
    stacks!(sync_shapes);
    sync_shapes!(full:
        #[fallback(|error| Err(error))]
        #[retry(backoff = none, on_retry = |_, _, _| ())]
        #[circuit_breaker(name = "shapes, full", failure_threshold = 10_000, failure_if = |_| true)]
        #[rate_limit(name = "shapes")]
        #[bulkhead(name = "shapes")]
    );

    #[test]
    fn functions_of_every_shape_run_as_often_as_their_attributes_require() {
        check("nothing", plain::run(), 1);
        check("#[retry]", retried::run(), 3);
        check("#[circuit_breaker]", behind_breaker::run(), 1);
        check("#[fallback]", with_fallback::run(), 1);
        check("limits", limited::run(), 1);
        check("#[retry] over #[circuit_breaker]", retry_over_breaker::run(), 3);
        check("all", full::run(), 3);
    }
}

mod asynchronous {
    use super::*;
    stacks!(async_shapes);
    async_shapes!(timed: #[timeout(1h)]);
    async_shapes!(full:
        #[fallback(|error| Err(error))]
        #[timeout(1h)]
        #[retry(backoff = none, on_retry = |_, _, _| ())]
        #[circuit_breaker(name = "shapes, full, async", failure_threshold = 10_000, failure_if = |_| true)]
        #[rate_limit(name = "shapes")]
        #[bulkhead(name = "shapes")]
        #[timeout(1m)]
    );

    #[tokio::test]
    async fn async_functions_of_every_shape_run_as_often_as_their_attributes_require() {
        check("nothing", plain::run().await, 1);
        check("#[retry]", retried::run().await, 3);
        check("#[circuit_breaker]", behind_breaker::run().await, 1);
        check("#[timeout]", timed::run().await, 1);
        check("#[fallback]", with_fallback::run().await, 1);
        check("limits", limited::run().await, 1);
        check("#[retry] over #[circuit_breaker]", retry_over_breaker::run().await, 3);
        check("all", full::run().await, 3);
    }
}
