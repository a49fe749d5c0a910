//! The state machine as a table of situations. Time is a number here.

use proptest::prelude::*;

use super::{
    BreakerState::{self, Closed, Disabled, ForcedOpen, HalfOpen, Open},
    parameters::{Parameters, Recovery, TripPolicy, mix},
    state::{Admission, AdmitDecision, Circuit, Outcome, Rejection},
};
use crate::clock::Moment;

const SECOND: u64 = 1_000_000;
const RULES: Parameters = Parameters {
    policy: TripPolicy::Consecutive { threshold: 5 },
    recovery: fixed(30 * SECOND),
    trials: 3,
    ramp: 0,
    observe_only: false,
};

const DAY: u64 = 24 * 3_600 * SECOND;
/// Ten years.
const LONG: u64 = 3_653 * DAY;
const IDLE_DAYS: [u64; 10] = [1, 25, 30, 50, 90, 103, 180, 365, 1_000, 10_000];

const fn fixed(rest: u64) -> Recovery {
    Recovery { base: rest, factor: 1.0, max: rest, jitter: 0.0, seed: 0 }
}

/// A breaker on one thread, with a clock to set.
#[derive(Clone, Copy)]
struct Machine {
    circuit: Circuit,
    rules: Parameters,
    now: u64,
}

impl Machine {
    fn new(rules: Parameters) -> Self {
        Self { circuit: Circuit::new(&rules), rules, now: 7_654_321 }
    }

    fn acquire(&mut self) -> Result<Admission, Rejection> {
        match self.circuit.admit(&self.rules, Moment::from_micros(self.now), |most| most) {
            AdmitDecision::Free => {}
            AdmitDecision::Take(next) => self.circuit = next,
            AdmitDecision::Rejected(refusal) => return Err(refusal),
        }
        Ok(self.circuit.word().admission())
    }

    fn record_outcome(&mut self, admission: Admission, outcome: Outcome) {
        let now = Moment::from_micros(self.now);
        self.circuit = self.circuit.record_outcome(admission, outcome, &self.rules, || now).unwrap_or(self.circuit);
    }

    /// Calls that end at once: `F`ailure, `S`uccess, `X` neither.
    fn calls(&mut self, outcomes: &str) -> BreakerState {
        for outcome in outcomes.chars().filter(|outcome| *outcome != ' ') {
            let admission = self.acquire().expect("admitted");
            self.record_outcome(
                admission,
                match outcome {
                    'F' => Outcome::Failure,
                    'S' => Outcome::Success,
                    _ => Outcome::Ignored,
                },
            );
        }
        self.circuit.word().state()
    }

    fn opened(rules: Parameters) -> Self {
        let mut machine = Self::new(rules);
        while machine.circuit.word().state() == Closed {
            machine.calls("F");
        }
        machine
    }

    fn half_opened(rules: Parameters) -> (Self, Admission) {
        let mut machine = Self::opened(rules);
        machine.now += rules.recovery.base;
        let admission = machine.acquire().expect("a trial call");
        assert_eq!(machine.circuit.word().state(), HalfOpen);
        (machine, admission)
    }
}

#[test]
fn failures_in_a_row_open() {
    for (outcomes, expected) in [
        ("FFFF", Closed),
        ("FFFF S FFFF", Closed),
        ("FFFF S FFFF F", Open),
        ("FFFFF", Open),
        ("SSSS FFFF", Closed),
        ("FFFF X F", Open),
        ("FF X X FF", Closed),
        ("X X X X X X", Closed),
    ] {
        assert_eq!(Machine::new(RULES).calls(outcomes), expected, "{outcomes}");
    }
}

#[test]
fn a_new_state_has_fresh_counts() {
    let mut machine = Machine::opened(RULES);
    assert_eq!(machine.circuit.word().failures(), 0);
    machine.now += RULES.recovery.base;
    assert_eq!(machine.calls("SSS"), Closed);
    assert_eq!(machine.circuit.word().failures(), 0);
    assert_eq!(machine.calls("FFFF"), Closed);
}

#[test]
fn open_until_exactly_the_recovery_timeout() {
    let mut machine = Machine::opened(RULES);
    assert_eq!(machine.acquire(), Err(Rejection::Open { wait: 30 * SECOND }));
    machine.now += RULES.recovery.base - 1;
    assert_eq!(machine.acquire(), Err(Rejection::Open { wait: 1 }));
    assert_eq!(machine.circuit.word().state(), Open);
    machine.now += 1;
    assert!(machine.acquire().is_ok());
    assert_eq!(machine.circuit.word().state(), HalfOpen);
}

#[test]
fn half_open_admits_so_many_and_no_more() {
    let (mut machine, first) = Machine::half_opened(RULES);
    let second = machine.acquire().expect("second trial");
    assert!(machine.acquire().is_ok());
    assert!(matches!(machine.acquire(), Err(Rejection::TrialsTaken { .. })));
    // A success does not make room for a fourth: three are enough to decide.
    machine.record_outcome(first, Outcome::Success);
    assert!(machine.acquire().is_err());
    // One that is given up does.
    machine.record_outcome(second, Outcome::Ignored);
    assert!(machine.acquire().is_ok());
    assert!(machine.acquire().is_err());
}

#[test]
fn half_open_closes_after_successes_and_opens_after_a_failure() {
    for (outcomes, expected) in [
        ("S", HalfOpen),
        ("SS", HalfOpen),
        ("SSS", Closed),
        ("F", Open),
        ("SSF", Open),
        ("XXX SSS", Closed),
        ("SXSXS", Closed),
        ("XXXXXXXXXX", HalfOpen),
    ] {
        let mut machine = Machine::opened(RULES);
        machine.now += RULES.recovery.base;
        assert_eq!(machine.calls(outcomes), expected, "{outcomes}");
    }
}

#[test]
fn a_failed_trial_starts_the_recovery_timeout_again() {
    let (mut machine, trial) = Machine::half_opened(RULES);
    machine.now += 5 * SECOND;
    machine.record_outcome(trial, Outcome::Failure);
    assert_eq!(machine.acquire(), Err(Rejection::Open { wait: 30 * SECOND }));
}

#[test]
fn trial_calls_that_never_end_lose_their_places() {
    for recovery in [1, 127, 30 * SECOND, 24 * 3_600 * SECOND, LONG] {
        let (mut machine, first) = Machine::half_opened(Parameters { recovery: fixed(recovery), ..RULES });
        machine.record_outcome(first, Outcome::Success);
        let leaked = machine.acquire().expect("a trial");
        machine.now += recovery / 2;
        let also_leaked = machine.acquire().expect("a trial");
        machine.now += recovery - recovery / 2 - 1;
        assert_eq!(machine.acquire(), Err(Rejection::TrialsTaken { wait: 1 }));
        machine.now += 1;
        let again =
            [machine.acquire(), machine.acquire()].map(|admission| admission.expect("the places are free again"));
        assert!(machine.acquire().is_err());
        // The late ones have no place to give back.
        machine.record_outcome(leaked, Outcome::Ignored);
        machine.record_outcome(also_leaked, Outcome::Ignored);
        assert!(machine.acquire().is_err());
        // What had succeeded counts on: two more close.
        for admission in again {
            assert_eq!(machine.circuit.word().state(), HalfOpen);
            machine.record_outcome(admission, Outcome::Success);
        }
        assert_eq!(machine.circuit.word().state(), Closed, "{recovery}");
    }
}

#[test]
fn trial_calls_one_after_another_keep_their_places() {
    let (mut machine, first) = Machine::half_opened(Parameters { trials: 2, ..RULES });
    machine.now += RULES.recovery.base - 1;
    machine.record_outcome(first, Outcome::Ignored);
    let second = machine.acquire().expect("a trial beside no other");
    machine.now += RULES.recovery.base - 1;
    machine.acquire().expect("a third");
    assert_eq!(machine.acquire(), Err(Rejection::TrialsTaken { wait: 1 }));
    machine.record_outcome(second, Outcome::Ignored);
    assert!(machine.acquire().is_ok(), "its place was its own");
}

#[test]
fn trial_calls_that_take_longer_than_the_recovery_timeout_still_decide() {
    for (outcome, expected) in [(Outcome::Success, Closed), (Outcome::Failure, Open)] {
        let (mut machine, first) = Machine::half_opened(RULES);
        // A call comes each second and takes 45.
        let mut under_way = std::collections::VecDeque::from([(machine.now + 45 * SECOND, first)]);
        let mut seconds = 0;
        while machine.circuit.word().state() == HalfOpen {
            machine.now += SECOND;
            seconds += 1;
            assert!(seconds < 300, "{outcome:?}: {:?}", machine.circuit);
            while let Some((_, admission)) = under_way.pop_front_if(|(ends, _)| *ends <= machine.now) {
                machine.record_outcome(admission, outcome);
            }
            if machine.circuit.word().state() == HalfOpen
                && let Ok(admission) = machine.acquire()
            {
                under_way.push_back((machine.now + 45 * SECOND, admission));
            }
        }
        assert_eq!(machine.circuit.word().state(), expected);
        assert!(seconds <= 48, "the first three decide: {seconds} s");
    }
}

#[test]
fn a_late_success_takes_its_place_again() {
    let rules = Parameters { trials: 2, ..RULES };
    let (mut machine, first) = Machine::half_opened(rules);
    machine.acquire().expect("a second trial, which never ends");
    machine.now += rules.recovery.base;
    let third = machine.acquire().expect("a place that was given up");
    machine.acquire().expect("another");
    machine.record_outcome(first, Outcome::Success);
    assert!(machine.acquire().is_err(), "two calls are under way, and one has succeeded");
    machine.record_outcome(third, Outcome::Ignored);
    assert!(machine.acquire().is_err(), "one is under way, and one has succeeded");
}

#[test]
fn a_clock_that_is_behind_opens_nothing() {
    let mut machine = Machine { now: 3_600 * SECOND, ..Machine::new(RULES) };
    machine.calls("FFFFF");
    machine.now -= 600 * SECOND;
    assert_eq!(machine.acquire(), Err(Rejection::Open { wait: RULES.recovery.base }));
    machine.now += 630 * SECOND;
    for _ in 0..3 {
        machine.acquire().expect("a trial");
    }
    machine.now -= 10 * SECOND;
    assert!(matches!(machine.acquire(), Err(Rejection::TrialsTaken { .. })));
}

#[test]
fn idle_for_any_time_it_admits_a_call() {
    for days in IDLE_DAYS {
        let mut machine = Machine::opened(RULES);
        machine.now += days * DAY;
        assert!(machine.acquire().is_ok(), "{days}");
    }
    // The longest recovery timeout passes, too, and not only at one moment.
    let mut machine = Machine::opened(Parameters { recovery: fixed(LONG), ..RULES });
    let opened_at = machine.now;
    for days in IDLE_DAYS.into_iter().filter(|days| days * DAY < LONG) {
        machine.now = opened_at + days * DAY;
        assert_eq!(machine.acquire(), Err(Rejection::Open { wait: LONG - days * DAY }), "{days}");
    }
    machine.now = opened_at + LONG;
    assert!(machine.acquire().is_ok());
}

#[test]
fn half_open_and_idle_for_any_time_it_admits_a_call() {
    for days in IDLE_DAYS {
        let (mut machine, _hung) = Machine::half_opened(RULES);
        for _ in 1..RULES.trials {
            machine.acquire().expect("a trial that hangs as well");
        }
        machine.now += days * DAY;
        assert!(machine.acquire().is_ok(), "{days}");
    }
    // A rest that is short beside the time that has passed.
    for minutes in 1..10_000 {
        let (mut machine, _hung) = Machine::half_opened(Parameters { trials: 1, ..RULES });
        machine.now += minutes * 60 * SECOND;
        assert!(machine.acquire().is_ok(), "{minutes}");
    }
}

#[test]
fn a_ramp_is_over_for_good() {
    let ramped = || {
        let mut machine = Machine::opened(Parameters { ramp: 10 * SECOND, ..RULES });
        machine.now += RULES.recovery.base;
        assert_eq!(machine.calls("SSS"), Closed);
        machine
    };
    let waits = (1..100).map(|minutes| minutes * 60 * SECOND).chain(IDLE_DAYS.map(|days| days * DAY));
    for idle in waits {
        let mut machine = ramped();
        machine.now += idle;
        for _ in 0..100 {
            assert!(machine.acquire().is_ok(), "{idle}");
        }
    }
}

#[test]
fn a_permit_of_any_number_of_rounds_ago_takes_no_place() {
    for rounds in [1, 2, 15, 16, 17, 127, 128, 129, 5_000] {
        let rules = Parameters { trials: 2, ..RULES };
        let (mut machine, hung) = Machine::half_opened(rules);
        machine.acquire().expect("a second trial, which hangs as well");
        for _ in 0..rounds {
            machine.now += rules.recovery.base;
            machine.acquire().expect("a place that was given up");
            machine.acquire().expect("another");
            assert!(machine.acquire().is_err());
        }
        machine.record_outcome(hung, Outcome::Ignored);
        assert!(machine.acquire().is_err(), "it has no place to give back: {rounds}");
        machine.record_outcome(hung, Outcome::Failure);
        assert_eq!(machine.circuit.word().state(), if rounds <= 127 { Open } else { HalfOpen }, "{rounds}");
    }
}

#[test]
fn a_permit_of_any_number_of_transitions_ago_moves_nothing() {
    let stale = Machine::new(RULES).acquire().expect("closed");
    let mut machine = Machine::new(RULES);
    for resets in 1..=200_000_u32 {
        machine.circuit = machine.circuit.reset(&RULES);
        let before = machine.circuit;
        machine.record_outcome(stale, Outcome::Failure);
        assert_eq!(machine.circuit, before, "{resets}");
    }
    let (mut machine, stale) = Machine::half_opened(RULES);
    for phases in 1..=20_000 {
        machine.record_outcome(machine.circuit.word().admission(), Outcome::Failure);
        machine.now += RULES.recovery.base;
        machine.acquire().expect("a trial");
        let before = machine.circuit;
        for outcome in [Outcome::Success, Outcome::Failure, Outcome::Ignored] {
            machine.record_outcome(stale, outcome);
            assert_eq!(machine.circuit, before, "{phases}");
        }
    }
}

#[test]
fn a_call_is_as_old_as_it_is() {
    let (mut machine, admission) = Machine::half_opened(RULES);
    let admission = admission.timed(machine.now);
    for days in IDLE_DAYS {
        machine.now += days * DAY;
        let begun = machine.now - days * DAY;
        assert_eq!(admission.timed(begun).age(machine.now), Some(days * DAY));
    }
    assert_eq!(admission.age(0), Some(0), "by a clock that is behind");
}

#[test]
fn the_state_goes_by_the_time() {
    let state = |machine: &Machine| machine.circuit.state_at(&machine.rules, Moment::from_micros(machine.now));
    let mut machine = Machine::opened(RULES);
    machine.now += RULES.recovery.base - 1;
    assert_eq!(state(&machine), Open);
    machine.now += 1;
    assert_eq!((state(&machine), machine.circuit.word().state()), (HalfOpen, Open));
    let until = Some(Moment::from_micros(machine.now + SECOND));
    for (held, before, after) in [
        (machine.circuit.force_open(until), ForcedOpen, HalfOpen),
        (machine.circuit.disable(until), Disabled, Closed),
        (machine.circuit.open(until, 0, Moment::from_micros(0)), Open, HalfOpen),
        (machine.circuit.force_open(None), ForcedOpen, ForcedOpen),
        (machine.circuit.disable(None), Disabled, Disabled),
    ] {
        let mut held = Machine { circuit: held.expect("a change"), ..machine };
        assert_eq!(state(&held), before);
        held.now += SECOND;
        assert_eq!(state(&held), after);
        let found = held.acquire().map(|_| held.circuit.word().state());
        assert_eq!(found.unwrap_or(ForcedOpen), after, "the next call finds what was said");
    }
}

#[test]
fn results_from_another_epoch_move_nothing() {
    let mut machine = Machine::new(RULES);
    let stale = machine.acquire().expect("closed");
    machine.calls("FFFFF");
    for outcome in [Outcome::Success, Outcome::Failure, Outcome::Ignored] {
        let open = machine.circuit;
        machine.record_outcome(stale, outcome);
        assert_eq!(machine.circuit, open);
    }
    machine.now += RULES.recovery.base;
    let trial = machine.acquire().expect("a trial");
    let half_open = machine.circuit;
    for outcome in [Outcome::Success, Outcome::Failure, Outcome::Ignored] {
        machine.record_outcome(stale, outcome);
        assert_eq!(machine.circuit, half_open);
    }
    machine.record_outcome(trial, Outcome::Success);
    assert_eq!(machine.calls("SS"), Closed);
    machine.calls("FFFF");
    machine.record_outcome(stale, Outcome::Failure);
    machine.record_outcome(trial, Outcome::Failure);
    assert_eq!(machine.circuit.word().state(), Closed);
    machine.record_outcome(stale, Outcome::Success);
    assert_eq!(machine.circuit.word().failures(), 4, "nor does a stale success end a streak");
}

#[test]
fn an_operators_hand() {
    let mut machine = Machine::new(RULES);
    let stale = machine.acquire().expect("closed");
    machine.circuit = machine.circuit.force_open(None).expect("a transition");
    assert_eq!(machine.circuit.force_open(None), None);
    machine.now += 1 << 62;
    assert_eq!(machine.acquire(), Err(Rejection::Forced { wait: None }));
    machine.circuit = machine.circuit.disable(None).expect("a transition");
    assert_eq!(machine.circuit.disable(None), None);
    assert_eq!(machine.calls(&"F".repeat(100)), Disabled);
    machine.record_outcome(stale, Outcome::Failure);
    machine.circuit = machine.circuit.reset(&RULES);
    assert_eq!(machine.circuit.word().state(), Closed);
    assert_eq!(machine.calls("FFFF"), Closed);
    let under_way = machine.acquire().expect("closed");
    machine.circuit = machine.circuit.reset(&RULES);
    machine.record_outcome(under_way, Outcome::Failure);
    assert_eq!(machine.circuit.word().failures(), 0, "what was under way belongs to the past");
    assert_eq!(machine.calls("FFFF"), Closed, "reset starts the count again when closed, too");
    for circuit in [Machine::opened(RULES).circuit, Machine::half_opened(RULES).0.circuit] {
        let circuit = circuit.reset(&RULES);
        assert_eq!(circuit.word().state(), Closed);
        assert_eq!(circuit.force_open(None).map(|forced| forced.word().state()), Some(ForcedOpen));
    }
}

#[test]
fn what_an_operator_holds_expires() {
    let until = |machine: &Machine, seconds| Some(Moment::from_micros(machine.now + seconds * SECOND));
    let mut machine = Machine::new(RULES);
    machine.circuit = machine.circuit.force_open(until(&machine, 600)).expect("a transition");
    machine.now += 600 * SECOND - 1;
    assert_eq!(machine.acquire(), Err(Rejection::Forced { wait: Some(1) }));
    let longer = machine.circuit.force_open(until(&machine, 60)).expect("held for longer");
    assert_eq!(longer.word().epoch(), machine.circuit.word().epoch(), "which is no transition");
    machine.now += 1;
    assert!(machine.acquire().is_ok());
    assert_eq!(machine.circuit.word().state(), HalfOpen);

    machine.circuit = machine.circuit.disable(until(&machine, 600)).expect("a transition");
    machine.now += 600 * SECOND - 1;
    assert_eq!(machine.calls(&"F".repeat(100)), Disabled);
    machine.now += 1;
    assert_eq!(machine.calls("FFFF"), Closed);
    assert_eq!(machine.calls("F"), Open);

    let longest = Machine::new(RULES).circuit.disable(Some(Moment::from_micros(u64::MAX))).expect("a transition");
    assert_eq!(longest.time_left(&RULES, Moment::from_micros(1)), Some(u64::MAX - 1));
}

#[test]
fn a_plain_rest_is_that_of_the_rules() {
    let (base, plain) = (30 * SECOND, fixed(30 * SECOND));
    let with = |recovery| Parameters { recovery, ..RULES };
    for (rules, expected) in [
        (RULES, [base; 2]),
        (with(Recovery { factor: 2.0, ..plain }), [base; 2]),
        (with(Recovery { factor: 2.0, max: 60 * SECOND, ..plain }), [base, 0]),
        (with(Recovery { jitter: 0.1, ..plain }), [0; 2]),
        (Parameters { observe_only: true, ..RULES }, [0; 2]),
    ] {
        let rests = rules.fixed_open_micros();
        assert_eq!(rests, expected, "{rules:?}");
        for failed in [0, 1, 2, 63] {
            let rest = rests[usize::from(failed > 0)];
            assert!(rest == 0 || rest == rules.recovery.open_duration_since(failed, 7), "{rules:?}, {failed} failed");
        }
    }
}

#[test]
fn what_is_left_of_a_plain_rest_is_what_the_rules_leave() {
    let [rest, _] = RULES.fixed_open_micros();
    let mut machine = Machine::opened(RULES);
    let opened_at = machine.now;
    for now in
        [0, opened_at - 1, opened_at, opened_at + 1, opened_at + rest - 1, opened_at + rest, opened_at + rest + 1]
    {
        machine.now = now;
        let left = match machine.circuit.admit(&RULES, Moment::from_micros(now), |most| most) {
            AdmitDecision::Rejected(Rejection::Open { wait }) => Some(wait),
            _ => None,
        };
        assert_eq!(machine.circuit.remaining(rest, Moment::from_micros(now)), left, "at {now}");
    }
    assert_eq!(Machine::new(RULES).circuit.remaining(rest, Moment::from_micros(0)), None, "closed");
    let (half_open, _) = Machine::half_opened(RULES);
    assert_eq!(half_open.circuit.remaining(rest, Moment::from_micros(half_open.now)), None, "half-open");
}

#[test]
fn a_growing_recovery() {
    let recovery = Recovery { base: SECOND, factor: 2.0, max: 40 * SECOND, jitter: 0.0, seed: 0 };
    let mut machine = Machine::opened(Parameters { recovery, ..RULES });
    for seconds in [1, 2, 4, 8, 16, 32, 40, 40] {
        assert_eq!(machine.circuit.time_left(&machine.rules, Moment::from_micros(machine.now)), Some(seconds * SECOND));
        machine.now += seconds * SECOND - 1;
        assert!(machine.acquire().is_err());
        machine.now += 1;
        assert_eq!(machine.calls("F"), Open);
    }
    assert_eq!(machine.circuit.word().failed_recoveries(), 8);
    for _ in 0..100 {
        machine.now += 40 * SECOND;
        assert_eq!(machine.calls("F"), Open);
    }
    machine.now += 40 * SECOND;
    assert_eq!(machine.calls("SSS"), Closed);
    machine.calls("FFFFF");
    assert_eq!(machine.acquire(), Err(Rejection::Open { wait: SECOND }), "a close begins anew");
}

#[test]
fn a_rest_never_overflows() {
    for (base, factor, max) in [(1, f64::MAX, u64::MAX), (LONG, 1e300, LONG), (u64::MAX, 2.0, u64::MAX), (5, 1.0, 5)] {
        for failed in 0..=u8::MAX {
            for jitter in [0.0, 1.0] {
                let recovery = Recovery { base, factor, max, jitter, seed: 7 };
                assert!((base..=max).contains(&recovery.open_duration(failed)));
                assert!(recovery.open_duration_since(failed, u64::from(failed)) >= recovery.open_duration(failed));
            }
        }
    }
}

#[test]
fn the_jitter_of_a_rest_is_uniform_and_stays_as_it_is() {
    let recovery = Recovery { jitter: 0.5, seed: 42, ..fixed(1_000) };
    let rests: Vec<_> = (0..10_000).map(|since| recovery.open_duration_since(0, since)).collect();
    assert_eq!(rests, (0..10_000).map(|since| recovery.open_duration_since(0, since)).collect::<Vec<_>>());
    for tenth in 0..10 {
        let (from, to) = (1_000 + tenth * 50, 1_050 + tenth * 50);
        let share = rests.iter().filter(|rest| (from..to).contains(*rest)).count();
        assert!((850..1_150).contains(&share), "{share} of 10,000 are in {from}..{to}");
    }
    let other = Recovery { seed: 43, ..recovery };
    assert_ne!(
        other.open_duration_since(0, 0),
        recovery.open_duration_since(0, 0),
        "another machine waits for another time"
    );
}

#[test]
fn the_hash_is_the_published_one() {
    // The first numbers of SplitMix64 that begins with 1234567, as published with the generator.
    let golden = 0x9e37_79b9_7f4a_7c15_u64;
    let numbers: Vec<_> = (0..5).map(|index| mix(golden.wrapping_mul(index).wrapping_add(1_234_567))).collect();
    assert_eq!(
        numbers,
        [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ]
    );
}

#[test]
fn a_ramp_lets_more_and_more_through() {
    let ramp = 30 * SECOND;
    let mut machine = Machine::opened(Parameters { ramp, ..RULES });
    machine.now += RULES.recovery.base;
    assert_eq!(machine.calls("SSS"), Closed);
    let closed_at = machine.now;
    for (percent, expected) in [(0, 10), (10, 19), (50, 55), (90, 91), (99, 99)] {
        machine.now = closed_at + ramp / 100 * percent;
        let now = Moment::from_micros(machine.now);
        let admitted = (0..1_000).filter(|dice| {
            let admission = machine.circuit.admit(&machine.rules, now, |most| most / 1_000 * dice);
            admission == AdmitDecision::Free
        });
        let share = admitted.count().div_ceil(10);
        assert!(share.abs_diff(expected) <= 1, "{share} % after {percent} % of the time");
    }
    let refused = machine.circuit.admit(&machine.rules, Moment::from_micros(machine.now), |most| most);
    assert_eq!(refused, AdmitDecision::Rejected(Rejection::Ramp { wait: ramp / 100 }));
    // Failures count meanwhile.
    let admission = machine.circuit.word().admission();
    for _ in 0..4 {
        machine.record_outcome(admission, Outcome::Failure);
    }
    assert_eq!(machine.circuit.word().failures(), 4);
    machine.now = closed_at + ramp;
    assert!(machine.acquire().is_ok());
    assert!(machine.circuit.word().admits_freely(), "over");
    assert_eq!(machine.circuit.word().failures(), 4);
    machine.record_outcome(admission, Outcome::Failure);
    assert_eq!(machine.circuit.word().state(), Open);
}

#[test]
fn new_settings_hold_from_then_on() {
    let now = || Moment::from_micros(0);
    // Closed: what was counted stays; the limit is looked at with the next failure.
    let mut machine = Machine::new(RULES);
    machine.calls("FFF");
    machine.rules.policy = TripPolicy::Consecutive { threshold: 2 };
    assert_eq!(machine.circuit.apply_settings(&machine.rules, now), None);
    assert_eq!((machine.circuit.word().state(), machine.circuit.word().failures()), (Closed, 3));
    assert_eq!(machine.calls("F"), Open);
    // Open: the rest that is under way is the new one.
    machine.rules.recovery = fixed(SECOND);
    assert_eq!(machine.acquire(), Err(Rejection::Open { wait: SECOND }));
    machine.now += SECOND;
    // Half-open: fewer trial calls, and as many have succeeded.
    assert_eq!(machine.calls("SS"), HalfOpen);
    machine.rules.trials = 2;
    machine.circuit = machine.circuit.apply_settings(&machine.rules, now).expect("a transition");
    assert_eq!(machine.circuit.word().state(), Closed);
    // Half-open: more trial calls.
    let (mut machine, _) = Machine::half_opened(Parameters { trials: 1, ..RULES });
    assert!(machine.acquire().is_err());
    machine.rules.trials = 2;
    assert_eq!(machine.circuit.apply_settings(&machine.rules, now), None);
    assert!(machine.acquire().is_ok());
    assert!(machine.acquire().is_err());
}

#[test]
fn times_at_the_ends_of_their_range() {
    for now in [0, LONG, 1 << 62, u64::MAX - 40 * SECOND] {
        let mut machine = Machine { now, ..Machine::new(RULES) };
        machine.calls("FFFFF");
        machine.now += RULES.recovery.base - 1;
        assert!(machine.acquire().is_err(), "{now}");
        machine.now += 1;
        assert!(machine.acquire().is_ok(), "{now}");
    }
    let forever = Parameters { recovery: fixed(u64::MAX), ..RULES };
    let mut machine = Machine::opened(forever);
    machine.now = u64::MAX - 1;
    assert_eq!(machine.acquire(), Err(Rejection::Open { wait: 1 }));
}

#[test]
fn a_million_transitions_harm_nothing() {
    let quick = Parameters { policy: TripPolicy::Consecutive { threshold: 1 }, recovery: fixed(1), trials: 1, ..RULES };
    let mut machine = Machine::new(quick);
    for _ in 0..400_000 {
        assert_eq!(machine.calls("F"), Open);
        machine.now += 1;
        assert_eq!(machine.calls("S"), Closed);
    }
}

proptest! {
    /// Whatever happens in whatever order: places are never more than allowed, and the machine never gets stuck.
    #[test]
    fn random_histories(
        threshold in 1_u32..6,
        trials in 1_u8..6,
        steps in prop::collection::vec((0_u8..7, 0_u64..40), 1..200),
    ) {
        let rules = Parameters { policy: TripPolicy::Consecutive { threshold }, recovery: fixed(100), trials, ..RULES };
        let mut machine = Machine { now: 0, ..Machine::new(rules) };
        let mut under_way: Vec<Admission> = Vec::new();
        let mut trials_under_way = 0_u8;
        for (step, pick) in steps {
            let before = machine.circuit.word();
            match step {
                0..=2 => {
                    if let Ok(admission) = machine.acquire() {
                        under_way.push(admission);
                        if machine.circuit.word().state() == HalfOpen {
                            trials_under_way += 1;
                        }
                    }
                }
                3..=5 if !under_way.is_empty() => {
                    let admission = under_way.remove(usize::try_from(pick).unwrap_or(0) % under_way.len());
                    let outcome = [Outcome::Success, Outcome::Failure, Outcome::Ignored][usize::from(step - 3)];
                    if machine.circuit.word().state() == HalfOpen && admission == machine.circuit.word().admission() && outcome == Outcome::Ignored {
                        trials_under_way -= 1;
                    }
                    machine.record_outcome(admission, outcome);
                }
                // Short of a recovery timeout in all but the longest histories, so that places are rarely given up.
                _ => machine.now += pick,
            }
            if before.state() == HalfOpen && machine.circuit.word().state() == HalfOpen && machine.circuit.word().admission() != before.admission() {
                break; // a new round: who holds which place is told by the tests above
            }
            if machine.circuit.word().state() != before.state() {
                trials_under_way = u8::from(machine.circuit.word().state() == HalfOpen);
            }
            prop_assert!(trials_under_way <= trials);
            prop_assert!(machine.circuit.word().failures() < threshold);
        }
        // Left alone for two recovery timeouts, it admits a call whatever state it is in.
        machine.now += 2 * 100 + 64;
        prop_assert!(machine.acquire().is_ok());
    }
}
