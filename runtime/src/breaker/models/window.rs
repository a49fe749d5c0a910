//! The windows: a call that any thread records is counted once, and only in its epoch.

use loom::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use super::model;
use crate::breaker::{
    parameters::WindowSize,
    window::{Counts, Record, Window},
};

const SUCCESS: Record = Record { failed: false, slow: false };
const FAILURE: Record = Record { failed: true, slow: false };
const SIZES: [WindowSize; 2] = [WindowSize::Calls(2), WindowSize::Time(1_600)];
const NOW: u64 = 1_000_000;

/// An empty window with its memory allocated, because loom does not model the race for the allocation.
fn window(size: WindowSize) -> Arc<Window<AtomicU64>> {
    let window = Window::new(0, size);
    record(&window, FAILURE, 0, size);
    window.reset(1);
    Arc::new(window)
}

fn record(window: &Window<AtomicU64>, record: Record, epoch: u32, size: WindowSize) {
    window.record(record, epoch, size, || NOW);
}

#[test]
fn each_call_is_counted_once() {
    for size in SIZES {
        model(move || {
            let window = window(size);
            let other = {
                let window = window.clone();
                thread::spawn(move || record(&window, SUCCESS, 1, size))
            };
            record(&window, FAILURE, 1, size);
            let seen = window.counts(1, size, || NOW);
            assert!(seen.failed == 1 && (1..=2).contains(&seen.calls), "{seen:?}");
            other.join().expect("the thread returns");
            assert_eq!(window.counts(1, size, || NOW), Counts { calls: 2, failed: 1, slow: 0 });
        });
    }
}

#[test]
fn a_kind_that_comes_back_into_use_starts_empty() {
    let [calls, time] = SIZES;
    for (size, other, is_empty) in [(calls, time, false), (time, calls, false), (time, calls, true)] {
        model(move || {
            let window = window(size);
            if !is_empty {
                record(&window, FAILURE, 1, size);
            }
            let late = {
                let window = window.clone();
                thread::spawn(move || record(&window, FAILURE, 1, size))
            };
            // In a separate thread, because loom does not preempt a main thread before its first atomic access.
            let change = {
                let window = window.clone();
                thread::spawn(move || {
                    window.apply_settings(Some(other));
                    window.apply_settings(Some(size));
                })
            };
            late.join().expect("the thread returns");
            change.join().expect("the thread returns");
            let Counts { calls, failed, slow } = window.counts(1, size, || NOW);
            assert!(calls <= 1 && failed <= calls && slow == 0, "{calls}, {failed}");
            record(&window, FAILURE, 1, size);
            assert!(window.counts(1, size, || NOW).failed > failed);
        });
    }
}

#[test]
fn one_of_two_failures_sees_both() {
    for size in SIZES {
        model(move || {
            let window = window(size);
            let deciding = Arc::new(AtomicU64::new(0));
            let fail = |window: Arc<Window<AtomicU64>>, deciding: Arc<AtomicU64>| {
                move || {
                    record(&window, FAILURE, 1, size);
                    if window.counts(1, size, || NOW).failed == 2 {
                        deciding.fetch_add(1, Ordering::Relaxed);
                    }
                }
            };
            let other = thread::spawn(fail(window.clone(), deciding.clone()));
            fail(window, deciding.clone())();
            other.join().expect("the thread returns");
            // Both threads can see both failures; the circuit then trips once.
            assert!(deciding.load(Ordering::Relaxed) >= 1);
        });
    }
}

#[test]
fn failures_never_exceed_the_calls() {
    for size in SIZES {
        model(move || {
            let window = window(size);
            let writer = {
                let window = window.clone();
                thread::spawn(move || record(&window, FAILURE, 1, size))
            };
            // In a separate thread, because loom explores no interleavings of a main thread that only reads.
            let reader = thread::spawn(move || {
                let seen = window.counts(1, size, || NOW);
                assert!(seen.failed <= seen.calls, "{seen:?}");
            });
            writer.join().expect("the thread returns");
            reader.join().expect("the thread returns");
        });
    }
}

#[test]
fn a_late_call_of_an_old_epoch_is_not_counted() {
    for size in SIZES {
        model(move || {
            let window = window(size);
            let late = {
                let window = window.clone();
                thread::spawn(move || record(&window, FAILURE, 1, size))
            };
            window.reset(2);
            record(&window, SUCCESS, 2, size);
            late.join().expect("the thread returns");
            assert_eq!(window.counts(2, size, || NOW), Counts { calls: 1, failed: 0, slow: 0 });
        });
    }
}

#[test]
fn two_threads_switch_to_another_clock() {
    const SIZE: WindowSize = WindowSize::Time(1_600);
    const LATE: u64 = 3_000_000;
    const EARLY: u64 = 2_000_000;
    let fail = |window: &Window<AtomicU64>, now| window.record(FAILURE, 1, SIZE, || now);
    model(move || {
        let window = Arc::new(Window::new(1, SIZE));
        for now in [EARLY, LATE] {
            fail(&window, now);
        }
        let other = {
            let window = window.clone();
            thread::spawn(move || fail(&window, EARLY))
        };
        fail(&window, EARLY);
        other.join().expect("the thread returns");
        assert_eq!(window.counts(1, SIZE, || EARLY), Counts { calls: 2, failed: 2, slow: 0 });
    });
}
