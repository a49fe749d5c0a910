//! Fallbacks: what is called, with which arguments, for which errors, and what the caller gets.

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
    #[error("gone at {0}")]
    Gone(&'static str),
    #[error(transparent)]
    Open(#[from] CircuitOpen),
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
}

type Answer = Result<String, Failure>;

/// What was called, in order. A place that is named fails; `!` before its name makes that permanent.
#[derive(Default)]
struct Calls {
    made: RefCell<Vec<String>>,
    fails: &'static [&'static str],
}

impl Calls {
    fn failing(fails: &'static [&'static str]) -> Self {
        Self { made: RefCell::default(), fails }
    }

    fn call(&self, place: &'static str, key: &str) -> Answer {
        self.made.borrow_mut().push(format!("{place}({key})"));
        let is = |fails: &&str| fails.strip_prefix('!').unwrap_or(fails) == place;
        match self.fails.iter().copied().find(is) {
            Some(fails) if fails.starts_with('!') => Err(Failure::Gone(place)),
            Some(_) => Err(Failure::Busy(place)),
            None => Ok(format!("{key} from {place}")),
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
fn each_is_called_if_what_came_before_has_failed() {
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
async fn an_async_function_has_fallbacks_of_both_sorts() {
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
fn a_condition_ends_the_chain_wherever_it_is_not_met() {
    let calls = Calls::failing(&["!first"]);
    assert_eq!(if_busy(&calls, "a"), Err(Failure::Gone("first")));
    assert_eq!(calls.made(), "first(a)");
    let calls = Calls::failing(&["first", "!second"]);
    assert_eq!(if_busy(&calls, "a"), Err(Failure::Gone("second")));
    assert_eq!(calls.made(), "first(a) second(a)");
    let calls = Calls::failing(&["first", "second"]);
    assert_eq!(if_busy(&calls, "a").unwrap(), "a from third");

    assert_eq!(if_io("io").unwrap(), 0);
    assert_eq!(if_io("other").unwrap_err().to_string(), "other");
}

struct Store {
    calls: Calls,
    changes: u32,
}

impl Store {
    #[fallback(self.cached, self.cached_later)]
    async fn get(&mut self, key: &str) -> Answer {
        self.changes += 1;
        self.calls.call("get", key)
    }

    fn cached(&mut self, key: &str) -> Answer {
        self.changes += 1;
        self.calls.call("cached", key)
    }

    async fn cached_later(&self, key: &str) -> Answer {
        yield_now().await;
        self.calls.call("cached_later", key)
    }

    #[fallback(self.calls.call, Self::default)]
    fn named(&self, place: &'static str, key: &str) -> Answer {
        self.calls.call(place, key)
    }

    fn default(place: &'static str, key: &str) -> Answer {
        Ok(format!("{key} instead of {place}"))
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
        if key.len() > 3 { Ok(key[..3].to_owned()) } else { Err(Failure::Gone("shorter")) }
    }
}

#[tokio::test]
async fn methods() {
    let mut store = Store { calls: Calls::failing(&["get", "cached"]), changes: 0 };
    assert_eq!(store.get("a").await.unwrap(), "a from cached_later");
    assert_eq!((store.calls.made().as_str(), store.changes), ("get(a) cached(a) cached_later(a)", 2));
    let store = Store { calls: Calls::failing(&["named"]), changes: 0 };
    assert_eq!(store.named("named", "a").unwrap(), "a instead of named");
    assert_eq!(store.calls.made(), "named(a) named(a)");

    let mut loader = Loader(0);
    assert_eq!(loader.load("long key".to_owned()).await.unwrap(), "lon");
    assert_eq!(loader.load("key".to_owned()).await.unwrap(), "key");
    assert_eq!(loader.0, 22);
}

/// Counts its clones.
struct Order<'a>(&'a Cell<u32>);

impl Clone for Order<'_> {
    fn clone(&self) -> Self {
        self.0.set(self.0.get() + 1);
        Self(self.0)
    }
}

fn uses_up(order: Order<'_>, _: &mut Vec<u8>) -> io::Result<u32> {
    let Order(_clones) = order;
    Err(io::ErrorKind::TimedOut.into())
}

fn uses_up_and_works(order: Order<'_>, log: &mut Vec<u8>) -> io::Result<u32> {
    log.push(9);
    Ok(order.0.get())
}

#[fallback(uses_up, uses_up_and_works)]
fn moves(mut order: Order<'_>, log: &mut Vec<u8>) -> io::Result<u32> {
    log.push(1);
    let other = Order(order.0);
    uses_up(std::mem::replace(&mut order, other), log)
}

#[fallback(uses_up_and_works)]
fn borrows(order: Order<'_>, log: &mut Vec<u8>) -> io::Result<u32> {
    log.push(2);
    _ = &order;
    Err(io::ErrorKind::TimedOut.into())
}

/// No `Clone`.
struct Once(u8);

#[fallback(|error| if log.is_empty() { Err(error) } else { Ok(log.len()) })]
fn needed_by_nobody_else(once: Once, log: &mut Vec<u8>) -> io::Result<usize> {
    let Once(mark) = once;
    if mark > 0 {
        log.push(mark);
    }
    Err(io::ErrorKind::NotFound.into())
}

#[fallback(|order, log: &mut Vec<u8>, error| { log.push(3); uses_up_and_works(order, log).map_err(|_| error) })]
fn all_and_the_error(order: Order<'_>, log: &mut Vec<u8>) -> io::Result<u32> {
    _ = (&order, log);
    Err(io::ErrorKind::TimedOut.into())
}

#[fallback(|| Ok(7))]
fn nothing_to_see() -> io::Result<u8> {
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
fn arguments_are_cloned_only_where_they_are_needed_again() {
    let (clones, mut log) = (Cell::new(0), Vec::new());
    assert_eq!(moves(Order(&clones), &mut log).unwrap(), 2, "for the body and for the first fallback");
    assert_eq!(borrows(Order(&clones), &mut log).unwrap(), 2, "no further");
    assert_eq!(all_and_the_error(Order(&clones), &mut log).unwrap(), 2);
    assert_eq!(log, [1, 9, 2, 9, 3, 9]);

    let mut log = Vec::new();
    assert_eq!(needed_by_nobody_else(Once(0), &mut log).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(needed_by_nobody_else(Once(4), &mut log).unwrap(), 1);
    assert_eq!(nothing_to_see().unwrap(), 7);
    assert_eq!(optional(3), Some(3));
}

#[fallback(second)]
#[retry(max_attempts = 3, backoff = none)]
#[circuit_breaker(name = "fallback on top", failure_threshold = 2)]
fn on_top(calls: &Calls, key: &str) -> Answer {
    calls.call("first", key)
}

#[retry(max_attempts = 3, backoff = none)]
#[circuit_breaker(name = "fallback at the bottom", failure_threshold = 2)]
#[fallback(second, allow_order)]
fn at_the_bottom(calls: &Calls, key: &str) -> Answer {
    calls.call("first", key)
}

fn third_owned(calls: &Calls, owned: String) -> Answer {
    calls.call("third", &owned)
}

#[retry(max_attempts = 3, backoff = none, allow_order)]
#[fallback(third_owned)]
fn each_attempt_has_one(calls: &Calls, owned: String) -> Answer {
    calls.call("first", &owned)
}

#[fallback(second)]
#[timeout(1s)]
async fn hangs(calls: &Calls, key: &str) -> Answer {
    calls.made.borrow_mut().push(key.to_owned());
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn the_order_is_the_written_one() {
    let calls = Calls::failing(&["first"]);
    assert_eq!(on_top(&calls, "a").unwrap(), "a from second", "for an open circuit, too");
    assert_eq!(calls.made(), "first(a) first(a) second(a)");
    assert_eq!(breaker("fallback on top").unwrap().state(), BreakerState::Open);

    let calls = Calls::failing(&["first"]);
    for _ in 0..5 {
        assert_eq!(at_the_bottom(&calls, "a").unwrap(), "a from second");
    }
    assert_eq!(breaker("fallback at the bottom").unwrap().snapshot().successes, 5, "it sees no failure");

    let calls = Calls::failing(&["first", "third"]);
    assert_eq!(each_attempt_has_one(&calls, "a".to_owned()), Err(Failure::Busy("third")));
    assert_eq!(calls.made(), "first(a) third(a) first(a) third(a) first(a) third(a)");

    let calls = Calls::default();
    assert_eq!(hangs(&calls, "a").await.unwrap(), "a from second");
}

#[retry(max_attempts = 3, backoff = none, allow_order)]
#[fallback(third_owned)]
#[circuit_breaker(name = "hidden rejection", failure_threshold = 1)]
fn hides_a_rejection(calls: &Calls, owned: String) -> Answer {
    calls.call("first", &owned)
}

#[test]
fn an_answer_ends_what_a_breaker_inside_has_said() {
    let calls = Calls::failing(&["first", "third"]);
    assert_eq!(hides_a_rejection(&calls, "a".to_owned()), Err(Failure::Busy("third")));
    assert_eq!(calls.made(), "first(a) third(a) third(a) third(a)", "the retry judges what the fallback has said");
}

#[tokio::test]
async fn events_have_the_errors_on_the_way() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let subscription = events::subscribe({
        let heard = heard.clone();
        move |event: &Event| {
            if let Event::FallbackUsed { function: "it::fallback::told" | "by hand", .. } = event {
                heard.lock().unwrap().push(event.to_string());
            }
        }
    });
    let calls = Calls::failing(&["first", "second"]);
    told(&calls, "a").await.unwrap_err();
    let by_hand = const { Fallback::new("by hand") };
    let result = by_hand.run(|| calls.call("first", "a"), |_| calls.call("third", "a"));
    assert_eq!(result.unwrap(), "a from third");
    let result = by_hand.run_async(async || later(&calls, "a").await, async |error| Err(error)).await;
    assert_eq!(result.unwrap(), "a from later");
    let only = by_hand.only_if(|error: &Failure| error.is_transient());
    let calls = Calls::failing(&["!first"]);
    assert_eq!(only.run(|| calls.call("first", "a"), |_| Ok(String::new())), Err(Failure::Gone("first")));
    let result = only.run_async(async || calls.call("first", "a"), async |_| Ok(String::new())).await;
    assert_eq!(result, Err(Failure::Gone("first")));
    subscription.unsubscribe();
    assert_eq!(
        *heard.lock().unwrap(),
        [
            "fallback: `it::fallback::told` failed, second is called (busy at first)",
            "fallback: `it::fallback::told` failed, a closure is called (busy at second)",
            "fallback: `by hand` failed, a closure is called (busy at first)",
        ]
    );
}

#[fallback(second, |error| Err(error))]
async fn told(calls: &Calls, key: &str) -> Answer {
    calls.call("first", key)
}

/// An error that is not `Send`, in a future that is.
#[derive(Debug)]
struct Unsendable(#[allow(dead_code)] Rc<()>);

#[fallback(sends_later)]
async fn sends(number: u8) -> Result<u8, Unsendable> {
    if number > 0 { Ok(number) } else { Err(Unsendable(Rc::new(()))) }
}

async fn sends_later(number: u8) -> Result<u8, Unsendable> {
    yield_now().await;
    Ok(number)
}

#[tokio::test]
async fn an_error_that_is_not_send_is_gone_before_the_fallback_waits() {
    assert!(tokio::spawn(async { sends(0).await.is_ok() }).await.unwrap());
}

/// The breaker must see every call that is given up as neither success nor failure.
#[fallback(guarded_later)]
#[circuit_breaker(name = "fallback dropped")]
async fn guarded(calls: &Calls) -> Answer {
    yield_now().await;
    calls.call("first", "")
}

#[circuit_breaker(name = "fallback dropped, too")]
async fn guarded_later(calls: &Calls) -> Answer {
    yield_now().await;
    calls.call("second", "")
}

#[test]
fn a_future_dropped_at_any_await_calls_nothing_further() {
    for polls in 0..4 {
        let calls = Calls::failing(&["first"]);
        let ended = {
            let mut call = pin!(guarded(&calls));
            let mut context = Context::from_waker(Waker::noop());
            (0..polls).any(|_| matches!(call.as_mut().poll(&mut context), Poll::Ready(_)))
        };
        assert_eq!(ended, polls == 3);
        assert_eq!(calls.made(), ["", "", "first()", "first() second()"][polls]);
    }
    let neutral = |name| breaker(name).unwrap().snapshot().neutral;
    assert_eq!((neutral("fallback dropped"), neutral("fallback dropped, too")), (1, 1));
}

#[fallback(boxed_instead)]
fn boxed(number: &u8) -> Pin<Box<dyn Future<Output = io::Result<u8>> + Send + '_>> {
    Box::pin(async move { if *number > 0 { Ok(*number) } else { Err(io::ErrorKind::TimedOut.into()) } })
}

fn boxed_instead(number: &u8) -> Pin<Box<dyn Future<Output = io::Result<u8>> + Send + '_>> {
    Box::pin(async move { Ok(*number + 1) })
}

#[tokio::test]
async fn functions_that_return_a_future() {
    assert_eq!((boxed(&5).await.unwrap(), boxed(&0).await.unwrap()), (5, 1));
}

#[fallback(|_| unreachable!("a panic is no failure"))]
fn panics() -> io::Result<u8> {
    std::panic::resume_unwind(Box::new("as it was"))
}

#[test]
fn a_panic_is_no_failure() {
    let panic = std::panic::catch_unwind(panics).unwrap_err();
    assert_eq!(*panic.downcast::<&str>().unwrap(), "as it was");
}
