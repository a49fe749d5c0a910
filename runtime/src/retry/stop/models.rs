//! The models of the stop signal: see [`models`](crate::models).

use std::pin::pin;

use loom::{
    cell::UnsafeCell,
    sync::{self, Arc, Mutex, atomic::AtomicBool},
    thread,
};

use self::signal::{Signal, Waiting};
use crate::models::{block_on, is_ready, model};

#[allow(clippy::duplicate_mod, reason = "it is compiled once more, with the types of loom")]
#[path = "signal.rs"]
mod signal;

/// A signal, and what is done before it is given.
struct Guarded {
    signal: Signal,
    before: UnsafeCell<()>,
}

impl Guarded {
    fn new() -> Arc<Self> {
        let signal = Signal::of(AtomicBool::new(false), Mutex::new(Waiting::new()));
        Arc::new(Self { signal, before: UnsafeCell::new(()) })
    }

    fn give(&self) {
        self.before.with_mut(|_| ());
        self.signal.give();
    }

    fn look(&self) {
        self.before.with(|_| ());
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
fn no_wake_up_is_lost() {
    model(|| {
        let guarded = Guarded::new();
        let wait = |guarded: &Guarded| {
            block_on(guarded.signal.given());
            guarded.look();
        };
        let waiting = [spawn(&guarded, wait), spawn(&guarded, wait)];
        guarded.give();
        join(waiting);
    });
}

#[test]
fn the_last_waker_is_woken() {
    model(|| {
        let guarded = Guarded::new();
        let waiting = spawn(&guarded, |guarded| {
            let mut given = pin!(guarded.signal.given());
            // A task that is polled by another waker later.
            if !is_ready(given.as_mut()) {
                block_on(given);
            }
        });
        guarded.give();
        join([waiting]);
    });
}

#[test]
fn a_waiter_that_gives_up_leaves_the_others_waiting() {
    model(|| {
        let guarded = Guarded::new();
        let gives_up = spawn(&guarded, |guarded| _ = is_ready(pin!(guarded.signal.given())));
        let waits = spawn(&guarded, |guarded| block_on(guarded.signal.given()));
        guarded.give();
        join([gives_up, waits]);
        assert!(is_ready(pin!(guarded.signal.given())));
    });
}

#[test]
fn who_sees_the_signal_sees_what_was_done_before() {
    model(|| {
        let guarded = Guarded::new();
        let looks = spawn(&guarded, |guarded| {
            if guarded.signal.is_given() {
                guarded.look();
            }
        });
        guarded.give();
        join([looks]);
    });
}
