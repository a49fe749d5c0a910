//! The windows: what several threads record is counted once, and only in the epoch that it belongs to.

use loom::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use super::model;
use crate::breaker::{
    parameters::Span,
    window::{Counts, Record, Window},
};

const SUCCESS: Record = Record { failed: false, slow: false };
const FAILURE: Record = Record { failed: true, slow: false };
const SPANS: [Span; 2] = [Span::Calls(2), Span::Time(1_600)];
const NOW: u64 = 1_000_000;

/// A window whose memory is there already: what threads race for to set it up is not loom's.
fn window(span: Span) -> Arc<Window<AtomicU64>> {
    let window = Window::new(0, span);
    record(&window, FAILURE, 0, span);
    window.begin(1);
    Arc::new(window)
}

fn record(window: &Window<AtomicU64>, record: Record, epoch: u32, span: Span) {
    window.record(record, epoch, span, || NOW);
}

#[test]
fn nothing_is_lost_and_nothing_counted_twice() {
    for span in SPANS {
        model(move || {
            let window = window(span);
            let other = {
                let window = window.clone();
                thread::spawn(move || record(&window, SUCCESS, 1, span))
            };
            record(&window, FAILURE, 1, span);
            let seen = window.counts(1, span, || NOW);
            assert!(seen.failed == 1 && (1..=2).contains(&seen.calls), "{seen:?}");
            other.join().expect("ends well");
            assert_eq!(window.counts(1, span, || NOW), Counts { calls: 2, failed: 1, slow: 0 });
        });
    }
}

#[test]
fn a_kind_that_comes_back_knows_only_what_was_recorded_since() {
    for [span, other] in [SPANS, [SPANS[1], SPANS[0]]] {
        model(move || {
            let window = window(span);
            record(&window, FAILURE, 1, span);
            let late = {
                let window = window.clone();
                thread::spawn(move || record(&window, FAILURE, 1, span))
            };
            window.apply_settings(Some(other));
            window.apply_settings(Some(span));
            late.join().expect("ends well");
            let Counts { calls, failed, slow } = window.counts(1, span, || NOW);
            assert!(calls <= 1 && failed <= calls && slow == 0, "{calls}, {failed}");
            record(&window, FAILURE, 1, span);
            assert!(window.counts(1, span, || NOW).failed > failed);
        });
    }
}

#[test]
fn the_last_of_two_failures_sees_both() {
    for span in SPANS {
        model(move || {
            let window = window(span);
            let deciding = Arc::new(AtomicU64::new(0));
            let fail = |window: Arc<Window<AtomicU64>>, deciding: Arc<AtomicU64>| {
                move || {
                    record(&window, FAILURE, 1, span);
                    if window.counts(1, span, || NOW).failed == 2 {
                        deciding.fetch_add(1, Ordering::Relaxed);
                    }
                }
            };
            let other = thread::spawn(fail(window.clone(), deciding.clone()));
            fail(window, deciding.clone())();
            other.join().expect("ends well");
            // Both may see both; the word then trips once.
            assert!(deciding.load(Ordering::Relaxed) >= 1);
        });
    }
}

#[test]
fn what_is_seen_of_failures_never_exceeds_the_calls() {
    for span in SPANS {
        model(move || {
            let window = window(span);
            let writer = {
                let window = window.clone();
                thread::spawn(move || record(&window, FAILURE, 1, span))
            };
            // In a thread of its own: loom does not go back over a main thread that does nothing but look.
            let reader = thread::spawn(move || {
                let seen = window.counts(1, span, || NOW);
                assert!(seen.failed <= seen.calls, "{seen:?}");
            });
            writer.join().expect("ends well");
            reader.join().expect("ends well");
        });
    }
}

#[test]
fn a_straggler_of_an_old_epoch_leaves_nothing_in_the_new() {
    for span in SPANS {
        model(move || {
            let window = window(span);
            let straggler = {
                let window = window.clone();
                thread::spawn(move || record(&window, FAILURE, 1, span))
            };
            window.begin(2);
            record(&window, SUCCESS, 2, span);
            straggler.join().expect("ends well");
            assert_eq!(window.counts(2, span, || NOW), Counts { calls: 1, failed: 0, slow: 0 });
        });
    }
}

#[test]
fn two_threads_bring_another_clock_at_the_same_time() {
    const SPAN: Span = Span::Time(1_600);
    const LATE: u64 = 3_000_000;
    const EARLY: u64 = 2_000_000;
    let fail = |window: &Window<AtomicU64>, now| window.record(FAILURE, 1, SPAN, || now);
    model(move || {
        let window = Arc::new(Window::new(1, SPAN));
        for now in [EARLY, LATE] {
            fail(&window, now);
        }
        let other = {
            let window = window.clone();
            thread::spawn(move || fail(&window, EARLY))
        };
        fail(&window, EARLY);
        other.join().expect("ends well");
        assert_eq!(window.counts(1, SPAN, || EARLY), Counts { calls: 2, failed: 2, slow: 0 });
    });
}
