//! The models of the gate: see [`models`](crate::models).

use std::{collections::VecDeque, pin::pin};

use loom::{
    cell::UnsafeCell,
    sync::{
        self, Arc, Mutex,
        atomic::{AtomicU32, AtomicU64},
    },
    thread,
};

use self::semaphore::{Load, Semaphore};
use crate::models::{block_on, is_ready, join, model, spawn};

#[allow(
    clippy::duplicate_mod,
    dead_code,
    reason = "it is compiled once more, with the types of loom, and used in part"
)]
#[path = "semaphore.rs"]
mod semaphore;

/// A gate, and what those inside use. Loom reports it when two are inside at a time, or when one does not see what the one before did.
struct Guarded {
    semaphore: Semaphore,
    inside: UnsafeCell<()>,
}

const NOBODY: Load = Load { taken: 0, waiting: 0 };

impl Guarded {
    fn new(places: u32) -> Arc<Self> {
        let semaphore = Semaphore::of(AtomicU32::new(places), AtomicU64::new(0), Mutex::new(VecDeque::new()));
        Arc::new(Self { semaphore, inside: UnsafeCell::new(()) })
    }

    fn use_alone(&self) {
        self.inside.with_mut(|_| ());
    }

    /// Waits for a place, uses it, and leaves.
    fn pass(&self) {
        if !self.semaphore.try_enter()
            && let Some(waiting) = self.semaphore.enter()
        {
            block_on(waiting);
        }
        self.use_alone();
        self.semaphore.leave();
    }

    /// Waits for a place, but gives up if there is none at the first look.
    fn pass_or_give_up(&self) {
        if let Some(waiting) = self.semaphore.enter() {
            let mut waiting = pin!(waiting);
            if !is_ready(waiting.as_mut()) {
                return;
            }
        }
        self.use_alone();
        self.semaphore.leave();
    }
}

#[test]
fn one_place_is_for_one_at_a_time() {
    model(|| {
        let guarded = Guarded::new(1);
        join([spawn(&guarded, Guarded::pass), spawn(&guarded, Guarded::pass)]);
        assert_eq!(guarded.semaphore.load(), NOBODY);
    });
}

#[test]
fn a_waiter_that_gives_up_at_any_moment_loses_no_place() {
    model(|| {
        let guarded = Guarded::new(1);
        assert!(guarded.semaphore.try_enter());
        let other = spawn(&guarded, Guarded::pass_or_give_up);
        guarded.use_alone();
        guarded.semaphore.leave();
        guarded.pass();
        join([other]);
        assert_eq!(guarded.semaphore.load(), NOBODY);
        assert!(guarded.semaphore.try_enter());
    });
}

#[test]
fn a_waiter_whose_time_is_over_knows_if_it_has_a_place() {
    model(|| {
        let guarded = Guarded::new(1);
        assert!(guarded.semaphore.try_enter());
        let late = spawn(&guarded, |guarded| {
            if guarded.semaphore.enter().is_none_or(|mut waiting| waiting.end()) {
                guarded.use_alone();
                guarded.semaphore.leave();
            }
        });
        guarded.use_alone();
        guarded.semaphore.leave();
        join([late]);
        assert_eq!(guarded.semaphore.load(), NOBODY);
    });
}

#[test]
fn nobody_overtakes_the_first_in_the_queue() {
    model(|| {
        let guarded = Guarded::new(1);
        assert!(guarded.semaphore.try_enter());
        let (mut first, mut second) =
            (pin!(guarded.semaphore.enter().expect("it waits")), pin!(guarded.semaphore.enter().expect("it waits")));
        let newcomer = spawn(&guarded, |guarded| assert!(!guarded.semaphore.try_enter()));
        let leaving = spawn(&guarded, |guarded| guarded.semaphore.leave());
        assert!(!is_ready(second.as_mut()), "the second is inside before the first");
        block_on(first.as_mut());
        assert!(!is_ready(second.as_mut()));
        join([newcomer, leaving]);
        guarded.semaphore.leave();
        assert!(is_ready(second.as_mut()));
        guarded.semaphore.leave();
        assert_eq!(guarded.semaphore.load(), NOBODY);
    });
}

#[test]
fn more_places_let_those_in_who_wait() {
    model(|| {
        let guarded = Guarded::new(1);
        assert!(guarded.semaphore.try_enter());
        let waits = spawn(&guarded, |guarded| {
            if let Some(waiting) = guarded.semaphore.enter() {
                block_on(waiting);
            }
        });
        guarded.semaphore.set_places(2);
        join([waits]);
        assert_eq!(guarded.semaphore.load(), Load { taken: 2, waiting: 0 });
    });
}

#[test]
fn there_are_never_more_inside_than_places() {
    model(|| {
        let guarded = Guarded::new(2);
        let enter = || {
            let guarded = guarded.clone();
            thread::spawn(move || guarded.semaphore.try_enter())
        };
        let others = [enter(), enter()];
        let third = guarded.semaphore.try_enter();
        let entered = others.map(|other| other.join().expect("the thread ends well")).into_iter().chain([third]);
        assert_eq!(entered.filter(|entered| *entered).count(), 2);
        assert_eq!(guarded.semaphore.load(), Load { taken: 2, waiting: 0 });
    });
}
