//! The lease: requests, grants, renewals and its end.

use std::time::Duration;

use steadfast::BreakerState::{Closed, ForcedOpen, HalfOpen, Open};

use super::{Instance, SECOND, TIMING, claim_of, reply, state};
use crate::{
    member::{Action, Decision, Intent},
    protocol::{Grant, Reply, StateKind},
};

#[test]
fn a_held_circuit_is_released_only_under_the_lease() {
    let mut instance = Instance::held();
    instance.now += Duration::from_millis(999);
    assert_eq!(instance.settle(), None, "not before the recovery timeout");
    instance.now += Duration::from_millis(1);
    let Some(Intent::Lease { .. }) = instance.settle() else { panic!("{:?}", instance.member) };
    // Another instance has the lease.
    instance.gets_reply(Reply { lease_left: SECOND, ..reply(state(1, StateKind::Open, Some(Duration::ZERO))) });
    for _ in 0..20 {
        assert_eq!(instance.settle(), None);
        instance.now += Duration::from_millis(49);
        // Meanwhile the hold is extended.
        assert!(instance.member.hold_until.is_some_and(|until| until > instance.now + SECOND));
    }
    instance.now += Duration::from_millis(20);
    assert!(matches!(instance.settle(), Some(Intent::Lease { .. })), "as soon as that lease ends");
    instance.gets_lease(state(1, StateKind::Open, Some(Duration::ZERO)));
    let release = instance.member.decide(&instance.local, true, instance.now, &TIMING);
    assert_eq!(release, Decision::Act(Action::Hold { duration: Duration::ZERO, failed_recoveries: 0 }));
    instance.enters(HalfOpen);
    assert_eq!(instance.settle(), None);
    instance.now += SECOND;
    assert!(
        matches!(instance.settle(), Some(Intent::Lease { .. })),
        "the lease is renewed while trial calls are in flight"
    );
    instance.gets_lease(state(1, StateKind::Open, Some(Duration::ZERO)));
    instance.enters(Closed);
    assert_eq!(instance.settle(), Some(Intent::Close { version: 1 }));
    instance.gets_reply(reply(state(2, StateKind::Closed, None)));
    assert_eq!((instance.settle(), instance.local.state), (None, Closed));
}

#[test]
fn the_lease_requires_a_rejected_call_and_is_kept_until_another_instance_claims_it() {
    let mut instance = Instance::held();
    instance.local.rejections -= 1;
    for _ in 0..100 {
        instance.now += SECOND;
        assert_eq!((instance.settle(), instance.local.state), (None, Open));
    }
    instance.local.rejections += 1;
    let lease = state(1, StateKind::Open, Some(Duration::ZERO));
    assert!(matches!(instance.settle(), Some(Intent::Lease { .. })));
    instance.gets_lease(lease.clone());
    // The lease is renewed as long as no call is made.
    let mut renewals = 0;
    for _ in 0..1_000 {
        instance.now += SECOND / 20;
        if let Some(intent) = instance.settle() {
            assert!(claim_of(intent).yields_above.is_some(), "{intent:?}");
            instance.gets_lease(lease.clone());
            renewals += 1;
        }
        assert!(instance.member.hold_until.is_some_and(|until| until <= instance.now), "the circuit is released");
    }
    assert!((20..60).contains(&renewals), "in 50 s, with a lease of 2 s: {renewals}");
    // Another instance has a claim: the current lease runs to its end and is not renewed.
    while instance.settle().is_none() {
        instance.now += SECOND / 20;
    }
    instance.gets_reply(Reply { grant: Grant::Final, ..reply(lease.clone()) });
    assert_eq!(instance.settle(), None);
    assert!(instance.member.hold_until.is_some_and(|until| until <= instance.now), "still released");
    instance.now += SECOND;
    assert_eq!(instance.settle(), None, "no request at once");
    assert!(instance.member.hold_until.is_some_and(|until| until > instance.now), "held again");
    instance.now += TIMING.lease;
    assert_eq!(instance.settle(), None, "no claim without another rejected call");
    instance.local.rejections += 1;
    let again = instance.settle().map(|intent| claim_of(intent).rejections);
    assert_eq!(again, Some(1), "another rejected call is a new claim");
}

#[test]
fn trial_calls_in_flight_renew_a_final_lease() {
    let mut instance = Instance::held();
    instance.now += SECOND;
    assert!(matches!(instance.settle(), Some(Intent::Lease { .. })));
    instance.gets_lease(state(1, StateKind::Open, Some(Duration::ZERO)));
    while instance.settle().is_none() {
        instance.now += SECOND / 20;
    }
    instance.gets_reply(Reply { grant: Grant::Final, ..reply(state(1, StateKind::Open, Some(Duration::ZERO))) });
    instance.enters(HalfOpen);
    assert_eq!(
        instance.settle().map(|intent| claim_of(intent).yields_above),
        Some(None),
        "it does not yield during trial calls"
    );
}

#[test]
fn the_instance_that_opened_the_fleet_requests_the_lease_without_a_rejection() {
    let mut instance = Instance::new();
    instance.enters(Open);
    assert!(matches!(instance.settle(), Some(Intent::Vote { .. })));
    instance.gets_reply(reply(state(1, StateKind::Open, Some(SECOND))));
    assert_eq!(instance.settle(), None);
    instance.now += SECOND;
    assert!(matches!(instance.settle(), Some(Intent::Lease { .. })));
    // If another instance opens the fleet again, this one needs a rejected call.
    instance.gets_reply(reply(state(2, StateKind::Open, Some(SECOND))));
    assert_eq!(instance.settle(), None);
    instance.now += SECOND;
    assert_eq!(instance.settle(), None);
    instance.local.rejections += 1;
    assert!(matches!(instance.settle(), Some(Intent::Lease { .. })));
}

#[test]
fn a_failed_trial_call_is_voted_for_and_a_hung_one_yields_the_lease() {
    let mut instance = Instance::held();
    instance.now += SECOND;
    assert!(matches!(instance.settle(), Some(Intent::Lease { .. })));
    instance.gets_lease(state(1, StateKind::Open, Some(Duration::ZERO)));
    assert_eq!(instance.settle(), None);
    instance.enters(HalfOpen);
    instance.enters(Open);
    assert!(matches!(instance.settle(), Some(Intent::Vote { .. })));
    instance.gets_reply(reply(state(2, StateKind::Open, Some(SECOND))));
    assert_eq!((instance.settle(), instance.local.is_fleet_set), (None, true));
    instance.local.rejections += 1;
    instance.now += SECOND;
    assert!(matches!(instance.settle(), Some(Intent::Lease { .. })));
    instance.gets_lease(state(2, StateKind::Open, Some(Duration::ZERO)));
    assert_eq!(instance.settle(), None);
    instance.enters(HalfOpen);
    let mut renewals = 0;
    while instance.local.state == HalfOpen {
        instance.now += SECOND / 2;
        if let Some(Intent::Lease { claim, .. }) = instance.settle() {
            renewals += 1;
            let grant = if claim.yields_above.is_some() { Grant::Final } else { Grant::Granted };
            instance.gets_reply(Reply { grant, ..reply(state(2, StateKind::Open, Some(Duration::ZERO))) });
        }
        assert!(renewals < 100, "the lease must be yielded");
    }
    assert!(renewals > 10, "not at once: {renewals}");
    assert_eq!(instance.local.state, Open);
}

#[test]
fn after_an_expired_force_open_the_circuit_recovers_under_the_lease() {
    let mut instance = Instance::new();
    instance.receives(state(1, StateKind::ForcedOpen, Some(SECOND)));
    assert_eq!((instance.settle(), instance.local.state), (None, ForcedOpen));
    instance.local.rejections += 1;
    instance.now += 2 * SECOND;
    assert!(matches!(instance.settle(), Some(Intent::Lease { .. })));
    instance.gets_lease(state(1, StateKind::Open, Some(Duration::ZERO)));
    assert_eq!(instance.settle(), None);
    assert!(instance.member.hold_until.is_some_and(|until| until <= instance.now));
    instance.enters(HalfOpen);
    instance.enters(Closed);
    assert_eq!(instance.settle(), Some(Intent::Close { version: 1 }));
}

#[test]
fn requests_with_an_unchanged_reply_are_throttled() {
    // The clock of Redis was set back, so the recovery timeout has not elapsed there.
    let mut instance = Instance::held();
    instance.now += SECOND;
    let mut requests = 0;
    for _ in 0..1_000 {
        if let Some(intent) = instance.settle() {
            assert!(matches!(intent, Intent::Lease { .. }), "{intent:?}");
            requests += 1;
            instance.gets_reply(reply(state(1, StateKind::Open, Some(8 * SECOND))));
        }
        instance.now += SECOND / 1_000;
    }
    assert!((10..=21).contains(&requests), "{requests} requests in a second");
    // A request to close that had no effect is throttled, too.
    let mut closed = Instance::held();
    closed.enters(Closed);
    assert_eq!(closed.settle(), Some(Intent::Close { version: 1 }));
    closed.gets_reply(reply(state(1, StateKind::Open, Some(SECOND))));
    assert_eq!(closed.settle(), None);
    closed.now += SECOND / 10;
    assert_eq!(closed.settle(), Some(Intent::Close { version: 1 }));
}
