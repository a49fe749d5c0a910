//! Single-threaded tests of the state machine. The clock is a number.

use std::time::Duration;

use proptest::prelude::*;

use super::{
    BreakerConfig,
    BreakerState::{self, Closed, Disabled, ForcedOpen, HalfOpen, Open},
    parameters::{Parameters, RatePolicy, Recovery, TripPolicy, WindowSize, mix},
    settings::BreakerSettings,
    state::{Admission, AdmitDecision, Circuit, Outcome, Rejection},
};
use crate::{OpenReason, Window, clock::Moment};

const SECOND: u64 = 1_000_000;
const PARAMETERS: Parameters = Parameters {
    policy: TripPolicy::Consecutive { threshold: 5 },
    recovery: fixed(30 * SECOND),
    half_open_max_calls: 3,
    half_open_successes: u8::MAX,
    ramp_up: 0,
    observe_only: false,
    hung_call: None,
    cancelled_call: None,
    tracks_calls: false,
    durations: false,
};

const DAY: u64 = 24 * 3_600 * SECOND;
/// Ten years.
const LONG: u64 = 3_653 * DAY;
const IDLE_DAYS: [u64; 10] = [1, 25, 30, 50, 90, 103, 180, 365, 1_000, 10_000];

const fn fixed(timeout: u64) -> Recovery {
    Recovery { base: timeout, factor: 1.0, max: timeout, jitter: 0.0, seed: 0 }
}

/// A circuit with a clock that a test sets.
#[derive(Clone, Copy)]
struct Machine {
    circuit: Circuit,
    parameters: Parameters,
    now: u64,
}

impl Machine {
    fn new(parameters: Parameters) -> Self {
        Self { circuit: Circuit::new(&parameters), parameters, now: 7_654_321 }
    }

    fn acquire(&mut self) -> Result<Admission, Rejection> {
        match self.circuit.admit(&self.parameters, Moment::from_micros(self.now), |max| max) {
            AdmitDecision::Admitted => {}
            AdmitDecision::AdmittedWith(next) => self.circuit = next,
            AdmitDecision::Rejected(rejection) => return Err(rejection),
        }
        Ok(self.circuit.word().admission())
    }

    fn record_outcome(&mut self, admission: Admission, outcome: Outcome) {
        let now = Moment::from_micros(self.now);
        self.circuit =
            self.circuit.record_outcome(admission, outcome, &self.parameters, || now).unwrap_or(self.circuit);
    }

    /// Makes calls that end at once: `F`ailure, `S`uccess, `X` for ignored. Returns the state after them.
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

    fn opened(parameters: Parameters) -> Self {
        let mut machine = Self::new(parameters);
        while machine.circuit.word().state() == Closed {
            machine.calls("F");
        }
        machine
    }

    fn half_opened(parameters: Parameters) -> (Self, Admission) {
        let mut machine = Self::opened(parameters);
        machine.now += parameters.recovery.base;
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
        assert_eq!(Machine::new(PARAMETERS).calls(outcomes), expected, "{outcomes}");
    }
}

#[test]
fn a_new_state_has_fresh_counts() {
    let mut machine = Machine::opened(PARAMETERS);
    assert_eq!(machine.circuit.word().failures(), 0);
    machine.now += PARAMETERS.recovery.base;
    assert_eq!(machine.calls("SSS"), Closed);
    assert_eq!(machine.circuit.word().failures(), 0);
    assert_eq!(machine.calls("FFFF"), Closed);
}

#[test]
fn open_until_exactly_the_recovery_timeout() {
    let mut machine = Machine::opened(PARAMETERS);
    assert_eq!(machine.acquire(), Err(Rejection::Open { wait: 30 * SECOND }));
    machine.now += PARAMETERS.recovery.base - 1;
    assert_eq!(machine.acquire(), Err(Rejection::Open { wait: 1 }));
    assert_eq!(machine.circuit.word().state(), Open);
    machine.now += 1;
    assert!(machine.acquire().is_ok());
    assert_eq!(machine.circuit.word().state(), HalfOpen);
}

#[test]
fn half_open_admits_half_open_max_calls() {
    let (mut machine, first) = Machine::half_opened(PARAMETERS);
    let second = machine.acquire().expect("second trial");
    assert!(machine.acquire().is_ok());
    assert!(matches!(machine.acquire(), Err(Rejection::TrialsTaken { .. })));
    // A success keeps its permit: three trial calls are enough to decide.
    machine.record_outcome(first, Outcome::Success);
    assert!(machine.acquire().is_err());
    // An ignored call releases its permit.
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
        let mut machine = Machine::opened(PARAMETERS);
        machine.now += PARAMETERS.recovery.base;
        assert_eq!(machine.calls(outcomes), expected, "{outcomes}");
    }
}

#[test]
fn fewer_successes_than_trial_calls_tolerate_failures() {
    for (max_calls, successes, outcomes, expected) in [
        (5, 3, "FF", HalfOpen),
        (5, 3, "FFF", Open),
        (5, 3, "SFSFF", Open),
        (5, 3, "SFSF", HalfOpen),
        (5, 3, "SFSFS", Closed),
        (5, 3, "SSS", Closed),
        (5, 3, "FXFXSXSXS", Closed),
        (5, 5, "F", Open),
        (5, 200, "F", Open),
        (5, 1, "FFFF", HalfOpen),
        (5, 1, "FFFFF", Open),
        (5, 1, "S", Closed),
        (255, 1, &"F".repeat(254), HalfOpen),
        (255, 1, &"F".repeat(255), Open),
        (255, 255, &"S".repeat(254), HalfOpen),
    ] {
        let parameters = Parameters { half_open_max_calls: max_calls, half_open_successes: successes, ..PARAMETERS };
        let mut machine = Machine::opened(parameters);
        machine.now += PARAMETERS.recovery.base;
        assert_eq!(machine.calls(outcomes), expected, "{successes} of {max_calls}: {outcomes}");
        assert_eq!(machine.circuit.failed_recoveries(), u8::from(expected == Open), "{outcomes}");
    }
}

#[test]
fn trial_calls_that_end_keep_their_permits() {
    let parameters = Parameters { half_open_max_calls: 5, half_open_successes: 3, ..PARAMETERS };
    let (mut machine, first) = Machine::half_opened(parameters);
    let others = [(); 4].map(|()| machine.acquire().expect("a trial call"));
    assert!(matches!(machine.acquire(), Err(Rejection::TrialsTaken { .. })));
    machine.record_outcome(first, Outcome::Failure);
    machine.record_outcome(others[0], Outcome::Success);
    assert!(matches!(machine.acquire(), Err(Rejection::TrialsTaken { .. })));
    machine.record_outcome(others[1], Outcome::Ignored);
    assert!(machine.acquire().is_ok(), "an ignored call releases its permit");
    assert!(machine.acquire().is_err());
    // A new round has the permits of the calls that have not ended, and the counts of those that have.
    machine.now += parameters.recovery.base;
    let again = [(); 3].map(|()| machine.acquire().expect("a trial call of the new round"));
    assert!(machine.acquire().is_err());
    assert_eq!((machine.circuit.word().trial_successes(), machine.circuit.word().trial_failures()), (1, 1));
    // The outcome of an earlier round still counts, and takes a permit of this round.
    machine.record_outcome(again[0], Outcome::Ignored);
    machine.record_outcome(others[2], Outcome::Failure);
    assert!(machine.acquire().is_err());
    assert_eq!(machine.circuit.word().state(), HalfOpen);
    machine.record_outcome(others[3], Outcome::Failure);
    assert_eq!(machine.circuit.word().state(), Open);
}

#[test]
fn a_growing_recovery_timeout_with_tolerated_failures() {
    let recovery = Recovery { base: SECOND, factor: 2.0, max: 40 * SECOND, jitter: 0.0, seed: 0 };
    let parameters = Parameters { recovery, half_open_max_calls: 2, half_open_successes: 1, ..PARAMETERS };
    let mut machine = Machine::opened(parameters);
    for (failed, seconds) in (1..).zip([1, 2, 4, 8, 16, 32, 40, 40]) {
        machine.now += seconds * SECOND - 1;
        assert!(machine.acquire().is_err(), "{failed}");
        machine.now += 1;
        assert_eq!(machine.calls("F"), HalfOpen);
        assert_eq!(machine.circuit.failed_recoveries(), failed - 1);
        assert_eq!(machine.calls("F"), Open);
        assert_eq!(machine.circuit.failed_recoveries(), failed);
    }
    machine.now += 40 * SECOND;
    assert_eq!(machine.calls("FS"), Closed);
    assert_eq!(machine.circuit.failed_recoveries(), 0);
}

#[test]
fn a_threshold_beside_a_window() {
    let rates = RatePolicy {
        window: WindowSize::Calls(100),
        failure_rate: 0.5,
        min_calls: 100,
        slow_call: None,
        slow_call_rate: 0.5,
    };
    let parameters = Parameters { policy: TripPolicy::Either { threshold: 3, rates }, ..PARAMETERS };
    for (outcomes, expected, failures) in
        [("FF", Closed, 2), ("FFSFF", Closed, 2), ("FFXF", Open, 0), ("SSSS", Closed, 0)]
    {
        let mut machine = Machine::new(parameters);
        assert_eq!(machine.calls(outcomes), expected, "{outcomes}");
        assert_eq!(machine.circuit.word().failures(), failures, "{outcomes}");
    }
    // Without the threshold, failures in a row are not counted.
    let mut machine = Machine::new(Parameters { policy: TripPolicy::Rates(rates), ..PARAMETERS });
    assert_eq!(machine.calls("FFFFFFFF"), Closed);
    assert_eq!(machine.circuit.word().failures(), 0);
}

#[test]
fn a_cancelled_call_that_opens_has_its_own_reason() {
    for (outcomes, last, expected) in [
        (2, Outcome::GivenUp, OpenReason::CancelledCalls { failures: 3, calls: None }),
        (2, Outcome::Failure, OpenReason::ConsecutiveFailures { failures: 3 }),
    ] {
        let mut machine = Machine::new(Parameters { policy: TripPolicy::Consecutive { threshold: 3 }, ..PARAMETERS });
        for outcome in [Outcome::GivenUp].repeat(outcomes).into_iter().chain([last]) {
            let admission = machine.acquire().expect("closed");
            machine.record_outcome(admission, outcome);
        }
        assert_eq!(machine.circuit.reported_reason().reason(), expected);
    }
    let (mut machine, trial) = Machine::half_opened(Parameters {
        recovery: fixed(SECOND),
        half_open_max_calls: 2,
        half_open_successes: 1,
        ..PARAMETERS
    });
    machine.record_outcome(trial, Outcome::GivenUp);
    assert_eq!(machine.circuit.word().state(), HalfOpen, "one failure is tolerated");
    let trial = machine.acquire().expect("a second trial call");
    machine.record_outcome(trial, Outcome::GivenUp);
    assert_eq!(machine.acquire(), Err(Rejection::Open { wait: 2 * SECOND }), "the cool-down");
}

#[test]
fn a_failed_trial_starts_the_recovery_timeout_again() {
    let (mut machine, trial) = Machine::half_opened(PARAMETERS);
    machine.now += 5 * SECOND;
    machine.record_outcome(trial, Outcome::Failure);
    assert_eq!(machine.acquire(), Err(Rejection::Open { wait: 30 * SECOND }));
}

#[test]
fn trial_calls_that_never_end_lose_their_permits() {
    for recovery in [1, 127, 30 * SECOND, 24 * 3_600 * SECOND, LONG] {
        let (mut machine, first) = Machine::half_opened(Parameters { recovery: fixed(recovery), ..PARAMETERS });
        machine.record_outcome(first, Outcome::Success);
        let leaked = machine.acquire().expect("a trial");
        machine.now += recovery / 2;
        let also_leaked = machine.acquire().expect("a trial");
        machine.now += recovery - recovery / 2 - 1;
        assert_eq!(machine.acquire(), Err(Rejection::TrialsTaken { wait: 1 }));
        machine.now += 1;
        let again =
            [machine.acquire(), machine.acquire()].map(|admission| admission.expect("the permits are available again"));
        assert!(machine.acquire().is_err());
        // The late calls have no permit to release.
        machine.record_outcome(leaked, Outcome::Ignored);
        machine.record_outcome(also_leaked, Outcome::Ignored);
        assert!(machine.acquire().is_err());
        // The earlier success still counts: two more close the circuit.
        for admission in again {
            assert_eq!(machine.circuit.word().state(), HalfOpen);
            machine.record_outcome(admission, Outcome::Success);
        }
        assert_eq!(machine.circuit.word().state(), Closed, "{recovery}");
    }
}

#[test]
fn consecutive_trial_calls_keep_their_permits() {
    let (mut machine, first) = Machine::half_opened(Parameters { half_open_max_calls: 2, ..PARAMETERS });
    machine.now += PARAMETERS.recovery.base - 1;
    machine.record_outcome(first, Outcome::Ignored);
    let second = machine.acquire().expect("a trial call with no other in flight");
    machine.now += PARAMETERS.recovery.base - 1;
    machine.acquire().expect("a third");
    assert_eq!(machine.acquire(), Err(Rejection::TrialsTaken { wait: 1 }));
    machine.record_outcome(second, Outcome::Ignored);
    assert!(machine.acquire().is_ok(), "the second call still held its permit");
}

#[test]
fn trial_calls_that_take_longer_than_the_recovery_timeout_still_decide() {
    for (outcome, expected) in [(Outcome::Success, Closed), (Outcome::Failure, Open)] {
        let (mut machine, first) = Machine::half_opened(PARAMETERS);
        // One call starts each second and takes 45 s.
        let mut in_flight = std::collections::VecDeque::from([(machine.now + 45 * SECOND, first)]);
        let mut seconds = 0;
        while machine.circuit.word().state() == HalfOpen {
            machine.now += SECOND;
            seconds += 1;
            assert!(seconds < 300, "{outcome:?}: {:?}", machine.circuit);
            while let Some((_, admission)) = in_flight.pop_front_if(|(ends, _)| *ends <= machine.now) {
                machine.record_outcome(admission, outcome);
            }
            if machine.circuit.word().state() == HalfOpen
                && let Ok(admission) = machine.acquire()
            {
                in_flight.push_back((machine.now + 45 * SECOND, admission));
            }
        }
        assert_eq!(machine.circuit.word().state(), expected);
        assert!(seconds <= 48, "the first three decide: {seconds} s");
    }
}

#[test]
fn a_late_success_takes_a_permit_again() {
    let parameters = Parameters { half_open_max_calls: 2, ..PARAMETERS };
    let (mut machine, first) = Machine::half_opened(parameters);
    machine.acquire().expect("a second trial, which never ends");
    machine.now += parameters.recovery.base;
    let third = machine.acquire().expect("a permit that is available again");
    machine.acquire().expect("another");
    machine.record_outcome(first, Outcome::Success);
    assert!(machine.acquire().is_err(), "two calls are in flight, and one has succeeded");
    machine.record_outcome(third, Outcome::Ignored);
    assert!(machine.acquire().is_err(), "one call is in flight, and one has succeeded");
}

#[test]
fn a_clock_that_is_behind_ends_no_state() {
    let mut machine = Machine { now: 3_600 * SECOND, ..Machine::new(PARAMETERS) };
    machine.calls("FFFFF");
    machine.now -= 600 * SECOND;
    assert_eq!(machine.acquire(), Err(Rejection::Open { wait: PARAMETERS.recovery.base }));
    machine.now += 630 * SECOND;
    for _ in 0..3 {
        machine.acquire().expect("a trial");
    }
    machine.now -= 10 * SECOND;
    assert!(matches!(machine.acquire(), Err(Rejection::TrialsTaken { .. })));
}

#[test]
fn an_open_circuit_admits_a_call_after_any_idle_time() {
    for days in IDLE_DAYS {
        let mut machine = Machine::opened(PARAMETERS);
        machine.now += days * DAY;
        assert!(machine.acquire().is_ok(), "{days}");
    }
    // The longest recovery timeout ends, too, and rejects until then.
    let mut machine = Machine::opened(Parameters { recovery: fixed(LONG), ..PARAMETERS });
    let opened_at = machine.now;
    for days in IDLE_DAYS.into_iter().filter(|days| days * DAY < LONG) {
        machine.now = opened_at + days * DAY;
        assert_eq!(machine.acquire(), Err(Rejection::Open { wait: LONG - days * DAY }), "{days}");
    }
    machine.now = opened_at + LONG;
    assert!(machine.acquire().is_ok());
}

#[test]
fn a_half_open_circuit_admits_a_call_after_any_idle_time() {
    for days in IDLE_DAYS {
        let (mut machine, _hung) = Machine::half_opened(PARAMETERS);
        for _ in 1..PARAMETERS.half_open_max_calls {
            machine.acquire().expect("a trial that hangs as well");
        }
        machine.now += days * DAY;
        assert!(machine.acquire().is_ok(), "{days}");
    }
    // A recovery timeout that is short compared with the idle time.
    for minutes in 1..10_000 {
        let (mut machine, _hung) = Machine::half_opened(Parameters { half_open_max_calls: 1, ..PARAMETERS });
        machine.now += minutes * 60 * SECOND;
        assert!(machine.acquire().is_ok(), "{minutes}");
    }
}

#[test]
fn a_finished_ramp_up_never_rejects_again() {
    let ramped = || {
        let mut machine = Machine::opened(Parameters { ramp_up: 10 * SECOND, ..PARAMETERS });
        machine.now += PARAMETERS.recovery.base;
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
fn a_call_of_an_earlier_round_releases_no_permit() {
    for rounds in [1, 2, 15, 16, 17, 31, 32, 33, 127, 5_000] {
        let parameters = Parameters { half_open_max_calls: 2, ..PARAMETERS };
        let (mut machine, hung) = Machine::half_opened(parameters);
        machine.acquire().expect("a second trial, which hangs as well");
        for _ in 0..rounds {
            machine.now += parameters.recovery.base;
            machine.acquire().expect("a permit that is available again");
            machine.acquire().expect("another");
            assert!(machine.acquire().is_err());
        }
        machine.record_outcome(hung, Outcome::Ignored);
        assert!(machine.acquire().is_err(), "it has no permit to release: {rounds}");
        machine.record_outcome(hung, Outcome::Failure);
        assert_eq!(machine.circuit.word().state(), if rounds <= 31 { Open } else { HalfOpen }, "{rounds}");
    }
}

#[test]
fn a_permit_of_an_earlier_epoch_changes_nothing() {
    let stale = Machine::new(PARAMETERS).acquire().expect("closed");
    let mut machine = Machine::new(PARAMETERS);
    for resets in 1..=200_000_u32 {
        machine.circuit = machine.circuit.reset(&PARAMETERS);
        let before = machine.circuit;
        machine.record_outcome(stale, Outcome::Failure);
        assert_eq!(machine.circuit, before, "{resets}");
    }
    let (mut machine, stale) = Machine::half_opened(PARAMETERS);
    for phases in 1..=20_000 {
        machine.record_outcome(machine.circuit.word().admission(), Outcome::Failure);
        machine.now += PARAMETERS.recovery.base;
        machine.acquire().expect("a trial");
        let before = machine.circuit;
        for outcome in [Outcome::Success, Outcome::Failure, Outcome::Ignored] {
            machine.record_outcome(stale, outcome);
            assert_eq!(machine.circuit, before, "{phases}");
        }
    }
}

#[test]
fn the_age_of_a_call_is_exact() {
    let (mut machine, admission) = Machine::half_opened(PARAMETERS);
    let admission = admission.timed(machine.now);
    for days in IDLE_DAYS {
        machine.now += days * DAY;
        let begun = machine.now - days * DAY;
        assert_eq!(admission.timed(begun).age(machine.now), Some(days * DAY));
    }
    assert_eq!(admission.age(0), Some(0), "with a clock that is behind");
}

#[test]
fn an_expired_state_reads_as_its_successor() {
    let state = |machine: &Machine| machine.circuit.state_at(&machine.parameters, Moment::from_micros(machine.now));
    let mut machine = Machine::opened(PARAMETERS);
    machine.now += PARAMETERS.recovery.base - 1;
    assert_eq!(state(&machine), Open);
    machine.now += 1;
    assert_eq!((state(&machine), machine.circuit.word().state()), (HalfOpen, Open));
    let until = Some(Moment::from_micros(machine.now + SECOND));
    for (overridden, before, after) in [
        (machine.circuit.force_open(until), ForcedOpen, HalfOpen),
        (machine.circuit.disable(until), Disabled, Closed),
        (machine.circuit.open(until, 0, Moment::from_micros(0)), Open, HalfOpen),
        (machine.circuit.force_open(None), ForcedOpen, ForcedOpen),
        (machine.circuit.disable(None), Disabled, Disabled),
    ] {
        let mut overridden = Machine { circuit: overridden.expect("a change"), ..machine };
        assert_eq!(state(&overridden), before);
        overridden.now += SECOND;
        assert_eq!(state(&overridden), after);
        let found = overridden.acquire().map(|_| overridden.circuit.word().state());
        assert_eq!(found.unwrap_or(ForcedOpen), after, "the next call is made in that state");
    }
}

#[test]
fn outcomes_of_another_epoch_change_nothing() {
    let mut machine = Machine::new(PARAMETERS);
    let stale = machine.acquire().expect("closed");
    machine.calls("FFFFF");
    for outcome in [Outcome::Success, Outcome::Failure, Outcome::Ignored] {
        let open = machine.circuit;
        machine.record_outcome(stale, outcome);
        assert_eq!(machine.circuit, open);
    }
    machine.now += PARAMETERS.recovery.base;
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
    assert_eq!(machine.circuit.word().failures(), 4, "a stale success does not reset the failures");
}

#[test]
fn manual_overrides() {
    let mut machine = Machine::new(PARAMETERS);
    let stale = machine.acquire().expect("closed");
    machine.circuit = machine.circuit.force_open(None).expect("a transition");
    assert_eq!(machine.circuit.force_open(None), None);
    machine.now += 1 << 62;
    assert_eq!(machine.acquire(), Err(Rejection::Forced { wait: None }));
    machine.circuit = machine.circuit.disable(None).expect("a transition");
    assert_eq!(machine.circuit.disable(None), None);
    assert_eq!(machine.calls(&"F".repeat(100)), Disabled);
    machine.record_outcome(stale, Outcome::Failure);
    machine.circuit = machine.circuit.reset(&PARAMETERS);
    assert_eq!(machine.circuit.word().state(), Closed);
    assert_eq!(machine.calls("FFFF"), Closed);
    let in_flight = machine.acquire().expect("closed");
    machine.circuit = machine.circuit.reset(&PARAMETERS);
    machine.record_outcome(in_flight, Outcome::Failure);
    assert_eq!(machine.circuit.word().failures(), 0, "a call from before the reset does not count");
    assert_eq!(machine.calls("FFFF"), Closed, "a reset of a closed circuit resets the failures, too");
    for circuit in [Machine::opened(PARAMETERS).circuit, Machine::half_opened(PARAMETERS).0.circuit] {
        let circuit = circuit.reset(&PARAMETERS);
        assert_eq!(circuit.word().state(), Closed);
        assert_eq!(circuit.force_open(None).map(|forced| forced.word().state()), Some(ForcedOpen));
    }
}

#[test]
fn manual_overrides_expire() {
    let until = |machine: &Machine, seconds| Some(Moment::from_micros(machine.now + seconds * SECOND));
    let mut machine = Machine::new(PARAMETERS);
    machine.circuit = machine.circuit.force_open(until(&machine, 600)).expect("a transition");
    machine.now += 600 * SECOND - 1;
    assert_eq!(machine.acquire(), Err(Rejection::Forced { wait: Some(1) }));
    let longer = machine.circuit.force_open(until(&machine, 60)).expect("a new expiry");
    assert_eq!(longer.word().epoch(), machine.circuit.word().epoch(), "a new expiry is no transition");
    machine.now += 1;
    assert!(machine.acquire().is_ok());
    assert_eq!(machine.circuit.word().state(), HalfOpen);

    machine.circuit = machine.circuit.disable(until(&machine, 600)).expect("a transition");
    machine.now += 600 * SECOND - 1;
    assert_eq!(machine.calls(&"F".repeat(100)), Disabled);
    machine.now += 1;
    assert_eq!(machine.calls("FFFF"), Closed);
    assert_eq!(machine.calls("F"), Open);

    let longest = Machine::new(PARAMETERS).circuit.disable(Some(Moment::from_micros(u64::MAX))).expect("a transition");
    assert_eq!(longest.time_left(&PARAMETERS, Moment::from_micros(1)), Some(u64::MAX - 1));
}

#[test]
fn the_fixed_open_duration_is_that_of_the_parameters() {
    let (base, fixed_timeout) = (30 * SECOND, fixed(30 * SECOND));
    let with = |recovery| Parameters { recovery, ..PARAMETERS };
    for (parameters, expected) in [
        (PARAMETERS, [base; 2]),
        (with(Recovery { factor: 2.0, ..fixed_timeout }), [base; 2]),
        (with(Recovery { factor: 2.0, max: 60 * SECOND, ..fixed_timeout }), [base, 0]),
        (with(Recovery { jitter: 0.1, ..fixed_timeout }), [0; 2]),
        (Parameters { observe_only: true, ..PARAMETERS }, [0; 2]),
    ] {
        let durations = parameters.fixed_open_micros();
        assert_eq!(durations, expected, "{parameters:?}");
        for failed in [0, 1, 2, 63] {
            let duration = durations[usize::from(failed > 0)];
            assert!(
                duration == 0 || duration == parameters.recovery.open_duration_since(failed, 7),
                "{parameters:?}, {failed} failed"
            );
        }
    }
}

#[test]
fn the_fast_path_computes_the_same_remaining_time() {
    let [duration, _] = PARAMETERS.fixed_open_micros();
    let mut machine = Machine::opened(PARAMETERS);
    let opened_at = machine.now;
    for now in [
        0,
        opened_at - 1,
        opened_at,
        opened_at + 1,
        opened_at + duration - 1,
        opened_at + duration,
        opened_at + duration + 1,
    ] {
        machine.now = now;
        let left = match machine.circuit.admit(&PARAMETERS, Moment::from_micros(now), |max| max) {
            AdmitDecision::Rejected(Rejection::Open { wait }) => Some(wait),
            _ => None,
        };
        let remaining = machine.circuit.remaining(duration, Moment::from_micros(now));
        assert_eq!(remaining.filter(|remaining| *remaining > 0), left, "at {now}");
    }
    assert_eq!(Machine::new(PARAMETERS).circuit.remaining(duration, Moment::from_micros(0)), None, "closed");
    let (half_open, _) = Machine::half_opened(PARAMETERS);
    assert_eq!(half_open.circuit.remaining(duration, Moment::from_micros(half_open.now)), None, "half-open");
}

#[test]
fn long_limits_are_measured_by_the_coarse_clock() {
    let (config, millis) = (BreakerConfig::new(), Duration::from_millis);
    for (config, is_exact) in [
        (config.slow_call(millis(499)), true),
        (config.slow_call(millis(500)), false),
        (config.hung_call(millis(499)), true),
        (config.hung_call(millis(500)), false),
        (config.cancelled_call(millis(500)), false),
        (config.slow_call(millis(500)).hung_call(millis(100)), true),
        (config.slow_call(millis(500)).durations(true), true),
    ] {
        let config = config.window(Window::calls(100));
        assert_eq!(BreakerSettings::new("limits", config).timing().is_exact, is_exact, "{config:?}");
    }
}

#[test]
fn a_success_that_is_not_slow_needs_only_the_size_of_the_window() {
    let window = BreakerConfig::new().window(Window::calls(100));
    let size = Some(WindowSize::Calls(100));
    for (config, age, expected) in [
        (BreakerConfig::new(), None, None),
        (window, None, size),
        (window, Some(u64::MAX), size),
        (window.slow_call(Duration::from_secs(1)), None, None),
        (window.slow_call(Duration::from_secs(1)), Some(SECOND - 1), size),
        (window.slow_call(Duration::from_secs(1)), Some(SECOND), None),
    ] {
        assert_eq!(BreakerSettings::new("fast", config).window_of_fast_call(age), expected, "{config:?}, {age:?}");
    }
}

#[test]
fn a_rejection_for_a_time_is_made_until_its_end() {
    let machine = Machine::opened(PARAMETERS);
    let now = Moment::from_micros(machine.now);
    let mut trials_taken = Machine::half_opened(PARAMETERS).0;
    while trials_taken.acquire().is_ok() {}
    let (override_end, forever) = (Some(now.after(70 * SECOND)), None);
    let forced = |until| Machine { circuit: machine.circuit.force_open(until).expect("a transition"), ..machine };
    for (machine, wait) in [
        (machine, 30 * SECOND),
        (Machine { circuit: machine.circuit.open(override_end, 0, now).expect("a change"), ..machine }, 70 * SECOND),
        (forced(override_end), 70 * SECOND),
        (trials_taken, 30 * SECOND),
    ] {
        let decision_after = |micros| {
            let now = Moment::from_micros(machine.now).after(micros);
            machine.circuit.admit(&PARAMETERS, now, |max| max)
        };
        let decision = decision_after(0);
        for time in [0, 1, wait - 1, wait, wait + 1] {
            let is_rejected = matches!(decision_after(time), AdmitDecision::Rejected(_));
            assert_eq!(decision.is_rejection_for(time), is_rejected, "{decision:?}, {time}");
        }
    }
    let decision = forced(forever).circuit.admit(&PARAMETERS, now, |max| max);
    assert!(decision.is_rejection_for(u64::MAX), "{decision:?}");
    let decision = Machine::new(PARAMETERS).circuit.admit(&PARAMETERS, now, |max| max);
    assert!(!decision.is_rejection_for(0), "{decision:?}");
}

#[test]
fn an_exponential_recovery_timeout() {
    let recovery = Recovery { base: SECOND, factor: 2.0, max: 40 * SECOND, jitter: 0.0, seed: 0 };
    let mut machine = Machine::opened(Parameters { recovery, ..PARAMETERS });
    for seconds in [1, 2, 4, 8, 16, 32, 40, 40] {
        assert_eq!(
            machine.circuit.time_left(&machine.parameters, Moment::from_micros(machine.now)),
            Some(seconds * SECOND)
        );
        machine.now += seconds * SECOND - 1;
        assert!(machine.acquire().is_err());
        machine.now += 1;
        assert_eq!(machine.calls("F"), Open);
    }
    assert_eq!(machine.circuit.failed_recoveries(), 8);
    for _ in 0..100 {
        machine.now += 40 * SECOND;
        assert_eq!(machine.calls("F"), Open);
    }
    machine.now += 40 * SECOND;
    assert_eq!(machine.calls("SSS"), Closed);
    machine.calls("FFFFF");
    assert_eq!(machine.acquire(), Err(Rejection::Open { wait: SECOND }), "a closed circuit starts with `base` again");
}

#[test]
fn open_durations_saturate() {
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
fn jitter_is_uniform_and_reproducible() {
    let recovery = Recovery { jitter: 0.5, seed: 42, ..fixed(1_000) };
    let durations: Vec<_> = (0..10_000).map(|since| recovery.open_duration_since(0, since)).collect();
    assert_eq!(durations, (0..10_000).map(|since| recovery.open_duration_since(0, since)).collect::<Vec<_>>());
    for tenth in 0..10 {
        let (from, to) = (1_000 + tenth * 50, 1_050 + tenth * 50);
        let share = durations.iter().filter(|duration| (from..to).contains(*duration)).count();
        assert!((850..1_150).contains(&share), "{share} of 10,000 are in {from}..{to}");
    }
    let other = Recovery { seed: 43, ..recovery };
    assert_ne!(
        other.open_duration_since(0, 0),
        recovery.open_duration_since(0, 0),
        "another process has another timeout"
    );
}

#[test]
fn mix_is_the_published_finalizer() {
    // The first numbers of SplitMix64 with the seed 1234567, as published with the generator.
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
fn a_ramp_up_admits_a_growing_share() {
    let ramp_up = 30 * SECOND;
    let mut machine = Machine::opened(Parameters { ramp_up, ..PARAMETERS });
    machine.now += PARAMETERS.recovery.base;
    assert_eq!(machine.calls("SSS"), Closed);
    let closed_at = machine.now;
    for (percent, expected) in [(0, 10), (10, 19), (50, 55), (90, 91), (99, 99)] {
        machine.now = closed_at + ramp_up / 100 * percent;
        let now = Moment::from_micros(machine.now);
        let admitted = (0..1_000).filter(|dice| {
            let admission = machine.circuit.admit(&machine.parameters, now, |max| max / 1_000 * dice);
            admission == AdmitDecision::Admitted
        });
        let share = admitted.count().div_ceil(10);
        assert!(share.abs_diff(expected) <= 1, "{share} % after {percent} % of the time");
    }
    let rejected = machine.circuit.admit(&machine.parameters, Moment::from_micros(machine.now), |max| max);
    assert_eq!(rejected, AdmitDecision::Rejected(Rejection::Ramp { wait: ramp_up / 100 }));
    // Failures count during the ramp-up.
    let admission = machine.circuit.word().admission();
    for _ in 0..4 {
        machine.record_outcome(admission, Outcome::Failure);
    }
    assert_eq!(machine.circuit.word().failures(), 4);
    machine.now = closed_at + ramp_up;
    assert!(machine.acquire().is_ok());
    assert!(machine.circuit.word().admits_without_clock(), "the ramp-up has ended");
    assert_eq!(machine.circuit.word().failures(), 4);
    machine.record_outcome(admission, Outcome::Failure);
    assert_eq!(machine.circuit.word().state(), Open);
}

#[test]
fn changed_settings_take_effect_in_each_state() {
    let now = || Moment::from_micros(0);
    // Closed: the count stays, and the next failure is judged by the new threshold.
    let mut machine = Machine::new(PARAMETERS);
    machine.calls("FFF");
    machine.parameters.policy = TripPolicy::Consecutive { threshold: 2 };
    assert_eq!(machine.circuit.apply_settings(&machine.parameters, now), None);
    assert_eq!((machine.circuit.word().state(), machine.circuit.word().failures()), (Closed, 3));
    assert_eq!(machine.calls("F"), Open);
    // Open: the new recovery timeout applies to the current open state.
    machine.parameters.recovery = fixed(SECOND);
    assert_eq!(machine.acquire(), Err(Rejection::Open { wait: SECOND }));
    machine.now += SECOND;
    // Half-open: fewer trial calls, which have succeeded already.
    assert_eq!(machine.calls("SS"), HalfOpen);
    machine.parameters.half_open_max_calls = 2;
    machine.circuit = machine.circuit.apply_settings(&machine.parameters, now).expect("a transition");
    assert_eq!(machine.circuit.word().state(), Closed);
    // Half-open: more trial calls.
    let (mut machine, _) = Machine::half_opened(Parameters { half_open_max_calls: 1, ..PARAMETERS });
    assert!(machine.acquire().is_err());
    machine.parameters.half_open_max_calls = 2;
    assert_eq!(machine.circuit.apply_settings(&machine.parameters, now), None);
    assert!(machine.acquire().is_ok());
    assert!(machine.acquire().is_err());
    // Half-open: more trial calls have failed than the new settings tolerate.
    let tolerant = Parameters { half_open_successes: 1, ..PARAMETERS };
    let mut machine = Machine::opened(tolerant);
    machine.now += PARAMETERS.recovery.base;
    assert_eq!(machine.calls("F"), HalfOpen);
    assert_eq!(machine.circuit.apply_settings(&machine.parameters, now), None);
    machine.circuit = machine.circuit.apply_settings(&PARAMETERS, now).expect("a transition");
    assert_eq!((machine.circuit.word().state(), machine.circuit.failed_recoveries()), (Open, 1));
}

#[test]
fn moments_at_the_ends_of_their_range() {
    for now in [0, LONG, 1 << 62, u64::MAX - 40 * SECOND] {
        let mut machine = Machine { now, ..Machine::new(PARAMETERS) };
        machine.calls("FFFFF");
        machine.now += PARAMETERS.recovery.base - 1;
        assert!(machine.acquire().is_err(), "{now}");
        machine.now += 1;
        assert!(machine.acquire().is_ok(), "{now}");
    }
    let forever = Parameters { recovery: fixed(u64::MAX), ..PARAMETERS };
    let mut machine = Machine::opened(forever);
    machine.now = u64::MAX - 1;
    assert_eq!(machine.acquire(), Err(Rejection::Open { wait: 1 }));
}

#[test]
fn a_million_transitions() {
    let quick = Parameters {
        policy: TripPolicy::Consecutive { threshold: 1 },
        recovery: fixed(1),
        half_open_max_calls: 1,
        ..PARAMETERS
    };
    let mut machine = Machine::new(quick);
    for _ in 0..400_000 {
        assert_eq!(machine.calls("F"), Open);
        machine.now += 1;
        assert_eq!(machine.calls("S"), Closed);
    }
}

proptest! {
    /// In any order of events, no more permits are taken than allowed, and the circuit never gets stuck.
    #[test]
    fn random_histories(
        threshold in 1_u32..6,
        half_open_max_calls in 1_u8..6,
        half_open_successes in 1_u8..8,
        steps in prop::collection::vec((0_u8..7, 0_u64..40), 1..200),
    ) {
        let parameters = Parameters { policy: TripPolicy::Consecutive { threshold }, recovery: fixed(100), half_open_max_calls, half_open_successes, ..PARAMETERS };
        let mut machine = Machine { now: 0, ..Machine::new(parameters) };
        let mut in_flight: Vec<Admission> = Vec::new();
        let mut trials_in_flight = 0_u8;
        for (step, pick) in steps {
            let before = machine.circuit.word();
            match step {
                0..=2 => {
                    if let Ok(admission) = machine.acquire() {
                        in_flight.push(admission);
                        if machine.circuit.word().state() == HalfOpen {
                            trials_in_flight += 1;
                        }
                    }
                }
                3..=5 if !in_flight.is_empty() => {
                    let admission = in_flight.remove(usize::try_from(pick).unwrap_or(0) % in_flight.len());
                    let outcome = [Outcome::Success, Outcome::Failure, Outcome::Ignored][usize::from(step - 3)];
                    if machine.circuit.word().state() == HalfOpen && admission == machine.circuit.word().admission() && outcome == Outcome::Ignored {
                        trials_in_flight -= 1;
                    }
                    machine.record_outcome(admission, outcome);
                }
                // Shorter than a recovery timeout in all but the longest histories, so that new rounds are rare.
                _ => machine.now += pick,
            }
            if before.state() == HalfOpen && machine.circuit.word().state() == HalfOpen && machine.circuit.word().admission() != before.admission() {
                break; // A new round, which the tests above cover.
            }
            if machine.circuit.word().state() != before.state() {
                trials_in_flight = u8::from(machine.circuit.word().state() == HalfOpen);
            }
            prop_assert!(trials_in_flight <= half_open_max_calls);
            prop_assert!(machine.circuit.word().failures() < threshold);
        }
        // After two idle recovery timeouts, any state admits a call.
        machine.now += 2 * 100 + 64;
        prop_assert!(machine.acquire().is_ok());
    }
}
