//! Calls in flight: a call that ends while its bucket is settled is counted once.

use loom::{
    sync::{Arc, atomic::AtomicU64},
    thread,
};

use super::model;
use crate::breaker::in_flight::{End, InFlight};

const LIMIT: u64 = 1_200;
const MASK: u32 = (1 << 26) - 1;
/// The start of a tick, and a call that starts in the middle of it.
const TICK: u64 = 1_099_511_627_801;
const START: u64 = TICK + LIMIT / 24;

/// The moment at which the bucket of a call from `START` is due, and the moment before it.
const DUE: u64 = TICK + LIMIT + LIMIT / 12;
const BEFORE: u64 = DUE - 1;

type Calls = Arc<InFlight<AtomicU64>>;

/// A call in flight that started at `START`, just before its bucket is due. All threads share one line, because loom's threads are one thread
/// of the system.
fn started() -> (Calls, u32) {
    let calls = Arc::new(InFlight::new(false, LIMIT, 0, START));
    let call = start(&calls, START);
    assert_eq!(look(&calls, BEFORE), 0);
    assert_ne!(calls.tick(BEFORE), calls.tick(DUE));
    (calls, call)
}

fn start(calls: &Calls, now: u64) -> u32 {
    let tick = calls.tick(now);
    calls.start(tick);
    tick.low_bits(MASK)
}

/// Counts hung calls on another thread when the bucket is due.
fn look_at_once(calls: &Calls) -> thread::JoinHandle<u32> {
    let calls = calls.clone();
    thread::spawn(move || look(&calls, DUE))
}

/// Counts hung calls, as an admission does. The lock of transitions is not modelled: no transition is made.
fn look(calls: &Calls, now: u64) -> u32 {
    let tick = calls.tick(now);
    if calls.is_settled_at(tick) || calls.settle_empty(tick) { 0 } else { calls.settle_due(tick) }
}

fn end(calls: &Calls, call: u32, now: u64) -> End {
    if calls.end_early(call, MASK, now) {
        return End::InTime;
    }
    look(calls, now);
    calls.end_late(call, MASK, now, now.saturating_sub(START) >= LIMIT)
}

/// Checks that nothing is in flight, and that later settlements find no hung call.
fn assert_settled(calls: &Calls, hung: u64) {
    assert_eq!(calls.hung(), hung);
    for later in [3, 5, 30] {
        assert_eq!(look(calls, START + later * LIMIT), 0);
        assert_eq!(calls.survey(START + later * LIMIT).in_flight, 0);
    }
}

#[test]
fn two_settlements_count_a_hung_call_once() {
    model(|| {
        let (calls, call) = started();
        let other = look_at_once(&calls);
        let hung = look(&calls, DUE) + other.join().expect("the thread returns");
        assert_eq!(hung, 1);
        assert_eq!(end(&calls, call, DUE), End::Settled);
        assert_settled(&calls, 1);
    });
}

#[test]
fn a_late_end_or_the_settlement_counts_a_hung_call() {
    for now in [START + LIMIT, DUE] {
        model(move || {
            let (calls, call) = started();
            let other = look_at_once(&calls);
            let ended = end(&calls, call, now);
            other.join().expect("the thread returns");
            assert_ne!(ended, End::InTime);
            assert_settled(&calls, 1);
        });
    }
}

#[test]
fn an_end_just_before_the_limit_races_with_a_settlement() {
    // The thread reads the clock, and is suspended until the bucket is due.
    model(|| {
        let (calls, call) = started();
        let other = look_at_once(&calls);
        let now = START + LIMIT - 1;
        assert_eq!(calls.tick(now).low_bits(MASK) - call, 12, "the call does not end early");
        let ended = end(&calls, call, now);
        let hung = other.join().expect("the thread returns");
        assert_eq!(hung, u32::from(ended == End::Settled), "counted by its end or as hung");
        assert_settled(&calls, hung.into());
    });
}

#[test]
fn a_delayed_early_end_is_corrected() {
    model(|| {
        let (calls, call) = started();
        let other = look_at_once(&calls);
        // Suspended for half a limit after its reading of the clock.
        let ended = end(&calls, call, START + LIMIT / 2);
        let hung = other.join().expect("the thread returns");
        assert!(ended == End::InTime || hung == 1);
        assert_settled(&calls, hung.into());
    });
}

#[test]
fn a_call_in_a_bucket_that_is_settled_for_an_earlier_tick_is_not_hung() {
    // Four ticks after the last settlement: the bucket of the new call is the fourth that is due.
    let now = BEFORE + 4 * LIMIT / 12;
    model(move || {
        let calls = Arc::new(InFlight::new(false, LIMIT, 0, START));
        look(&calls, BEFORE);
        let other = {
            let calls = calls.clone();
            thread::spawn(move || (look(&calls, now), start(&calls, now)))
        };
        assert_eq!(look(&calls, now), 0);
        let (hung, call) = other.join().expect("the thread returns");
        assert_eq!((hung, calls.hung()), (0, 0));
        assert_eq!(end(&calls, call, now), End::InTime);
        assert_settled(&calls, 0);
    });
}

#[test]
fn a_call_that_ends_while_its_epoch_ends_is_never_hung() {
    model(|| {
        let calls = Arc::new(InFlight::new(false, LIMIT, 0, START));
        let call = start(&calls, START);
        let other = {
            let calls = calls.clone();
            thread::spawn(move || calls.forget(START))
        };
        assert_ne!(end(&calls, call, START), End::Hung);
        other.join().expect("the thread returns");
        assert_settled(&calls, 0);
    });
}
