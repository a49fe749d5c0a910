//! Model checking: loom runs every interleaving of these few threads, and every outcome of their weak memory.
//!
//! A thread is interrupted at most three times at an arbitrary place, which finds almost everything in a moment.
//! `cargo xtask loom` sets `LOOM_MAX_PREEMPTIONS` higher than any of them goes: then nothing is left out.

use std::sync::atomic::Ordering;

use loom::{
    model::Builder,
    sync::{Arc, atomic::AtomicU64},
    thread,
};

use super::{
    BreakerState,
    shared::{AtomicCell, SharedWord, Transition},
    word::{Outcome, Rules, Ticket, Word},
};
use crate::clock::Moment;

impl AtomicCell for AtomicU64 {
    fn load(&self, ordering: Ordering) -> u64 {
        self.load(ordering)
    }

    fn compare_exchange_weak(&self, current: u64, new: u64, success: Ordering, failure: Ordering) -> Result<u64, u64> {
        self.compare_exchange_weak(current, new, success, failure)
    }
}

fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound.get_or_insert(3);
    builder.check(run);
}

type Shared = Arc<SharedWord<AtomicU64>>;

const RULES: Rules = Rules { failure_threshold: 2, recovery: 100, trials: 2 };

fn at(micros: u64) -> impl Fn() -> Moment {
    move || Moment::from_micros(micros)
}

fn shared(word: Word) -> Shared {
    Arc::new(SharedWord::of(AtomicU64::new(word.bits())))
}

/// An open circuit whose recovery timeout has passed at 200.
fn recovering() -> Word {
    let closed = Word::new();
    let ticket = closed.ticket();
    let once = closed.settle(ticket, Outcome::Failure, &RULES, at(0)).expect("counts");
    let open = once.settle(ticket, Outcome::Failure, &RULES, at(0)).expect("opens");
    assert_eq!(open.state(), BreakerState::Open);
    open
}

fn acquire(shared: &Shared, micros: u64) -> Option<(Ticket, Option<Transition>)> {
    shared.acquire(&RULES, at(micros)).ok()
}

fn in_threads<T: 'static>(shared: &Shared, threads: usize, run: impl Fn(&Shared) -> T + Clone + 'static) -> Vec<T> {
    let spawned: Vec<_> = (0..threads)
        .map(|_| {
            let (shared, run) = (shared.clone(), run.clone());
            thread::spawn(move || run(&shared))
        })
        .collect();
    spawned.into_iter().map(|thread| thread.join().expect("the thread ends well")).collect()
}

#[test]
fn failures_are_not_lost_and_one_opens() {
    model(|| {
        let shared = shared(Word::new());
        let ticket = shared.load().ticket();
        let transitions = in_threads(&shared, 2, move |shared| shared.settle(ticket, Outcome::Failure, &RULES, at(0)));
        assert_eq!(shared.load().state(), BreakerState::Open);
        let expected = Transition { from: BreakerState::Closed, to: BreakerState::Open };
        assert_eq!(transitions.into_iter().flatten().collect::<Vec<_>>(), [expected]);
    });
}

#[test]
fn a_success_between_failures_is_seen_or_comes_first() {
    model(|| {
        let shared = shared(Word::new());
        let ticket = shared.load().ticket();
        let success = {
            let shared = shared.clone();
            thread::spawn(move || shared.settle(ticket, Outcome::Success, &RULES, at(0)))
        };
        let first = shared.settle(ticket, Outcome::Failure, &RULES, at(0));
        let second = shared.settle(ticket, Outcome::Failure, &RULES, at(0));
        assert_eq!(success.join().expect("ends well"), None);
        assert_eq!(first, None);
        // Between the two failures the success starts the count again; before or after them it changes nothing.
        match second {
            Some(_) => assert_eq!(shared.load().state(), BreakerState::Open),
            None => assert!(shared.load().failures() <= 1),
        }
    });
}

#[test]
fn never_more_trial_calls_than_allowed() {
    model(|| {
        let shared = shared(recovering());
        let admitted = in_threads(&shared, 3, |shared| acquire(shared, 200));
        assert_eq!(admitted.iter().flatten().count(), 2);
        let half_opened = admitted.into_iter().flatten().filter_map(|(_, transition)| transition);
        assert_eq!(half_opened.count(), 1);
        assert_eq!(shared.load().state(), BreakerState::HalfOpen);
    });
}

#[test]
fn a_dropped_permit_is_given_back() {
    model(|| {
        let shared = shared(recovering());
        in_threads(&shared, 2, |shared| {
            if let Some((ticket, _)) = acquire(shared, 200) {
                assert_eq!(shared.settle(ticket, Outcome::Neutral, &RULES, at(200)), None);
            }
        });
        let (first, second) = (acquire(&shared, 200), acquire(&shared, 200));
        assert!(first.is_some() && second.is_some(), "both places are free again");
        assert_eq!(acquire(&shared, 200), None);
    });
}

#[test]
fn trial_successes_close_once() {
    model(|| {
        let shared = shared(recovering());
        let transitions = in_threads(&shared, 2, |shared| {
            let (ticket, _) = acquire(shared, 200)?;
            shared.settle(ticket, Outcome::Success, &RULES, at(200))
        });
        assert_eq!(shared.load().state(), BreakerState::Closed);
        assert_eq!(shared.load().failures(), 0);
        assert_eq!(transitions.into_iter().flatten().count(), 1);
    });
}

#[test]
fn a_trial_that_fails_beside_one_that_succeeds_opens() {
    model(|| {
        let shared = shared(recovering());
        let tickets = [acquire(&shared, 200), acquire(&shared, 200)].map(|admitted| admitted.expect("a trial").0);
        let success = {
            let shared = shared.clone();
            thread::spawn(move || shared.settle(tickets[0], Outcome::Success, &RULES, at(200)))
        };
        let failure = shared.settle(tickets[1], Outcome::Failure, &RULES, at(200));
        assert_eq!(success.join().expect("ends well"), None);
        assert_eq!(failure.map(|transition| transition.to), Some(BreakerState::Open));
        assert_eq!(shared.load().state(), BreakerState::Open);
    });
}

#[test]
fn a_stale_result_moves_nothing() {
    model(|| {
        // Admitted while closed; meanwhile the circuit opens, and half-opens in another thread.
        let shared = shared(recovering());
        let stale = Word::new().ticket();
        let trial = {
            let shared = shared.clone();
            thread::spawn(move || acquire(&shared, 200).is_some())
        };
        assert_eq!(shared.settle(stale, Outcome::Failure, &RULES, at(200)), None);
        assert_eq!(shared.settle(stale, Outcome::Success, &RULES, at(200)), None);
        assert_eq!(shared.settle(stale, Outcome::Neutral, &RULES, at(200)), None);
        assert!(trial.join().expect("ends well"));
        assert_eq!(shared.load().state(), BreakerState::HalfOpen);
        assert!(acquire(&shared, 200).is_some());
        assert!(acquire(&shared, 200).is_none(), "the stale drop freed no place");
    });
}

#[test]
fn an_operator_wins_over_results() {
    model(|| {
        let shared = shared(Word::new());
        let ticket = shared.load().ticket();
        let failures = {
            let shared = shared.clone();
            thread::spawn(move || {
                [(); 2].map(|()| shared.settle(ticket, Outcome::Failure, &RULES, at(0))).into_iter().flatten().count()
            })
        };
        let forced = shared.force_open();
        let opened = failures.join().expect("ends well");
        assert_eq!(shared.load().state(), BreakerState::ForcedOpen);
        let from = forced.expect("a transition").from;
        assert_eq!(from, if opened == 1 { BreakerState::Open } else { BreakerState::Closed });
    });
}

#[test]
fn abandoned_places_are_given_out_once() {
    model(|| {
        let shared = shared(recovering());
        // Two trial calls that never end; the recovery timeout passes once more.
        assert!(acquire(&shared, 200).is_some() && acquire(&shared, 200).is_some());
        let later = 200 + 100 + 64;
        let admitted = in_threads(&shared, 3, move |shared| acquire(shared, later).is_some());
        assert_eq!(admitted.into_iter().filter(|admitted| *admitted).count(), 2);
    });
}
