//! Turns of the lease among instances with few calls, each situation for many intervals between two calls.

use std::time::Duration;

use steadfast::BreakerState::{Closed, HalfOpen, Open};
use tokio::time::Instant;

use super::{Instance, SECOND, TIMES, answer, known};
use crate::{
    answer::{Answer, Granted, Kind},
    member::{Claim, Question},
};

const TICK: Duration = Duration::from_millis(50);
/// Successful trial calls that close a circuit.
const TRIALS: u32 = 3;

/// Instances, and what Redis does for them: messages arrive at once.
struct Fleet {
    instances: Vec<Instance>,
    now: Instant,
    version: u64,
    kind: Kind,
    rests_until: Instant,
    /// Holder, end, and the best claim of those who wait.
    lease: Option<(usize, Instant, u64)>,
}

impl Fleet {
    /// The first instance has found the service down, and the rest is over.
    fn tripped(count: usize) -> Self {
        let instances: Vec<_> = (0..count).map(|_| Instance::new()).collect();
        let now = instances[0].now;
        let mut fleet = Self { instances, now, version: 0, kind: Kind::Closed, rests_until: now, lease: None };
        fleet.instances.iter_mut().for_each(|instance| instance.now = now);
        fleet.instances[0].becomes(Open);
        fleet.passes(SECOND);
        fleet
    }

    fn passes(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.now += TICK.min(end - self.now);
            for index in 0..self.instances.len() {
                self.instances[index].now = self.now;
                while let Some(question) = self.instances[index].settle() {
                    let answer = self.answer(index, question);
                    self.instances[index].is_told(answer);
                }
            }
        }
    }

    fn changes(&mut self, kind: Kind, rest: Duration) {
        (self.version, self.kind, self.lease, self.rests_until) = (self.version + 1, kind, None, self.now + rest);
        let known = known(self.version, kind, Some(rest));
        self.instances.iter_mut().for_each(|instance| instance.hears(known.clone()));
    }

    fn answer(&mut self, asker: usize, question: Question) -> Answer {
        let (mut granted, mut lease_left) = (Granted::No, Duration::ZERO);
        match question {
            Question::Announce { .. } => self.changes(Kind::Open, SECOND / 2),
            Question::Close { .. } => self.changes(Kind::Closed, Duration::ZERO),
            Question::Ask { claim: Claim { rejections, yields_above }, .. } if self.rests_until <= self.now => {
                let until = self.now + TIMES.lease;
                match &mut self.lease {
                    Some((holder, until, claim)) if *until > self.now && *holder != asker => {
                        (*claim, lease_left) = ((*claim).max(rejections), *until - self.now);
                    }
                    Some((holder, _, claim))
                        if *holder == asker && yields_above.is_some_and(|above| *claim > above) =>
                    {
                        granted = Granted::ForTheLastTime;
                    }
                    lease => {
                        let claim = lease.filter(|(holder, end, _)| *end > self.now && *holder == asker);
                        *lease = Some((asker, until, claim.map_or(0, |(_, _, claim)| claim)));
                        granted = Granted::Yes;
                    }
                }
            }
            _ => {}
        }
        let known = known(self.version, self.kind, Some(self.rests_until.saturating_duration_since(self.now)));
        Answer { granted, lease_left, ..answer(known) }
    }

    /// Makes a call, which succeeds if it is admitted.
    fn call(&mut self, index: usize) {
        let instance = &mut self.instances[index];
        let is_admitted = match instance.local.state {
            Open if instance.member.hold_ends.is_none_or(|ends| ends > self.now) => false,
            Open => {
                instance.becomes(HalfOpen);
                instance.local.trial_successes = 0;
                true
            }
            state => state == HalfOpen,
        };
        instance.local.rejections += u64::from(!is_admitted);
        if is_admitted {
            instance.local.trial_successes += 1;
        }
        if is_admitted && instance.local.trial_successes == TRIALS {
            instance.becomes(Closed);
        }
    }

    /// Makes calls of these instances, one each time, until all circuits are closed; gives how many it took.
    fn calls_until_closed(&mut self, callers: &[usize], apart: Duration) -> usize {
        for (count, caller) in callers.iter().cycle().enumerate().take(1_000) {
            if self.instances.iter().all(|instance| instance.local.state == Closed) {
                return count;
            }
            self.call(*caller);
            self.passes(apart);
        }
        panic!("calls {apart:?} apart never close it");
    }
}

/// From several times in a lease to once in many.
fn intervals() -> impl Iterator<Item = Duration> {
    (8..=400).step_by(7).map(|tenths| SECOND * tenths / 10)
}

#[test]
fn the_calls_of_one_instance_suffice_wherever_the_circuit_tripped() {
    for apart in intervals() {
        assert_eq!(Fleet::tripped(3).calls_until_closed(&[0], apart), 3, "where it tripped: {apart:?}");
        // The first call is rejected and asks. It may take a lease until the instance that tripped has given way.
        let calls = Fleet::tripped(3).calls_until_closed(&[1], apart);
        let waiting = (TIMES.lease.as_millis() + 2 * TICK.as_millis()).div_ceil(apart.as_millis());
        assert!(calls as u128 <= 3 + waiting, "elsewhere: {calls} calls {apart:?} apart");
    }
}

#[test]
fn calls_that_came_elsewhere_before_do_not_take_the_lease_away() {
    for apart in intervals() {
        let mut fleet = Fleet::tripped(3);
        for caller in [0, 2, 2] {
            fleet.call(caller);
        }
        let calls = fleet.calls_until_closed(&[1], apart);
        let waiting = (12 * TIMES.lease.as_millis()).div_ceil(apart.as_millis());
        assert!(calls as u128 <= 9 + waiting, "{calls} calls {apart:?} apart");
    }
}

#[test]
fn instances_that_are_called_in_turn_recover() {
    for callers in [&[0, 1][..], &[1, 2], &[3, 1, 2], &[1, 1, 0, 2]] {
        // An instance is called again before its turn of ten leases is over.
        let often = |apart: &Duration| *apart * u32::try_from(callers.len()).expect("few") < 9 * TIMES.lease;
        for apart in intervals().filter(often) {
            let calls = Fleet::tripped(4).calls_until_closed(callers, apart);
            let waiting = (4 * TIMES.lease.as_millis()).div_ceil(apart.as_millis());
            assert!(calls as u128 <= 4 * callers.len() as u128 + waiting, "{calls} calls {apart:?} apart, {callers:?}");
        }
    }
}
