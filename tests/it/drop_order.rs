//! Drop order of arguments: an annotated function drops its arguments in the order of the plain function if it makes a single attempt.
//!
//! The plain function is the oracle. Each function below is compiled without an attribute and under each stack, and records every
//! drop in a log.

#![allow(
    clippy::all,
    clippy::pedantic,
    unused_assignments,
    unused_mut,
    reason = "code as users write it, not the best code"
)]

use std::{
    cell::RefCell,
    future::Future,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, mpsc},
    task::{Context, Poll, Waker},
    thread,
};

use steadfast::{breaker, bulkhead, circuit_breaker, fallback, rate_limit, retry, timeout};
use tokio::task::yield_now;

thread_local!(static LOG: RefCell<Vec<&'static str>> = RefCell::default());

fn log(text: &'static str) {
    LOG.with_borrow_mut(|log| log.push(text));
}

fn take_log() -> Vec<&'static str> {
    LOG.take()
}

/// A value that logs its name when it is dropped. It does not implement `Clone`.
struct Logged(&'static str);

impl Drop for Logged {
    fn drop(&mut self) {
        log(self.0);
    }
}

impl Logged {
    fn touch(&self) -> usize {
        self.0.len()
    }

    fn by_ref_to_self(&self) -> &Self {
        self
    }
}

struct Pair {
    first: Logged,
    second: Logged,
}

impl Pair {
    fn new() -> Self {
        Self { first: Logged("first"), second: Logged("second") }
    }
}

fn temporary() -> Logged {
    Logged("temporary")
}

fn take<T>(_: T) {}

fn fail() -> io::Result<()> {
    Err(io::ErrorKind::NotFound.into())
}

type Answer = io::Result<usize>;
type Run = fn();
type Start = fn() -> Pin<Box<dyn Future<Output = Answer>>>;

macro_rules! case {
    ($call:ident($($argument:expr),*)) => { (stringify!($call($($argument),*)), (|| drop($call($($argument),*))) as Run) };
}

macro_rules! sync {
    ($module:ident: $(#[$attribute:meta])*) => {
        mod $module {
            use super::*;

            $(#[$attribute])* fn unused(_a: Logged, _b: Logged, _c: Logged) -> Answer { Ok(1) }
            $(#[$attribute])* #[allow(unused_variables)] fn named_unused(a: Logged, b: Logged, c: Logged) -> Answer { Ok(b.touch()) }
            $(#[$attribute])* fn allowed_unused(#[allow(unused_variables)] a: Logged, #[expect(unused_variables)] b: Logged, c: Logged) -> Answer { Ok(c.touch()) }
            $(#[$attribute])* fn ignored(_: Logged, b: Logged, _: Logged, _d: Logged) -> Answer { Ok(b.touch()) }
            $(#[$attribute])* fn borrowed(a: Logged, b: Logged, c: Logged) -> Answer { Ok(c.touch() + a.touch() + b.touch()) }
            $(#[$attribute])* fn moved(a: Logged, b: Logged, c: Logged) -> Answer { take(b); log("after b"); Ok(a.touch() + c.touch()) }
            $(#[$attribute])* fn conditionally_moved(flag: bool, a: Logged, b: Logged, c: Logged) -> Answer { if flag { take(a); } log("body"); Ok(c.touch() + b.touch()) }
            $(#[$attribute])* fn into_local(a: Logged, b: Logged, c: Logged) -> Answer { let _local = Logged("local"); let _b = b; log("body"); Ok(a.touch() + c.touch()) }
            $(#[$attribute])* fn shadowed(a: Logged, b: Logged) -> Answer { let a = Logged(if a.touch() > 0 { "inner" } else { "" }); Ok(a.touch() + b.touch()) }
            $(#[$attribute])* fn changed(mut a: Logged, mut b: Logged, c: Logged) -> Answer { b = Logged("b, new"); a.0 = "a, changed"; Ok(b.touch() + c.touch()) }
            $(#[$attribute])* fn tuple((a, b): (Logged, Logged), c: Logged) -> Answer { Ok(b.touch() + c.touch() + a.touch()) }
            $(#[$attribute])* fn part_of_tuple(z: Logged, (a, _): (Logged, Logged), b: Logged) -> Answer { Ok(a.touch() + b.touch() + z.touch()) }
            $(#[$attribute])* fn parts_of_tuple((_, a): (Logged, Logged), (b, ..): (Logged, Logged, Logged)) -> Answer { Ok(b.touch() + a.touch()) }
            $(#[$attribute])* fn nested(((mut a, _), b): ((Logged, Logged), Logged), _: Logged) -> Answer { a.0 = "a, changed"; take(b); Ok(a.touch()) }
            $(#[$attribute])* fn of_struct(Pair { first, .. }: Pair, b: Logged) -> Answer { Ok(first.touch() + b.touch()) }
            $(#[$attribute])* fn of_struct_reversed(b: Logged, Pair { second, first }: Pair) -> Answer { Ok(first.touch() + b.touch() + second.touch()) }
            $(#[$attribute])* fn copied_out(Logged(name): Logged, b: Logged) -> Answer { Ok(name.len() + b.touch()) }
            $(#[$attribute])* fn by_ref(ref a: Logged, b: Logged, ref mut c: Logged) -> Answer { c.0 = "c, changed"; Ok(b.touch() + a.touch()) }
            $(#[$attribute])* fn array([a, _, c]: [Logged; 3], d: Logged) -> Answer { Ok(d.touch() + c.touch() + a.touch()) }
            $(#[$attribute])* fn at(whole @ Logged(_): Logged, b: Logged) -> Answer { Ok(b.touch() + whole.touch()) }
            $(#[$attribute])* fn generic<T, U: AsRef<str>>(a: T, b: U, c: T) -> Answer where T: Sized { take(c); log("body"); let _a = &a; Ok(b.as_ref().len()) }
            $(#[$attribute])* fn impl_trait(call: impl FnOnce() -> usize, b: Logged) -> Answer { let length = b.touch(); Ok(call() + length) }
            $(#[$attribute])* fn early(flag: bool, a: Logged, b: Logged) -> Answer { let _local = Logged("local"); if flag { return Ok(b.touch()); } Ok(a.touch()) }
            $(#[$attribute])* fn question(a: Logged, b: Logged) -> Answer { let _local = Logged("local"); take(a); fail()?; Ok(b.touch()) }
            $(#[$attribute])* fn panics(a: Logged, (b, _): (Logged, Logged), c: Logged) -> Answer { let _local = Logged("local"); take(b); if c.touch() > 0 { panic!("original payload") } Ok(a.touch()) }
            $(#[$attribute])* fn temporaries(a: Logged, b: Logged) -> Answer { let local = Logged("local"); Ok(temporary().by_ref_to_self().touch() + b.touch() + local.touch() + a.touch()) }
            $(#[$attribute])* fn temporaries_of_match(a: Logged, _: Logged) -> Answer { match temporary().by_ref_to_self().touch() { 0 => fail().map(|()| 0), length => { log("arm"); Ok(length + a.touch()) } } }
            $(#[$attribute])* fn closures(a: Logged, b: Logged, c: Logged) -> Answer { let call = move || c.touch() + a.touch(); log("body"); Ok(call() + b.touch()) }
            $(#[$attribute])* fn behind_cfg(a: Logged, #[cfg(any())] missing: Missing, #[cfg(not(any()))] (b, _): (Logged, Logged)) -> Answer { Ok(b.touch() + a.touch()) }
            $(#[$attribute])* fn references(a: Logged, text: &str, log: &mut Vec<usize>, b: Logged) -> Answer { log.push(text.len() + a.touch()); Ok(b.touch()) }
            $(#[$attribute])* fn in_threads(sender: mpsc::Sender<u8>, receiver: mpsc::Receiver<u8>) -> Answer { thread::spawn(move || sender.send(1)); Ok(receiver.iter().count()) }
            $(#[$attribute])* fn sender_unused(_: mpsc::Sender<u8>, (sender, _): (mpsc::Sender<u8>, u8), last: Logged) -> Answer { drop(sender); Ok(last.touch()) }

            impl Pair {
                $(#[$attribute])* fn $module(self, c: Logged) -> Answer { Ok(c.touch() + self.second.touch()) }
            }

            pub(super) fn method_cases() -> Vec<(&'static str, Run)> {
                trait Methods: Sized {
                    fn of_box(self: Box<Self>, c: Logged) -> Answer;
                    fn of_mut(&mut self, b: Logged, c: Logged) -> Answer;
                    $(#[$attribute])* fn provided(self, (b, c): (Logged, Logged)) -> Answer { Ok(b.touch() + c.touch()) }
                }
                impl Methods for Pair {
                    $(#[$attribute])* fn of_box(self: Box<Self>, c: Logged) -> Answer { take(self.first); log("body"); Ok(c.touch()) }
                    $(#[$attribute])* fn of_mut(&mut self, b: Logged, c: Logged) -> Answer { self.first = b; Ok(c.touch()) }
                }
                vec![
                    ("Box<Self>", || drop(Box::new(Pair::new()).of_box(Logged("c")))),
                    ("&mut self", || drop(Pair::new().of_mut(Logged("b"), Logged("c")))),
                    ("provided", || drop(Pair::new().provided((Logged("b"), Logged("c"))))),
                ]
            }

            pub(super) fn cases() -> Vec<(&'static str, Run)> {
                let mut cases = vec![
                    case!(unused(Logged("a"), Logged("b"), Logged("c"))),
                    case!(named_unused(Logged("a"), Logged("b"), Logged("c"))),
                    case!(allowed_unused(Logged("a"), Logged("b"), Logged("c"))),
                    case!(ignored(Logged("a"), Logged("b"), Logged("c"), Logged("d"))),
                    case!(borrowed(Logged("a"), Logged("b"), Logged("c"))),
                    case!(moved(Logged("a"), Logged("b"), Logged("c"))),
                    case!(conditionally_moved(true, Logged("a"), Logged("b"), Logged("c"))),
                    case!(conditionally_moved(false, Logged("a"), Logged("b"), Logged("c"))),
                    case!(into_local(Logged("a"), Logged("b"), Logged("c"))),
                    case!(shadowed(Logged("a"), Logged("b"))),
                    case!(changed(Logged("a"), Logged("b"), Logged("c"))),
                    case!(tuple((Logged("a"), Logged("b")), Logged("c"))),
                    case!(part_of_tuple(Logged("z"), (Logged("a"), Logged("_")), Logged("b"))),
                    case!(parts_of_tuple((Logged("_"), Logged("a")), (Logged("b"), Logged(".. 1"), Logged(".. 2")))),
                    case!(nested(((Logged("a"), Logged("_")), Logged("b")), Logged("c"))),
                    case!(of_struct(Pair::new(), Logged("b"))),
                    case!(of_struct_reversed(Logged("b"), Pair::new())),
                    case!(copied_out(Logged("a"), Logged("b"))),
                    case!(by_ref(Logged("a"), Logged("b"), Logged("c"))),
                    case!(array([Logged("a"), Logged("b"), Logged("c")], Logged("d"))),
                    case!(at(Logged("a"), Logged("b"))),
                    case!(generic(Logged("a"), "text", Logged("c"))),
                    case!(impl_trait({ let inner = Logged("call"); move || inner.touch() }, Logged("b"))),
                    case!(early(true, Logged("a"), Logged("b"))),
                    case!(early(false, Logged("a"), Logged("b"))),
                    case!(question(Logged("a"), Logged("b"))),
                    case!(panics(Logged("a"), (Logged("b"), Logged("_")), Logged("c"))),
                    case!(temporaries(Logged("a"), Logged("b"))),
                    case!(temporaries_of_match(Logged("a"), Logged("b"))),
                    case!(closures(Logged("a"), Logged("b"), Logged("c"))),
                    case!(behind_cfg(Logged("a"), (Logged("b"), Logged("_")))),
                    case!(references(Logged("a"), "text", &mut Vec::new(), Logged("b"))),
                    ("self", || drop(Pair::new().$module(Logged("c")))),
                ];
                cases.extend(method_cases());
                cases
            }

            pub(super) fn receive_until_senders_are_dropped() -> Vec<usize> {
                let (sender, receiver) = mpsc::channel();
                let (other, _receiver) = mpsc::channel();
                let count = in_threads(sender, receiver).unwrap();
                vec![count, sender_unused(other.clone(), (other, 1), Logged("last")).unwrap()]
            }
        }
    };
}

sync!(plain:);
sync!(retried: #[retry(max_attempts = 1, retry_if = any)]);
sync!(behind_breaker: #[circuit_breaker(name = "drops")]);
sync!(with_fallback: #[fallback(|error| Err(error))]);
sync!(behind_rate_limit: #[rate_limit(name = "drops", limit = 100_000, per = 1h)]);
sync!(behind_bulkhead: #[bulkhead(name = "drops", max_concurrent = 100)]);
sync!(stacked:
    #[fallback(|error| Err(error))]
    #[retry(max_attempts = 1, retry_if = |_| true)]
    #[circuit_breaker(name = "drops, stacked", failure_if = |error| error.kind() == io::ErrorKind::TimedOut)]
    #[rate_limit(name = "drops, stacked", limit = 100_000, per = 1h)]
    #[bulkhead(name = "drops, stacked", max_concurrent = 100)]
);

/// Calls `run` and returns all drops in order, including those of values that the caller of the tested function kept.
fn dropped(run: Run) -> Vec<&'static str> {
    take_log();
    _ = catch_unwind(AssertUnwindSafe(run));
    take_log()
}

#[test]
fn sync_arguments_drop_in_the_order_of_the_plain_function() {
    let mut differences = Vec::new();
    for (stack, cases) in [
        ("#[retry]", retried::cases()),
        ("#[circuit_breaker]", behind_breaker::cases()),
        ("#[fallback]", with_fallback::cases()),
        ("#[rate_limit]", behind_rate_limit::cases()),
        ("#[bulkhead]", behind_bulkhead::cases()),
        ("all of them", stacked::cases()),
    ] {
        breaker("drops").unwrap().reset();
        for ((name, oracle), (_, run)) in plain::cases().into_iter().zip(cases) {
            let (expected, seen) = (dropped(oracle), dropped(run));
            assert!(!expected.is_empty());
            if seen != expected {
                differences.push(format!("{stack} {name}: {seen:?} where the plain function drops {expected:?}"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn a_moved_sender_is_dropped_inside_the_function() {
    for run in [
        plain::receive_until_senders_are_dropped,
        retried::receive_until_senders_are_dropped,
        behind_breaker::receive_until_senders_are_dropped,
        with_fallback::receive_until_senders_are_dropped,
        behind_rate_limit::receive_until_senders_are_dropped,
        behind_bulkhead::receive_until_senders_are_dropped,
        stacked::receive_until_senders_are_dropped,
    ] {
        let (ended, end) = mpsc::channel();
        thread::spawn(move || ended.send(run()));
        assert_eq!(end.recv_timeout(std::time::Duration::from_secs(30)), Ok(vec![1, 4]));
    }
}

macro_rules! start {
    ($call:ident($($argument:expr),*)) => {
        (stringify!($call($($argument),*)), (|| Box::pin($call($($argument),*))) as Start)
    };
}

macro_rules! asynchronous {
    ($module:ident: $(#[$attribute:meta])*) => {
        mod $module {
            use super::*;

            $(#[$attribute])* async fn unused(_a: Logged, _b: Logged, _c: Logged) -> Answer { yield_now().await; Ok(1) }
            $(#[$attribute])* #[allow(unused_variables)] async fn named_unused(a: Logged, b: Logged, c: Logged) -> Answer { yield_now().await; Ok(b.touch()) }
            $(#[$attribute])* async fn ignored(_: Logged, b: Logged, _: Logged, _d: Logged) -> Answer { yield_now().await; Ok(b.touch()) }
            $(#[$attribute])* async fn borrowed(a: Logged, b: Logged, c: Logged) -> Answer { let length = c.touch(); yield_now().await; Ok(length + a.touch() + b.touch()) }
            $(#[$attribute])* async fn moved(a: Logged, b: Logged, c: Logged) -> Answer { yield_now().await; take(b); log("after b"); yield_now().await; Ok(a.touch() + c.touch()) }
            $(#[$attribute])* async fn conditionally_moved(flag: bool, a: Logged, b: Logged, c: Logged) -> Answer { if flag { take(a); } yield_now().await; log("body"); Ok(c.touch() + b.touch()) }
            $(#[$attribute])* async fn into_local(a: Logged, b: Logged, c: Logged) -> Answer { let _local = Logged("local"); let _b = b; yield_now().await; log("body"); Ok(a.touch() + c.touch()) }
            $(#[$attribute])* async fn changed(mut a: Logged, mut b: Logged, c: Logged) -> Answer { b = Logged("b, new"); a.0 = "a, changed"; yield_now().await; Ok(b.touch() + c.touch()) }
            $(#[$attribute])* async fn tuple((a, b): (Logged, Logged), c: Logged) -> Answer { yield_now().await; Ok(b.touch() + c.touch() + a.touch()) }
            $(#[$attribute])* async fn part_of_tuple(z: Logged, (a, _): (Logged, Logged), b: Logged) -> Answer { yield_now().await; Ok(a.touch() + b.touch() + z.touch()) }
            $(#[$attribute])* async fn of_struct(Pair { first, .. }: Pair, b: Logged) -> Answer { yield_now().await; Ok(first.touch() + b.touch()) }
            $(#[$attribute])* async fn copied_out(Logged(name): Logged, b: Logged) -> Answer { yield_now().await; Ok(name.len() + b.touch()) }
            $(#[$attribute])* async fn by_ref(ref a: Logged, b: Logged, ref mut c: Logged) -> Answer { c.0 = "c, changed"; yield_now().await; Ok(b.touch() + a.touch()) }
            $(#[$attribute])* async fn generic<T: AsRef<str>>(a: Logged, b: T, c: impl FnOnce() -> usize) -> Answer { let length = c(); yield_now().await; log("body"); let _a = &a; Ok(b.as_ref().len() + length) }
            $(#[$attribute])* async fn early(flag: bool, a: Logged, b: Logged) -> Answer { let _local = Logged("local"); if flag { return Ok(b.touch()); } yield_now().await; Ok(a.touch()) }
            $(#[$attribute])* async fn question(a: Logged, b: Logged) -> Answer { let _local = Logged("local"); take(a); yield_now().await; fail()?; Ok(b.touch()) }
            $(#[$attribute])* async fn panics(a: Logged, (b, _): (Logged, Logged), c: Logged) -> Answer { let _local = Logged("local"); take(b); yield_now().await; if c.touch() > 0 { panic!("original payload") } Ok(a.touch()) }
            $(#[$attribute])* async fn temporaries(a: Logged, b: Logged) -> Answer { let local = Logged("local"); yield_now().await; Ok(temporary().by_ref_to_self().touch() + b.touch() + local.touch() + a.touch()) }
            $(#[$attribute])* async fn blocks(a: Logged, b: Logged, c: Logged) -> Answer { let inner = async move { yield_now().await; c.touch() + a.touch() }; log("body"); Ok(inner.await + b.touch()) }
            $(#[$attribute])* async fn references(a: Logged, text: &str, log: &mut Vec<usize>, b: Logged) -> Answer { log.push(text.len() + a.touch()); yield_now().await; Ok(b.touch()) }

            // Functions that return a future.
            $(#[$attribute])* fn future(a: Logged, b: Logged, c: Logged) -> impl Future<Output = Answer> { async move { let _local = Logged("local"); let length = c.touch(); yield_now().await; Ok(a.touch() + b.touch() + length) } }
            $(#[$attribute])* fn boxed(a: Logged, b: Logged, c: Logged) -> Pin<Box<dyn Future<Output = Answer>>> { Box::pin(async move { take(c); let length = b.touch(); yield_now().await; Ok(a.touch() + length) }) }
            $(#[$attribute])* fn renaming(a: Logged, b: Logged, c: Logged) -> Pin<Box<dyn Future<Output = Answer> + Send>> { Box::pin(async move { let b = b; let length = c.touch(); yield_now().await; Ok(a.touch() + b.touch() + length) }) }
            type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
            $(#[$attribute])* fn aliased(a: Logged, b: Logged) -> BoxFuture<Answer> { Box::pin(async move { let length = b.touch(); yield_now().await; Ok(a.touch() + length) }) }

            $(#[$attribute])* fn leading(a: Logged, b: Logged, c: Logged) -> impl Future<Output = Answer> { let local = Logged("local"); let length = b.touch(); async move { take(c); yield_now().await; Ok(local.touch() + a.touch() + length) } }
            $(#[$attribute])* fn leading_moves(a: Logged, b: Logged, _c: Logged) -> Pin<Box<dyn Future<Output = Answer>>> { let (first, _unused) = (b, Logged("unused")); log("called"); Box::pin(async move { let length = first.touch(); yield_now().await; Ok(a.touch() + length) }) }
            $(#[$attribute])* fn leading_shadows(a: Logged, b: Logged) -> BoxFuture<Answer> { take(a); let a = Logged("new a"); Box::pin(async move { yield_now().await; Ok(a.touch() + b.touch()) }) }

            impl Pair {
                $(#[$attribute])* async fn $module(self, c: Logged) -> Answer { yield_now().await; Ok(c.touch() + self.second.touch()) }
            }

            #[async_trait::async_trait]
            trait Methods: Sized {
                async fn by_value(self, b: Logged, _: Logged) -> Answer;
                async fn by_arc(self: Arc<Self>, (a, b): (Logged, Logged), c: Logged) -> Answer;
                $(#[$attribute])* async fn provided(b: Logged, mut c: Logged) -> Answer { yield_now().await; c.0 = "c, changed"; Ok(b.touch() + c.touch()) }
            }

            #[async_trait::async_trait]
            impl Methods for Pair {
                $(#[$attribute])* async fn by_value(self, b: Logged, _: Logged) -> Answer { take(self.first); yield_now().await; log("body"); Ok(b.touch()) }
                $(#[$attribute])* async fn by_arc(self: Arc<Self>, (a, b): (Logged, Logged), c: Logged) -> Answer { let length = c.touch(); yield_now().await; Ok(length + a.touch() + b.touch()) }
            }

            pub(super) fn cases() -> Vec<(&'static str, Start)> {
                vec![
                    start!(unused(Logged("a"), Logged("b"), Logged("c"))),
                    start!(named_unused(Logged("a"), Logged("b"), Logged("c"))),
                    start!(ignored(Logged("a"), Logged("b"), Logged("c"), Logged("d"))),
                    start!(borrowed(Logged("a"), Logged("b"), Logged("c"))),
                    start!(moved(Logged("a"), Logged("b"), Logged("c"))),
                    start!(conditionally_moved(true, Logged("a"), Logged("b"), Logged("c"))),
                    start!(conditionally_moved(false, Logged("a"), Logged("b"), Logged("c"))),
                    start!(into_local(Logged("a"), Logged("b"), Logged("c"))),
                    start!(changed(Logged("a"), Logged("b"), Logged("c"))),
                    start!(tuple((Logged("a"), Logged("b")), Logged("c"))),
                    start!(part_of_tuple(Logged("z"), (Logged("a"), Logged("_")), Logged("b"))),
                    start!(of_struct(Pair::new(), Logged("b"))),
                    start!(copied_out(Logged("a"), Logged("b"))),
                    start!(by_ref(Logged("a"), Logged("b"), Logged("c"))),
                    start!(generic(Logged("a"), "text", { let inner = Logged("call"); move || inner.touch() })),
                    start!(early(true, Logged("a"), Logged("b"))),
                    start!(early(false, Logged("a"), Logged("b"))),
                    start!(question(Logged("a"), Logged("b"))),
                    start!(panics(Logged("a"), (Logged("b"), Logged("_")), Logged("c"))),
                    start!(temporaries(Logged("a"), Logged("b"))),
                    start!(blocks(Logged("a"), Logged("b"), Logged("c"))),
                    start!(future(Logged("a"), Logged("b"), Logged("c"))),
                    start!(boxed(Logged("a"), Logged("b"), Logged("c"))),
                    start!(renaming(Logged("a"), Logged("b"), Logged("c"))),
                    start!(aliased(Logged("a"), Logged("b"))),
                    start!(leading(Logged("a"), Logged("b"), Logged("c"))),
                    start!(leading_moves(Logged("a"), Logged("b"), Logged("c"))),
                    start!(leading_shadows(Logged("a"), Logged("b"))),
                    ("references", || Box::pin(async { references(Logged("a"), "text", &mut Vec::new(), Logged("b")).await })),
                    ("self", || Box::pin(Pair::new().$module(Logged("c")))),
                    ("self, async_trait", || Pair::new().by_value(Logged("b"), Logged("c"))),
                    ("Arc<Self>, async_trait", || Arc::new(Pair::new()).by_arc((Logged("a"), Logged("b")), Logged("c"))),
                    ("provided, async_trait", || <Pair as Methods>::provided(Logged("b"), Logged("c"))),
                ]
            }
        }
    };
}

asynchronous!(plain_async:);
asynchronous!(retried_async: #[retry(max_attempts = 1, retry_if = any)]);
asynchronous!(behind_breaker_async: #[circuit_breaker(name = "drops, async", failure_threshold = 10_000)]);
asynchronous!(with_timeout_async: #[timeout(1h)]);
asynchronous!(with_fallback_async: #[fallback(|error| Err(error))]);
asynchronous!(behind_rate_limit_async: #[rate_limit(name = "drops", limit = 100_000, per = 1h)]);
asynchronous!(behind_bulkhead_async: #[bulkhead(name = "drops", max_concurrent = 100)]);
asynchronous!(stacked_async:
    #[fallback(|error| Err(error))]
    #[timeout(1h, allow_order)]
    #[retry(max_attempts = 1, retry_if = |_| true)]
    #[circuit_breaker(name = "drops, stacked, async", failure_threshold = 10_000, failure_if = |error| error.kind() == io::ErrorKind::TimedOut)]
    #[rate_limit(name = "drops, stacked", limit = 100_000, per = 1h)]
    #[bulkhead(name = "drops, stacked", max_concurrent = 100)]
    #[timeout(1m)]
);

/// Polls a future `polls` times, drops it, and returns all drops in order.
fn dropped_after(start: Start, polls: u32) -> Vec<&'static str> {
    take_log();
    let mut call = start();
    _ = catch_unwind(AssertUnwindSafe(|| {
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..polls {
            if let Poll::Ready(answer) = call.as_mut().poll(&mut context) {
                log("ready");
                return drop(answer);
            }
        }
    }));
    drop(call);
    take_log()
}

#[tokio::test(start_paused = true)]
async fn async_arguments_drop_in_the_order_of_the_plain_function_at_every_await() {
    let mut differences = Vec::new();
    for (stack, cases) in [
        ("#[retry]", retried_async::cases()),
        ("#[circuit_breaker]", behind_breaker_async::cases()),
        ("#[timeout]", with_timeout_async::cases()),
        ("#[fallback]", with_fallback_async::cases()),
        ("#[rate_limit]", behind_rate_limit_async::cases()),
        ("#[bulkhead]", behind_bulkhead_async::cases()),
        ("all of them", stacked_async::cases()),
    ] {
        for ((name, oracle), (_, start)) in plain_async::cases().into_iter().zip(cases) {
            for polls in 0..4 {
                let (expected, seen) = (dropped_after(oracle, polls), dropped_after(start, polls));
                if seen != expected {
                    differences.push(format!(
                        "{stack} {name}, after {polls} polls: {seen:?} where the plain function drops {expected:?}"
                    ));
                }
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Functions with an option that names one of the arguments after the call.
macro_rules! named {
    ($module:ident: $a:ident $b:ident $c:ident $(#[$attribute:meta])*) => {
        mod $module {
            use super::*;

            $(#[$attribute])* fn borrowed($a: Logged, $b: Logged, $c: Logged) -> Answer { let _local = Logged("local"); Ok($c.touch() + $a.touch() + $b.touch()) }
            $(#[$attribute])* fn ignored($a: Logged, _: Logged, $b: Logged, _: Logged, mut $c: Logged) -> Answer { $c.0 = "c, changed"; Ok($a.touch() + $b.touch()) }
            $(#[$attribute])* async fn borrowed_async($a: Logged, $b: Logged, $c: Logged) -> Answer { let _local = Logged("local"); yield_now().await; Ok($c.touch() + $a.touch() + $b.touch()) }
            $(#[$attribute])* async fn ignored_async($a: Logged, (_, $b): (Logged, Logged), _: Logged, mut $c: Logged) -> Answer { yield_now().await; $c.0 = "c, changed"; Ok($a.touch() + $b.touch()) }

            pub(super) fn dropped() -> Vec<Vec<&'static str>> {
                take_log();
                borrowed(Logged("a"), Logged("b"), Logged("c")).unwrap();
                let mut seen = vec![take_log()];
                ignored(Logged("a"), Logged("_"), Logged("b"), Logged("_, 2"), Logged("c")).unwrap();
                seen.push(take_log());
                for polls in 0..3 {
                    seen.push(dropped_after(|| Box::pin(borrowed_async(Logged("a"), Logged("b"), Logged("c"))), polls));
                    seen.push(dropped_after(|| Box::pin(ignored_async(Logged("a"), (Logged("_"), Logged("b")), Logged("_, 2"), Logged("c"))), polls));
                }
                seen
            }
        }
    };
}

named!(not_named: a b c);
named!(named_first: a b c #[circuit_breaker(name = "drops, named first", failure_if_result = |_| a.touch() > 99)]);
named!(named_second: a b c #[circuit_breaker(name = "drops, named second", failure_if_result = |_| b.touch() > 99)]);
named!(named_last: a b c #[circuit_breaker(name = "drops, named last", failure_if_result = |_| c.touch() > 99)]);
named!(named_by_fallback: a b c #[fallback(|_| Ok(b.touch()))]);

#[test]
fn arguments_that_an_option_uses_later_drop_in_the_order_of_the_plain_function() {
    let expected = not_named::dropped();
    assert_eq!(named_first::dropped(), expected);
    assert_eq!(named_second::dropped(), expected);
    assert_eq!(named_last::dropped(), expected);
    assert_eq!(named_by_fallback::dropped(), expected);
}

macro_rules! rejected {
    ($module:ident: $(#[$attribute:meta])*) => {
        mod $module {
            use super::*;

            $(#[$attribute])* fn several(_a: Logged, _: Logged, (_b, _c): (Logged, Logged), mut _d: Logged) -> Answer { fail().map(|()| 0) }
            $(#[$attribute])* async fn several_async(_a: Logged, _: Logged, (_b, _c): (Logged, Logged), mut _d: Logged) -> Answer { fail().map(|()| 0) }

            impl Pair {
                $(#[$attribute])* fn $module(self, _b: Logged) -> Answer { fail().map(|()| 0) }
            }

            pub(super) async fn dropped() -> Vec<Vec<&'static str>> {
                take_log();
                several(Logged("a"), Logged("_"), (Logged("b"), Logged("c")), Logged("d")).unwrap_err();
                let mut seen = vec![take_log()];
                several_async(Logged("a"), Logged("_"), (Logged("b"), Logged("c")), Logged("d")).await.unwrap_err();
                seen.push(take_log());
                Pair::new().$module(Logged("b")).unwrap_err();
                seen.push(take_log());
                seen
            }
        }
    };
}

rejected!(never_rejected:);
rejected!(rejected_by_breaker: #[circuit_breaker(name = "drops, rejected")]);
rejected!(rejected_by_limit: #[rate_limit(name = "drops, rejected", limit = 1, per = 1h)]);
rejected!(rejected_by_bulkhead: #[bulkhead(name = "drops, rejected", max_concurrent = 1)]);
rejected!(rejected_below: #[retry(max_attempts = 1)] #[circuit_breaker(name = "drops, rejected")] #[bulkhead(name = "drops, rejected")]);

#[rate_limit(name = "drops, rejected")]
fn use_up_limit() -> Answer {
    Ok(1)
}

#[tokio::test]
async fn a_rejected_call_drops_its_arguments_in_the_order_of_the_plain_function() {
    breaker("drops, rejected").unwrap().force_open();
    use_up_limit().unwrap();
    let full = bulkhead("drops, rejected").unwrap();
    let _permit = full.try_acquire().unwrap();
    let expected = never_rejected::dropped().await;
    assert_eq!(rejected_by_breaker::dropped().await, expected);
    assert_eq!(rejected_by_limit::dropped().await, expected);
    assert_eq!(rejected_by_bulkhead::dropped().await, expected);
    assert_eq!(rejected_below::dropped().await, expected);
}
