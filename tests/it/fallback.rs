//! Fallbacks: which functions are called, with which arguments and for which errors, and the result of the call.

#![allow(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    clippy::unused_async,
    reason = "a fallback has the signature of the function"
)]

use std::{
    cell::{Cell, RefCell},
    future::Future,
    io,
    pin::{Pin, pin},
    rc::Rc,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use steadfast::{
    BreakerState, CircuitOpen, Fallback, TimedOut, Transient, breaker, circuit_breaker,
    events::{self, Event},
    fallback, retry, timeout,
};
use tokio::task::yield_now;

#[derive(Clone, Debug, PartialEq, thiserror::Error, Transient)]
enum Failure {
    #[error("busy at {0}")]
    #[transient]
    Busy(&'static str),
    #[error("permanent failure at {0}")]
    Permanent(&'static str),
    #[error(transparent)]
    Open(#[from] CircuitOpen),
    #[error(transparent)]
    #[permanent]
    TimedOut(#[from] TimedOut),
}

type Answer = Result<String, Failure>;

/// A record of calls, in order. A call whose name is in `fails` fails: permanently if the name follows a `!`, otherwise transiently.
#[derive(Default)]
struct Calls {
    made: RefCell<Vec<String>>,
    fails: &'static [&'static str],
}

impl Calls {
    fn failing(fails: &'static [&'static str]) -> Self {
        Self { made: RefCell::default(), fails }
    }

    fn call(&self, name: &'static str, key: &str) -> Answer {
        self.made.borrow_mut().push(format!("{name}({key})"));
        let matches = |fails: &&str| fails.strip_prefix('!').unwrap_or(fails) == name;
        match self.fails.iter().copied().find(matches) {
            Some(fails) if fails.starts_with('!') => Err(Failure::Permanent(name)),
            Some(_) => Err(Failure::Busy(name)),
            None => Ok(format!("{key} from {name}")),
        }
    }

    fn made(&self) -> String {
        self.made.borrow().join(" ")
    }
}

#[fallback(second, third)]
fn first(calls: &Calls, key: &str) -> Answer {
    calls.call("first", key)
}

fn second(calls: &Calls, key: &str) -> Answer {
    calls.call("second", key)
}

fn third(calls: &Calls, key: &str) -> Answer {
    calls.call("third", key)
}

#[fallback(second, later, |error| calls.call("closure", &format!("{key}, {error}")))]
async fn mixed(calls: &Calls, key: &str) -> Answer {
    yield_now().await;
    calls.call("first", key)
}

async fn later(calls: &Calls, key: &str) -> Answer {
    yield_now().await;
    calls.call("later", key)
}

#[test]
fn a_fallback_is_called_if_the_previous_one_failed() {
    for (fails, result, made) in [
        (&[][..], Ok("a from first"), "first(a)"),
        (&["first"], Ok("a from second"), "first(a) second(a)"),
        (&["first", "second"], Ok("a from third"), "first(a) second(a) third(a)"),
        (&["first", "second", "third"], Err(Failure::Busy("third")), "first(a) second(a) third(a)"),
        (&["second", "third"], Ok("a from first"), "first(a)"),
    ] {
        let calls = Calls::failing(fails);
        assert_eq!(first(&calls, "a"), result.map(ToOwned::to_owned), "{fails:?}");
        assert_eq!(calls.made(), made);
    }
}

#[tokio::test]
async fn an_async_function_may_have_sync_and_async_fallbacks() {
    let all = "first(a) second(a) later(a) closure(a, busy at later)";
    for (fails, result, made) in [
        (&[][..], Ok("a from first"), "first(a)"),
        (&["first"], Ok("a from second"), "first(a) second(a)"),
        (&["first", "second"], Ok("a from later"), "first(a) second(a) later(a)"),
        (&["first", "second", "later"], Ok("a, busy at later from closure"), all),
        (&["first", "second", "later", "closure"], Err(Failure::Busy("closure")), all),
    ] {
        let calls = Calls::failing(fails);
        assert_eq!(mixed(&calls, "a").await, result.map(ToOwned::to_owned), "{fails:?}");
        assert_eq!(calls.made(), made);
    }
}

#[fallback(second, third, if = |error| matches!(error, Failure::Busy(_)))]
fn if_busy(calls: &Calls, key: &str) -> Answer {
    calls.call("first", key)
}

#[fallback(|_| Ok(0), if(io::Error))]
fn if_io(kind: &str) -> anyhow::Result<u8> {
    match kind {
        "io" => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
        _ => anyhow::bail!("other"),
    }
}

#[test]
fn an_error_that_does_not_meet_the_condition_ends_the_chain() {
    let calls = Calls::failing(&["!first"]);
    assert_eq!(if_busy(&calls, "a"), Err(Failure::Permanent("first")));
    assert_eq!(calls.made(), "first(a)");
    let calls = Calls::failing(&["first", "!second"]);
    assert_eq!(if_busy(&calls, "a"), Err(Failure::Permanent("second")));
    assert_eq!(calls.made(), "first(a) second(a)");
    let calls = Calls::failing(&["first", "second"]);
    assert_eq!(if_busy(&calls, "a").unwrap(), "a from third");

    assert_eq!(if_io("io").unwrap(), 0);
    assert_eq!(if_io("other").unwrap_err().to_string(), "other");
}

struct Store {
    calls: Calls,
    writes: u32,
}

impl Store {
    #[fallback(self.cached, self.cached_later)]
    async fn get(&mut self, key: &str) -> Answer {
        self.writes += 1;
        self.calls.call("get", key)
    }

    fn cached(&mut self, key: &str) -> Answer {
        self.writes += 1;
        self.calls.call("cached", key)
    }

    async fn cached_later(&self, key: &str) -> Answer {
        yield_now().await;
        self.calls.call("cached_later", key)
    }

    #[fallback(self.calls.call, Self::default)]
    fn named(&self, name: &'static str, key: &str) -> Answer {
        self.calls.call(name, key)
    }

    fn default(name: &'static str, key: &str) -> Answer {
        Ok(format!("{key} instead of {name}"))
    }
}

#[async_trait::async_trait]
trait Remote {
    async fn load(&mut self, key: String) -> Result<String, Failure>;
}

struct Loader(u32);

#[async_trait::async_trait]
impl Remote for Loader {
    #[fallback(self.shorter, |_| Ok(key))]
    async fn load(&mut self, key: String) -> Result<String, Failure> {
        self.0 += 1;
        yield_now().await;
        drop(key);
        Err(Failure::Busy("load"))
    }
}

impl Loader {
    async fn shorter(&mut self, key: String) -> Result<String, Failure> {
        self.0 += 10;
        if key.len() > 3 { Ok(key[..3].to_owned()) } else { Err(Failure::Permanent("shorter")) }
    }
}

#[tokio::test]
async fn methods_can_be_fallbacks() {
    let mut store = Store { calls: Calls::failing(&["get", "cached"]), writes: 0 };
    assert_eq!(store.get("a").await.unwrap(), "a from cached_later");
    assert_eq!((store.calls.made().as_str(), store.writes), ("get(a) cached(a) cached_later(a)", 2));
    let store = Store { calls: Calls::failing(&["named"]), writes: 0 };
    assert_eq!(store.named("named", "a").unwrap(), "a instead of named");
    assert_eq!(store.calls.made(), "named(a) named(a)");

    let mut loader = Loader(0);
    assert_eq!(loader.load("long key".to_owned()).await.unwrap(), "lon");
    assert_eq!(loader.load("key".to_owned()).await.unwrap(), "key");
    assert_eq!(loader.0, 22);
}

/// An order that counts its clones.
struct Order<'a>(&'a Cell<u32>);

impl Clone for Order<'_> {
    fn clone(&self) -> Self {
        self.0.set(self.0.get() + 1);
        Self(self.0)
    }
}

fn consumes_and_fails(order: Order<'_>, _: &mut Vec<u8>) -> io::Result<u32> {
    let Order(_clones) = order;
    Err(io::ErrorKind::TimedOut.into())
}

fn consumes_and_succeeds(order: Order<'_>, log: &mut Vec<u8>) -> io::Result<u32> {
    log.push(9);
    Ok(order.0.get())
}

#[fallback(consumes_and_fails, consumes_and_succeeds)]
fn moves(mut order: Order<'_>, log: &mut Vec<u8>) -> io::Result<u32> {
    log.push(1);
    let other = Order(order.0);
    consumes_and_fails(std::mem::replace(&mut order, other), log)
}

#[fallback(consumes_and_succeeds)]
fn borrows(order: Order<'_>, log: &mut Vec<u8>) -> io::Result<u32> {
    log.push(2);
    _ = &order;
    Err(io::ErrorKind::TimedOut.into())
}

/// A type that does not implement `Clone`.
struct Once(u8);

#[fallback(|error| if log.is_empty() { Err(error) } else { Ok(log.len()) })]
fn used_by_body_only(once: Once, log: &mut Vec<u8>) -> io::Result<usize> {
    let Once(mark) = once;
    if mark > 0 {
        log.push(mark);
    }
    Err(io::ErrorKind::NotFound.into())
}

#[fallback(|order, log: &mut Vec<u8>, error| { log.push(3); consumes_and_succeeds(order, log).map_err(|_| error) })]
fn closure_with_arguments_and_error(order: Order<'_>, log: &mut Vec<u8>) -> io::Result<u32> {
    _ = (&order, log);
    Err(io::ErrorKind::TimedOut.into())
}

#[fallback(|| Ok(7))]
fn closure_without_arguments() -> io::Result<u8> {
    Err(io::ErrorKind::TimedOut.into())
}

#[fallback(none, some)]
fn optional(number: u8) -> Option<u8> {
    number.checked_sub(10)
}

const fn none(_: u8) -> Option<u8> {
    None
}

fn some(number: u8) -> Option<u8> {
    Some(number)
}

#[test]
fn arguments_are_cloned_only_where_they_are_used_again() {
    let (clones, mut log) = (Cell::new(0), Vec::new());
    assert_eq!(moves(Order(&clones), &mut log).unwrap(), 2, "cloned for the body and for the first fallback");
    assert_eq!(borrows(Order(&clones), &mut log).unwrap(), 2, "not cloned");
    assert_eq!(closure_with_arguments_and_error(Order(&clones), &mut log).unwrap(), 2);
    assert_eq!(log, [1, 9, 2, 9, 3, 9]);

    let mut log = Vec::new();
    assert_eq!(used_by_body_only(Once(0), &mut log).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(used_by_body_only(Once(4), &mut log).unwrap(), 1);
    assert_eq!(closure_without_arguments().unwrap(), 7);
    assert_eq!(optional(3), Some(3));
}

#[fallback(second)]
#[retry(max_attempts = 3, backoff = none)]
#[circuit_breaker(name = "fallback outermost", failure_threshold = 2)]
fn fallback_outermost(calls: &Calls, key: &str) -> Answer {
    calls.call("first", key)
}

#[retry(max_attempts = 3, backoff = none)]
#[circuit_breaker(name = "fallback innermost", failure_threshold = 2)]
#[fallback(second, allow_order)]
fn fallback_innermost(calls: &Calls, key: &str) -> Answer {
    calls.call("first", key)
}

fn third_owned(calls: &Calls, owned: String) -> Answer {
    calls.call("third", &owned)
}

#[retry(max_attempts = 3, backoff = none, allow_order)]
#[fallback(third_owned)]
fn fallback_below_retry(calls: &Calls, owned: String) -> Answer {
    calls.call("first", &owned)
}

#[fallback(second)]
#[timeout(1s)]
async fn hangs(calls: &Calls, key: &str) -> Answer {
    calls.made.borrow_mut().push(key.to_owned());
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn fallbacks_run_in_the_written_order() {
    let calls = Calls::failing(&["first"]);
    assert_eq!(fallback_outermost(&calls, "a").unwrap(), "a from second", "also for an open circuit");
    assert_eq!(calls.made(), "first(a) first(a) second(a)");
    assert_eq!(breaker("fallback outermost").unwrap().state(), BreakerState::Open);

    let calls = Calls::failing(&["first"]);
    for _ in 0..5 {
        assert_eq!(fallback_innermost(&calls, "a").unwrap(), "a from second");
    }
    assert_eq!(breaker("fallback innermost").unwrap().snapshot().successes, 5, "the breaker records no failure");

    let calls = Calls::failing(&["first", "third"]);
    assert_eq!(fallback_below_retry(&calls, "a".to_owned()), Err(Failure::Busy("third")));
    assert_eq!(calls.made(), "first(a) third(a) first(a) third(a) first(a) third(a)");

    let calls = Calls::default();
    assert_eq!(hangs(&calls, "a").await.unwrap(), "a from second");
}

#[retry(max_attempts = 3, backoff = none, allow_order)]
#[fallback(third_owned)]
#[circuit_breaker(name = "hidden rejection", failure_threshold = 1)]
fn fallback_over_breaker(calls: &Calls, owned: String) -> Answer {
    calls.call("first", &owned)
}

#[test]
fn a_fallback_result_replaces_the_rejection_below_it() {
    let calls = Calls::failing(&["first", "third"]);
    assert_eq!(fallback_over_breaker(&calls, "a".to_owned()), Err(Failure::Busy("third")));
    assert_eq!(calls.made(), "first(a) third(a) third(a) third(a)", "the retry judges the fallback's result");
}

#[tokio::test]
async fn events_carry_the_errors_of_each_step() {
    let texts = Arc::new(Mutex::new(Vec::new()));
    let subscription = events::subscribe({
        let texts = texts.clone();
        move |event: &Event| {
            if let Event::FallbackUsed { function: "it::fallback::emits_events" | "by hand", .. } = event {
                texts.lock().unwrap().push(event.to_string());
            }
        }
    });
    let calls = Calls::failing(&["first", "second"]);
    emits_events(&calls, "a").await.unwrap_err();
    let by_hand = const { Fallback::new("by hand") };
    let result = by_hand.run(|| calls.call("first", "a"), |_| calls.call("third", "a"));
    assert_eq!(result.unwrap(), "a from third");
    let result = by_hand.run_async(async || later(&calls, "a").await, async |error| Err(error)).await;
    assert_eq!(result.unwrap(), "a from later");
    let only = by_hand.only_if(|error: &Failure| error.is_transient());
    let calls = Calls::failing(&["!first"]);
    assert_eq!(only.run(|| calls.call("first", "a"), |_| Ok(String::new())), Err(Failure::Permanent("first")));
    let result = only.run_async(async || calls.call("first", "a"), async |_| Ok(String::new())).await;
    assert_eq!(result, Err(Failure::Permanent("first")));
    crate::flush_events();
    subscription.unsubscribe();
    assert_eq!(
        *texts.lock().unwrap(),
        [
            "fallback: `it::fallback::emits_events` failed; calling `second` (busy at first)",
            "fallback: `it::fallback::emits_events` failed; calling a closure (busy at second)",
            "fallback: `by hand` failed; calling a closure (busy at first)",
        ]
    );
}

#[fallback(second, |error| Err(error))]
async fn emits_events(calls: &Calls, key: &str) -> Answer {
    calls.call("first", key)
}

/// An error that is not `Send`, in a future that is `Send`.
#[derive(Debug)]
struct Unsendable(#[allow(dead_code)] Rc<()>);

#[fallback(not_send_error_fallback)]
async fn not_send_error(number: u8) -> Result<u8, Unsendable> {
    if number > 0 { Ok(number) } else { Err(Unsendable(Rc::new(()))) }
}

async fn not_send_error_fallback(number: u8) -> Result<u8, Unsendable> {
    yield_now().await;
    Ok(number)
}

#[tokio::test]
async fn a_non_send_error_is_dropped_before_the_fallback_is_awaited() {
    assert!(tokio::spawn(async { not_send_error(0).await.is_ok() }).await.unwrap());
}

/// Yields once, like its fallback, so that a test can drop the future in either of them.
#[fallback(fallback_behind_breaker)]
#[circuit_breaker(name = "fallback dropped")]
async fn behind_breaker(calls: &Calls) -> Answer {
    yield_now().await;
    calls.call("first", "")
}

#[circuit_breaker(name = "fallback dropped, second")]
async fn fallback_behind_breaker(calls: &Calls) -> Answer {
    yield_now().await;
    calls.call("second", "")
}

#[test]
fn a_future_dropped_at_any_await_calls_no_further_fallback() {
    for polls in 0..4 {
        let calls = Calls::failing(&["first"]);
        let ended = {
            let mut call = pin!(behind_breaker(&calls));
            let mut context = Context::from_waker(Waker::noop());
            (0..polls).any(|_| matches!(call.as_mut().poll(&mut context), Poll::Ready(_)))
        };
        assert_eq!(ended, polls == 3);
        assert_eq!(calls.made(), ["", "", "first()", "first() second()"][polls]);
    }
    let cancelled = |name| breaker(name).unwrap().snapshot().cancelled;
    assert_eq!((cancelled("fallback dropped"), cancelled("fallback dropped, second")), (1, 1));
}

#[fallback(boxed_instead)]
fn boxed(number: &u8) -> Pin<Box<dyn Future<Output = io::Result<u8>> + Send + '_>> {
    Box::pin(async move { if *number > 0 { Ok(*number) } else { Err(io::ErrorKind::TimedOut.into()) } })
}

fn boxed_instead(number: &u8) -> Pin<Box<dyn Future<Output = io::Result<u8>> + Send + '_>> {
    Box::pin(async move { Ok(*number + 1) })
}

#[tokio::test]
async fn functions_that_return_a_future_can_have_fallbacks() {
    assert_eq!((boxed(&5).await.unwrap(), boxed(&0).await.unwrap()), (5, 1));
}

#[fallback(|_| unreachable!("a panic must not call the fallback"))]
fn panics() -> io::Result<u8> {
    std::panic::resume_unwind(Box::new("original payload"))
}

#[test]
fn a_panic_propagates_and_calls_no_fallback() {
    let panic = std::panic::catch_unwind(panics).unwrap_err();
    assert_eq!(*panic.downcast::<&str>().unwrap(), "original payload");
}
