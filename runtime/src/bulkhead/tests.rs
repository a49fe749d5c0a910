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

use super::semaphore::{Acquire, Semaphore, Usage};

/// An operation on the semaphore, or on one of its waiters: the number selects the waiter.
#[derive(Clone, Copy, Debug)]
enum Operation {
    TryAcquire,
    Acquire,
    Release,
    Cancel(usize),
    Poll(usize),
    SetPermits(u32),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        Just(Operation::TryAcquire),
        Just(Operation::Acquire),
        Just(Operation::Release),
        (0_usize..8).prop_map(Operation::Cancel),
        (0_usize..8).prop_map(Operation::Poll),
        (1_u32..4).prop_map(Operation::SetPermits),
    ]
}

fn semaphore(permits: u32) -> Semaphore {
    Semaphore::from_parts(AtomicU32::new(permits), AtomicU64::new(0), Mutex::new(VecDeque::new()))
}

fn is_admitted(acquire: &mut Acquire<'_>) -> bool {
    pin!(acquire).poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
}

proptest! {
    /// Compares the semaphore with a model, which is a number and a list: no waiter is overtaken, no permit is lost, and none is issued
    /// twice.
    #[test]
    fn it_agrees_with_a_model(operations in prop::collection::vec(operation(), 0..60)) {
        let semaphore = semaphore(2);
        let (mut permits, mut in_use) = (2_u32, 0_u32);
        // The waiters in their order, true once admitted. A permit that was handed to a waiter is in use, even before the waiter is polled.
        let mut queue: Vec<(Acquire<'_>, bool)> = Vec::new();
        for operation in operations {
            let is_free = queue.iter().all(|(_, admitted)| *admitted);
            match operation {
                Operation::TryAcquire => {
                    let expected = is_free && in_use < permits;
                    prop_assert_eq!(semaphore.try_acquire(), expected);
                    in_use += u32::from(expected);
                }
                Operation::Acquire => match semaphore.acquire() {
                    None => {
                        prop_assert!(is_free && in_use < permits);
                        in_use += 1;
                    }
                    Some(waiting) => {
                        prop_assert!(!is_free || in_use >= permits);
                        queue.push((waiting, false));
                    }
                },
                // An admitted waiter that was not polled releases its permit by `Cancel`.
                Operation::Release if in_use > u32::try_from(queue.iter().filter(|(_, admitted)| *admitted).count()).unwrap_or(0) => {
                    semaphore.release();
                    in_use -= 1;
                }
                Operation::Cancel(index) if index < queue.len() => {
                    let (waiting, admitted) = queue.remove(index);
                    drop(waiting);
                    in_use -= u32::from(admitted);
                }
                Operation::Poll(index) if index < queue.len() => {
                    let (mut waiting, admitted) = queue.remove(index);
                    prop_assert_eq!(is_admitted(&mut waiting), admitted);
                    if admitted {
                        // It holds a permit like any other call; dropping an `Acquire` that is ready releases nothing.
                        drop(waiting);
                    } else {
                        queue.insert(index, (waiting, false));
                    }
                }
                Operation::Release | Operation::Cancel(_) | Operation::Poll(_) => {}
                Operation::SetPermits(number) => {
                    semaphore.set_permits(number);
                    permits = number;
                }
            }
            for (_, admitted) in &mut queue {
                if !*admitted && in_use < permits {
                    *admitted = true;
                    in_use += 1;
                }
            }
            let waiting = u32::try_from(queue.iter().filter(|(_, admitted)| !admitted).count()).unwrap_or(0);
            prop_assert_eq!(semaphore.usage(), Usage { in_use, waiting });
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
                    let is_admitted = match (number + round) % 3 {
                        0 => semaphore.try_acquire(),
                        1 => {
                            // Gives up at once, unless it was admitted in between.
                            semaphore.acquire().is_none_or(|mut acquire| acquire.cancel())
                        }
                        _ => semaphore.acquire().is_none_or(|acquire| {
                            crate::wait::on_thread(std::pin::pin!(acquire), std::time::Duration::MAX).is_ok()
                        }),
                    };
                    if is_admitted {
                        peak.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        thread::yield_now();
                        running.fetch_sub(1, Ordering::SeqCst);
                        semaphore.release();
                    }
                }
            });
        }
    });
    assert_eq!(semaphore.usage(), Usage { in_use: 0, waiting: 0 });
    assert_eq!(peak.into_inner(), 3);
}
