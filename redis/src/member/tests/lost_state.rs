//! Decisions while Redis is unreachable, and after it has lost a state.

use std::time::Duration;

use steadfast::BreakerState::{Closed, HalfOpen, Open};

use super::{Instance, SECOND, reply, state};
use crate::{
    member::Intent,
    protocol::{FleetState, StateKind},
};

#[test]
fn without_redis_the_local_circuit_decides() {
    let mut instance = Instance::held();
    instance.online = false;
    instance.member.on_disconnect();
    let hold_until = instance.member.hold_until;
    for _ in 0..10 {
        instance.now += SECOND;
        assert_eq!(instance.settle(), None);
    }
    assert_eq!(instance.member.hold_until, hold_until, "the hold is not extended");
    instance.enters(HalfOpen);
    instance.enters(Closed);
    assert_eq!((instance.settle(), instance.local.state), (None, Closed));
    // Reconnected, with an unchanged state in Redis: the recovery closes the fleet.
    instance.online = true;
    instance.member.request_read();
    assert_eq!(instance.settle(), Some(Intent::Read));
    instance.gets_reply(reply(state(1, StateKind::Open, Some(Duration::ZERO))));
    assert_eq!(instance.settle(), Some(Intent::Close { version: 1 }));
    // The state has changed: the fleet opened again.
    instance.gets_reply(reply(state(5, StateKind::Open, Some(SECOND))));
    assert_eq!((instance.settle(), instance.local.state), (None, Open));
}

#[test]
fn a_loss_of_data_neither_closes_nor_opens_a_circuit() {
    let mut open = Instance::held();
    open.member.request_read();
    assert_eq!(open.settle(), Some(Intent::Read));
    open.gets_reply(reply(state(0, StateKind::Missing, None)));
    assert_eq!((open.settle(), open.local.state), (None, Open));
    open.now += SECOND;
    assert!(matches!(open.settle(), Some(Intent::Lease { .. })), "it must recover");
    open.gets_lease(state(0, StateKind::Missing, None));
    assert_eq!(open.settle(), None);
    open.enters(HalfOpen);
    open.enters(Closed);
    assert_eq!(open.settle(), Some(Intent::Close { version: 0 }));
    open.gets_reply(reply(state(7, StateKind::Closed, None)));
    assert_eq!((open.settle(), open.local.state), (None, Closed));

    let mut closed = Instance::held();
    closed.receives(state(2, StateKind::Closed, None));
    assert_eq!((closed.settle(), closed.local.state), (None, Closed));
    closed.member.request_read();
    assert_eq!(closed.settle(), Some(Intent::Read));
    closed.gets_reply(reply(state(0, StateKind::Missing, None)));
    assert_eq!((closed.settle(), closed.local.state), (None, Closed));
}

#[test]
fn a_state_that_redis_has_lost_is_restored() {
    // Redis has lost a closed state.
    let mut closed = Instance::held();
    closed.receives(state(3, StateKind::Closed, None));
    assert_eq!((closed.settle(), closed.local.state), (None, Closed));
    closed.member.request_read();
    assert_eq!(closed.settle(), Some(Intent::Read));
    closed.gets_reply(reply(state(1, StateKind::Open, Some(SECOND))));
    assert_eq!((closed.settle(), closed.local.state), (Some(Intent::Restore), Closed));
    let lost = closed.member.state_to_restore(&closed.local, closed.now);
    assert_eq!((lost.kind, lost.version), (StateKind::Closed, 3));
    closed.gets_reply(reply(state(4, StateKind::Closed, None)));
    assert_eq!((closed.settle(), closed.local.state), (None, Closed));

    // Redis has lost an open state.
    let mut open = Instance::new();
    open.receives(state(5, StateKind::Reset, None));
    assert_eq!(open.settle(), None);
    open.receives(FleetState { failed_recoveries: 2, ..state(6, StateKind::Open, Some(2 * SECOND)) });
    assert_eq!((open.settle(), open.local.state), (None, Open));
    open.now += SECOND;
    open.member.request_read();
    assert_eq!(open.settle(), Some(Intent::Read));
    open.gets_reply(reply(state(5, StateKind::Reset, None)));
    assert_eq!((open.settle(), open.local.state), (Some(Intent::Restore), Open));
    let lost = open.member.state_to_restore(&open.local, open.now);
    assert_eq!(
        (lost.kind, lost.version, lost.remaining, lost.failed_recoveries),
        (StateKind::Open, 6, Some(SECOND), 2)
    );
    // Another instance has restored the state first.
    open.gets_reply(reply(state(7, StateKind::Open, Some(SECOND))));
    assert_eq!((open.settle(), open.local.state), (None, Open));

    // The local circuit has recovered without Redis.
    let mut recovered = Instance::held();
    recovered.enters(Closed);
    recovered.member.version = 2;
    recovered.member.held_version = 2;
    recovered.member.request_read();
    assert_eq!(recovered.settle(), Some(Intent::Read));
    recovered.gets_reply(reply(state(1, StateKind::Open, Some(SECOND))));
    assert_eq!((recovered.settle(), recovered.local.state), (Some(Intent::Restore), Closed));
    assert_eq!(recovered.member.state_to_restore(&recovered.local, recovered.now).kind, StateKind::Closed);
}

#[test]
fn a_vote_is_repeated_after_a_restore() {
    let mut instance = Instance::new();
    instance.receives(state(3, StateKind::Closed, None));
    assert_eq!(instance.settle(), None);
    instance.enters(Open);
    assert_eq!(instance.settle(), Some(Intent::Vote { transitions: 1 }));
    instance.gets_reply(reply(state(2, StateKind::Open, Some(SECOND))));
    assert_eq!(instance.settle(), Some(Intent::Restore));
    instance.gets_reply(reply(state(4, StateKind::Closed, None)));
    assert_eq!(instance.settle(), Some(Intent::Vote { transitions: 1 }));
}
