//! Owned arguments of retried functions: which of them are cloned, how often, and the value that each attempt receives.

use std::{
    cell::Cell,
    io,
    rc::Rc,
    sync::atomic::{AtomicU32, Ordering},
};

use steadfast::{circuit_breaker, retry};

use crate::{Failure, Script};

/// An order that counts its clones.
#[derive(Debug)]
struct Order {
    id: u32,
    clones: Rc<Cell<u32>>,
}

impl Order {
    fn new(id: u32) -> (Self, Rc<Cell<u32>>) {
        let clones = Rc::default();
        (Self { id, clones: Rc::clone(&clones) }, clones)
    }
}

impl Clone for Order {
    fn clone(&self) -> Self {
        self.clones.set(self.clones.get() + 1);
        Self { id: self.id, clones: Rc::clone(&self.clones) }
    }
}

#[allow(clippy::needless_pass_by_value, reason = "the test needs a function that takes its argument by value")]
fn post(order: Order) -> u32 {
    order.id
}

#[allow(clippy::needless_pass_by_value, reason = "an owned argument that the body borrows")]
#[retry(max_attempts = 3, backoff = none)]
fn borrows(script: &Script, order: Order) -> Result<u32, Failure> {
    script.call().map(|_| order.id)
}

#[retry(max_attempts = 3, backoff = none)]
fn moves(script: &Script, order: Order) -> Result<u32, Failure> {
    let id = post(order);
    script.call().map(|_| id)
}

#[retry(max_attempts = 3, backoff = none)]
async fn moves_async(script: &Script, order: Order) -> Result<u32, Failure> {
    let id = post(order);
    tokio::task::yield_now().await;
    script.call().map(|_| id)
}

#[retry(max_attempts = 3, backoff = none)]
#[circuit_breaker(name = "modified orders", failure_threshold = 100)]
fn modifies(script: &Script, mut order: Order) -> Result<u32, Failure> {
    order.id += 1;
    script.call().map(|_| order.id)
}

#[retry(max_attempts = 1)]
fn moves_once(script: &Script, order: Order) -> Result<u32, Failure> {
    let id = post(order);
    script.call().map(|_| id)
}

#[retry(max_attempts = 3, backoff = none, clone(order))]
fn moves_by_method(script: &Script, order: Order) -> Result<u32, Failure> {
    // `consume` follows no naming convention for methods that take `self` by value, so `clone(order)` is needed.
    let id = order.consume();
    script.call().map(|_| id)
}

impl Order {
    fn consume(self) -> u32 {
        self.id
    }
}

#[retry(max_attempts = 2, backoff = none, allow_order)]
#[retry(max_attempts = 2, backoff = none)]
fn under_two_retries(script: &Script, mut order: Order) -> Result<u32, Failure> {
    order.id += 1;
    script.call().map(|_| order.id)
}

#[tokio::test]
async fn owned_arguments_are_cloned_only_when_moved() {
    type Run = fn(&Script, Order) -> Result<u32, Failure>;
    let runs: [(&str, Run, &'static str, u32, Option<u32>); 10] = [
        ("borrowed, never cloned", borrows, "TTS", 0, Some(7)),
        ("moved, succeeds at the first attempt", moves, "S", 1, Some(7)),
        ("moved, succeeds at the second attempt", moves, "TS", 2, Some(7)),
        ("moved, the last attempt gets the original", moves, "TTS", 2, Some(7)),
        ("moved, exhausted", moves, "TTT", 2, None),
        ("modified, each attempt starts from the caller's value", modifies, "TTS", 2, Some(8)),
        ("a single attempt", moves_once, "S", 0, Some(7)),
        ("moved by a method the macro does not recognise", moves_by_method, "TTS", 2, Some(7)),
        ("two retries", under_two_retries, "TTTS", 3, Some(8)),
        ("two retries, first attempt", under_two_retries, "S", 2, Some(8)),
    ];
    for (name, run, outcomes, expected, result) in runs {
        let (order, clones) = Order::new(7);
        assert_eq!(run(&Script::new(outcomes), order).ok(), result, "{name}");
        assert_eq!(clones.get(), expected, "{name}");
    }
    let (order, clones) = Order::new(7);
    assert_eq!(moves_async(&Script::new("TTS"), order).await, Ok(7));
    assert_eq!(clones.get(), 2);
}

/// A type that does not implement `Clone`.
struct Socket(AtomicU32);

#[allow(clippy::needless_pass_by_value, reason = "an owned argument that the body borrows")]
#[retry(max_attempts = 3, backoff = none)]
fn borrows_without_clone(script: &Script, socket: Socket) -> Result<u32, Failure> {
    socket.0.fetch_add(1, Ordering::Relaxed);
    script.call().map(|_| socket.0.load(Ordering::Relaxed))
}

#[circuit_breaker(name = "sockets")]
fn moves_without_clone(socket: Socket) -> Result<u32, Failure> {
    Ok(socket.0.into_inner())
}

#[retry(max_attempts = 3, backoff = none)]
fn by_mutable_reference(script: &Script, (first, rest): (&mut u32, &mut Vec<u32>)) -> Result<u32, Failure> {
    *first += 1;
    rest.push(*first);
    script.call()
}

#[test]
fn arguments_without_clone_are_not_cloned() {
    assert_eq!(borrows_without_clone(&Script::new("TTS"), Socket(AtomicU32::new(0))), Ok(3));
    assert_eq!(moves_without_clone(Socket(AtomicU32::new(7))), Ok(7));
    let (mut first, mut rest) = (0, Vec::new());
    assert_eq!(by_mutable_reference(&Script::new("TTS"), (&mut first, &mut rest)), Ok(3));
    assert_eq!(rest, [1, 2, 3]);
}

#[retry(max_attempts = 3, backoff = none)]
fn reads_from_slice(script: &Script, mut input: &[u8]) -> Result<u8, Failure> {
    let mut byte = [0];
    io::Read::read_exact(&mut input, &mut byte).map_err(|_| Failure::Permanent)?;
    script.call().map(|_| byte[0])
}

#[retry(max_attempts = 3, backoff = none)]
async fn reassigns_references(script: &Script, mut text: &str, mut log: &mut [usize]) -> Result<usize, Failure> {
    text = &text[1..];
    log[0] += 1;
    log = &mut log[1..];
    log[0] += 10;
    script.call().map(|_| text.len())
}

#[tokio::test]
async fn a_reference_that_the_body_reassigns_is_restored_for_each_attempt() {
    assert_eq!(reads_from_slice(&Script::new("TTS"), &[1, 2, 3]), Ok(1));
    let mut log = [0; 4];
    assert_eq!(reassigns_references(&Script::new("TTS"), "abcd", &mut log).await, Ok(3));
    assert_eq!(log, [3, 30, 0, 0]);
}

#[circuit_breaker(name = "not sync")]
async fn owns_a_cell(cell: Cell<u32>) -> Result<u32, Failure> {
    tokio::task::yield_now().await;
    Ok(cell.get())
}

struct Slots(Vec<u32>);

impl Slots {
    #[circuit_breaker(name = "slots")]
    fn first(&mut self) -> Option<&mut u32> {
        self.0.first_mut()
    }

    #[circuit_breaker(name = "slots")]
    async fn last(&mut self) -> Option<&mut u32> {
        self.0.last_mut()
    }
}

#[tokio::test]
async fn a_breaker_alone_requires_neither_clone_nor_sync() {
    assert_eq!(tokio::spawn(owns_a_cell(Cell::new(7))).await.unwrap(), Ok(7));
    let mut slots = Slots(vec![1, 2]);
    *slots.first().unwrap() += 10;
    *slots.last().await.unwrap() += 10;
    assert_eq!(slots.0, [11, 12]);
}

#[retry(max_attempts = 3, backoff = none)]
fn with_cfg_argument(
    script: &Script,
    #[cfg(any())] missing: String,
    #[cfg(not(any()))] present: String,
) -> Result<usize, Failure> {
    #[cfg(any())]
    drop(missing);
    let length = present.len();
    drop(present);
    script.call().map(|_| length)
}

macro_rules! generated {
    ($name:ident($count:ident: $ty:ty) $body:block) => {
        #[retry(max_attempts = 3, backoff = none)]
        fn $name($count: $ty) -> Result<u32, Failure> $body
    };
}

fn increment(count: &mut u32) -> Result<u32, Failure> {
    *count += 1;
    Err(Failure::Transient(*count))
}

generated!(generated(count: &mut u32) { increment(count) });

#[test]
fn functions_with_cfg_on_arguments_or_from_a_macro_are_retried() {
    assert_eq!(with_cfg_argument(&Script::new("TTS"), "abc".to_owned()), Ok(3));
    assert_eq!(generated(&mut 1), Err(Failure::Transient(4)));
}

#[derive(Clone, Copy)]
struct Id(u32);

impl Id {
    const fn number(self) -> u32 {
        self.0
    }

    #[retry(max_attempts = 3, backoff = none)]
    fn load(self, script: &Script) -> Result<u32, Failure> {
        let id = Self::number(self);
        script.call().map(|_| id)
    }
}

#[test]
fn a_copy_self_is_passed_to_each_attempt() {
    assert_eq!(Id(7).load(&Script::new("TTS")), Ok(7));
}
