use std::{
    collections::VecDeque,
    future::Future,
    pin::pin,
    sync::{
        Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    thread,
};

use proptest::prelude::*;

use super::semaphore::{Acquire, Acquisition, Semaphore, Usage};

/// An operation on the semaphore, or on one of its waiters: the number selects the waiter.
#[derive(Clone, Copy, Debug)]
enum Operation {
    TryAcquire(u32),
    Acquire(u32),
    Release(usize),
    Cancel(usize),
    Poll(usize),
    SetPermits(u32),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        (1_u32..4).prop_map(Operation::TryAcquire),
        (1_u32..4).prop_map(Operation::Acquire),
        (0_usize..8).prop_map(Operation::Release),
        (0_usize..8).prop_map(Operation::Cancel),
        (0_usize..8).prop_map(Operation::Poll),
        (1_u32..6).prop_map(Operation::SetPermits),
    ]
}

fn semaphore(permits: u32) -> Semaphore {
    Semaphore::from_parts(AtomicU32::new(permits), AtomicU64::new(0), Mutex::new(VecDeque::new()))
}

fn poll(acquire: &mut Acquire<'_>) -> Poll<bool> {
    pin!(acquire).poll(&mut Context::from_waker(Waker::noop()))
}

/// A waiter in the model.
#[derive(Debug)]
struct Waiting<'s> {
    acquire: Acquire<'s>,
    permits: u32,
    state: Poll<bool>,
}

const MAX_QUEUE: u32 = 5;

proptest! {
    /// Compares the semaphore with a model, which is a number and a list: no waiter is overtaken, no permit is lost, and none is issued
    /// twice.
    #[test]
    fn it_agrees_with_a_model(operations in prop::collection::vec(operation(), 0..60), is_weighted in any::<bool>()) {
        let weight = |permits: u32| if is_weighted { permits } else { 1 };
        let semaphore = semaphore(2);
        let mut permits = 2_u32;
        // The permits of each call in flight that is not a waiter.
        let mut held: Vec<u32> = Vec::new();
        // The waiters in their order. Permits that were handed to a waiter are in use, even before the waiter is polled.
        let mut queue: Vec<Waiting<'_>> = Vec::new();
        let mut in_use = 0_u32;
        for operation in operations {
            let waiting = queue.iter().filter(|waiter| waiter.state.is_pending()).count();
            match operation {
                Operation::TryAcquire(taken) => {
                    let taken = weight(taken);
                    let expected = waiting == 0 && in_use + taken <= permits;
                    prop_assert_eq!(semaphore.try_acquire(taken), expected);
                    if expected {
                        in_use += taken;
                        held.push(taken);
                    }
                }
                Operation::Acquire(taken) => {
                    let taken = weight(taken);
                    match semaphore.acquire(taken, MAX_QUEUE) {
                        Acquisition::ExceedsPermits => prop_assert!(taken > permits),
                        Acquisition::Admitted => {
                            prop_assert!(waiting == 0 && in_use + taken <= permits);
                            in_use += taken;
                            held.push(taken);
                        }
                        Acquisition::QueueFull => prop_assert_eq!(waiting, MAX_QUEUE as usize),
                        Acquisition::Queued(acquire) => {
                            prop_assert!(taken <= permits && waiting < MAX_QUEUE as usize);
                            prop_assert!(waiting > 0 || in_use + taken > permits);
                            queue.push(Waiting { acquire, permits: taken, state: Poll::Pending });
                        }
                    }
                }
                Operation::Release(index) if index < held.len() => {
                    let returned = held.remove(index);
                    semaphore.release(returned);
                    in_use -= returned;
                }
                // An admitted waiter that was not polled releases its permits by `Cancel`.
                Operation::Cancel(index) if index < queue.len() => {
                    let Waiting { acquire, permits, state } = queue.remove(index);
                    drop(acquire);
                    in_use -= if state == Poll::Ready(true) { permits } else { 0 };
                }
                Operation::Poll(index) if index < queue.len() => {
                    let Waiting { mut acquire, permits, state } = queue.remove(index);
                    prop_assert_eq!(poll(&mut acquire), state);
                    match state {
                        // It holds its permits like any other call; dropping an `Acquire` that is ready releases nothing.
                        Poll::Ready(true) => held.push(permits),
                        Poll::Ready(false) => {}
                        Poll::Pending => queue.insert(index, Waiting { acquire, permits, state }),
                    }
                }
                Operation::Release(_) | Operation::Cancel(_) | Operation::Poll(_) => {}
                Operation::SetPermits(number) => {
                    semaphore.set_permits(number);
                    permits = number;
                }
            }
            for waiter in queue.iter_mut().filter(|waiter| waiter.state.is_pending()) {
                if waiter.permits > permits {
                    waiter.state = Poll::Ready(false);
                } else if in_use + waiter.permits <= permits {
                    waiter.state = Poll::Ready(true);
                    in_use += waiter.permits;
                } else {
                    break;
                }
            }
            let waiting = queue.iter().filter(|waiter| waiter.state.is_pending()).count();
            prop_assert_eq!(semaphore.usage(), Usage { in_use, waiting: u32::try_from(waiting).unwrap_or(0) });
        }
    }
}

#[test]
fn no_more_calls_than_permits_and_no_permit_is_lost() {
    let (semaphore, running, peak) = (semaphore(3), AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for number in 0..8_u32 {
            let (semaphore, running, peak) = (&semaphore, &running, &peak);
            scope.spawn(move || {
                for round in 0..2_000_u32 {
                    let taken = 1 + (number + round) % 4 / 3;
                    let is_admitted = match ((number + round) % 3, semaphore.acquire(taken, u32::MAX)) {
                        (_, Acquisition::Admitted) => true,
                        // Gives up at once, unless it was admitted in between.
                        (0, Acquisition::Queued(mut acquire)) => acquire.cancel(),
                        (_, Acquisition::Queued(acquire)) => {
                            crate::wait::on_thread(pin!(acquire), std::time::Duration::MAX) == Ok(true)
                        }
                        (_, Acquisition::QueueFull | Acquisition::ExceedsPermits) => semaphore.try_acquire(taken),
                    };
                    if is_admitted || semaphore.try_acquire(taken) {
                        peak.fetch_max(running.fetch_add(taken, Ordering::SeqCst) + taken, Ordering::SeqCst);
                        thread::yield_now();
                        running.fetch_sub(taken, Ordering::SeqCst);
                        semaphore.release(taken);
                    }
                }
            });
        }
    });
    assert_eq!(semaphore.usage(), Usage { in_use: 0, waiting: 0 });
    assert_eq!(peak.into_inner(), 3);
}
