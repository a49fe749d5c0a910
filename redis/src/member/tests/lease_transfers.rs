//! Transfers of the lease between instances whose calls are rare, for a range of intervals between two calls.

use std::time::Duration;

use steadfast::BreakerState::{Closed, HalfOpen, Open};
use tokio::time::Instant;

use super::{Instance, SECOND, TIMING, reply, state};
use crate::{
    member::Intent,
    protocol::{Grant, LeaseClaim, Reply, StateKind},
};

const TICK: Duration = Duration::from_millis(50);
/// The number of successful trial calls that close a circuit.
const TRIALS: u32 = 3;

/// Instances and a simulated Redis. Broadcasts arrive at once.
struct Fleet {
    instances: Vec<Instance>,
    now: Instant,
    version: u64,
    kind: StateKind,
    open_until: Instant,
    /// Holder, end, and the best claim of the waiting instances.
    lease: Option<(usize, Instant, u64)>,
}

impl Fleet {
    /// Returns a fleet that was opened by its first instance and whose recovery timeout has elapsed.
    fn tripped(count: usize) -> Self {
        let instances: Vec<_> = (0..count).map(|_| Instance::new()).collect();
        let now = instances[0].now;
        let mut fleet = Self { instances, now, version: 0, kind: StateKind::Closed, open_until: now, lease: None };
        fleet.instances.iter_mut().for_each(|instance| instance.now = now);
        fleet.instances[0].enters(Open);
        fleet.advance(SECOND);
        fleet
    }

    fn advance(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.now += TICK.min(end - self.now);
            for index in 0..self.instances.len() {
                self.instances[index].now = self.now;
                while let Some(intent) = self.instances[index].settle() {
                    let reply = self.reply(index, intent);
                    self.instances[index].gets_reply(reply);
                }
            }
        }
    }

    fn transition(&mut self, kind: StateKind, open_for: Duration) {
        (self.version, self.kind, self.lease, self.open_until) = (self.version + 1, kind, None, self.now + open_for);
        let state = state(self.version, kind, Some(open_for));
        self.instances.iter_mut().for_each(|instance| instance.receives(state.clone()));
    }

    fn reply(&mut self, sender: usize, intent: Intent) -> Reply {
        let (mut grant, mut lease_left) = (Grant::Denied, Duration::ZERO);
        match intent {
            Intent::Vote { .. } => self.transition(StateKind::Open, SECOND / 2),
            Intent::Close { .. } => self.transition(StateKind::Closed, Duration::ZERO),
            Intent::Lease { claim: LeaseClaim { rejections, yields_above }, .. } if self.open_until <= self.now => {
                let until = self.now + TIMING.lease;
                match &mut self.lease {
                    Some((holder, until, claim)) if *until > self.now && *holder != sender => {
                        (*claim, lease_left) = ((*claim).max(rejections), *until - self.now);
                    }
                    Some((holder, _, claim))
                        if *holder == sender && yields_above.is_some_and(|above| *claim > above) =>
                    {
                        grant = Grant::Final;
                    }
                    lease => {
                        let claim = lease.filter(|(holder, end, _)| *end > self.now && *holder == sender);
                        *lease = Some((sender, until, claim.map_or(0, |(_, _, claim)| claim)));
                        grant = Grant::Granted;
                    }
                }
            }
            _ => {}
        }
        let state = state(self.version, self.kind, Some(self.open_until.saturating_duration_since(self.now)));
        Reply { grant, lease_left, ..reply(state) }
    }

    /// Makes a call, which succeeds if it is admitted.
    fn call(&mut self, index: usize) {
        let instance = &mut self.instances[index];
        let is_admitted = match instance.local.state {
            Open if instance.member.hold_until.is_none_or(|until| until > self.now) => false,
            Open => {
                instance.enters(HalfOpen);
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
            instance.enters(Closed);
        }
    }

    /// Makes calls in these instances in turn until all circuits are closed. Returns the number of calls.
    fn calls_until_closed(&mut self, callers: &[usize], interval: Duration) -> usize {
        for (count, caller) in callers.iter().cycle().enumerate().take(1_000) {
            if self.instances.iter().all(|instance| instance.local.state == Closed) {
                return count;
            }
            self.call(*caller);
            self.advance(interval);
        }
        panic!("calls at intervals of {interval:?} never close the circuits");
    }
}

/// Intervals from a fraction of a lease to many leases.
fn intervals() -> impl Iterator<Item = Duration> {
    (8..=400).step_by(7).map(|tenths| SECOND * tenths / 10)
}

#[test]
fn the_calls_of_any_one_instance_close_the_circuits() {
    for interval in intervals() {
        assert_eq!(
            Fleet::tripped(3).calls_until_closed(&[0], interval),
            3,
            "the instance that opened the fleet: {interval:?}"
        );
        // The first call is rejected, which is a claim to the lease. The instance that opened the fleet may hold the lease until its end.
        let calls = Fleet::tripped(3).calls_until_closed(&[1], interval);
        let waiting = (TIMING.lease.as_millis() + 2 * TICK.as_millis()).div_ceil(interval.as_millis());
        assert!(calls as u128 <= 3 + waiting, "another instance: {calls} calls at intervals of {interval:?}");
    }
}

#[test]
fn earlier_rejections_elsewhere_do_not_keep_the_lease_from_an_instance_with_calls() {
    for interval in intervals() {
        let mut fleet = Fleet::tripped(3);
        for caller in [0, 2, 2] {
            fleet.call(caller);
        }
        let calls = fleet.calls_until_closed(&[1], interval);
        let waiting = (12 * TIMING.lease.as_millis()).div_ceil(interval.as_millis());
        assert!(calls as u128 <= 9 + waiting, "{calls} calls at intervals of {interval:?}");
    }
}

#[test]
fn calls_that_alternate_between_instances_close_the_circuits() {
    for callers in [&[0, 1][..], &[1, 2], &[3, 1, 2], &[1, 1, 0, 2]] {
        // Each instance gets its next call before it yields the lease, which it would do after ten lease durations.
        let often = |interval: &Duration| *interval * u32::try_from(callers.len()).expect("few") < 9 * TIMING.lease;
        for interval in intervals().filter(often) {
            let calls = Fleet::tripped(4).calls_until_closed(callers, interval);
            let waiting = (4 * TIMING.lease.as_millis()).div_ceil(interval.as_millis());
            assert!(
                calls as u128 <= 4 * callers.len() as u128 + waiting,
                "{calls} calls at intervals of {interval:?}, {callers:?}"
            );
        }
    }
}
