//! Loom models of the semaphore: see [`models`](crate::models).

use std::{collections::VecDeque, pin::pin};

use loom::{
    cell::UnsafeCell,
    sync::{
        self, Arc, Mutex,
        atomic::{AtomicU32, AtomicU64},
    },
    thread,
};

use self::semaphore::{Acquire, Acquisition, Semaphore, Usage};
use crate::models::{block_on, is_ready, join, model, spawn};

#[allow(
    clippy::duplicate_mod,
    dead_code,
    reason = "it is compiled once more, with the types of loom, and used in part"
)]
#[path = "semaphore.rs"]
mod semaphore;

/// A semaphore, and data that its permits guard. Loom reports concurrent accesses, and an access that is not synchronised with the previous
/// one.
struct Guarded {
    semaphore: Semaphore,
    data: UnsafeCell<()>,
}

const UNUSED: Usage = Usage { in_use: 0, waiting: 0 };

impl Guarded {
    fn new(permits: u32) -> Arc<Self> {
        let semaphore = Semaphore::from_parts(AtomicU32::new(permits), AtomicU64::new(0), Mutex::new(VecDeque::new()));
        Arc::new(Self { semaphore, data: UnsafeCell::new(()) })
    }

    /// Takes a permit, or joins the queue.
    fn acquire(&self) -> Option<Acquire<'_>> {
        match self.semaphore.acquire(1, u32::MAX) {
            Acquisition::Admitted => None,
            Acquisition::Queued(acquire) => Some(acquire),
            other => panic!("{other:?}"),
        }
    }

    fn access(&self) {
        self.data.with_mut(|_| ());
    }

    /// Waits for a permit, accesses the data, and releases the permit.
    fn run(&self) {
        if !self.semaphore.try_acquire(1)
            && let Some(acquire) = self.acquire()
        {
            block_on(acquire);
        }
        self.access();
        self.semaphore.release(1);
    }

    /// Like [`run`](Self::run), but gives up if there is no permit at the first poll.
    fn run_or_give_up(&self) {
        if let Some(acquire) = self.acquire() {
            let mut acquire = pin!(acquire);
            if !is_ready(acquire.as_mut()) {
                return;
            }
        }
        self.access();
        self.semaphore.release(1);
    }
}

#[test]
fn one_permit_is_held_by_one_call_at_a_time() {
    model(|| {
        let guarded = Guarded::new(1);
        join([spawn(&guarded, Guarded::run), spawn(&guarded, Guarded::run)]);
        assert_eq!(guarded.semaphore.usage(), UNUSED);
    });
}

#[test]
fn a_waiter_that_gives_up_loses_no_permit() {
    model(|| {
        let guarded = Guarded::new(1);
        assert!(guarded.semaphore.try_acquire(1));
        let other = spawn(&guarded, Guarded::run_or_give_up);
        guarded.access();
        guarded.semaphore.release(1);
        guarded.run();
        join([other]);
        assert_eq!(guarded.semaphore.usage(), UNUSED);
        assert!(guarded.semaphore.try_acquire(1));
    });
}

#[test]
fn a_cancelled_waiter_returns_or_keeps_its_permit() {
    model(|| {
        let guarded = Guarded::new(1);
        assert!(guarded.semaphore.try_acquire(1));
        let late = spawn(&guarded, |guarded| {
            if guarded.acquire().is_none_or(|mut acquire| acquire.cancel()) {
                guarded.access();
                guarded.semaphore.release(1);
            }
        });
        guarded.access();
        guarded.semaphore.release(1);
        join([late]);
        assert_eq!(guarded.semaphore.usage(), UNUSED);
    });
}

#[test]
fn no_call_overtakes_the_first_waiter() {
    model(|| {
        let guarded = Guarded::new(1);
        assert!(guarded.semaphore.try_acquire(1));
        let (mut first, mut second) =
            (pin!(guarded.acquire().expect("it waits")), pin!(guarded.acquire().expect("it waits")));
        let late = spawn(&guarded, |guarded| assert!(!guarded.semaphore.try_acquire(1)));
        let releasing = spawn(&guarded, |guarded| guarded.semaphore.release(1));
        assert!(!is_ready(second.as_mut()), "the second waiter is admitted before the first");
        block_on(first.as_mut());
        assert!(!is_ready(second.as_mut()));
        join([late, releasing]);
        guarded.semaphore.release(1);
        assert!(is_ready(second.as_mut()));
        guarded.semaphore.release(1);
        assert_eq!(guarded.semaphore.usage(), UNUSED);
    });
}

#[test]
fn more_permits_admit_waiters() {
    model(|| {
        let guarded = Guarded::new(1);
        assert!(guarded.semaphore.try_acquire(1));
        let waiter = spawn(&guarded, |guarded| {
            if let Some(acquire) = guarded.acquire() {
                block_on(acquire);
            }
        });
        guarded.semaphore.set_permits(2);
        join([waiter]);
        assert_eq!(guarded.semaphore.usage(), Usage { in_use: 2, waiting: 0 });
    });
}

#[test]
fn the_waiter_behind_a_heavier_one_that_gives_up_is_admitted() {
    model(|| {
        let guarded = Guarded::new(2);
        assert!(guarded.semaphore.try_acquire(1));
        let Acquisition::Queued(mut heavy) = guarded.semaphore.acquire(2, 2) else { panic!("it waits") };
        let light = spawn(&guarded, |guarded| {
            if let Some(acquire) = guarded.acquire() {
                assert!(block_on(acquire));
            }
        });
        // The first permit is still held.
        assert!(!heavy.cancel());
        join([light]);
        assert_eq!(guarded.semaphore.usage(), Usage { in_use: 2, waiting: 0 });
    });
}

#[test]
fn a_heavy_waiter_gets_all_of_its_permits_or_returns_them() {
    model(|| {
        let guarded = Guarded::new(2);
        assert!(guarded.semaphore.try_acquire(2));
        let heavy = spawn(&guarded, |guarded| {
            let is_admitted = match guarded.semaphore.acquire(2, 1) {
                Acquisition::Admitted => true,
                Acquisition::Queued(mut acquire) => acquire.cancel(),
                other => panic!("{other:?}"),
            };
            if is_admitted {
                guarded.access();
                guarded.semaphore.release(2);
            }
        });
        guarded.access();
        guarded.semaphore.release(2);
        join([heavy]);
        assert_eq!(guarded.semaphore.usage(), UNUSED);
    });
}

#[test]
fn fewer_permits_reject_a_waiter_that_needs_more() {
    model(|| {
        let guarded = Guarded::new(2);
        assert!(guarded.semaphore.try_acquire(1));
        let heavy = spawn(&guarded, |guarded| match guarded.semaphore.acquire(2, 1) {
            Acquisition::Queued(acquire) => assert!(!block_on(acquire)),
            other => assert!(matches!(other, Acquisition::ExceedsPermits)),
        });
        guarded.semaphore.set_permits(1);
        join([heavy]);
        assert_eq!(guarded.semaphore.usage(), Usage { in_use: 1, waiting: 0 });
    });
}

#[test]
fn no_more_calls_are_admitted_than_permits() {
    model(|| {
        let guarded = Guarded::new(2);
        let acquire = || {
            let guarded = guarded.clone();
            thread::spawn(move || guarded.semaphore.try_acquire(1))
        };
        let others = [acquire(), acquire()];
        let third = guarded.semaphore.try_acquire(1);
        let acquired = others.map(|other| other.join().expect("the thread does not panic")).into_iter().chain([third]);
        assert_eq!(acquired.filter(|acquired| *acquired).count(), 2);
        assert_eq!(guarded.semaphore.usage(), Usage { in_use: 2, waiting: 0 });
    });
}
