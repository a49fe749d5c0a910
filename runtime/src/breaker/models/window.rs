//! The windows: a call that any thread records is counted once, and only in its epoch.

use std::cell::Cell;

use loom::{
    sync::{
        self, Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use self::shared::Window;
use super::model;
use crate::{
    breaker::{
        parameters::WindowSize,
        window::{Counts, Record, calls, time},
    },
    clock,
};

#[allow(clippy::duplicate_mod, reason = "compiled a second time, with the types of loom")]
#[path = "../window/shared.rs"]
mod shared;

/// Lines for two slots. The slots belong to the threads of loom, which are one thread of the system. A thread without a slot uses the shared
/// line.
#[derive(Debug)]
struct PerThread<L, S> {
    lines: [L; 2],
    shared: S,
}

loom::thread_local! {
    static SLOT: Cell<Option<usize>> = Cell::new(None);
}

impl<L: Default, S> PerThread<L, S> {
    fn new(_: bool, shared: S) -> Self {
        Self { lines: Default::default(), shared }
    }

    fn own(&self) -> Option<&L> {
        self.lines.get(SLOT.with(Cell::get)?)
    }

    fn own_or_assign(&self) -> Option<&L> {
        self.own()
    }

    fn own_lines(&self) -> impl Iterator<Item = &L> {
        self.lines.iter()
    }

    const fn shared(&self) -> &S {
        &self.shared
    }
}

const SIZES: [WindowSize; 2] = [WindowSize::Calls(4), WindowSize::Time(1_600)];
const NOW: u64 = 1_000_000;
/// The slots of two threads.
const SLOTS: [[Option<usize>; 2]; 3] = [[Some(0), Some(1)], [Some(0), None], [None, None]];

/// An empty window of epoch 1, in which the slots have cells of epoch 0.
fn window(size: WindowSize) -> Arc<Window> {
    let window = Window::new(0, size, true);
    for slot in [Some(0), Some(1), None] {
        SLOT.with(|own| own.set(slot));
        succeed(&window, 0, size);
    }
    window.reset(1);
    Arc::new(window)
}

fn succeed(window: &Window, epoch: u32, size: WindowSize) {
    window.record_success(epoch, size, || NOW, || NOW);
}

fn fail(window: &Window, epoch: u32, size: WindowSize) -> Counts {
    window.record_adverse(Record { failed: true, slow: false }, 1, epoch, size, || NOW)
}

fn counts(window: &Window, epoch: u32, size: WindowSize) -> Counts {
    window.counts(epoch, size, || NOW)
}

/// Runs a function on a new thread with a slot.
fn spawn<T: 'static>(
    window: &Arc<Window>,
    slot: Option<usize>,
    run: impl FnOnce(&Window) -> T + 'static,
) -> JoinHandle<T> {
    let window = window.clone();
    thread::spawn(move || {
        SLOT.with(|own| own.set(slot));
        run(&window)
    })
}

fn join<T>(thread: JoinHandle<T>) -> T {
    thread.join().expect("the thread returns")
}

/// Explores a model for each kind of window and for threads with and without a slot.
fn models(run: fn(WindowSize, [Option<usize>; 2])) {
    for size in SIZES {
        for slots in SLOTS {
            model(move || run(size, slots));
        }
    }
}

#[test]
fn each_call_is_counted_once() {
    models(|size, slots| {
        let window = window(size);
        let threads = slots.map(|slot| {
            spawn(&window, slot, move |window| {
                succeed(window, 1, size);
                fail(window, 1, size)
            })
        });
        for Counts { calls, failed, .. } in threads.map(join) {
            assert!((1..=2).contains(&failed) && (failed + 1..=4).contains(&calls), "{failed} of {calls}");
        }
        assert_eq!(counts(&window, 1, size), Counts { calls: 4, failed: 2, slow: 0 });
    });
}

#[test]
fn one_of_two_failures_sees_both() {
    models(|size, slots| {
        let window = window(size);
        let threads = slots.map(|slot| spawn(&window, slot, move |window| fail(window, 1, size)));
        assert!(threads.map(join).iter().any(|counts| counts.failed == 2));
    });
}

#[test]
fn a_failure_is_counted_with_the_successes_before_it() {
    models(|size, [slot, reader]| {
        let window = window(size);
        let writer = spawn(&window, slot, move |window| {
            succeed(window, 1, size);
            succeed(window, 1, size);
            fail(window, 1, size);
        });
        // In a separate thread, because loom explores no interleavings of a main thread that only reads.
        let reader = spawn(&window, reader, move |window| {
            let Counts { calls, failed, .. } = counts(window, 1, size);
            assert_eq!(failed == 1, calls == 3, "{failed} of {calls}");
        });
        join(writer);
        join(reader);
    });
}

#[test]
fn a_success_that_a_failing_thread_knows_of_is_counted() {
    models(|size, [slot, failing]| {
        let window = window(size);
        let has_succeeded = Arc::new(AtomicBool::new(false));
        let success = {
            let has_succeeded = has_succeeded.clone();
            spawn(&window, slot, move |window| {
                succeed(window, 1, size);
                has_succeeded.store(true, Ordering::Release);
            })
        };
        let failure = spawn(&window, failing, move |window| {
            let knows = has_succeeded.load(Ordering::Acquire);
            let Counts { calls, .. } = fail(window, 1, size);
            assert!(calls == 2 || !knows, "{calls}");
        });
        join(success);
        join(failure);
    });
}

#[test]
fn a_kind_that_comes_back_into_use_starts_empty() {
    let [calls, time] = SIZES;
    for (size, other, is_empty) in [(calls, time, false), (time, calls, false), (time, calls, true)] {
        model(move || {
            let window = window(size);
            if !is_empty {
                succeed(&window, 1, size);
                fail(&window, 1, size);
            }
            let late = spawn(&window, Some(0), move |window| {
                fail(window, 1, size);
            });
            // In a separate thread, because loom does not preempt a main thread before its first atomic access.
            let change = spawn(&window, Some(1), move |window| {
                window.apply_settings(Some(other));
                window.apply_settings(Some(size));
            });
            join(late);
            join(change);
            let Counts { calls, failed, slow } = counts(&window, 1, size);
            assert!(calls <= 1 && failed <= calls && slow == 0, "{calls}, {failed}");
            assert!(fail(&window, 1, size).failed > failed);
        });
    }
}

#[test]
fn a_late_call_of_an_old_epoch_is_not_counted() {
    models(|size, [slot, other]| {
        let window = window(size);
        let late = spawn(&window, slot, move |window| {
            succeed(window, 1, size);
            fail(window, 1, size);
        });
        let reset = spawn(&window, other, move |window| {
            window.reset(2);
            succeed(window, 2, size);
        });
        join(reset);
        assert_eq!(counts(&window, 2, size), Counts { calls: 1, failed: 0, slow: 0 });
        join(late);
        // The thread of the late calls, or the next one with its slot.
        let next = spawn(&window, slot, move |window| succeed(window, 2, size));
        join(next);
        assert_eq!(fail(&window, 2, size), Counts { calls: 3, failed: 1, slow: 0 });
    });
}

#[test]
fn two_threads_switch_to_another_clock() {
    const SIZE: WindowSize = WindowSize::Time(1_600);
    const LATE: u64 = 3_000_000;
    const EARLY: u64 = 2_000_000;
    for slots in SLOTS {
        model(move || {
            let window = window(SIZE);
            for now in [EARLY, LATE] {
                window.record_success(1, SIZE, || now, || now);
            }
            let threads =
                slots.map(|slot| spawn(&window, slot, |window| window.record_success(1, SIZE, || EARLY, || EARLY)));
            threads.into_iter().for_each(join);
            assert_eq!(window.counts(1, SIZE, || EARLY), Counts { calls: 2, failed: 0, slow: 0 });
        });
    }
}
