//! Decisions, situation by situation; nothing here waits.

mod turns;

use std::time::Duration;

use steadfast::BreakerState::{self, Closed, Disabled, ForcedOpen, HalfOpen, Open};
use tokio::time::Instant;

use super::{Act, Claim, Local, Member, Question, Step, Times};
use crate::answer::{Answer, Granted, Kind, Known};

const SECOND: Duration = Duration::from_secs(1);
const TIMES: Times = Times { lease: Duration::from_secs(2), grace: Duration::from_secs(3), again: SECOND };

/// An instance's circuit, its member of the fleet, and the time.
struct Instance {
    member: Member,
    local: Local,
    now: Instant,
    online: bool,
}

fn known(version: u64, kind: Kind, left: Option<Duration>) -> Known {
    Known { version, kind, left, failed: 0, by: "other".into(), reason: "broken".into() }
}

fn answer(known: Known) -> Answer {
    Answer { known, granted: Granted::No, lease_left: Duration::ZERO, changed: false }
}

fn claim_of(question: Question) -> Claim {
    let Question::Ask { claim, .. } = question else { panic!("{question:?}") };
    claim
}

impl Instance {
    fn new() -> Self {
        let local = Local { state: Closed, is_ours: false, transitions: 0, rejections: 0, trial_successes: 0 };
        Self { member: Member::new(), local, now: Instant::now(), online: true }
    }

    /// Does all that is to be done to the circuit; gives what is asked then.
    fn settle(&mut self) -> Option<Question> {
        for _ in 0..5 {
            match self.member.decide(&self.local, self.online, self.now, &TIMES) {
                Step::Act(act) => self.act(act),
                Step::Ask(question) => {
                    self.member.ask(question);
                    return Some(question);
                }
                Step::Rest => return None,
            }
        }
        panic!("no end of it: {:?} {:?}", self.member, self.local);
    }

    fn act(&mut self, act: Act) {
        let state = match act {
            Act::Hold { .. } => Open,
            Act::Close | Act::Reset => Closed,
            Act::ForceOpen { .. } => ForcedOpen,
            Act::Disable { .. } => Disabled,
        };
        self.becomes(state);
        self.local.is_ours = true;
    }

    /// By itself.
    fn becomes(&mut self, state: BreakerState) {
        self.local.transitions += u64::from(self.local.state != state);
        (self.local.state, self.local.is_ours) = (state, false);
    }

    fn hears(&mut self, known: Known) {
        self.member.hear(known, self.now);
    }

    fn is_told(&mut self, answer: Answer) {
        self.member.take(answer, self.now, &TIMES);
    }

    fn is_granted(&mut self, known: Known) {
        self.is_told(Answer { granted: Granted::Yes, ..answer(known) });
    }

    /// Held since the fleet has opened, and called.
    fn held() -> Self {
        let mut instance = Self::new();
        instance.hears(known(1, Kind::Open, Some(SECOND)));
        assert_eq!(instance.settle(), None);
        assert_eq!((instance.local.state, instance.local.is_ours), (Open, true));
        instance.local.rejections += 1;
        instance
    }
}

#[test]
fn a_trip_is_announced_once() {
    let mut instance = Instance::new();
    assert_eq!(instance.settle(), None);
    instance.becomes(Open);
    assert_eq!(instance.settle(), Some(Question::Announce { transitions: 1 }));
    assert_eq!(instance.settle(), None, "one question at a time");
    // No quorum: it stays open by itself, and says nothing more until it is open anew.
    instance.is_told(answer(known(0, Kind::Missing, None)));
    assert_eq!((instance.settle(), instance.local.state), (None, Open));
    instance.becomes(HalfOpen);
    assert_eq!(instance.settle(), None);
    instance.becomes(Open);
    assert_eq!(instance.settle(), Some(Question::Announce { transitions: 3 }));
    instance.is_told(answer(known(0, Kind::Missing, None)));
    // Once it is closed the vote is taken back.
    instance.becomes(Closed);
    assert_eq!(instance.settle(), Some(Question::Leave));
    instance.is_told(answer(known(0, Kind::Missing, None)));
    assert_eq!((instance.settle(), instance.local.state), (None, Closed));
}

#[test]
fn it_is_let_go_only_under_the_lease() {
    let mut instance = Instance::held();
    instance.now += Duration::from_millis(999);
    assert_eq!(instance.settle(), None, "not before the rest is over");
    instance.now += Duration::from_millis(1);
    let Some(Question::Ask { .. }) = instance.settle() else { panic!("{:?}", instance.member) };
    // Another has it.
    instance.is_told(Answer { lease_left: SECOND, ..answer(known(1, Kind::Open, Some(Duration::ZERO))) });
    for _ in 0..20 {
        assert_eq!(instance.settle(), None);
        instance.now += Duration::from_millis(49);
        // However long it takes, it is held.
        assert!(instance.member.hold_ends.is_some_and(|ends| ends > instance.now + SECOND));
    }
    instance.now += Duration::from_millis(20);
    assert!(matches!(instance.settle(), Some(Question::Ask { .. })), "as soon as that lease is over");
    instance.is_granted(known(1, Kind::Open, Some(Duration::ZERO)));
    let go = instance.member.decide(&instance.local, true, instance.now, &TIMES);
    assert_eq!(go, Step::Act(Act::Hold { lasts: Duration::ZERO, failed: 0 }));
    instance.becomes(HalfOpen);
    assert_eq!(instance.settle(), None);
    instance.now += SECOND;
    assert!(matches!(instance.settle(), Some(Question::Ask { .. })), "held for longer while calls are under way");
    instance.is_granted(known(1, Kind::Open, Some(Duration::ZERO)));
    instance.becomes(Closed);
    assert_eq!(instance.settle(), Some(Question::Close { seen: 1 }));
    instance.is_told(answer(known(2, Kind::Closed, None)));
    assert_eq!((instance.settle(), instance.local.state), (None, Closed));
}

#[test]
fn without_calls_nobody_asks_and_who_has_asked_waits_for_one_until_another_has_one_to_make() {
    let mut instance = Instance::held();
    instance.local.rejections -= 1;
    for _ in 0..100 {
        instance.now += SECOND;
        assert_eq!((instance.settle(), instance.local.state), (None, Open));
    }
    instance.local.rejections += 1;
    let lease = known(1, Kind::Open, Some(Duration::ZERO));
    assert!(matches!(instance.settle(), Some(Question::Ask { .. })));
    instance.is_granted(lease.clone());
    // However long its next call takes to come.
    let mut renewals = 0;
    for _ in 0..1_000 {
        instance.now += SECOND / 20;
        if let Some(question) = instance.settle() {
            assert!(claim_of(question).yields_above.is_some(), "{question:?}");
            instance.is_granted(lease.clone());
            renewals += 1;
        }
        assert!(instance.member.hold_ends.is_some_and(|ends| ends <= instance.now), "it is let go");
    }
    assert!((20..60).contains(&renewals), "in 50 s, with a lease of 2 s: {renewals}");
    // Another has one to make: it keeps the lease for as long as it was given, and then it is the other's turn.
    while instance.settle().is_none() {
        instance.now += SECOND / 20;
    }
    instance.is_told(Answer { granted: Granted::ForTheLastTime, ..answer(lease.clone()) });
    assert_eq!(instance.settle(), None);
    assert!(instance.member.hold_ends.is_some_and(|ends| ends <= instance.now), "not yet");
    instance.now += SECOND;
    assert_eq!(instance.settle(), None, "not at once");
    assert!(instance.member.hold_ends.is_some_and(|ends| ends > instance.now), "held again");
    instance.now += TIMES.lease;
    assert_eq!(instance.settle(), None, "its turn is over");
    instance.local.rejections += 1;
    let again = instance.settle().map(|question| claim_of(question).rejections);
    assert_eq!(again, Some(1), "for another call it asks, too");
}

#[test]
fn a_call_while_another_waits_is_made_under_the_lease_that_there_is() {
    let mut instance = Instance::held();
    instance.now += SECOND;
    assert!(matches!(instance.settle(), Some(Question::Ask { .. })));
    instance.is_granted(known(1, Kind::Open, Some(Duration::ZERO)));
    while instance.settle().is_none() {
        instance.now += SECOND / 20;
    }
    instance.is_told(Answer { granted: Granted::ForTheLastTime, ..answer(known(1, Kind::Open, Some(Duration::ZERO))) });
    instance.becomes(HalfOpen);
    assert_eq!(instance.settle().map(|question| claim_of(question).yields_above), Some(None), "it needs it for longer");
}

#[test]
fn who_has_found_it_down_needs_no_rejection_to_ask() {
    let mut instance = Instance::new();
    instance.becomes(Open);
    assert!(matches!(instance.settle(), Some(Question::Announce { .. })));
    instance.is_told(answer(known(1, Kind::Open, Some(SECOND))));
    assert_eq!(instance.settle(), None);
    instance.now += SECOND;
    assert!(matches!(instance.settle(), Some(Question::Ask { .. })));
    // When another opens it anew, it does.
    instance.is_told(answer(known(2, Kind::Open, Some(SECOND))));
    assert_eq!(instance.settle(), None);
    instance.now += SECOND;
    assert_eq!(instance.settle(), None);
    instance.local.rejections += 1;
    assert!(matches!(instance.settle(), Some(Question::Ask { .. })));
}

#[test]
fn a_failed_trial_call_is_announced_and_a_hung_one_gives_way() {
    let mut instance = Instance::held();
    instance.now += SECOND;
    assert!(matches!(instance.settle(), Some(Question::Ask { .. })));
    instance.is_granted(known(1, Kind::Open, Some(Duration::ZERO)));
    assert_eq!(instance.settle(), None);
    instance.becomes(HalfOpen);
    instance.becomes(Open);
    assert!(matches!(instance.settle(), Some(Question::Announce { .. })));
    instance.is_told(answer(known(2, Kind::Open, Some(SECOND))));
    assert_eq!((instance.settle(), instance.local.is_ours), (None, true));
    instance.local.rejections += 1;
    instance.now += SECOND;
    assert!(matches!(instance.settle(), Some(Question::Ask { .. })));
    instance.is_granted(known(2, Kind::Open, Some(Duration::ZERO)));
    assert_eq!(instance.settle(), None);
    instance.becomes(HalfOpen);
    let mut renewals = 0;
    while instance.local.state == HalfOpen {
        instance.now += SECOND / 2;
        if let Some(Question::Ask { claim, .. }) = instance.settle() {
            renewals += 1;
            let granted = if claim.yields_above.is_some() { Granted::ForTheLastTime } else { Granted::Yes };
            instance.is_told(Answer { granted, ..answer(known(2, Kind::Open, Some(Duration::ZERO))) });
        }
        assert!(renewals < 100, "others have their turn, too");
    }
    assert!(renewals > 10, "but not at once: {renewals}");
    assert_eq!(instance.local.state, Open);
}

#[test]
fn without_redis_it_goes_by_itself() {
    let mut instance = Instance::held();
    instance.online = false;
    instance.member.lose();
    let ends = instance.member.hold_ends;
    for _ in 0..10 {
        instance.now += SECOND;
        assert_eq!(instance.settle(), None);
    }
    assert_eq!(instance.member.hold_ends, ends, "the hold runs out");
    instance.becomes(HalfOpen);
    instance.becomes(Closed);
    assert_eq!((instance.settle(), instance.local.state), (None, Closed));
    // Back, and nobody knows better: it has recovered.
    instance.online = true;
    instance.member.read();
    assert_eq!(instance.settle(), Some(Question::Read));
    instance.is_told(answer(known(1, Kind::Open, Some(Duration::ZERO))));
    assert_eq!(instance.settle(), Some(Question::Close { seen: 1 }));
    // Someone does: it is open again since.
    instance.is_told(answer(known(5, Kind::Open, Some(SECOND))));
    assert_eq!((instance.settle(), instance.local.state), (None, Open));
}

#[test]
fn a_loss_of_data_neither_closes_nor_opens() {
    let mut open = Instance::held();
    open.member.read();
    assert_eq!(open.settle(), Some(Question::Read));
    open.is_told(answer(known(0, Kind::Missing, None)));
    assert_eq!((open.settle(), open.local.state), (None, Open));
    open.now += SECOND;
    assert!(matches!(open.settle(), Some(Question::Ask { .. })), "it has to recover");
    open.is_granted(known(0, Kind::Missing, None));
    assert_eq!(open.settle(), None);
    open.becomes(HalfOpen);
    open.becomes(Closed);
    assert_eq!(open.settle(), Some(Question::Close { seen: 0 }));
    open.is_told(answer(known(7, Kind::Closed, None)));
    assert_eq!((open.settle(), open.local.state), (None, Closed));

    let mut closed = Instance::held();
    closed.hears(known(2, Kind::Closed, None));
    assert_eq!((closed.settle(), closed.local.state), (None, Closed));
    closed.member.read();
    assert_eq!(closed.settle(), Some(Question::Read));
    closed.is_told(answer(known(0, Kind::Missing, None)));
    assert_eq!((closed.settle(), closed.local.state), (None, Closed));
}

#[test]
fn what_is_old_is_no_news() {
    let mut instance = Instance::held();
    instance.member.read();
    assert_eq!(instance.settle(), Some(Question::Read));
    instance.hears(known(3, Kind::Closed, None));
    assert_eq!((instance.settle(), instance.local.state), (None, Closed));
    instance.hears(known(2, Kind::Open, Some(SECOND)));
    // The answer to what was asked before the message came.
    instance.is_told(answer(known(1, Kind::Open, Some(SECOND))));
    assert_eq!((instance.settle(), instance.local.state), (None, Closed));
}

#[test]
fn what_redis_has_lost_is_said_again() {
    // It closed after what Redis knows.
    let mut closed = Instance::held();
    closed.hears(known(3, Kind::Closed, None));
    assert_eq!((closed.settle(), closed.local.state), (None, Closed));
    closed.member.read();
    assert_eq!(closed.settle(), Some(Question::Read));
    closed.is_told(answer(known(1, Kind::Open, Some(SECOND))));
    assert_eq!((closed.settle(), closed.local.state), (Some(Question::Restore), Closed));
    let lost = closed.member.lost(&closed.local, closed.now);
    assert_eq!((lost.kind, lost.version), (Kind::Closed, 3));
    closed.is_told(answer(known(4, Kind::Closed, None)));
    assert_eq!((closed.settle(), closed.local.state), (None, Closed));

    // It opened after what Redis knows.
    let mut open = Instance::new();
    open.hears(known(5, Kind::Reset, None));
    assert_eq!(open.settle(), None);
    open.hears(Known { failed: 2, ..known(6, Kind::Open, Some(2 * SECOND)) });
    assert_eq!((open.settle(), open.local.state), (None, Open));
    open.now += SECOND;
    open.member.read();
    assert_eq!(open.settle(), Some(Question::Read));
    open.is_told(answer(known(5, Kind::Reset, None)));
    assert_eq!((open.settle(), open.local.state), (Some(Question::Restore), Open));
    let lost = open.member.lost(&open.local, open.now);
    assert_eq!((lost.kind, lost.version, lost.left, lost.failed), (Kind::Open, 6, Some(SECOND), 2));
    // Somebody else was faster.
    open.is_told(answer(known(7, Kind::Open, Some(SECOND))));
    assert_eq!((open.settle(), open.local.state), (None, Open));

    // It has recovered by itself meanwhile.
    let mut recovered = Instance::held();
    recovered.becomes(Closed);
    recovered.member.version = 2;
    recovered.member.held = 2;
    recovered.member.read();
    assert_eq!(recovered.settle(), Some(Question::Read));
    recovered.is_told(answer(known(1, Kind::Open, Some(SECOND))));
    assert_eq!((recovered.settle(), recovered.local.state), (Some(Question::Restore), Closed));
    assert_eq!(recovered.member.lost(&recovered.local, recovered.now).kind, Kind::Closed);
}

#[test]
fn a_trip_that_meets_a_redis_that_has_lost_something_is_announced_after_all() {
    let mut instance = Instance::new();
    instance.hears(known(3, Kind::Closed, None));
    assert_eq!(instance.settle(), None);
    instance.becomes(Open);
    assert_eq!(instance.settle(), Some(Question::Announce { transitions: 1 }));
    instance.is_told(answer(known(2, Kind::Open, Some(SECOND))));
    assert_eq!(instance.settle(), Some(Question::Restore));
    instance.is_told(answer(known(4, Kind::Closed, None)));
    assert_eq!(instance.settle(), Some(Question::Announce { transitions: 1 }));
}

#[test]
fn operators_weigh_more() {
    let mut instance = Instance::held();
    instance.hears(known(2, Kind::Forced, Some(SECOND)));
    assert_eq!((instance.settle(), instance.local.state), (None, ForcedOpen));
    // On this instance alone, later: that stays.
    instance.becomes(Disabled);
    assert_eq!((instance.settle(), instance.local.state), (None, Disabled));
    instance.hears(known(3, Kind::Reset, None));
    assert_eq!((instance.settle(), instance.local.state), (None, Closed));
    instance.becomes(ForcedOpen);
    instance.hears(known(4, Kind::Open, Some(SECOND)));
    assert_eq!((instance.settle(), instance.local.is_ours), (None, false));
    instance.hears(known(5, Kind::Disabled, None));
    assert_eq!((instance.settle(), instance.local.state), (None, Disabled));
    // Redis has lost it: it is said again.
    instance.member.read();
    assert_eq!(instance.settle(), Some(Question::Read));
    instance.is_told(answer(known(0, Kind::Missing, None)));
    assert_eq!(instance.settle(), Some(Question::Restore));
    let lost = instance.member.lost(&instance.local, instance.now);
    assert_eq!((lost.kind, lost.left, lost.version), (Kind::Disabled, None, 5));
    assert_eq!((lost.by.as_str(), lost.reason.as_str()), ("other", "broken"));
    instance.is_told(answer(known(9, Kind::Disabled, None)));
    assert_eq!((instance.settle(), instance.local.state), (None, Disabled));
}

#[test]
fn what_was_forced_open_recovers_under_the_lease() {
    let mut instance = Instance::new();
    instance.hears(known(1, Kind::Forced, Some(SECOND)));
    assert_eq!((instance.settle(), instance.local.state), (None, ForcedOpen));
    instance.local.rejections += 1;
    instance.now += 2 * SECOND;
    assert!(matches!(instance.settle(), Some(Question::Ask { .. })));
    instance.is_granted(known(1, Kind::Open, Some(Duration::ZERO)));
    assert_eq!(instance.settle(), None);
    assert!(instance.member.hold_ends.is_some_and(|ends| ends <= instance.now));
    instance.becomes(HalfOpen);
    instance.becomes(Closed);
    assert_eq!(instance.settle(), Some(Question::Close { seen: 1 }));
}

#[test]
fn what_redis_refuses_is_asked_again_later() {
    let mut instance = Instance::new();
    instance.becomes(Open);
    assert!(instance.settle().is_some());
    instance.member.fail(instance.now, &TIMES);
    assert_eq!(instance.settle(), None);
    instance.now += SECOND;
    assert!(instance.settle().is_some());
}

#[test]
fn the_same_answer_is_not_asked_for_at_once() {
    // The clock of Redis was set back: there the rest is not over yet.
    let mut instance = Instance::held();
    instance.now += SECOND;
    let mut asked = 0;
    for _ in 0..1_000 {
        if let Some(question) = instance.settle() {
            assert!(matches!(question, Question::Ask { .. }), "{question:?}");
            asked += 1;
            instance.is_told(answer(known(1, Kind::Open, Some(8 * SECOND))));
        }
        instance.now += SECOND / 1_000;
    }
    assert!((10..=21).contains(&asked), "{asked} questions in a second");
    // Nor what nothing came of.
    let mut closed = Instance::held();
    closed.becomes(Closed);
    assert_eq!(closed.settle(), Some(Question::Close { seen: 1 }));
    closed.is_told(answer(known(1, Kind::Open, Some(SECOND))));
    assert_eq!(closed.settle(), None);
    closed.now += SECOND / 10;
    assert_eq!(closed.settle(), Some(Question::Close { seen: 1 }));
}

#[test]
fn what_may_have_been_missed_is_looked_at_at_once() {
    let mut instance = Instance::held();
    instance.now += SECOND;
    assert!(matches!(instance.settle(), Some(Question::Ask { .. })));
    instance.is_told(Answer { lease_left: 2 * SECOND, ..answer(known(1, Kind::Open, Some(Duration::ZERO))) });
    assert_eq!(instance.settle(), None, "another has the lease");
    instance.member.read();
    assert_eq!(instance.settle(), Some(Question::Read));
    // One that was asked for something else before does not look for it.
    let mut late = Instance::held();
    late.now += SECOND;
    assert!(matches!(late.settle(), Some(Question::Ask { .. })));
    late.member.read();
    late.is_told(Answer { lease_left: 2 * SECOND, ..answer(known(1, Kind::Open, Some(Duration::ZERO))) });
    assert_eq!(late.settle(), Some(Question::Read));
}

#[test]
fn an_answer_changes_nothing_that_was_heard_after_its_question() {
    let mut instance = Instance::held();
    instance.becomes(Closed);
    assert_eq!(instance.settle(), Some(Question::Close { seen: 1 }));
    instance.hears(known(5, Kind::Forced, None));
    assert_eq!((instance.settle(), instance.local.state), (None, ForcedOpen));
    instance.is_told(answer(known(0, Kind::Missing, None)));
    assert_eq!((instance.settle(), instance.local.state), (None, ForcedOpen));

    let mut leased = Instance::held();
    leased.now += SECOND;
    assert!(matches!(leased.settle(), Some(Question::Ask { .. })));
    leased.hears(known(2, Kind::Open, Some(9 * SECOND)));
    leased.is_granted(known(1, Kind::Open, Some(Duration::ZERO)));
    assert_eq!(leased.settle(), None);
    assert!(leased.member.hold_ends.is_some_and(|ends| ends > leased.now + 9 * SECOND), "it is not let go");
}

#[test]
fn a_circuit_whose_time_is_over_is_open_until_a_call_comes() {
    let mut instance = Instance::held();
    let seen = instance.local;
    // It reads so before a call has made the transition.
    let reads = |state| Local { state, is_ours: false, ..seen };
    for (before, state) in [(seen, HalfOpen), (reads(ForcedOpen), HalfOpen), (reads(Disabled), Closed)] {
        let local = reads(state).after(Some(before));
        assert_eq!((local.state, local.is_ours), (before.state, before.is_ours));
    }
    instance.becomes(HalfOpen);
    assert_eq!(instance.local.after(Some(seen)).state, HalfOpen);
    assert_eq!(reads(HalfOpen).after(None).state, HalfOpen);
    // Held anew, it is open without a transition.
    assert_eq!(seen.after(Some(seen)).state, Open);
}
