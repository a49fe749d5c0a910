//! What each attempt gets of an owned argument, and how often that is a clone.

use std::{
    cell::Cell,
    rc::Rc,
    sync::atomic::{AtomicU32, Ordering},
};

use steadfast::{circuit_breaker, retry};

use crate::{Failure, Script};

/// Counts its clones.
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

/// What the functions below do with an order.
#[allow(clippy::needless_pass_by_value, reason = "that is the point")]
fn post(order: Order) -> u32 {
    order.id
}

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
#[circuit_breaker(name = "changed orders", failure_threshold = 100)]
fn changes(script: &Script, mut order: Order) -> Result<u32, Failure> {
    order.id += 1;
    script.call().map(|_| order.id)
}

#[retry(max_attempts = 1)]
fn moves_once(script: &Script, order: Order) -> Result<u32, Failure> {
    let id = post(order);
    script.call().map(|_| id)
}

#[retry(max_attempts = 3, backoff = none, clone(order))]
fn moves_unseen(script: &Script, order: Order) -> Result<u32, Failure> {
    // No naming convention says that this takes `order` by value.
    let id = order.consume();
    script.call().map(|_| id)
}

impl Order {
    fn consume(self) -> u32 {
        self.id
    }
}

#[retry(max_attempts = 2, backoff = none)]
#[retry(max_attempts = 2, backoff = none)]
fn twice_over(script: &Script, mut order: Order) -> Result<u32, Failure> {
    order.id += 1;
    script.call().map(|_| order.id)
}

#[tokio::test]
async fn clones() {
    type Run = fn(&Script, Order) -> Result<u32, Failure>;
    let runs: [(&str, Run, &'static str, u32, Option<u32>); 10] = [
        ("borrowed, never cloned", borrows, "TTS", 0, Some(7)),
        ("moved, first attempt", moves, "S", 1, Some(7)),
        ("moved, second attempt", moves, "TS", 2, Some(7)),
        ("moved, the last attempt gets the caller's own", moves, "TTS", 2, Some(7)),
        ("moved, exhausted", moves, "TTT", 2, None),
        ("changed, each attempt starts from the caller's value", changes, "TTS", 2, Some(8)),
        ("a single attempt", moves_once, "S", 0, Some(7)),
        ("moved behind the macro's back", moves_unseen, "TTS", 2, Some(7)),
        ("two retries", twice_over, "TTTS", 3, Some(8)),
        ("two retries, first attempt", twice_over, "S", 2, Some(8)),
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

/// Not `Clone`.
struct Socket(AtomicU32);

#[retry(max_attempts = 3, backoff = none)]
fn borrows_what_cant_be_cloned(script: &Script, socket: Socket) -> Result<u32, Failure> {
    socket.0.fetch_add(1, Ordering::Relaxed);
    script.call().map(|_| socket.0.load(Ordering::Relaxed))
}

#[circuit_breaker(name = "sockets")]
fn moves_what_cant_be_cloned(socket: Socket) -> Result<u32, Failure> {
    Ok(socket.0.into_inner())
}

#[retry(max_attempts = 3, backoff = none)]
fn by_mutable_reference(script: &Script, (first, rest): (&mut u32, &mut Vec<u32>)) -> Result<u32, Failure> {
    *first += 1;
    rest.push(*first);
    script.call()
}

#[test]
fn what_cant_be_cloned_is_left_alone() {
    assert_eq!(borrows_what_cant_be_cloned(&Script::new("TTS"), Socket(AtomicU32::new(0))), Ok(3));
    assert_eq!(moves_what_cant_be_cloned(Socket(AtomicU32::new(7))), Ok(7));
    let (mut first, mut rest) = (0, Vec::new());
    assert_eq!(by_mutable_reference(&Script::new("TTS"), (&mut first, &mut rest)), Ok(3));
    assert_eq!(rest, [1, 2, 3]);
}
