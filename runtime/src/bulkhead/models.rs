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

use self::gate::{Gate, Load};
use crate::models::{block_on, is_ready, model};

#[allow(
    clippy::duplicate_mod,
    dead_code,
    reason = "it is compiled once more, with the types of loom, and used in part"
)]
#[path = "gate.rs"]
mod gate;

/// A gate, and what those inside use. Loom reports it when two are inside at a time, or when one does not see what the one before did.
struct Guarded {
    gate: Gate,
    inside: UnsafeCell<()>,
}

const NOBODY: Load = Load { taken: 0, waiting: 0 };

impl Guarded {
    fn new(places: u32) -> Arc<Self> {
        let gate = Gate::of(AtomicU32::new(places), AtomicU64::new(0), Mutex::new(VecDeque::new()));
        Arc::new(Self { gate, inside: UnsafeCell::new(()) })
    }

    fn use_alone(&self) {
        self.inside.with_mut(|_| ());
    }

    /// Waits for a place, uses it, and leaves.
    fn pass(&self) {
        if !self.gate.try_enter()
            && let Some(waiting) = self.gate.enter()
        {
            block_on(waiting);
        }
        self.use_alone();
        self.gate.leave();
    }

    /// Waits for a place, but gives up if there is none at the first look.
    fn pass_or_give_up(&self) {
        if let Some(waiting) = self.gate.enter() {
            let mut waiting = pin!(waiting);
            if !is_ready(waiting.as_mut()) {
                return;
            }
        }
        self.use_alone();
        self.gate.leave();
    }
}

fn spawn(guarded: &Arc<Guarded>, run: fn(&Guarded)) -> thread::JoinHandle<()> {
    let guarded = guarded.clone();
    thread::spawn(move || run(&guarded))
}

fn join(threads: impl IntoIterator<Item = thread::JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().expect("the thread ends well"));
}

#[test]
fn one_place_is_for_one_at_a_time() {
    model(|| {
        let guarded = Guarded::new(1);
        join([spawn(&guarded, Guarded::pass), spawn(&guarded, Guarded::pass)]);
        assert_eq!(guarded.gate.load(), NOBODY);
    });
}

#[test]
fn a_waiter_that_gives_up_at_any_moment_loses_no_place() {
    model(|| {
        let guarded = Guarded::new(1);
        assert!(guarded.gate.try_enter());
        let other = spawn(&guarded, Guarded::pass_or_give_up);
        guarded.use_alone();
        guarded.gate.leave();
        guarded.pass();
        join([other]);
        assert_eq!(guarded.gate.load(), NOBODY);
        assert!(guarded.gate.try_enter());
    });
}

#[test]
fn a_waiter_whose_time_is_over_knows_if_it_has_a_place() {
    model(|| {
        let guarded = Guarded::new(1);
        assert!(guarded.gate.try_enter());
        let late = spawn(&guarded, |guarded| {
            if guarded.gate.enter().is_none_or(|mut waiting| waiting.end()) {
                guarded.use_alone();
                guarded.gate.leave();
            }
        });
        guarded.use_alone();
        guarded.gate.leave();
        join([late]);
        assert_eq!(guarded.gate.load(), NOBODY);
    });
}

#[test]
fn nobody_overtakes_the_first_in_the_queue() {
    model(|| {
        let guarded = Guarded::new(1);
        assert!(guarded.gate.try_enter());
        let (mut first, mut second) =
            (pin!(guarded.gate.enter().expect("it waits")), pin!(guarded.gate.enter().expect("it waits")));
        let newcomer = spawn(&guarded, |guarded| assert!(!guarded.gate.try_enter()));
        let leaving = spawn(&guarded, |guarded| guarded.gate.leave());
        assert!(!is_ready(second.as_mut()), "the second is inside before the first");
        block_on(first.as_mut());
        assert!(!is_ready(second.as_mut()));
        join([newcomer, leaving]);
        guarded.gate.leave();
        assert!(is_ready(second.as_mut()));
        guarded.gate.leave();
        assert_eq!(guarded.gate.load(), NOBODY);
    });
}

#[test]
fn more_places_let_those_in_who_wait() {
    model(|| {
        let guarded = Guarded::new(1);
        assert!(guarded.gate.try_enter());
        let waits = spawn(&guarded, |guarded| {
            if let Some(waiting) = guarded.gate.enter() {
                block_on(waiting);
            }
        });
        guarded.gate.set_places(2);
        join([waits]);
        assert_eq!(guarded.gate.load(), Load { taken: 2, waiting: 0 });
    });
}

#[test]
fn there_are_never_more_inside_than_places() {
    model(|| {
        let guarded = Guarded::new(2);
        let enter = || {
            let guarded = guarded.clone();
            thread::spawn(move || guarded.gate.try_enter())
        };
        let others = [enter(), enter()];
        let third = guarded.gate.try_enter();
        let entered = others.map(|other| other.join().expect("the thread ends well")).into_iter().chain([third]);
        assert_eq!(entered.filter(|entered| *entered).count(), 2);
        assert_eq!(guarded.gate.load(), Load { taken: 2, waiting: 0 });
    });
}
