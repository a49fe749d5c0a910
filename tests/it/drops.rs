//! What is dropped, when: an annotated function drops its arguments as the plain one does, if its first attempt is its last.
//!
//! The plain function is the oracle. Each function below is compiled without an attribute and under each stack, and what is dropped is
//! written down in a log.

#![allow(
    clippy::all,
    clippy::pedantic,
    unused_assignments,
    unused_mut,
    reason = "the shapes that people write, not the best ones"
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

/// Says when it is dropped. Not `Clone`.
struct Noisy(&'static str);

impl Drop for Noisy {
    fn drop(&mut self) {
        log(self.0);
    }
}

impl Noisy {
    fn look(&self) -> usize {
        self.0.len()
    }

    fn lend(&self) -> &Self {
        self
    }
}

struct Pair {
    first: Noisy,
    second: Noisy,
}

impl Pair {
    fn new() -> Self {
        Self { first: Noisy("first"), second: Noisy("second") }
    }
}

fn noisy() -> Noisy {
    Noisy("made")
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

            $(#[$attribute])* fn unused(_a: Noisy, _b: Noisy, _c: Noisy) -> Answer { Ok(1) }
            $(#[$attribute])* #[allow(unused_variables)] fn named_unused(a: Noisy, b: Noisy, c: Noisy) -> Answer { Ok(b.look()) }
            $(#[$attribute])* fn allowed_unused(#[allow(unused_variables)] a: Noisy, #[expect(unused_variables)] b: Noisy, c: Noisy) -> Answer { Ok(c.look()) }
            $(#[$attribute])* fn ignored(_: Noisy, b: Noisy, _: Noisy, _d: Noisy) -> Answer { Ok(b.look()) }
            $(#[$attribute])* fn borrowed(a: Noisy, b: Noisy, c: Noisy) -> Answer { Ok(c.look() + a.look() + b.look()) }
            $(#[$attribute])* fn moved(a: Noisy, b: Noisy, c: Noisy) -> Answer { take(b); log("after b"); Ok(a.look() + c.look()) }
            $(#[$attribute])* fn perhaps(flag: bool, a: Noisy, b: Noisy, c: Noisy) -> Answer { if flag { take(a); } log("body"); Ok(c.look() + b.look()) }
            $(#[$attribute])* fn into_local(a: Noisy, b: Noisy, c: Noisy) -> Answer { let _local = Noisy("local"); let _b = b; log("body"); Ok(a.look() + c.look()) }
            $(#[$attribute])* fn shadowed(a: Noisy, b: Noisy) -> Answer { let a = Noisy(if a.look() > 0 { "inner" } else { "" }); Ok(a.look() + b.look()) }
            $(#[$attribute])* fn changed(mut a: Noisy, mut b: Noisy, c: Noisy) -> Answer { b = Noisy("b, new"); a.0 = "a, changed"; Ok(b.look() + c.look()) }
            $(#[$attribute])* fn tuple((a, b): (Noisy, Noisy), c: Noisy) -> Answer { Ok(b.look() + c.look() + a.look()) }
            $(#[$attribute])* fn part_of_tuple(z: Noisy, (a, _): (Noisy, Noisy), b: Noisy) -> Answer { Ok(a.look() + b.look() + z.look()) }
            $(#[$attribute])* fn parts_of_tuple((_, a): (Noisy, Noisy), (b, ..): (Noisy, Noisy, Noisy)) -> Answer { Ok(b.look() + a.look()) }
            $(#[$attribute])* fn nested(((mut a, _), b): ((Noisy, Noisy), Noisy), _: Noisy) -> Answer { a.0 = "a, changed"; take(b); Ok(a.look()) }
            $(#[$attribute])* fn of_struct(Pair { first, .. }: Pair, b: Noisy) -> Answer { Ok(first.look() + b.look()) }
            $(#[$attribute])* fn of_struct_reversed(b: Noisy, Pair { second, first }: Pair) -> Answer { Ok(first.look() + b.look() + second.look()) }
            $(#[$attribute])* fn copied_out(Noisy(name): Noisy, b: Noisy) -> Answer { Ok(name.len() + b.look()) }
            $(#[$attribute])* fn by_ref(ref a: Noisy, b: Noisy, ref mut c: Noisy) -> Answer { c.0 = "c, changed"; Ok(b.look() + a.look()) }
            $(#[$attribute])* fn array([a, _, c]: [Noisy; 3], d: Noisy) -> Answer { Ok(d.look() + c.look() + a.look()) }
            $(#[$attribute])* fn at(whole @ Noisy(_): Noisy, b: Noisy) -> Answer { Ok(b.look() + whole.look()) }
            $(#[$attribute])* fn generic<T, U: AsRef<str>>(a: T, b: U, c: T) -> Answer where T: Sized { take(c); log("body"); let _a = &a; Ok(b.as_ref().len()) }
            $(#[$attribute])* fn hidden(call: impl FnOnce() -> usize, b: Noisy) -> Answer { let length = b.look(); Ok(call() + length) }
            $(#[$attribute])* fn early(flag: bool, a: Noisy, b: Noisy) -> Answer { let _local = Noisy("local"); if flag { return Ok(b.look()); } Ok(a.look()) }
            $(#[$attribute])* fn question(a: Noisy, b: Noisy) -> Answer { let _local = Noisy("local"); take(a); fail()?; Ok(b.look()) }
            $(#[$attribute])* fn panics(a: Noisy, (b, _): (Noisy, Noisy), c: Noisy) -> Answer { let _local = Noisy("local"); take(b); if c.look() > 0 { panic!("as it was") } Ok(a.look()) }
            $(#[$attribute])* fn temporaries(a: Noisy, b: Noisy) -> Answer { let local = Noisy("local"); Ok(noisy().lend().look() + b.look() + local.look() + a.look()) }
            $(#[$attribute])* fn temporaries_of_match(a: Noisy, _: Noisy) -> Answer { match noisy().lend().look() { 0 => fail().map(|()| 0), length => { log("arm"); Ok(length + a.look()) } } }
            $(#[$attribute])* fn closures(a: Noisy, b: Noisy, c: Noisy) -> Answer { let call = move || c.look() + a.look(); log("body"); Ok(call() + b.look()) }
            $(#[$attribute])* fn behind_cfg(a: Noisy, #[cfg(any())] missing: Missing, #[cfg(not(any()))] (b, _): (Noisy, Noisy)) -> Answer { Ok(b.look() + a.look()) }
            $(#[$attribute])* fn references(a: Noisy, text: &str, log: &mut Vec<usize>, b: Noisy) -> Answer { log.push(text.len() + a.look()); Ok(b.look()) }
            $(#[$attribute])* fn in_threads(sender: mpsc::Sender<u8>, receiver: mpsc::Receiver<u8>) -> Answer { thread::spawn(move || sender.send(1)); Ok(receiver.iter().count()) }
            $(#[$attribute])* fn sender_unused(_: mpsc::Sender<u8>, (sender, _): (mpsc::Sender<u8>, u8), last: Noisy) -> Answer { drop(sender); Ok(last.look()) }

            impl Pair {
                $(#[$attribute])* fn $module(self, c: Noisy) -> Answer { Ok(c.look() + self.second.look()) }
            }

            pub(super) fn rest() -> Vec<(&'static str, Run)> {
                trait Methods: Sized {
                    fn of_box(self: Box<Self>, c: Noisy) -> Answer;
                    fn of_mut(&mut self, b: Noisy, c: Noisy) -> Answer;
                    $(#[$attribute])* fn provided(self, (b, c): (Noisy, Noisy)) -> Answer { Ok(b.look() + c.look()) }
                }
                impl Methods for Pair {
                    $(#[$attribute])* fn of_box(self: Box<Self>, c: Noisy) -> Answer { take(self.first); log("body"); Ok(c.look()) }
                    $(#[$attribute])* fn of_mut(&mut self, b: Noisy, c: Noisy) -> Answer { self.first = b; Ok(c.look()) }
                }
                vec![
                    ("Box<Self>", || drop(Box::new(Pair::new()).of_box(Noisy("c")))),
                    ("&mut self", || drop(Pair::new().of_mut(Noisy("b"), Noisy("c")))),
                    ("provided", || drop(Pair::new().provided((Noisy("b"), Noisy("c"))))),
                ]
            }

            pub(super) fn cases() -> Vec<(&'static str, Run)> {
                let mut cases = vec![
                    case!(unused(Noisy("a"), Noisy("b"), Noisy("c"))),
                    case!(named_unused(Noisy("a"), Noisy("b"), Noisy("c"))),
                    case!(allowed_unused(Noisy("a"), Noisy("b"), Noisy("c"))),
                    case!(ignored(Noisy("a"), Noisy("b"), Noisy("c"), Noisy("d"))),
                    case!(borrowed(Noisy("a"), Noisy("b"), Noisy("c"))),
                    case!(moved(Noisy("a"), Noisy("b"), Noisy("c"))),
                    case!(perhaps(true, Noisy("a"), Noisy("b"), Noisy("c"))),
                    case!(perhaps(false, Noisy("a"), Noisy("b"), Noisy("c"))),
                    case!(into_local(Noisy("a"), Noisy("b"), Noisy("c"))),
                    case!(shadowed(Noisy("a"), Noisy("b"))),
                    case!(changed(Noisy("a"), Noisy("b"), Noisy("c"))),
                    case!(tuple((Noisy("a"), Noisy("b")), Noisy("c"))),
                    case!(part_of_tuple(Noisy("z"), (Noisy("a"), Noisy("_")), Noisy("b"))),
                    case!(parts_of_tuple((Noisy("_"), Noisy("a")), (Noisy("b"), Noisy(".. 1"), Noisy(".. 2")))),
                    case!(nested(((Noisy("a"), Noisy("_")), Noisy("b")), Noisy("c"))),
                    case!(of_struct(Pair::new(), Noisy("b"))),
                    case!(of_struct_reversed(Noisy("b"), Pair::new())),
                    case!(copied_out(Noisy("a"), Noisy("b"))),
                    case!(by_ref(Noisy("a"), Noisy("b"), Noisy("c"))),
                    case!(array([Noisy("a"), Noisy("b"), Noisy("c")], Noisy("d"))),
                    case!(at(Noisy("a"), Noisy("b"))),
                    case!(generic(Noisy("a"), "text", Noisy("c"))),
                    case!(hidden({ let inner = Noisy("call"); move || inner.look() }, Noisy("b"))),
                    case!(early(true, Noisy("a"), Noisy("b"))),
                    case!(early(false, Noisy("a"), Noisy("b"))),
                    case!(question(Noisy("a"), Noisy("b"))),
                    case!(panics(Noisy("a"), (Noisy("b"), Noisy("_")), Noisy("c"))),
                    case!(temporaries(Noisy("a"), Noisy("b"))),
                    case!(temporaries_of_match(Noisy("a"), Noisy("b"))),
                    case!(closures(Noisy("a"), Noisy("b"), Noisy("c"))),
                    case!(behind_cfg(Noisy("a"), (Noisy("b"), Noisy("_")))),
                    case!(references(Noisy("a"), "text", &mut Vec::new(), Noisy("b"))),
                    ("self", || drop(Pair::new().$module(Noisy("c")))),
                ];
                cases.extend(rest());
                cases
            }

            pub(super) fn ends_when_the_senders_are_gone() -> Vec<usize> {
                let (sender, receiver) = mpsc::channel();
                let (other, _receiver) = mpsc::channel();
                let count = in_threads(sender, receiver).unwrap();
                vec![count, sender_unused(other.clone(), (other, 1), Noisy("last")).unwrap()]
            }
        }
    };
}

sync!(plain:);
sync!(retried: #[retry(max_attempts = 1, retry_if = any)]);
sync!(broken: #[circuit_breaker(name = "drops")]);
sync!(fallen: #[fallback(|error| Err(error))]);
sync!(limited: #[rate_limit(name = "drops", limit = 100_000, per = 1h)]);
sync!(bulky: #[bulkhead(name = "drops", max_concurrent = 100)]);
sync!(stacked:
    #[fallback(|error| Err(error))]
    #[retry(max_attempts = 1, retry_if = |_| true)]
    #[circuit_breaker(name = "drops, stacked", failure_if = |error| error.kind() == io::ErrorKind::TimedOut)]
    #[rate_limit(name = "drops, stacked", limit = 100_000, per = 1h)]
    #[bulkhead(name = "drops, stacked", max_concurrent = 100)]
);

/// What a run drops, and what it drops of what its caller has kept.
fn dropped(run: Run) -> Vec<&'static str> {
    take_log();
    _ = catch_unwind(AssertUnwindSafe(run));
    take_log()
}

#[test]
fn a_function_drops_its_arguments_as_the_plain_one() {
    let mut wrong = Vec::new();
    for (stack, cases) in [
        ("#[retry]", retried::cases()),
        ("#[circuit_breaker]", broken::cases()),
        ("#[fallback]", fallen::cases()),
        ("#[rate_limit]", limited::cases()),
        ("#[bulkhead]", bulky::cases()),
        ("all of them", stacked::cases()),
    ] {
        breaker("drops").unwrap().reset();
        for ((name, oracle), (_, run)) in plain::cases().into_iter().zip(cases) {
            let (expected, seen) = (dropped(oracle), dropped(run));
            assert!(!expected.is_empty());
            if seen != expected {
                wrong.push(format!("{stack} {name}: {seen:?} where the plain function drops {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_sender_that_is_given_away_is_gone() {
    for run in [
        plain::ends_when_the_senders_are_gone,
        retried::ends_when_the_senders_are_gone,
        broken::ends_when_the_senders_are_gone,
        fallen::ends_when_the_senders_are_gone,
        limited::ends_when_the_senders_are_gone,
        bulky::ends_when_the_senders_are_gone,
        stacked::ends_when_the_senders_are_gone,
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

            $(#[$attribute])* async fn unused(_a: Noisy, _b: Noisy, _c: Noisy) -> Answer { yield_now().await; Ok(1) }
            $(#[$attribute])* #[allow(unused_variables)] async fn named_unused(a: Noisy, b: Noisy, c: Noisy) -> Answer { yield_now().await; Ok(b.look()) }
            $(#[$attribute])* async fn ignored(_: Noisy, b: Noisy, _: Noisy, _d: Noisy) -> Answer { yield_now().await; Ok(b.look()) }
            $(#[$attribute])* async fn borrowed(a: Noisy, b: Noisy, c: Noisy) -> Answer { let length = c.look(); yield_now().await; Ok(length + a.look() + b.look()) }
            $(#[$attribute])* async fn moved(a: Noisy, b: Noisy, c: Noisy) -> Answer { yield_now().await; take(b); log("after b"); yield_now().await; Ok(a.look() + c.look()) }
            $(#[$attribute])* async fn perhaps(flag: bool, a: Noisy, b: Noisy, c: Noisy) -> Answer { if flag { take(a); } yield_now().await; log("body"); Ok(c.look() + b.look()) }
            $(#[$attribute])* async fn into_local(a: Noisy, b: Noisy, c: Noisy) -> Answer { let _local = Noisy("local"); let _b = b; yield_now().await; log("body"); Ok(a.look() + c.look()) }
            $(#[$attribute])* async fn changed(mut a: Noisy, mut b: Noisy, c: Noisy) -> Answer { b = Noisy("b, new"); a.0 = "a, changed"; yield_now().await; Ok(b.look() + c.look()) }
            $(#[$attribute])* async fn tuple((a, b): (Noisy, Noisy), c: Noisy) -> Answer { yield_now().await; Ok(b.look() + c.look() + a.look()) }
            $(#[$attribute])* async fn part_of_tuple(z: Noisy, (a, _): (Noisy, Noisy), b: Noisy) -> Answer { yield_now().await; Ok(a.look() + b.look() + z.look()) }
            $(#[$attribute])* async fn of_struct(Pair { first, .. }: Pair, b: Noisy) -> Answer { yield_now().await; Ok(first.look() + b.look()) }
            $(#[$attribute])* async fn copied_out(Noisy(name): Noisy, b: Noisy) -> Answer { yield_now().await; Ok(name.len() + b.look()) }
            $(#[$attribute])* async fn by_ref(ref a: Noisy, b: Noisy, ref mut c: Noisy) -> Answer { c.0 = "c, changed"; yield_now().await; Ok(b.look() + a.look()) }
            $(#[$attribute])* async fn generic<T: AsRef<str>>(a: Noisy, b: T, c: impl FnOnce() -> usize) -> Answer { let length = c(); yield_now().await; log("body"); let _a = &a; Ok(b.as_ref().len() + length) }
            $(#[$attribute])* async fn early(flag: bool, a: Noisy, b: Noisy) -> Answer { let _local = Noisy("local"); if flag { return Ok(b.look()); } yield_now().await; Ok(a.look()) }
            $(#[$attribute])* async fn question(a: Noisy, b: Noisy) -> Answer { let _local = Noisy("local"); take(a); yield_now().await; fail()?; Ok(b.look()) }
            $(#[$attribute])* async fn panics(a: Noisy, (b, _): (Noisy, Noisy), c: Noisy) -> Answer { let _local = Noisy("local"); take(b); yield_now().await; if c.look() > 0 { panic!("as it was") } Ok(a.look()) }
            $(#[$attribute])* async fn temporaries(a: Noisy, b: Noisy) -> Answer { let local = Noisy("local"); yield_now().await; Ok(noisy().lend().look() + b.look() + local.look() + a.look()) }
            $(#[$attribute])* async fn blocks(a: Noisy, b: Noisy, c: Noisy) -> Answer { let inner = async move { yield_now().await; c.look() + a.look() }; log("body"); Ok(inner.await + b.look()) }
            $(#[$attribute])* async fn references(a: Noisy, text: &str, log: &mut Vec<usize>, b: Noisy) -> Answer { log.push(text.len() + a.look()); yield_now().await; Ok(b.look()) }

            // Functions that return a future.
            $(#[$attribute])* fn future(a: Noisy, b: Noisy, c: Noisy) -> impl Future<Output = Answer> { async move { let _local = Noisy("local"); let length = c.look(); yield_now().await; Ok(a.look() + b.look() + length) } }
            $(#[$attribute])* fn boxed(a: Noisy, b: Noisy, c: Noisy) -> Pin<Box<dyn Future<Output = Answer>>> { Box::pin(async move { take(c); let length = b.look(); yield_now().await; Ok(a.look() + length) }) }
            $(#[$attribute])* fn renaming(a: Noisy, b: Noisy, c: Noisy) -> Pin<Box<dyn Future<Output = Answer> + Send>> { Box::pin(async move { let b = b; let length = c.look(); yield_now().await; Ok(a.look() + b.look() + length) }) }
            type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
            $(#[$attribute])* fn aliased(a: Noisy, b: Noisy) -> BoxFuture<Answer> { Box::pin(async move { let length = b.look(); yield_now().await; Ok(a.look() + length) }) }

            impl Pair {
                $(#[$attribute])* async fn $module(self, c: Noisy) -> Answer { yield_now().await; Ok(c.look() + self.second.look()) }
            }

            #[async_trait::async_trait]
            trait Methods: Sized {
                async fn by_value(self, b: Noisy, _: Noisy) -> Answer;
                async fn by_arc(self: Arc<Self>, (a, b): (Noisy, Noisy), c: Noisy) -> Answer;
                $(#[$attribute])* async fn provided(b: Noisy, mut c: Noisy) -> Answer { yield_now().await; c.0 = "c, changed"; Ok(b.look() + c.look()) }
            }

            #[async_trait::async_trait]
            impl Methods for Pair {
                $(#[$attribute])* async fn by_value(self, b: Noisy, _: Noisy) -> Answer { take(self.first); yield_now().await; log("body"); Ok(b.look()) }
                $(#[$attribute])* async fn by_arc(self: Arc<Self>, (a, b): (Noisy, Noisy), c: Noisy) -> Answer { let length = c.look(); yield_now().await; Ok(length + a.look() + b.look()) }
            }

            pub(super) fn cases() -> Vec<(&'static str, Start)> {
                vec![
                    start!(unused(Noisy("a"), Noisy("b"), Noisy("c"))),
                    start!(named_unused(Noisy("a"), Noisy("b"), Noisy("c"))),
                    start!(ignored(Noisy("a"), Noisy("b"), Noisy("c"), Noisy("d"))),
                    start!(borrowed(Noisy("a"), Noisy("b"), Noisy("c"))),
                    start!(moved(Noisy("a"), Noisy("b"), Noisy("c"))),
                    start!(perhaps(true, Noisy("a"), Noisy("b"), Noisy("c"))),
                    start!(perhaps(false, Noisy("a"), Noisy("b"), Noisy("c"))),
                    start!(into_local(Noisy("a"), Noisy("b"), Noisy("c"))),
                    start!(changed(Noisy("a"), Noisy("b"), Noisy("c"))),
                    start!(tuple((Noisy("a"), Noisy("b")), Noisy("c"))),
                    start!(part_of_tuple(Noisy("z"), (Noisy("a"), Noisy("_")), Noisy("b"))),
                    start!(of_struct(Pair::new(), Noisy("b"))),
                    start!(copied_out(Noisy("a"), Noisy("b"))),
                    start!(by_ref(Noisy("a"), Noisy("b"), Noisy("c"))),
                    start!(generic(Noisy("a"), "text", { let inner = Noisy("call"); move || inner.look() })),
                    start!(early(true, Noisy("a"), Noisy("b"))),
                    start!(early(false, Noisy("a"), Noisy("b"))),
                    start!(question(Noisy("a"), Noisy("b"))),
                    start!(panics(Noisy("a"), (Noisy("b"), Noisy("_")), Noisy("c"))),
                    start!(temporaries(Noisy("a"), Noisy("b"))),
                    start!(blocks(Noisy("a"), Noisy("b"), Noisy("c"))),
                    start!(future(Noisy("a"), Noisy("b"), Noisy("c"))),
                    start!(boxed(Noisy("a"), Noisy("b"), Noisy("c"))),
                    start!(renaming(Noisy("a"), Noisy("b"), Noisy("c"))),
                    start!(aliased(Noisy("a"), Noisy("b"))),
                    ("references", || Box::pin(async { references(Noisy("a"), "text", &mut Vec::new(), Noisy("b")).await })),
                    ("self", || Box::pin(Pair::new().$module(Noisy("c")))),
                    ("self, async_trait", || Pair::new().by_value(Noisy("b"), Noisy("c"))),
                    ("Arc<Self>, async_trait", || Arc::new(Pair::new()).by_arc((Noisy("a"), Noisy("b")), Noisy("c"))),
                    ("provided, async_trait", || <Pair as Methods>::provided(Noisy("b"), Noisy("c"))),
                ]
            }
        }
    };
}

asynchronous!(plain_async:);
asynchronous!(retried_async: #[retry(max_attempts = 1, retry_if = any)]);
asynchronous!(broken_async: #[circuit_breaker(name = "drops, async", failure_threshold = 10_000)]);
asynchronous!(timed_async: #[timeout(1h)]);
asynchronous!(fallen_async: #[fallback(|error| Err(error))]);
asynchronous!(limited_async: #[rate_limit(name = "drops", limit = 100_000, per = 1h)]);
asynchronous!(bulky_async: #[bulkhead(name = "drops", max_concurrent = 100)]);
asynchronous!(stacked_async:
    #[fallback(|error| Err(error))]
    #[timeout(1h, allow_order)]
    #[retry(max_attempts = 1, retry_if = |_| true)]
    #[circuit_breaker(name = "drops, stacked, async", failure_threshold = 10_000, failure_if = |error| error.kind() == io::ErrorKind::TimedOut)]
    #[rate_limit(name = "drops, stacked", limit = 100_000, per = 1h)]
    #[bulkhead(name = "drops, stacked", max_concurrent = 100)]
    #[timeout(1m)]
);

/// What a future drops that is polled so often and then dropped itself.
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
async fn a_future_drops_its_arguments_as_the_plain_one_wherever_it_ends() {
    let mut wrong = Vec::new();
    for (stack, cases) in [
        ("#[retry]", retried_async::cases()),
        ("#[circuit_breaker]", broken_async::cases()),
        ("#[timeout]", timed_async::cases()),
        ("#[fallback]", fallen_async::cases()),
        ("#[rate_limit]", limited_async::cases()),
        ("#[bulkhead]", bulky_async::cases()),
        ("all of them", stacked_async::cases()),
    ] {
        for ((name, oracle), (_, start)) in plain_async::cases().into_iter().zip(cases) {
            for polls in 0..4 {
                let (expected, seen) = (dropped_after(oracle, polls), dropped_after(start, polls));
                if seen != expected {
                    wrong.push(format!(
                        "{stack} {name}, after {polls}: {seen:?} where the plain one drops {expected:?}"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

macro_rules! rejected {
    ($module:ident: $(#[$attribute:meta])*) => {
        mod $module {
            use super::*;

            $(#[$attribute])* fn several(_a: Noisy, _: Noisy, (_b, _c): (Noisy, Noisy), mut _d: Noisy) -> Answer { fail().map(|()| 0) }
            $(#[$attribute])* async fn several_async(_a: Noisy, _: Noisy, (_b, _c): (Noisy, Noisy), mut _d: Noisy) -> Answer { fail().map(|()| 0) }


            impl Pair {
                $(#[$attribute])* fn $module(self, _b: Noisy) -> Answer { fail().map(|()| 0) }
            }

            pub(super) async fn dropped() -> Vec<Vec<&'static str>> {
                take_log();
                several(Noisy("a"), Noisy("_"), (Noisy("b"), Noisy("c")), Noisy("d")).unwrap_err();
                let mut seen = vec![take_log()];
                several_async(Noisy("a"), Noisy("_"), (Noisy("b"), Noisy("c")), Noisy("d")).await.unwrap_err();
                seen.push(take_log());
                Pair::new().$module(Noisy("b")).unwrap_err();
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
fn takes_the_only_one() -> Answer {
    Ok(1)
}

#[tokio::test]
async fn a_rejected_call_drops_its_arguments_in_the_same_order() {
    breaker("drops, rejected").unwrap().force_open();
    takes_the_only_one().unwrap();
    let full = bulkhead("drops, rejected").unwrap();
    let _permit = full.try_acquire().unwrap();
    let expected = never_rejected::dropped().await;
    assert_eq!(rejected_by_breaker::dropped().await, expected);
    assert_eq!(rejected_by_limit::dropped().await, expected);
    assert_eq!(rejected_by_bulkhead::dropped().await, expected);
    assert_eq!(rejected_below::dropped().await, expected);
}
