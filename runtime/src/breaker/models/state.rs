//! The circuit shared between threads: concurrent admissions, outcomes and overrides.

use std::cell::Cell;

use loom::{
    sync::{Arc, Mutex, atomic::AtomicU64},
    thread,
};

use super::model;
use crate::breaker::{
    BreakerState,
    parameters::{Parameters, Recovery, TripPolicy},
    state::atomic::{AtomicState, Detail, TransitionObserver},
    state::{Admission, Circuit, Outcome},
};
use crate::{OpenReason, clock::Moment};

/// The lock under which transitions are made, and the circuit.
type Shared = Arc<(Mutex<()>, AtomicState<AtomicU64>)>;

const PARAMETERS: Parameters = Parameters {
    policy: TripPolicy::Consecutive { threshold: 2 },
    recovery: Recovery { base: 100, factor: 1.0, max: 100, jitter: 0.0, seed: 0 },
    half_open_max_calls: 2,
    half_open_successes: u8::MAX,
    ramp_up: 0,
    observe_only: false,
    hung_call: None,
    cancelled_call: None,
    tracks_calls: false,
    durations: false,
};

/// Parameters with one trial call, so that two threads race for its permit.
const ONE_TRIAL: Parameters = Parameters { half_open_max_calls: 1, ..PARAMETERS };

/// A change of state: the previous and the new state.
type Transition = (BreakerState, BreakerState);

/// Stores the transition that one step makes, under the lock.
struct StoreTransition<'a>(&'a Mutex<()>, Cell<Option<Transition>>);

impl TransitionObserver for StoreTransition<'_> {
    fn change(&self, from: Circuit, to: Circuit, swap: &mut dyn FnMut() -> bool) -> bool {
        let _one_at_a_time = self.0.lock().expect("no thread panics");
        let swapped = swap();
        let (from, to) = (from.word().state(), to.word().state());
        if swapped && from != to {
            assert_eq!(self.1.replace(Some((from, to))), None, "one step, one transition");
        }
        swapped
    }
}

fn at(micros: u64) -> impl Fn() -> Moment {
    move || Moment::from_micros(micros)
}

fn shared(circuit: Circuit) -> Shared {
    let [own, other] = [circuit.moment(), 0]
        .map(|moment| Detail { moment: AtomicU64::new(moment), reason: AtomicU64::new(circuit.reason().bits()) });
    let details = if circuit.word().epoch().is_multiple_of(2) { [own, other] } else { [other, own] };
    Arc::new((Mutex::new(()), AtomicState::from_parts(AtomicU64::new(circuit.word().bits()), details)))
}

fn load(shared: &Shared) -> Circuit {
    shared.1.load()
}

/// An open circuit whose recovery timeout has passed at 200 µs.
fn recovering() -> Circuit {
    let closed = Circuit::new(&PARAMETERS);
    let admission = closed.word().admission();
    let once = closed.record_outcome(admission, Outcome::Failure, &PARAMETERS, at(0)).expect("counts");
    let open = once.record_outcome(admission, Outcome::Failure, &PARAMETERS, at(0)).expect("opens");
    assert_eq!(open.word().state(), BreakerState::Open);
    open
}

fn acquire(shared: &Shared, micros: u64) -> Option<(Admission, Option<Transition>)> {
    acquire_by(&PARAMETERS, shared, micros)
}

fn acquire_by(parameters: &Parameters, shared: &Shared, micros: u64) -> Option<(Admission, Option<Transition>)> {
    let observer = StoreTransition(&shared.0, Cell::default());
    let now = Moment::from_micros(micros);
    let admission = shared.1.acquire(&observer, |circuit| circuit.admit(parameters, now, |_| 0)).ok()?;
    Some((admission, observer.1.get()))
}

fn step(shared: &Shared, step: impl Fn(Circuit) -> Option<Circuit>) -> Option<Transition> {
    let observer = StoreTransition(&shared.0, Cell::default());
    shared.1.step(&observer, step);
    observer.1.get()
}

fn record_outcome(shared: &Shared, admission: Admission, outcome: Outcome, micros: u64) -> Option<Transition> {
    step(shared, |circuit| circuit.record_outcome(admission, outcome, &PARAMETERS, at(micros)))
}

fn in_threads<T: 'static>(shared: &Shared, threads: usize, run: impl Fn(&Shared) -> T + Clone + 'static) -> Vec<T> {
    let spawned: Vec<_> = (0..threads)
        .map(|_| {
            let (shared, run) = (shared.clone(), run.clone());
            thread::spawn(move || run(&shared))
        })
        .collect();
    spawned.into_iter().map(|thread| thread.join().expect("the thread returns")).collect()
}

#[test]
fn failures_are_not_lost_and_one_opens() {
    model(|| {
        let shared = shared(Circuit::new(&PARAMETERS));
        let admission = load(&shared).word().admission();
        let transitions = in_threads(&shared, 2, move |shared| record_outcome(shared, admission, Outcome::Failure, 0));
        assert_eq!(load(&shared).word().state(), BreakerState::Open);
        let expected = (BreakerState::Closed, BreakerState::Open);
        assert_eq!(transitions.into_iter().flatten().collect::<Vec<_>>(), [expected]);
    });
}

#[test]
fn a_success_resets_the_failures_or_comes_first() {
    model(|| {
        let shared = shared(Circuit::new(&PARAMETERS));
        let admission = load(&shared).word().admission();
        let success = {
            let shared = shared.clone();
            thread::spawn(move || record_outcome(&shared, admission, Outcome::Success, 0))
        };
        let first = record_outcome(&shared, admission, Outcome::Failure, 0);
        let second = record_outcome(&shared, admission, Outcome::Failure, 0);
        assert_eq!(success.join().expect("the thread returns"), None);
        assert_eq!(first, None);
        // Between the two failures the success resets the count; before or after them it changes nothing.
        match second {
            Some(_) => assert_eq!(load(&shared).word().state(), BreakerState::Open),
            None => assert!(load(&shared).word().failures() <= 1),
        }
    });
}

#[test]
fn one_permit_admits_one_trial_call() {
    model(|| {
        let shared = shared(recovering());
        let admitted = in_threads(&shared, 2, |shared| acquire_by(&ONE_TRIAL, shared, 200));
        assert_eq!(admitted.iter().flatten().count(), 1);
        let half_opened = admitted.into_iter().flatten().filter_map(|(_, transition)| transition);
        assert_eq!(half_opened.count(), 1);
        assert_eq!(load(&shared).word().state(), BreakerState::HalfOpen);
    });
}

#[test]
fn a_dropped_permit_is_released() {
    model(|| {
        let shared = shared(recovering());
        in_threads(&shared, 2, |shared| {
            if let Some((admission, _)) = acquire(shared, 200) {
                assert_eq!(record_outcome(shared, admission, Outcome::Ignored, 200), None);
            }
        });
        let (first, second) = (acquire(&shared, 200), acquire(&shared, 200));
        assert!(first.is_some() && second.is_some(), "both permits are available again");
        assert_eq!(acquire(&shared, 200), None);
    });
}

#[test]
fn trial_successes_close_once() {
    model(|| {
        let shared = shared(recovering());
        let transitions = in_threads(&shared, 2, |shared| {
            let (admission, _) = acquire(shared, 200)?;
            record_outcome(shared, admission, Outcome::Success, 200)
        });
        assert_eq!(load(&shared).word().state(), BreakerState::Closed);
        assert_eq!(load(&shared).word().failures(), 0);
        assert_eq!(transitions.into_iter().flatten().count(), 1);
    });
}

#[test]
fn a_failed_trial_call_opens_during_a_success() {
    model(|| {
        let shared = shared(recovering());
        let admissions = [acquire(&shared, 200), acquire(&shared, 200)].map(|admitted| admitted.expect("a trial").0);
        let success = {
            let shared = shared.clone();
            thread::spawn(move || record_outcome(&shared, admissions[0], Outcome::Success, 200))
        };
        let failure = record_outcome(&shared, admissions[1], Outcome::Failure, 200);
        assert_eq!(success.join().expect("the thread returns"), None);
        assert_eq!(failure.map(|transition| transition.1), Some(BreakerState::Open));
        assert_eq!(load(&shared).word().state(), BreakerState::Open);
    });
}

#[test]
fn concurrent_trial_calls_open_once_enough_have_failed() {
    // Two of three trial calls have to succeed, so that the second failure opens the circuit.
    const TOLERANT: Parameters = Parameters { half_open_max_calls: 3, half_open_successes: 2, ..PARAMETERS };

    model(|| {
        let shared = shared(recovering());
        let admissions = [(); 3].map(|()| acquire_by(&TOLERANT, &shared, 200).expect("a trial").0);
        let record = |shared: &Shared, admission, outcome| {
            step(shared, |circuit| circuit.record_outcome(admission, outcome, &TOLERANT, at(200)))
        };
        let failure = {
            let shared = shared.clone();
            thread::spawn(move || record(&shared, admissions[0], Outcome::Failure))
        };
        let success = {
            let shared = shared.clone();
            thread::spawn(move || record(&shared, admissions[1], Outcome::Success))
        };
        let second = record(&shared, admissions[2], Outcome::Failure);
        let first = failure.join().expect("the thread returns");
        assert_eq!(success.join().expect("the thread returns"), None);
        let opened: Vec<_> = [first, second].into_iter().flatten().collect();
        assert_eq!(opened, [(BreakerState::HalfOpen, BreakerState::Open)]);
        assert_eq!(load(&shared).failed_recoveries(), 1);
    });
}

#[test]
fn a_stale_outcome_changes_nothing() {
    model(|| {
        // Admitted while closed. Since then the circuit has opened, and another thread half-opens it.
        let shared = shared(recovering());
        let stale = Circuit::new(&PARAMETERS).word().admission();
        let trial = {
            let shared = shared.clone();
            thread::spawn(move || acquire(&shared, 200).is_some())
        };
        assert_eq!(record_outcome(&shared, stale, Outcome::Failure, 200), None);
        assert_eq!(record_outcome(&shared, stale, Outcome::Success, 200), None);
        assert_eq!(record_outcome(&shared, stale, Outcome::Ignored, 200), None);
        assert!(trial.join().expect("the thread returns"));
        assert_eq!(load(&shared).word().state(), BreakerState::HalfOpen);
        assert!(acquire(&shared, 200).is_some());
        assert!(acquire(&shared, 200).is_none(), "the stale outcome released no permit");
    });
}

#[test]
fn an_override_wins_over_outcomes() {
    model(|| {
        let shared = shared(Circuit::new(&PARAMETERS));
        let admission = load(&shared).word().admission();
        let failures = {
            let shared = shared.clone();
            thread::spawn(move || {
                [(); 2].map(|()| record_outcome(&shared, admission, Outcome::Failure, 0)).into_iter().flatten().count()
            })
        };
        let forced = step(&shared, |circuit| circuit.force_open(None));
        let opened = failures.join().expect("the thread returns");
        assert_eq!(load(&shared).word().state(), BreakerState::ForcedOpen);
        let from = forced.expect("a transition").0;
        assert_eq!(from, if opened == 1 { BreakerState::Open } else { BreakerState::Closed });
    });
}

#[test]
fn the_permits_of_a_new_round_are_issued_once() {
    model(|| {
        let shared = shared(recovering());
        // A trial call that never ends, until the recovery timeout has passed once more.
        assert!(acquire_by(&ONE_TRIAL, &shared, 200).is_some());
        let later = 200 + 100;
        let admitted = in_threads(&shared, 2, move |shared| acquire_by(&ONE_TRIAL, shared, later).is_some());
        assert_eq!(admitted.into_iter().filter(|admitted| *admitted).count(), 1);
    });
}

#[test]
fn a_new_round_issues_all_permits_once() {
    model(|| {
        let shared = shared(recovering());
        // One of two trial calls never ends; the other permit is available.
        let (hung, _) = acquire(&shared, 200).expect("a trial");
        let later = 200 + 100;
        let admitted = in_threads(&shared, 2, move |shared| acquire(shared, later).is_some());
        assert_eq!(admitted, [true, true]);
        assert_eq!(acquire(&shared, later), None);
        assert_eq!(record_outcome(&shared, hung, Outcome::Ignored, later), None);
        assert_eq!(acquire(&shared, later), None, "it has no permit to release");
    });
}

#[test]
fn a_trial_call_starts_a_round_unless_another_is_in_flight() {
    model(|| {
        let shared = shared(recovering());
        let (first, _) = acquire(&shared, 200).expect("a trial");
        let dropped = {
            let shared = shared.clone();
            thread::spawn(move || record_outcome(&shared, first, Outcome::Ignored, 250))
        };
        let (second, _) = acquire(&shared, 250).expect("a trial");
        assert_eq!(dropped.join().expect("the thread returns"), None);
        assert!([200, 250].contains(&load(&shared).moment()));
        assert_eq!(record_outcome(&shared, second, Outcome::Ignored, 250), None);
        assert!(acquire(&shared, 290).is_some());
        assert_eq!(load(&shared).moment(), 290, "no other trial call is in flight");
    });
}

#[test]
fn a_moment_belongs_to_its_epoch() {
    model(|| {
        let shared = shared(Circuit::new(&PARAMETERS));
        let overrides = {
            let shared = shared.clone();
            thread::spawn(move || {
                for until in [1_000, 2_000] {
                    step(&shared, |circuit| circuit.force_open(Some(Moment::from_micros(until))));
                    step(&shared, |circuit| Some(circuit.reset(&PARAMETERS)));
                }
            })
        };
        let circuit = load(&shared);
        let left = circuit.time_left(&PARAMETERS, Moment::from_micros(0));
        match circuit.word().epoch() {
            1 => assert_eq!(left, Some(1_000)),
            3 => assert_eq!(left, Some(2_000)),
            _ => assert_eq!(left, None),
        }
        overrides.join().expect("the thread returns");
    });
}

#[test]
fn an_open_circuit_has_its_reason_and_moment() {
    model(|| {
        let shared = shared(Circuit::new(&PARAMETERS));
        let admission = load(&shared).word().admission();
        let failures = {
            let shared = shared.clone();
            thread::spawn(move || [(); 2].map(|()| record_outcome(&shared, admission, Outcome::Failure, 0)))
        };
        let circuit = load(&shared);
        if circuit.word().state() == BreakerState::Open {
            assert_eq!(circuit.reported_reason().reason(), OpenReason::ConsecutiveFailures { failures: 2 });
            assert_eq!(circuit.time_left(&PARAMETERS, Moment::from_micros(0)), Some(100));
        }
        failures.join().expect("the thread returns");
    });
}
