//! Models of the stop signal: see [`models`](crate::models).

use std::pin::pin;

use loom::{
    cell::UnsafeCell,
    sync::{self, Arc, Mutex, atomic::AtomicBool},
};

use self::signal::{Signal, Waiters};
use crate::models::{block_on, is_ready, join, model, spawn};

#[allow(clippy::duplicate_mod, reason = "compiled a second time, with loom's types")]
#[path = "signal.rs"]
mod signal;

/// A signal, and data that is written before it is set.
struct Guarded {
    signal: Signal,
    data: UnsafeCell<()>,
}

impl Guarded {
    fn new() -> Arc<Self> {
        let signal = Signal::from_parts(AtomicBool::new(false), Mutex::new(Waiters::new()));
        Arc::new(Self { signal, data: UnsafeCell::new(()) })
    }

    fn write_and_set(&self) {
        self.data.with_mut(|_| ());
        self.signal.set();
    }

    fn read(&self) {
        self.data.with(|_| ());
    }
}

#[test]
fn no_wake_up_is_lost() {
    model(|| {
        let guarded = Guarded::new();
        let wait = |guarded: &Guarded| {
            block_on(guarded.signal.wait());
            guarded.read();
        };
        let waiters = [spawn(&guarded, wait), spawn(&guarded, wait)];
        guarded.write_and_set();
        join(waiters);
    });
}

#[test]
fn the_last_waker_is_woken() {
    model(|| {
        let guarded = Guarded::new();
        let waiter = spawn(&guarded, |guarded| {
            let mut wait = pin!(guarded.signal.wait());
            // The task is polled with another waker later.
            if !is_ready(wait.as_mut()) {
                block_on(wait);
            }
        });
        guarded.write_and_set();
        join([waiter]);
    });
}

#[test]
fn dropping_one_waiter_keeps_the_others_waiting() {
    model(|| {
        let guarded = Guarded::new();
        let dropped = spawn(&guarded, |guarded| _ = is_ready(pin!(guarded.signal.wait())));
        let waiter = spawn(&guarded, |guarded| block_on(guarded.signal.wait()));
        guarded.write_and_set();
        join([dropped, waiter]);
        assert!(is_ready(pin!(guarded.signal.wait())));
    });
}

#[test]
fn a_thread_that_sees_the_signal_sees_the_writes_before_it() {
    model(|| {
        let guarded = Guarded::new();
        let reader = spawn(&guarded, |guarded| {
            if guarded.signal.is_set() {
                guarded.read();
            }
        });
        guarded.write_and_set();
        join([reader]);
    });
}
