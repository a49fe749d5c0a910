//! Signatures, bodies and receivers of every kind under each attribute and under two in either order: how often the body runs, and
//! the result of the call.
//!
//! Each body fails twice and then succeeds. With a retry it runs three times and the call succeeds; with a breaker alone it runs
//! once and the call fails.

#![allow(clippy::all, clippy::pedantic, reason = "code as users write it, not the best code")]

use std::{
    cell::Cell,
    error::Error,
    fmt::Display,
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::{Arc, atomic::AtomicU32},
};

use steadfast::{circuit_breaker, retry};
use tokio::task::yield_now;

use crate::{Failure, Script};

/// A type that does not implement `Clone`, so that attempts can only borrow it.
#[derive(Debug, Default)]
struct Socket(#[expect(dead_code, reason = "shown by `Debug`")] AtomicU32);

type Answer<T> = Result<T, Failure>;
type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// The observed behaviour of a function: its name, how often its body ran, and whether the call succeeded.
type Observed = (&'static str, u32, bool);

fn observe(name: &'static str, run: impl FnOnce(&Script) -> bool) -> Observed {
    let script = Script::new("TTS");
    let succeeded = run(&script);
    (name, script.calls(), succeeded)
}

async fn observe_async(name: &'static str, run: impl AsyncFnOnce(&Script) -> bool) -> Observed {
    let script = Script::new("TTS");
    let succeeded = run(&script).await;
    (name, script.calls(), succeeded)
}

fn take<T>(_: T) {}

const fn is_send<T: Send>(value: T) -> T {
    value
}

macro_rules! signatures {
    ($module:ident: $(#[$attribute:meta])*) => {
        mod $module {
            use super::*;

            pub(super) struct Client<'s> {
                script: &'s Script,
                name: String,
                writes: u32,
            }

            #[derive(Clone, Copy)]
            pub(super) struct Handle<'s>(&'s Script);

            impl<'s> Client<'s> {
                fn new(script: &'s Script) -> Self {
                    Self { script, name: "abc".to_owned(), writes: 0 }
                }
            }

            // Arguments.
            $(#[$attribute])* fn shared(script: &Script, text: &str) -> Answer<usize> { script.call().map(|_| text.len()) }
            $(#[$attribute])* async fn shared_async(script: &Script, text: &str) -> Answer<usize> { yield_now().await; script.call().map(|_| text.len()) }
            $(#[$attribute])* fn mutable(script: &Script, text: &mut String) -> Answer<usize> { text.push('x'); script.call().map(|_| text.len()) }
            $(#[$attribute])* async fn mutable_async(script: &Script, text: &mut String) -> Answer<usize> { text.push('x'); yield_now().await; script.call().map(|_| text.len()) }
            $(#[$attribute])* fn passed_on(script: &Script, text: &mut String) -> Answer<u32> { take(text); script.call() }
            $(#[$attribute])* async fn pinned(script: &Script, mut text: Pin<&mut String>) -> Answer<u32> { text.as_mut().push('x'); script.call() }
            $(#[$attribute])* fn owned(script: &Script, socket: Socket) -> Answer<String> { script.call().map(|_| format!("{socket:?}")) }
            $(#[$attribute])* async fn owned_async(script: &Script, socket: Socket) -> Answer<String> { yield_now().await; script.call().map(|_| format!("{socket:?}")) }
            $(#[$attribute])* fn moved(script: &Script, text: String) -> Answer<u32> { take(text); script.call() }
            $(#[$attribute])* async fn moved_async(script: &Script, text: String) -> Answer<u32> { take(text); yield_now().await; script.call() }
            $(#[$attribute])* fn changed(script: &Script, mut count: Vec<u8>) -> Answer<()> { count.push(1); assert_eq!(count, [1]); script.call().map(drop) }
            $(#[$attribute])* async fn changed_async(script: &Script, mut count: Vec<u8>) -> Answer<()> { count.push(1); assert_eq!(count, [1]); script.call().map(drop) }
            $(#[$attribute])* fn destructured(script: &Script, (a, _): (u8, u8), [b, c]: [u8; 2], Handle(other): Handle<'_>) -> Answer<u8> { take(other); script.call().map(|_| a + b + c) }
            $(#[$attribute])* async fn destructured_async(script: &Script, (a, ref b): (u8, String), &c: &u8) -> Answer<usize> { script.call().map(|_| usize::from(a + c) + b.len()) }
            $(#[$attribute])* fn ignored(script: &Script, _: Socket, _rest: u8) -> Answer<u32> { script.call() }
            $(#[$attribute])* fn impl_argument(script: &Script, text: impl Display + Clone, call: impl Fn() -> u8) -> Answer<String> { take(text.clone()); script.call().map(|_| format!("{text}{}", call())) }
            $(#[$attribute])* async fn impl_argument_async(script: &Script, text: impl AsRef<str>) -> Answer<usize> { script.call().map(|_| text.as_ref().len()) }
            $(#[$attribute])* fn raw(r#type: &Script) -> Answer<u32> { r#type.call() }
            $(#[$attribute])* fn colliding(outcome: &Script, attempts: u32, delay: u32, permit: u32, disposition: u32, open: u32, __private: u32) -> Answer<u32> { outcome.call().map(|_| attempts + delay + permit + disposition + open + __private) }
            $(#[$attribute])* async fn colliding_async(outcome: &Script, attempts: u32, argument_0: String, error: u32) -> Answer<u32> { take(argument_0); outcome.call().map(|_| attempts + error) }
            $(#[$attribute])* fn behind_cfg(script: &Script, #[cfg(any())] absent: Absent, #[cfg(not(any()))] present: String) -> Answer<u32> { take(present); script.call() }

            // Generics and return types.
            $(#[$attribute])* fn generic<'a, T, const N: usize>(script: &'a Script, items: [T; N]) -> Answer<(&'a Script, usize)> where T: Display { script.call().map(|_| (script, items.iter().map(|item| item.to_string().len()).sum())) }
            $(#[$attribute])* async fn generic_async<T: Display + Clone>(script: &Script, item: T) -> Answer<T> { script.call().map(|_| item.clone()) }
            $(#[$attribute])* fn impl_return(script: &Script) -> Answer<impl Iterator<Item = u32> + use<>> { script.call().map(|call| 0..call) }
            $(#[$attribute])* async fn impl_return_async(script: &Script) -> Answer<impl Display> { script.call().map(|call| call.to_string()) }
            $(#[$attribute])* fn elided_lifetime(handle: Handle<'_>) -> Answer<Handle<'_>> { handle.0.call().map(|_| handle) }
            $(#[$attribute])* fn option(script: &Script) -> Option<u32> { script.call().ok() }
            $(#[$attribute])* async fn option_async(script: &Script) -> Option<u32> { let call = script.call().ok()?; Some(call) }
            $(#[$attribute])* fn alias(script: &Script) -> anyhow::Result<u32> { Ok(script.call()?) }
            $(#[$attribute])* async fn alias_async(script: &Script) -> anyhow::Result<u32> { Ok(script.call()?) }
            $(#[$attribute])* fn boxed_error(script: &Script) -> Result<u32, Box<dyn Error + Send + Sync>> { Ok(script.call()?) }
            $(#[$attribute])* async fn boxed_error_async(script: &Script) -> Result<u32, Box<dyn Error + Send + Sync>> { if let Err(error) = script.call() { return Err(error.into()); } Ok(1) }
            $(#[$attribute])* fn coerced(script: &Script) -> Answer<Box<dyn Display>> { script.call()?; Ok(Box::new(1)) }
            $(#[$attribute])* async fn coerced_async(script: &Script) -> Answer<&dyn std::any::Any> { script.call()?; Ok(&1_u8) }

            // Bodies.
            $(#[$attribute])* fn questions(script: &Script) -> Answer<String> { let inner = || -> Answer<u32> { Ok(script.call()? + 1) }; Ok(format!("{}", inner()?)) }
            $(#[$attribute])* async fn questions_async(script: &Script) -> Answer<String> { let inner = async { Ok::<_, Failure>(script.call()? + 1) }; Ok(format!("{}", inner.await?)) }
            $(#[$attribute])* fn returns(script: &Script) -> Answer<u32> { for _ in 0..3 { if let Err(error) = script.call() { return Err(error); } return Ok(1); } Err(Failure::Permanent) }
            $(#[$attribute])* fn labels(script: &Script) -> Answer<u32> { let found = 'call: { loop { 'call_1: loop { break 'call_1; } break 'call script.call(); } }; found }
            $(#[$attribute])* async fn labels_async(script: &Script) -> Answer<u32> { 'outer: loop { loop { match script.call() { Ok(call) => break 'outer Ok(call), Err(error) => break 'outer Err(error) } } } }
            $(#[$attribute])* fn diverges(script: &Script) -> Answer<u32> { if script.call().is_ok() { return Ok(1); } else { return Err(Failure::Transient(0)); } }
            $(#[$attribute])* #[expect(clippy::items_after_statements)] fn items(script: &Script) -> Answer<u32> { take(1); fn inner(script: &Script) -> Answer<u32> { script.call() } inner(script) }
            $(#[$attribute])* async fn not_send(script: Rc<&Script>) -> Answer<u32> { let cell = Rc::new(Cell::new(1)); yield_now().await; script.call().map(|call| call + cell.get()) }

            // Qualifiers and attributes.
            $(#[$attribute])* #[allow(dead_code)] fn qualified(script: &Script) -> Answer<u32> { script.call() }
            $(#[$attribute])* #[allow(improper_ctypes_definitions)] extern "C" fn foreign(script: &Script) -> Answer<u32> { script.call() }
            /// Documented.
            $(#[$attribute])* #[must_use] #[inline] fn decorated(script: &Script) -> Answer<u32> { script.call() }
            #[tracing::instrument(skip_all)] $(#[$attribute])* async fn instrumented(script: &Script, text: String, log: &mut Vec<u8>) -> Answer<u32> { take(text); log.push(1); script.call() }
            $(#[$attribute])* #[tracing::instrument(skip_all)] async fn instrumented_below(script: &Script, text: String) -> Answer<u32> { take(text); script.call() }
            #[tracing::instrument(skip_all)] $(#[$attribute])* fn instrumented_sync(script: &Script, mut text: String) -> Answer<u32> { text.push('x'); script.call() }

            // Functions that return a future.
            $(#[$attribute])* fn future(script: &Script, text: String) -> impl Future<Output = Answer<u32>> { async move { take(text); yield_now().await; script.call() } }
            $(#[$attribute])* fn future_later(script: &Script) -> impl Future<Output = Answer<u32>> { let inner = async { script.call() }; inner }
            $(#[$attribute])* fn boxed_future<'a>(script: &'a Script, text: &'a mut String) -> BoxFuture<'a, Answer<u32>> { Box::pin(async move { text.push('x'); script.call() }) }
            type BoxFuture<'a, T> = Boxed<'a, T>;
            $(#[$attribute])* fn spelled_out<'a>(script: &'a Script) -> Pin<Box<dyn Future<Output = Answer<u32>> + 'a>> { if false { return Box::pin(async { Ok(1) }); } Box::pin(async { script.call() }) }

            // Methods.
            impl Client<'_> {
                $(#[$attribute])* fn by_ref(&self) -> Answer<&str> { self.script.call()?; Ok(&self.name) }
                $(#[$attribute])* async fn by_ref_async(&self) -> Answer<&str> { yield_now().await; self.script.call()?; Ok(&self.name) }
                $(#[$attribute])* fn by_mut(&mut self, log: &mut Vec<u32>) -> Answer<u32> { self.writes += 1; log.push(self.writes); self.script.call() }
                $(#[$attribute])* async fn by_mut_async(&mut self, log: &mut Vec<u32>) -> Answer<u32> { self.writes += 1; log.push(self.writes); yield_now().await; self.script.call() }
                $(#[$attribute])* fn by_value(self) -> Answer<usize> { self.script.call().map(|_| self.name.len()) }
                $(#[$attribute])* fn by_box(self: Box<Self>) -> Answer<usize> { self.script.call().map(|_| self.name.len()) }
                $(#[$attribute])* fn by_rc(self: Rc<Self>) -> Answer<usize> { self.script.call().map(|_| self.name.len()) }
                $(#[$attribute])* async fn by_arc(self: Arc<Self>) -> Answer<usize> { self.script.call().map(|_| self.name.len()) }
                $(#[$attribute])* async fn by_pin(mut self: Pin<&mut Self>) -> Answer<usize> { self.as_mut().get_mut().writes += 1; self.script.call().map(|_| self.name.len()) }
            }

            impl<'s> Handle<'s> {
                $(#[$attribute])* fn by_copy(self) -> Answer<u32> { take(self); self.0.call() }
                $(#[$attribute])* fn associated(script: &'s Script) -> Answer<Self> { script.call().map(|_| Self(script)) }
            }

            trait Calls {
                fn get(&self) -> Answer<u32>;
                async fn native(&self) -> Answer<u32>;
                $(#[$attribute])* fn provided(&self) -> Answer<u32> { self.script().call() }
                $(#[$attribute])* async fn provided_async(&self) -> Answer<u32> { self.script().call() }
                fn script(&self) -> &Script;
            }

            impl Calls for Client<'_> {
                $(#[$attribute])* fn get(&self) -> Answer<u32> { self.script.call() }
                $(#[$attribute])* async fn native(&self) -> Answer<u32> { self.script.call() }
                fn script(&self) -> &Script { self.script }
            }

            #[async_trait::async_trait(?Send)]
            trait Boxes {
                async fn fetch(&self, text: String, log: &mut Vec<u8>) -> Answer<&str>;
                async fn change(&mut self, mut count: Vec<u8>) -> Answer<u32>;
                $(#[$attribute])* async fn provided(&self) -> Answer<u32> { self.script().call() }
                fn script(&self) -> &Script;
            }

            #[async_trait::async_trait(?Send)]
            impl Boxes for Client<'_> {
                $(#[$attribute])* async fn fetch(&self, text: String, log: &mut Vec<u8>) -> Answer<&str> { take(text); log.push(1); self.script.call()?; Ok(&self.name) }
                $(#[$attribute])* async fn change(&mut self, mut count: Vec<u8>) -> Answer<u32> { count.push(1); assert_eq!(count, [1]); self.writes += 1; self.script.call() }
                fn script(&self) -> &Script { self.script }
            }

            pub(super) async fn run() -> Vec<Observed> {
                let text = || String::from("abc");
                vec![
                    observe("&T", |s| shared(s, "abc").is_ok()),
                    observe_async("&T, async", async |s| shared_async(s, "abc").await.is_ok()).await,
                    observe("&mut T", |s| mutable(s, &mut text()).is_ok()),
                    observe_async("&mut T, async", async |s| mutable_async(s, &mut text()).await.is_ok()).await,
                    observe("&mut T, passed on", |s| passed_on(s, &mut text()).is_ok()),
                    observe_async("Pin<&mut T>, async", async |s| pinned(s, Pin::new(&mut text())).await.is_ok()).await,
                    observe("owned, not Clone, borrowed", |s| owned(s, Socket::default()).is_ok()),
                    observe_async("owned, not Clone, borrowed, async", async |s| owned_async(s, Socket::default()).await.is_ok()).await,
                    observe("owned, moved", |s| moved(s, text()).is_ok()),
                    observe_async("owned, moved, async", async |s| moved_async(s, text()).await.is_ok()).await,
                    observe("mut x: T", |s| changed(s, Vec::new()).is_ok()),
                    observe_async("mut x: T, async", async |s| changed_async(s, Vec::new()).await.is_ok()).await,
                    observe("destructured", |s| destructured(s, (1, 2), [3, 4], Handle(s)).is_ok()),
                    observe_async("destructured, async", async |s| destructured_async(s, (1, text()), &2).await.is_ok()).await,
                    observe("_", |s| ignored(s, Socket::default(), 1).is_ok()),
                    observe("impl Trait argument", |s| impl_argument(s, 1, || 2).is_ok()),
                    observe_async("impl Trait argument, async", async |s| impl_argument_async(s, text()).await.is_ok()).await,
                    observe("raw identifier", |s| raw(s).is_ok()),
                    observe("colliding names", |s| colliding(s, 1, 2, 3, 4, 5, 6).is_ok()),
                    observe_async("colliding names, async", async |s| colliding_async(s, 1, text(), 2).await.is_ok()).await,
                    observe("#[cfg] on arguments", |s| behind_cfg(s, text()).is_ok()),
                    observe("generics, lifetimes, where, const", |s| generic(s, [1, 2]).is_ok()),
                    observe_async("generics, async", async |s| generic_async(s, 1).await.is_ok()).await,
                    observe("impl Trait returned", |s| impl_return(s).is_ok_and(|numbers| numbers.count() == 3)),
                    observe_async("impl Trait returned, async", async |s| impl_return_async(s).await.is_ok()).await,
                    observe("elided lifetime returned", |s| elided_lifetime(Handle(s)).is_ok()),
                    observe("Option", |s| option(s).is_some()),
                    observe_async("Option with ?, async", async |s| option_async(s).await.is_some()).await,
                    observe("anyhow::Result", |s| alias(s).is_ok()),
                    observe_async("anyhow::Result, async", async |s| alias_async(s).await.is_ok()).await,
                    observe("boxed error", |s| boxed_error(s).is_ok()),
                    observe_async("boxed error, async", async |s| boxed_error_async(s).await.is_ok()).await,
                    observe("coerced tail", |s| coerced(s).is_ok()),
                    observe_async("coerced tail, async", async |s| coerced_async(s).await.is_ok()).await,
                    observe("? in closures and format!", |s| questions(s).is_ok()),
                    observe_async("? in async blocks and format!", async |s| questions_async(s).await.is_ok()).await,
                    observe("return in a loop", |s| returns(s).is_ok()),
                    observe("labels", |s| labels(s).is_ok()),
                    observe_async("labels, async", async |s| labels_async(s).await.is_ok()).await,
                    observe("diverging tail", |s| diverges(s).is_ok()),
                    observe("items in the body", |s| items(s).is_ok()),
                    observe_async("a future that is not Send", async |s| not_send(Rc::new(s)).await.is_ok()).await,
                    observe("foreign attributes", |s| qualified(s).is_ok()),
                    observe("extern \"C\"", |s| foreign(s).is_ok()),
                    observe("doc, must_use, inline", |s| decorated(s).is_ok()),
                    observe_async("#[instrument] above", async |s| instrumented(s, text(), &mut Vec::new()).await.is_ok()).await,
                    observe_async("#[instrument] below", async |s| instrumented_below(s, text()).await.is_ok()).await,
                    observe("#[instrument] above, sync", |s| instrumented_sync(s, text()).is_ok()),
                    observe_async("impl Future", async |s| future(s, text()).await.is_ok()).await,
                    observe_async("impl Future, from a variable", async |s| future_later(s).await.is_ok()).await,
                    observe_async("BoxFuture", async |s| boxed_future(s, &mut text()).await.is_ok()).await,
                    observe_async("Pin<Box<dyn Future>>", async |s| spelled_out(s).await.is_ok()).await,
                    observe("&self", |s| Client::new(s).by_ref().is_ok()),
                    observe_async("&self, async", async |s| Client::new(s).by_ref_async().await.is_ok()).await,
                    observe("&mut self", |s| Client::new(s).by_mut(&mut Vec::new()).is_ok()),
                    observe_async("&mut self, async", async |s| Client::new(s).by_mut_async(&mut Vec::new()).await.is_ok()).await,
                    observe("self", |s| Client::new(s).by_value().is_ok()),
                    observe("self, Copy", |s| Handle(s).by_copy().is_ok()),
                    observe("Box<Self>", |s| Box::new(Client::new(s)).by_box().is_ok()),
                    observe("Rc<Self>", |s| Rc::new(Client::new(s)).by_rc().is_ok()),
                    observe_async("Arc<Self>, async", async |s| Arc::new(Client::new(s)).by_arc().await.is_ok()).await,
                    observe_async("Pin<&mut Self>, async", async |s| Box::pin(Client::new(s)).as_mut().by_pin().await.is_ok()).await,
                    observe("associated function", |s| Handle::associated(s).is_ok()),
                    observe("trait impl", |s| Client::new(s).get().is_ok()),
                    observe_async("native async fn in trait", async |s| Client::new(s).native().await.is_ok()).await,
                    observe("trait default", |s| Calls::provided(&Client::new(s)).is_ok()),
                    observe_async("trait default, async", async |s| Client::new(s).provided_async().await.is_ok()).await,
                    observe_async("#[async_trait] impl", async |s| Client::new(s).fetch(text(), &mut Vec::new()).await.is_ok()).await,
                    observe_async("#[async_trait] impl, &mut self", async |s| Client::new(s).change(Vec::new()).await.is_ok()).await,
                    observe_async("#[async_trait] default", async |s| Boxes::provided(&Client::new(s)).await.is_ok()).await,
                ]
            }
        }
    };
}

signatures!(retried: #[retry(max_attempts = 3, backoff = none, retry_if = any)]);
signatures!(behind_breaker: #[circuit_breaker(name = "signatures", failure_threshold = 1_000)]);
signatures!(retry_over_breaker:
    #[retry(max_attempts = 3, backoff = none, retry_if = any)]
    #[circuit_breaker(name = "signatures")]
);
signatures!(breaker_over_retry:
    #[circuit_breaker(name = "signatures")]
    #[retry(max_attempts = 3, backoff = none, retry_if = any)]
);

#[tokio::test]
async fn a_function_with_any_signature_runs_as_often_as_its_attributes_require() {
    for (stack, seen, calls, succeeds) in [
        ("#[retry]", retried::run().await, 3, true),
        ("#[circuit_breaker]", behind_breaker::run().await, 1, false),
        ("#[retry] over #[circuit_breaker]", retry_over_breaker::run().await, 3, true),
        ("#[circuit_breaker] over #[retry]", breaker_over_retry::run().await, 3, true),
    ] {
        assert!(seen.len() > 60);
        for (signature, ran, succeeded) in seen {
            assert_eq!((ran, succeeded), (calls, succeeds), "{signature} under {stack}");
        }
    }
}

#[tokio::test]
#[retry(max_attempts = 3, backoff = none, retry_if = any)]
async fn a_test_function_can_be_retried() -> Result<(), Failure> {
    thread_local!(static SCRIPT: Script = const { Script::new("TTS") });
    SCRIPT.with(Script::call).map(drop)
}

#[test]
fn futures_stay_send() {
    #[retry]
    #[circuit_breaker(name = "send")]
    async fn both(text: &mut String, owned: Vec<u8>) -> Answer<usize> {
        take(owned);
        yield_now().await;
        Ok(text.len())
    }
    take(is_send(both(&mut String::new(), Vec::new())));
}

mod db {
    /// A result with the name of another type of the standard library.
    pub(super) type Option<T> = Result<T, std::io::Error>;
}

#[retry]
#[circuit_breaker(name = "a result named Option")]
fn result_named_option() -> db::Option<u8> {
    Ok(1)
}

#[retry]
#[circuit_breaker(name = "an Option by its path")]
#[allow(unused_qualifications, reason = "the path is the subject of the test")]
fn option_by_path() -> std::option::Option<u8> {
    Some(2)
}

#[test]
fn a_return_type_may_have_the_name_of_another() {
    assert_eq!(result_named_option().unwrap(), 1);
    assert_eq!(option_by_path(), Some(2));
}
