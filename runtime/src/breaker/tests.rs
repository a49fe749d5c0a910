//! The state machine as a table of situations. Time is a number here.

use proptest::prelude::*;

use super::{
    BreakerState::{self, Closed, Disabled, ForcedOpen, HalfOpen, Open},
    rules::{Policy, Recovery, Rules, mix},
    word::{Admission, MAX_HOLD, MAX_RECOVERY, Outcome, Refusal, Ticket, Word},
};
use crate::clock::Moment;

const SECOND: u64 = 1_000_000;
const RULES: Rules = Rules {
    policy: Policy::Consecutive { threshold: 5 },
    recovery: fixed(30 * SECOND),
    trials: 3,
    ramp: 0,
    observe_only: false,
};

const fn fixed(rest: u64) -> Recovery {
    Recovery { base: rest, factor: 1.0, max: rest, jitter: 0.0, seed: 0 }
}

/// A breaker on one thread, with a clock to set.
struct Machine {
    word: Word,
    rules: Rules,
    now: u64,
}

impl Machine {
    fn new(rules: Rules) -> Self {
        Self { word: Word::new(&rules), rules, now: 7_654_321 }
    }

    fn acquire(&mut self) -> Result<Ticket, Refusal> {
        match self.word.admit(&self.rules, Moment::from_micros(self.now), |most| most) {
            Admission::Free => {}
            Admission::Take(next) => self.word = next,
            Admission::Refused(refusal) => return Err(refusal),
        }
        Ok(self.word.ticket())
    }

    fn settle(&mut self, ticket: Ticket, outcome: Outcome) {
        let now = Moment::from_micros(self.now);
        self.word = self.word.settle(ticket, outcome, &self.rules, || now).unwrap_or(self.word);
    }

    /// Calls that end at once: `F`ailure, `S`uccess, `X` neither.
    fn calls(&mut self, outcomes: &str) -> BreakerState {
        for outcome in outcomes.chars().filter(|outcome| *outcome != ' ') {
            let ticket = self.acquire().expect("admitted");
            self.settle(
                ticket,
                match outcome {
                    'F' => Outcome::Failure,
                    'S' => Outcome::Success,
                    _ => Outcome::Neutral,
                },
            );
        }
        self.word.state()
    }

    fn opened(rules: Rules) -> Self {
        let mut machine = Self::new(rules);
        while machine.word.state() == Closed {
            machine.calls("F");
        }
        machine
    }

    fn half_opened(rules: Rules) -> (Self, Ticket) {
        let mut machine = Self::opened(rules);
        machine.now += rules.recovery.base;
        let ticket = machine.acquire().expect("a trial call");
        assert_eq!(machine.word.state(), HalfOpen);
        (machine, ticket)
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
    assert_eq!(machine.word.failures(), 0);
    machine.now += RULES.recovery.base;
    assert_eq!(machine.calls("SSS"), Closed);
    assert_eq!(machine.word.failures(), 0);
    assert_eq!(machine.calls("FFFF"), Closed);
}

#[test]
fn open_until_exactly_the_recovery_timeout() {
    let mut machine = Machine::opened(RULES);
    assert_eq!(machine.acquire(), Err(Refusal::Open { wait: 30 * SECOND, after_trial: false }));
    machine.now += RULES.recovery.base - 1;
    assert_eq!(machine.acquire(), Err(Refusal::Open { wait: 1, after_trial: false }));
    assert_eq!(machine.word.state(), Open);
    machine.now += 1;
    assert!(machine.acquire().is_ok());
    assert_eq!(machine.word.state(), HalfOpen);
}

#[test]
fn half_open_admits_so_many_and_no_more() {
    let (mut machine, first) = Machine::half_opened(RULES);
    let second = machine.acquire().expect("second trial");
    assert!(machine.acquire().is_ok());
    assert!(matches!(machine.acquire(), Err(Refusal::TrialsTaken { .. })));
    // A success does not make room for a fourth: three are enough to decide.
    machine.settle(first, Outcome::Success);
    assert!(machine.acquire().is_err());
    // One that is given up does.
    machine.settle(second, Outcome::Neutral);
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
    machine.settle(trial, Outcome::Failure);
    assert_eq!(machine.acquire(), Err(Refusal::Open { wait: 30 * SECOND, after_trial: true }));
}

#[test]
fn trial_calls_that_never_end_lose_their_places() {
    // A nanosecond's worth, the usual, and more than fits into a small field.
    for recovery in [1, 127, 30 * SECOND, 24 * 3_600 * SECOND, MAX_RECOVERY] {
        let (mut machine, first) = Machine::half_opened(Rules { recovery: fixed(recovery), ..RULES });
        machine.settle(first, Outcome::Success);
        let leaked = machine.acquire().expect("a trial");
        machine.now += recovery / 2;
        let also_leaked = machine.acquire().expect("a trial");
        // Rounding gives up too early by a two-thousandth at most.
        machine.now += recovery - recovery.div_ceil(1_000);
        let refused = machine.acquire();
        assert!(recovery < 1_000 || matches!(refused, Err(Refusal::TrialsTaken { .. })), "{recovery}: {refused:?}");
        machine.now += recovery.div_ceil(1_000);
        let again = [machine.acquire(), machine.acquire()].map(|ticket| ticket.expect("the places are free again"));
        assert!(machine.acquire().is_err());
        // The late ones have no place to give back.
        machine.settle(leaked, Outcome::Neutral);
        machine.settle(also_leaked, Outcome::Neutral);
        assert!(machine.acquire().is_err());
        // What had succeeded counts on: two more close.
        for ticket in again {
            assert_eq!(machine.word.state(), HalfOpen);
            machine.settle(ticket, Outcome::Success);
        }
        assert_eq!(machine.word.state(), Closed, "{recovery}");
    }
}

#[test]
fn trial_calls_that_take_longer_than_the_recovery_timeout_still_decide() {
    for (outcome, expected) in [(Outcome::Success, Closed), (Outcome::Failure, Open)] {
        let (mut machine, first) = Machine::half_opened(RULES);
        // A call comes each second and takes 45.
        let mut under_way = std::collections::VecDeque::from([(machine.now + 45 * SECOND, first)]);
        let mut seconds = 0;
        while machine.word.state() == HalfOpen {
            machine.now += SECOND;
            seconds += 1;
            assert!(seconds < 300, "{outcome:?}: {:?}", machine.word);
            while let Some((_, ticket)) = under_way.pop_front_if(|(ends, _)| *ends <= machine.now) {
                machine.settle(ticket, outcome);
            }
            if machine.word.state() == HalfOpen
                && let Ok(ticket) = machine.acquire()
            {
                under_way.push_back((machine.now + 45 * SECOND, ticket));
            }
        }
        assert_eq!(machine.word.state(), expected);
        assert!(seconds <= 48, "the first three decide: {seconds} s");
    }
}

#[test]
fn a_late_success_takes_its_place_again() {
    let rules = Rules { trials: 2, ..RULES };
    let (mut machine, first) = Machine::half_opened(rules);
    machine.acquire().expect("a second trial, which never ends");
    machine.now += rules.recovery.base;
    let third = machine.acquire().expect("a place that was given up");
    machine.acquire().expect("another");
    machine.settle(first, Outcome::Success);
    assert!(machine.acquire().is_err(), "two calls are under way, and one has succeeded");
    machine.settle(third, Outcome::Neutral);
    assert!(machine.acquire().is_err(), "one is under way, and one has succeeded");
}

#[test]
fn a_clock_that_is_behind_opens_nothing() {
    let mut machine = Machine { now: 3_600 * SECOND, ..Machine::new(RULES) };
    machine.calls("FFFFF");
    machine.now -= 600 * SECOND;
    assert_eq!(machine.acquire(), Err(Refusal::Open { wait: RULES.recovery.base, after_trial: false }));
    machine.now += 630 * SECOND;
    for _ in 0..3 {
        machine.acquire().expect("a trial");
    }
    machine.now -= 10 * SECOND;
    assert!(matches!(machine.acquire(), Err(Refusal::TrialsTaken { .. })));
}

#[test]
fn idle_for_any_time_it_admits_a_call() {
    let day = 24 * 3_600 * SECOND;
    for days in [1, 25, 50, 90, 103, 180, 365, 1_000, 10_000] {
        let mut machine = Machine::opened(RULES);
        machine.now += days * day;
        assert!(machine.acquire().is_ok(), "{days}");
    }
    // The longest recovery timeout passes, too, and not only at one moment.
    let mut machine = Machine::opened(Rules { recovery: fixed(MAX_RECOVERY), ..RULES });
    for days in [1, 25, 50] {
        machine.now = Machine::opened(RULES).now + days * day;
        assert!(machine.acquire().is_err(), "{days}");
    }
    machine.now += 40 * day;
    assert!(machine.acquire().is_ok());
}

#[test]
fn results_from_another_epoch_move_nothing() {
    let mut machine = Machine::new(RULES);
    let stale = machine.acquire().expect("closed");
    machine.calls("FFFFF");
    for outcome in [Outcome::Success, Outcome::Failure, Outcome::Neutral] {
        let open = machine.word;
        machine.settle(stale, outcome);
        assert_eq!(machine.word, open);
    }
    machine.now += RULES.recovery.base;
    let trial = machine.acquire().expect("a trial");
    let half_open = machine.word;
    for outcome in [Outcome::Success, Outcome::Failure, Outcome::Neutral] {
        machine.settle(stale, outcome);
        assert_eq!(machine.word, half_open);
    }
    machine.settle(trial, Outcome::Success);
    assert_eq!(machine.calls("SS"), Closed);
    machine.calls("FFFF");
    machine.settle(stale, Outcome::Failure);
    machine.settle(trial, Outcome::Failure);
    assert_eq!(machine.word.state(), Closed);
    machine.settle(stale, Outcome::Success);
    assert_eq!(machine.word.failures(), 4, "nor does a stale success end a streak");
}

#[test]
fn an_operators_hand() {
    let mut machine = Machine::new(RULES);
    let stale = machine.acquire().expect("closed");
    machine.word = machine.word.force_open(None).expect("a transition");
    assert_eq!(machine.word.force_open(None), None);
    machine.now += MAX_RECOVERY;
    assert_eq!(machine.acquire(), Err(Refusal::Forced { wait: None }));
    machine.word = machine.word.disable(None).expect("a transition");
    assert_eq!(machine.word.disable(None), None);
    assert_eq!(machine.calls(&"F".repeat(100)), Disabled);
    machine.settle(stale, Outcome::Failure);
    machine.word = machine.word.reset(&RULES);
    assert_eq!(machine.word.state(), Closed);
    assert_eq!(machine.calls("FFFF"), Closed);
    let under_way = machine.acquire().expect("closed");
    machine.word = machine.word.reset(&RULES);
    machine.settle(under_way, Outcome::Failure);
    assert_eq!(machine.word.failures(), 0, "what was under way belongs to the past");
    assert_eq!(machine.calls("FFFF"), Closed, "reset starts the count again when closed, too");
    for mut word in [Machine::opened(RULES).word, Machine::half_opened(RULES).0.word] {
        word = word.reset(&RULES);
        assert_eq!(word.state(), Closed);
        assert_eq!(word.force_open(None).map(Word::state), Some(ForcedOpen));
    }
}

#[test]
fn what_an_operator_holds_expires() {
    let until = |machine: &Machine, seconds| Some(Moment::from_micros(machine.now + seconds * SECOND));
    let mut machine = Machine::new(RULES);
    machine.word = machine.word.force_open(until(&machine, 600)).expect("a transition");
    machine.now += 600 * SECOND - 1;
    assert_eq!(machine.acquire(), Err(Refusal::Forced { wait: Some(1) }));
    let longer = machine.word.force_open(until(&machine, 60)).expect("held for longer");
    assert_eq!(longer.epoch(), machine.word.epoch(), "which is no transition");
    machine.now += 1;
    assert!(machine.acquire().is_ok());
    assert_eq!(machine.word.state(), HalfOpen);

    machine.word = machine.word.disable(until(&machine, 600)).expect("a transition");
    machine.now += 600 * SECOND - 1;
    assert_eq!(machine.calls(&"F".repeat(100)), Disabled);
    machine.now += 1;
    assert_eq!(machine.calls("FFFF"), Closed);
    assert_eq!(machine.calls("F"), Open);

    let longest = Machine::new(RULES).word.disable(Some(Moment::from_micros(MAX_HOLD))).expect("a transition");
    assert_eq!(longest.time_left(&RULES, Moment::from_micros(1)), Some(MAX_HOLD - 1));
}

#[test]
fn a_plain_rest_is_that_of_the_rules() {
    let (base, plain) = (30 * SECOND, fixed(30 * SECOND));
    let with = |recovery| Rules { recovery, ..RULES };
    for (rules, expected) in [
        (RULES, [base; 2]),
        (with(Recovery { factor: 2.0, ..plain }), [base; 2]),
        (with(Recovery { factor: 2.0, max: 60 * SECOND, ..plain }), [base, 0]),
        (with(Recovery { jitter: 0.1, ..plain }), [0; 2]),
        (Rules { observe_only: true, ..RULES }, [0; 2]),
    ] {
        let rests = rules.plain_rests();
        assert_eq!(rests, expected, "{rules:?}");
        for failed in [0, 1, 2, 63] {
            let rest = rests[usize::from(failed > 0)];
            assert!(rest == 0 || rest == rules.recovery.rest_since(failed, 7), "{rules:?}, {failed} failed");
        }
    }
}

#[test]
fn what_is_left_of_a_plain_rest_is_what_the_rules_leave() {
    let [rest, _] = RULES.plain_rests();
    let mut machine = Machine::opened(RULES);
    let opened_at = machine.now;
    for now in
        [0, opened_at - 1, opened_at, opened_at + 1, opened_at + rest - 1, opened_at + rest, opened_at + rest + 1]
    {
        machine.now = now;
        let left = match machine.word.admit(&RULES, Moment::from_micros(now), |most| most) {
            Admission::Refused(Refusal::Open { wait, after_trial: false }) => Some(wait),
            _ => None,
        };
        assert_eq!(machine.word.left_of(rest, Moment::from_micros(now)), left, "at {now}");
    }
    assert_eq!(Machine::new(RULES).word.left_of(rest, Moment::from_micros(0)), None, "closed");
    let (half_open, _) = Machine::half_opened(RULES);
    assert_eq!(half_open.word.left_of(rest, Moment::from_micros(half_open.now)), None, "half-open");
}

#[test]
fn a_growing_recovery() {
    let recovery = Recovery { base: SECOND, factor: 2.0, max: 40 * SECOND, jitter: 0.0, seed: 0 };
    let mut machine = Machine::opened(Rules { recovery, ..RULES });
    for seconds in [1, 2, 4, 8, 16, 32, 40, 40] {
        assert_eq!(machine.word.time_left(&machine.rules, Moment::from_micros(machine.now)), Some(seconds * SECOND));
        machine.now += seconds * SECOND - 1;
        assert!(machine.acquire().is_err());
        machine.now += 1;
        assert_eq!(machine.calls("F"), Open);
    }
    assert_eq!(machine.word.failed_recoveries(), 8);
    for _ in 0..100 {
        machine.now += 40 * SECOND;
        assert_eq!(machine.calls("F"), Open);
    }
    machine.now += 40 * SECOND;
    assert_eq!(machine.calls("SSS"), Closed);
    machine.calls("FFFFF");
    assert_eq!(machine.acquire(), Err(Refusal::Open { wait: SECOND, after_trial: false }), "a close begins anew");
}

#[test]
fn a_rest_never_overflows() {
    for (base, factor, max) in
        [(1, f64::MAX, u64::MAX), (MAX_RECOVERY, 1e300, MAX_RECOVERY), (u64::MAX, 2.0, u64::MAX), (5, 1.0, 5)]
    {
        for failed in 0..=u8::MAX {
            for jitter in [0.0, 1.0] {
                let recovery = Recovery { base, factor, max, jitter, seed: 7 };
                assert!((base..=max).contains(&recovery.rest(failed)));
                assert!(recovery.rest_since(failed, u64::from(failed)) >= recovery.rest(failed));
            }
        }
    }
}

#[test]
fn the_jitter_of_a_rest_is_uniform_and_stays_as_it_is() {
    let recovery = Recovery { jitter: 0.5, seed: 42, ..fixed(1_000) };
    let rests: Vec<_> = (0..10_000).map(|since| recovery.rest_since(0, since)).collect();
    assert_eq!(rests, (0..10_000).map(|since| recovery.rest_since(0, since)).collect::<Vec<_>>());
    for tenth in 0..10 {
        let (from, to) = (1_000 + tenth * 50, 1_050 + tenth * 50);
        let share = rests.iter().filter(|rest| (from..to).contains(*rest)).count();
        assert!((850..1_150).contains(&share), "{share} of 10,000 are in {from}..{to}");
    }
    let other = Recovery { seed: 43, ..recovery };
    assert_ne!(other.rest_since(0, 0), recovery.rest_since(0, 0), "another machine waits for another time");
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
    let mut machine = Machine::opened(Rules { ramp, ..RULES });
    machine.now += RULES.recovery.base;
    assert_eq!(machine.calls("SSS"), Closed);
    let closed_at = machine.now;
    for (percent, expected) in [(0, 10), (10, 19), (50, 55), (90, 91), (99, 99)] {
        machine.now = closed_at + ramp / 100 * percent;
        let now = Moment::from_micros(machine.now);
        let admitted = (0..1_000).filter(|dice| {
            let admission = machine.word.admit(&machine.rules, now, |most| most / 1_000 * dice);
            admission == Admission::Free
        });
        let share = admitted.count().div_ceil(10);
        assert!(share.abs_diff(expected) <= 1, "{share} % after {percent} % of the time");
    }
    // Off by a two-thousandth of the whole at most.
    assert!(matches!(machine.acquire(), Err(Refusal::Ramp { wait: 285_000..315_000 })));
    // Failures count meanwhile.
    let ticket = machine.word.ticket();
    for _ in 0..4 {
        machine.settle(ticket, Outcome::Failure);
    }
    assert_eq!(machine.word.failures(), 4);
    machine.now = closed_at + ramp;
    assert!(machine.acquire().is_ok());
    assert!(machine.word.admits_freely(), "over");
    assert_eq!(machine.word.failures(), 4);
    machine.settle(ticket, Outcome::Failure);
    assert_eq!(machine.word.state(), Open);
}

#[test]
fn new_settings_hold_from_then_on() {
    let now = || Moment::from_micros(0);
    // Closed: what was counted stays; the limit is looked at with the next failure.
    let mut machine = Machine::new(RULES);
    machine.calls("FFF");
    machine.rules.policy = Policy::Consecutive { threshold: 2 };
    assert_eq!(machine.word.adopt(&machine.rules, now), None);
    assert_eq!((machine.word.state(), machine.word.failures()), (Closed, 3));
    assert_eq!(machine.calls("F"), Open);
    // Open: the rest that is under way is the new one.
    machine.rules.recovery = fixed(SECOND);
    assert_eq!(machine.acquire(), Err(Refusal::Open { wait: SECOND, after_trial: false }));
    machine.now += SECOND;
    // Half-open: fewer trial calls, and as many have succeeded.
    assert_eq!(machine.calls("SS"), HalfOpen);
    machine.rules.trials = 2;
    machine.word = machine.word.adopt(&machine.rules, now).expect("a transition");
    assert_eq!(machine.word.state(), Closed);
    // Half-open: more trial calls.
    let (mut machine, _) = Machine::half_opened(Rules { trials: 1, ..RULES });
    assert!(machine.acquire().is_err());
    machine.rules.trials = 2;
    assert_eq!(machine.word.adopt(&machine.rules, now), None);
    assert!(machine.acquire().is_ok());
    assert!(machine.acquire().is_err());
}

#[test]
fn times_at_the_ends_of_their_range() {
    // The field that holds the moment wraps every 101 days; the clock's own range is 584,000 years.
    for now in
        [0, MAX_RECOVERY, 2 * MAX_RECOVERY, 2 * MAX_RECOVERY + 1, 2 * MAX_RECOVERY + 2, 1 << 62, u64::MAX - 40 * SECOND]
    {
        let mut machine = Machine { now, ..Machine::new(RULES) };
        machine.calls("FFFFF");
        machine.now += RULES.recovery.base - 1;
        assert!(machine.acquire().is_err(), "{now}");
        machine.now += 1;
        assert!(machine.acquire().is_ok(), "{now}");
    }
    let forever = Rules { recovery: fixed(MAX_RECOVERY), ..RULES };
    let mut machine = Machine::opened(forever);
    machine.now += MAX_RECOVERY - 1;
    assert_eq!(machine.acquire(), Err(Refusal::Open { wait: 1, after_trial: false }));
    machine.now += 1;
    assert!(machine.acquire().is_ok());
}

#[test]
fn a_million_transitions_wrap_the_epoch_and_harm_nothing() {
    let quick = Rules { policy: Policy::Consecutive { threshold: 1 }, recovery: fixed(1), trials: 1, ..RULES };
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
        let rules = Rules { policy: Policy::Consecutive { threshold }, recovery: fixed(100), trials, ..RULES };
        let mut machine = Machine { now: 0, ..Machine::new(rules) };
        let mut under_way: Vec<Ticket> = Vec::new();
        let mut trials_under_way = 0_u8;
        for (step, pick) in steps {
            let before = machine.word;
            match step {
                0..=2 => {
                    if let Ok(ticket) = machine.acquire() {
                        under_way.push(ticket);
                        if machine.word.state() == HalfOpen {
                            trials_under_way += 1;
                        }
                    }
                }
                3..=5 if !under_way.is_empty() => {
                    let ticket = under_way.remove(usize::try_from(pick).unwrap_or(0) % under_way.len());
                    let outcome = [Outcome::Success, Outcome::Failure, Outcome::Neutral][usize::from(step - 3)];
                    if machine.word.state() == HalfOpen && ticket == machine.word.ticket() && outcome == Outcome::Neutral {
                        trials_under_way -= 1;
                    }
                    machine.settle(ticket, outcome);
                }
                // Short of a recovery timeout in all but the longest histories, so that places are rarely given up.
                _ => machine.now += pick,
            }
            if before.state() == HalfOpen && machine.word.state() == HalfOpen && machine.word.ticket() != before.ticket() {
                break; // a new round: who holds which place is told by the tests above
            }
            if machine.word.state() != before.state() {
                trials_under_way = u8::from(machine.word.state() == HalfOpen);
            }
            prop_assert!(trials_under_way <= trials);
            prop_assert!(machine.word.failures() < threshold);
        }
        // Left alone for two recovery timeouts, it admits a call whatever state it is in.
        machine.now += 2 * 100 + 64;
        prop_assert!(machine.acquire().is_ok());
    }
}
