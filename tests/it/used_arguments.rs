//! Predicates, hooks and closures see every argument, also those that the body moves or gives away.

#![allow(clippy::needless_pass_by_value, reason = "the functions under test give their arguments away")]

use std::{
    cell::{Cell, RefCell},
    future::Future,
    io,
    rc::Rc,
};

use steadfast::{bulkhead, circuit_breaker, fallback, rate_limit, retry, timeout};
use tokio::task::yield_now;

type Answer = io::Result<u32>;

/// An order that counts its clones.
#[derive(Debug)]
struct Order {
    id: u32,
    clones: Rc<Cell<u32>>,
}

impl Clone for Order {
    fn clone(&self) -> Self {
        self.clones.set(self.clones.get() + 1);
        Self { id: self.id, clones: Rc::clone(&self.clones) }
    }
}

fn order(id: u32) -> Order {
    Order { id, clones: Rc::default() }
}

thread_local!(static SEEN: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) });

fn see(id: u32) {
    SEEN.with_borrow_mut(|seen| seen.push(id));
}

fn fail<T>(_: T) -> Answer {
    Err(io::ErrorKind::TimedOut.into())
}

/// Each function moves `order`, fails, and has an option that names `order`.
macro_rules! cases {
    ($order:ident; $($name:ident: $(#[$attribute:meta])*;)*) => {
        mod sync {
            use super::*;
            $($(#[$attribute])* pub(super) fn $name($order: Order) -> Answer { fail($order) })*
        }
        mod asynchronous {
            use super::*;
            $($(#[$attribute])* pub(super) async fn $name($order: Order) -> Answer { yield_now().await; fail($order) })*
        }
        mod future {
            use super::*;
            $($(#[$attribute])* pub(super) fn $name($order: Order) -> impl Future<Output = Answer> { async move { yield_now().await; fail($order) } })*
        }
        mod method {
            use super::*;
            pub(super) struct Client;
            #[async_trait::async_trait(?Send)]
            pub(super) trait Calls { $(async fn $name(&self, order: Order) -> Answer;)* }
            #[async_trait::async_trait(?Send)]
            impl Calls for Client {
                $($(#[$attribute])* async fn $name(&self, $order: Order) -> Answer { yield_now().await; fail($order) })*
            }
        }

        async fn run_all() -> Vec<(&'static str, Answer, Vec<u32>)> {
            use method::Calls;
            let mut runs = Vec::new();
            $(
                for shape in 0..4 {
                    let answer = match shape {
                        0 => sync::$name(order(7)),
                        1 => asynchronous::$name(order(7)).await,
                        2 => future::$name(order(7)).await,
                        _ => method::Client.$name(order(7)).await,
                    };
                    runs.push((stringify!($name), answer, SEEN.take()));
                }
            )*
            runs
        }
    };
}

cases! {
    order;
    retry_if: #[retry(max_attempts = 3, backoff = none, retry_if = |_| { see(order.id); order.id > 0 })];
    retry_if_result: #[retry(max_attempts = 3, backoff = none, retry_if_result = |value| { see(order.id); value.is_err() })];
    on_retry: #[retry(max_attempts = 3, backoff = none, retry_if = any, on_retry = |_, _, _| see(order.id))];
    once: #[retry(max_attempts = 1, retry_if = |_| { see(order.id); true })];
    failure_if: #[circuit_breaker(name = "used arguments", failure_threshold = 1_000, failure_if = |_| { see(order.id); false })];
    failure_if_below: #[retry(max_attempts = 2, backoff = none, retry_if = any)]
        #[circuit_breaker(name = "used arguments, below", failure_threshold = 1_000, failure_if = |_| { see(order.id); false })];
    fallback_if: #[fallback(|error| Err(error), if = |_| { see(order.id); true })];
    fallback_closure: #[fallback(|_| Ok({ see(order.id); order.id }))];
    fallback_moves: #[fallback(|_| Err({ see(take(order)); io::ErrorKind::Other.into() }), |_| Ok(take(order)))];
    fallback_of_all: #[fallback(|order, _| Ok({ see(order.id); order.id }), if = |_| order.id > 0)];
    stack: #[fallback(|_| Ok(order.id))]
        #[retry(max_attempts = 2, backoff = none, retry_if = |_| { see(order.id); true }, on_retry = |_, _, _| see(order.id))]
        #[circuit_breaker(name = "used arguments, stack", key = order.id, failure_if = |_| { see(order.id); false })]
        #[rate_limit(name = "used arguments, stack", limit = 1_000, per = 1s, key = order.id)]
        #[bulkhead(name = "used arguments, stack", max_concurrent = 10)];
}

fn take(order: Order) -> u32 {
    order.id
}

#[tokio::test]
async fn options_see_an_argument_that_the_body_moves() {
    let runs = run_all().await;
    assert_eq!(runs.len(), 11 * 4);
    for (name, answer, seen) in runs {
        let (expected, times) = match name {
            "retry_if" | "retry_if_result" => (None, 3),
            "on_retry" | "failure_if_below" => (None, 2),
            "once" | "failure_if" | "fallback_if" => (None, 1),
            "fallback_closure" | "fallback_moves" | "fallback_of_all" => (Some(7), 1),
            "stack" => (Some(7), 5),
            other => panic!("{other}"),
        };
        assert_eq!((answer.ok(), seen), (expected, vec![7; times]), "{name}");
    }
}

#[retry(max_attempts = 3, backoff = none, retry_if = |_| order.id > 0)]
fn succeeds_and_names_it(order: Order) -> Answer {
    Ok(take(order))
}

#[circuit_breaker(name = "used arguments, other", failure_if = |_| other.id > 0)]
fn succeeds_without_naming_it(order: Order, other: &Order) -> Answer {
    Ok(take(order) + other.id)
}

#[retry(max_attempts = 3, backoff = none, retry_if = |_| order.id > 0)]
fn borrows_and_names_it(order: Order) -> Answer {
    Ok(order.id)
}

#[test]
fn only_an_argument_that_is_moved_and_named_is_cloned() {
    for (run, clones) in [
        (succeeds_and_names_it as fn(Order) -> Answer, 1),
        (|order| succeeds_without_naming_it(order, &self::order(1)), 0),
        (borrows_and_names_it, 0),
    ] {
        let order = order(7);
        let counter = Rc::clone(&order.clones);
        assert!(run(order).is_ok());
        assert_eq!(counter.get(), clones);
    }
}

/// A value that is not `Clone`.
struct Report;

#[circuit_breaker(name = "used arguments, parameter", failure_if = |report| report.kind() == io::ErrorKind::TimedOut)]
fn parameter_with_its_name(report: Report) -> Answer {
    fail(report)
}

#[fallback(|report| Ok(u32::try_from(format!("{report}").len()).unwrap_or(0)))]
async fn parameter_with_its_name_async(report: Report) -> Answer {
    yield_now().await;
    fail(report)
}

#[tokio::test]
async fn a_parameter_of_a_closure_is_not_the_argument_of_that_name() {
    assert!(parameter_with_its_name(Report).is_err());
    assert_eq!(parameter_with_its_name_async(Report).await.unwrap(), 9);
}

/// An error with a field of an argument's name.
#[derive(Debug, PartialEq)]
struct Failure {
    report: Option<u32>,
}

fn reject<T>(_: T) -> Result<u32, Failure> {
    Err(Failure { report: Some(3) })
}

#[circuit_breaker(name = "used arguments, field", failure_if = |e| e.report.is_none(), rejection = |_| Failure { report: None })]
fn field_with_its_name(report: Report) -> Result<u32, Failure> {
    reject(report)
}

#[circuit_breaker(
    name = "used arguments, nested",
    failure_if_result = |result| match result { Ok(report) => *report > 0, Err(e) => e.report.iter().any(|report| *report > 0) },
    rejection = |_| Failure { report: None },
)]
async fn binding_with_its_name(report: Report) -> Result<u32, Failure> {
    yield_now().await;
    reject(report)
}

#[fallback(|e| { let report = e.report.unwrap_or(0); matches!(e, Failure { report: Some(_) }).then_some(report).ok_or(e) })]
async fn variable_with_its_name(report: Report) -> Result<u32, Failure> {
    yield_now().await;
    reject(report)
}

#[timeout(10s, rejection = |report| Failure { report: u32::try_from(report.limit().as_secs()).ok() })]
async fn parameter_of_a_rejection(report: Report) -> Result<u32, Failure> {
    yield_now().await;
    reject(report)
}

#[bulkhead(name = "used arguments, raw", rejection = |_| io::ErrorKind::Other.into())]
#[retry(max_attempts = 2, backoff = none, retry_if = |_| format!("{type}!") == "raw!", on_retry = |_, _, _| see(1))]
fn raw_name_in_a_format_string(r#type: String) -> Answer {
    fail(r#type)
}

#[tokio::test]
async fn what_an_option_binds_itself_is_not_the_argument_of_that_name() {
    assert_eq!(field_with_its_name(Report), reject(()));
    assert_eq!(binding_with_its_name(Report).await, reject(()));
    assert_eq!(variable_with_its_name(Report).await, Ok(3));
    assert_eq!(parameter_of_a_rejection(Report).await, reject(()));
    assert!(raw_name_in_a_format_string("raw".to_owned()).is_err());
    assert_eq!(SEEN.take(), [1]);
}

#[retry(max_attempts = 3, backoff = none, retry_if = |_| { see(u32::try_from(log.len()).unwrap_or(0)); true })]
async fn gives_away_a_reference(log: &mut Vec<u32>) -> Answer {
    yield_now().await;
    push(log)
}

#[circuit_breaker(name = "used arguments, reference", failure_if = |_| { see(log[0]); true })]
fn gives_away_a_reference_once(log: &mut Vec<u32>) -> Answer {
    push(log)
}

fn push(log: &mut Vec<u32>) -> Answer {
    log.push(9);
    fail(())
}

#[tokio::test]
async fn options_see_a_mutable_reference_that_the_body_gives_away() {
    assert!(gives_away_a_reference(&mut Vec::new()).await.is_err());
    assert_eq!(SEEN.take(), [1, 2, 3]);
    assert!(gives_away_a_reference_once(&mut Vec::new()).is_err());
    assert_eq!(SEEN.take(), [9]);
}

/// Functions that change an argument which an option of `#[retry]` names.
macro_rules! changes {
    ($module:ident: $order:ident $report:ident, $($async:ident)?) => {
        mod $module {
            use super::*;

            #[retry(max_attempts = 2, backoff = none, retry_if = |_| { see($order.id); true })]
            pub(super) $($async)? fn condition(mut $order: Order) -> Answer { change(&mut $order) }

            #[retry(max_attempts = 2, backoff = none, retry_if_result = |answer| { see($order.id); answer.is_err() })]
            pub(super) $($async)? fn condition_on_the_value(mut $order: Order) -> Answer { $order.id += 1; fail(()) }

            #[retry(max_attempts = 2, backoff = none, retry_if = any, on_retry = |_, _, _| see($order.id))]
            #[circuit_breaker(name = "used arguments, changes", failure_if = |_| $order.id > 99)]
            pub(super) $($async)? fn hook(mut $order: Order) -> Answer { $order.id += 1; fail(()) }

            #[retry(max_attempts = 2, backoff = none, retry_if = |_| { see($report.0); true })]
            pub(super) $($async)? fn lent(mut $report: Count) -> Answer { count(&mut $report) }

            #[fallback(|_| Ok($order.id))]
            #[circuit_breaker(name = "used arguments, changes below", failure_if = |_| { see($order.id); false })]
            pub(super) $($async)? fn below_a_fallback(mut $order: Order) -> Answer { $order.id += 1; fail(()) }
        }
    };
}

changes!(changes: order report,);
changes!(changes_async: order report, async);

fn change(order: &mut Order) -> Answer {
    order.id += 1;
    fail(())
}

/// A number that is not `Clone`.
struct Count(u32);

fn count(count: &mut Count) -> Answer {
    count.0 += 1;
    fail(())
}

#[tokio::test]
async fn options_see_an_argument_that_the_body_changes() {
    assert!(changes::condition(order(1)).is_err());
    assert!(changes::condition_on_the_value(order(3)).is_err());
    assert!(changes::hook(order(5)).is_err());
    assert!(changes::lent(Count(7)).is_err());
    assert_eq!(changes::below_a_fallback(order(9)).unwrap(), 9);
    let seen = SEEN.take();
    assert!(changes_async::condition(order(1)).await.is_err());
    assert!(changes_async::condition_on_the_value(order(3)).await.is_err());
    assert!(changes_async::hook(order(5)).await.is_err());
    assert!(changes_async::lent(Count(7)).await.is_err());
    assert_eq!(changes_async::below_a_fallback(order(9)).await.unwrap(), 9);
    assert_eq!(SEEN.take(), seen);
    assert_eq!(seen, [2, 2, 4, 4, 6, 8, 9, 10]);
}

/// A body that is `Send`, but not `Sync`.
#[derive(Clone, Default)]
struct Body(Cell<u32>);

#[fallback(|_| Ok(body.0.get()))]
#[timeout(10s)]
#[retry(max_attempts = 2, backoff = none, retry_if = |_| body.0.get() == 0, on_retry = |_, _, _| body.0.set(1))]
#[circuit_breaker(name = "used arguments, send", failure_if = |_| part.0.get() == 0, hung_call = 1s)]
async fn sends(body: Body, (part, _): (Body, u8), Wrapped(inner): Wrapped) -> Answer {
    yield_now().await;
    fail((body, part, inner))
}

struct Wrapped(Body);

#[tokio::test]
async fn a_future_stays_send_if_an_option_names_a_moved_argument() {
    let call = tokio::spawn(sends(Body::default(), (Body::default(), 1), Wrapped(Body::default())));
    assert_eq!(call.await.unwrap().ok(), Some(1));
}
