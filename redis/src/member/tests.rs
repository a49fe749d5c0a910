//! Decisions of a member in simulated time, one situation per test.

mod lease;
mod lease_transfers;
mod lost_state;

use std::time::Duration;

use steadfast::BreakerState::{self, Closed, Disabled, ForcedOpen, HalfOpen, Open};
use tokio::time::Instant;

use super::{Action, Decision, Intent, LocalState, Member, Timing};
use crate::protocol::{FleetState, Grant, LeaseClaim, Reply, StateKind};

const SECOND: Duration = Duration::from_secs(1);
const TIMING: Timing = Timing { lease: Duration::from_secs(2), grace: Duration::from_secs(3), retry_delay: SECOND };

/// An instance with a simulated local circuit and clock.
struct Instance {
    member: Member,
    local: LocalState,
    now: Instant,
    online: bool,
}

fn state(version: u64, kind: StateKind, remaining: Option<Duration>) -> FleetState {
    FleetState { version, kind, remaining, failed_recoveries: 0, by: "other".into(), reason: "broken".into() }
}

fn reply(state: FleetState) -> Reply {
    Reply { state, grant: Grant::Denied, lease_left: Duration::ZERO, changed: false }
}

fn claim_of(intent: Intent) -> LeaseClaim {
    let Intent::Lease { claim, .. } = intent else { panic!("{intent:?}") };
    claim
}

impl Instance {
    fn new() -> Self {
        let local =
            LocalState { state: Closed, is_fleet_set: false, transitions: 0, rejections: 0, trial_successes: 0 };
        Self { member: Member::new(), local, now: Instant::now(), online: true }
    }

    /// Applies actions until the member is idle or has a request to send, and returns that request.
    fn settle(&mut self) -> Option<Intent> {
        for _ in 0..5 {
            match self.member.decide(&self.local, self.online, self.now, &TIMING) {
                Decision::Act(action) => self.apply(action),
                Decision::Send(intent) => {
                    self.member.on_request_sent(intent);
                    return Some(intent);
                }
                Decision::Idle => return None,
            }
        }
        panic!("the member does not settle: {:?} {:?}", self.member, self.local);
    }

    fn apply(&mut self, action: Action) {
        let state = match action {
            Action::Hold { .. } => Open,
            Action::Close | Action::Reset => Closed,
            Action::ForceOpen { .. } => ForcedOpen,
            Action::Disable { .. } => Disabled,
        };
        self.enters(state);
        self.local.is_fleet_set = true;
    }

    /// Makes a local transition, which the fleet did not set.
    fn enters(&mut self, state: BreakerState) {
        self.local.transitions += u64::from(self.local.state != state);
        (self.local.state, self.local.is_fleet_set) = (state, false);
    }

    fn receives(&mut self, state: FleetState) {
        self.member.on_broadcast(state, self.now);
    }

    fn gets_reply(&mut self, reply: Reply) {
        self.member.on_reply(reply, self.now, &TIMING);
    }

    fn gets_lease(&mut self, state: FleetState) {
        self.gets_reply(Reply { grant: Grant::Granted, ..reply(state) });
    }

    /// Returns an instance that is held open by the fleet and has rejected one call.
    fn held() -> Self {
        let mut instance = Self::new();
        instance.receives(state(1, StateKind::Open, Some(SECOND)));
        assert_eq!(instance.settle(), None);
        assert_eq!((instance.local.state, instance.local.is_fleet_set), (Open, true));
        instance.local.rejections += 1;
        instance
    }
}

#[test]
fn each_local_opening_is_voted_for_once() {
    let mut instance = Instance::new();
    assert_eq!(instance.settle(), None);
    instance.enters(Open);
    assert_eq!(instance.settle(), Some(Intent::Vote { transitions: 1 }));
    assert_eq!(instance.settle(), None, "one request at a time");
    // Without a quorum only the local circuit is open. It votes again only when it opens again.
    instance.gets_reply(reply(state(0, StateKind::Missing, None)));
    assert_eq!((instance.settle(), instance.local.state), (None, Open));
    instance.enters(HalfOpen);
    assert_eq!(instance.settle(), None);
    instance.enters(Open);
    assert_eq!(instance.settle(), Some(Intent::Vote { transitions: 3 }));
    instance.gets_reply(reply(state(0, StateKind::Missing, None)));
    // When the circuit closes, the vote is withdrawn.
    instance.enters(Closed);
    assert_eq!(instance.settle(), Some(Intent::Withdraw));
    instance.gets_reply(reply(state(0, StateKind::Missing, None)));
    assert_eq!((instance.settle(), instance.local.state), (None, Closed));
}

#[test]
fn older_states_are_ignored() {
    let mut instance = Instance::held();
    instance.member.request_read();
    assert_eq!(instance.settle(), Some(Intent::Read));
    instance.receives(state(3, StateKind::Closed, None));
    assert_eq!((instance.settle(), instance.local.state), (None, Closed));
    instance.receives(state(2, StateKind::Open, Some(SECOND)));
    // A reply to a request from before the broadcast.
    instance.gets_reply(reply(state(1, StateKind::Open, Some(SECOND))));
    assert_eq!((instance.settle(), instance.local.state), (None, Closed));
}

#[test]
fn overrides_take_precedence_over_the_state_of_the_fleet() {
    let mut instance = Instance::held();
    instance.receives(state(2, StateKind::ForcedOpen, Some(SECOND)));
    assert_eq!((instance.settle(), instance.local.state), (None, ForcedOpen));
    // A later override of this instance alone stays.
    instance.enters(Disabled);
    assert_eq!((instance.settle(), instance.local.state), (None, Disabled));
    instance.receives(state(3, StateKind::Reset, None));
    assert_eq!((instance.settle(), instance.local.state), (None, Closed));
    instance.enters(ForcedOpen);
    instance.receives(state(4, StateKind::Open, Some(SECOND)));
    assert_eq!((instance.settle(), instance.local.is_fleet_set), (None, false));
    instance.receives(state(5, StateKind::Disabled, None));
    assert_eq!((instance.settle(), instance.local.state), (None, Disabled));
    // Redis has lost the override: it is restored.
    instance.member.request_read();
    assert_eq!(instance.settle(), Some(Intent::Read));
    instance.gets_reply(reply(state(0, StateKind::Missing, None)));
    assert_eq!(instance.settle(), Some(Intent::Restore));
    let lost = instance.member.state_to_restore(&instance.local, instance.now);
    assert_eq!((lost.kind, lost.remaining, lost.version), (StateKind::Disabled, None, 5));
    assert_eq!((lost.by.as_str(), lost.reason.as_str()), ("other", "broken"));
    instance.gets_reply(reply(state(9, StateKind::Disabled, None)));
    assert_eq!((instance.settle(), instance.local.state), (None, Disabled));
}

#[test]
fn a_failed_request_is_repeated_after_a_delay() {
    let mut instance = Instance::new();
    instance.enters(Open);
    assert!(instance.settle().is_some());
    instance.member.on_request_failed(instance.now, &TIMING);
    assert_eq!(instance.settle(), None);
    instance.now += SECOND;
    assert!(instance.settle().is_some());
}

#[test]
fn a_requested_read_is_sent_at_once() {
    let mut instance = Instance::held();
    instance.now += SECOND;
    assert!(matches!(instance.settle(), Some(Intent::Lease { .. })));
    instance.gets_reply(Reply { lease_left: 2 * SECOND, ..reply(state(1, StateKind::Open, Some(Duration::ZERO))) });
    assert_eq!(instance.settle(), None, "another instance has the lease");
    instance.member.request_read();
    assert_eq!(instance.settle(), Some(Intent::Read));
    // With a request in flight, the read is sent after its reply.
    let mut late = Instance::held();
    late.now += SECOND;
    assert!(matches!(late.settle(), Some(Intent::Lease { .. })));
    late.member.request_read();
    late.gets_reply(Reply { lease_left: 2 * SECOND, ..reply(state(1, StateKind::Open, Some(Duration::ZERO))) });
    assert_eq!(late.settle(), Some(Intent::Read));
}

#[test]
fn a_reply_does_not_override_a_newer_broadcast() {
    let mut instance = Instance::held();
    instance.enters(Closed);
    assert_eq!(instance.settle(), Some(Intent::Close { version: 1 }));
    instance.receives(state(5, StateKind::ForcedOpen, None));
    assert_eq!((instance.settle(), instance.local.state), (None, ForcedOpen));
    instance.gets_reply(reply(state(0, StateKind::Missing, None)));
    assert_eq!((instance.settle(), instance.local.state), (None, ForcedOpen));

    let mut leased = Instance::held();
    leased.now += SECOND;
    assert!(matches!(leased.settle(), Some(Intent::Lease { .. })));
    leased.receives(state(2, StateKind::Open, Some(9 * SECOND)));
    leased.gets_lease(state(1, StateKind::Open, Some(Duration::ZERO)));
    assert_eq!(leased.settle(), None);
    assert!(leased.member.hold_until.is_some_and(|until| until > leased.now + 9 * SECOND), "it is not released");
}

#[test]
fn a_circuit_whose_timeout_has_elapsed_counts_as_open_until_a_call() {
    let mut instance = Instance::held();
    let previous = instance.local;
    // The state reads as the next one before any call has made the transition.
    let reads = |state| LocalState { state, is_fleet_set: false, ..previous };
    for (before, state) in [(previous, HalfOpen), (reads(ForcedOpen), HalfOpen), (reads(Disabled), Closed)] {
        let local = reads(state).corrected_by(Some(before));
        assert_eq!((local.state, local.is_fleet_set), (before.state, before.is_fleet_set));
    }
    instance.enters(HalfOpen);
    assert_eq!(instance.local.corrected_by(Some(previous)).state, HalfOpen);
    assert_eq!(reads(HalfOpen).corrected_by(None).state, HalfOpen);
    // A renewed hold is open without a transition.
    assert_eq!(previous.corrected_by(Some(previous)).state, Open);
}
