//! A service that recovers sees the trial calls of one instance.

use std::time::Duration;

use rustix::process::Signal;
use steadfast::BreakerState::{Closed, Disabled, HalfOpen, Open};
use steadfast_redis::{Fleet, Operation};

use crate::{
    alone,
    instance::{BREAKER, Instance, Setup, all_are},
    server::Redis,
    service::Service,
    until,
};

const SECOND: Duration = Duration::from_secs(1);
const REST: Duration = Duration::from_millis(300);
/// As the instances are configured.
const TRIALS: usize = 3;
const LEASE: &str = "steadfast:{shop:payments}:lease";

/// The instance that Redis has lent the lease to.
fn holder(redis: &Redis) -> Option<String> {
    let lease: Option<String> = redis.command(&["GET", LEASE]);
    lease.and_then(|lease| Some(lease.split('\x1f').next()?.to_owned()))
}

/// Waits until the lease has been renewed so many times.
fn is_renewed(redis: &Redis, times: u32) {
    let left = || redis.command::<i64>(&["PTTL", LEASE]);
    for _ in 0..times {
        let mut least = left();
        until("the lease is renewed", || {
            let now = left();
            let is_renewed = now > least;
            least = now;
            is_renewed
        });
    }
}

#[test]
fn trial_calls_of_all_together_are_as_many_as_of_one() {
    let _alone = alone();
    let (redis, service) = (Redis::start(), Service::start());
    // Nobody is so slow that it loses the lease.
    let setup =
        Setup { recovery: REST, lease: 20 * SECOND, service: Some(service.address), ..Setup::new(redis.address()) };
    let mut instances = Instance::fleet(5, &setup);
    for instance in &mut instances {
        // As many as may make trial calls: a breaker gives the place of one that hangs to another caller after a while.
        instance.tell("load 3 5");
    }
    for recovery in 0..20 {
        service.hold_trials(true);
        service.set_down(true);
        until("a trial call", || !service.held().is_empty());
        // It is under way while all others make calls.
        let trying = service.held()[0].instance;
        for instance in instances.iter_mut().filter(|instance| instance.process() != trying) {
            instance.makes_calls(20);
        }
        let held = service.held();
        assert!(held.len() <= TRIALS && held.iter().all(|trial| *trial == held[0]), "{held:?}");
        service.set_down(recovery % 2 == 0);
        service.hold_trials(false);
        if recovery % 2 == 1 {
            all_are(&instances, Closed);
        } else {
            until("the recovery fails", || service.held().iter().all(|trial| *trial != held[0]));
        }
    }
    assert!(service.recoveries().len() >= 20);
}

/// Three instances, one of which is making a trial call, under a lease.
struct Trial {
    redis: Redis,
    service: Service,
    instances: Vec<Instance>,
    holder: usize,
}

impl Trial {
    fn under_way() -> Self {
        let (redis, service) = (Redis::start(), Service::start());
        let setup = Setup { recovery: REST, service: Some(service.address), ..Setup::new(redis.address()) };
        let mut instances = Instance::fleet(3, &setup);
        instances[0].tell("trip");
        all_are(&instances, Open);
        service.hold_trials(true);
        for instance in &mut instances {
            instance.tell("load 1 5");
        }
        until("a trial call", || service.held().len() == 1 && instances.iter().any(|instance| instance.is(HalfOpen)));
        let holder = instances.iter().position(|instance| instance.is(HalfOpen)).unwrap();
        Self { redis, service, instances, holder }
    }
}

#[test]
fn a_holder_that_dies_loses_the_lease() {
    let _alone = alone();
    // A trial call hangs, and its instance dies over it.
    let Trial { redis, service, mut instances, holder } = Trial::under_way();
    is_renewed(&redis, 1);
    assert_eq!(instances.iter().filter(|instance| instance.is(HalfOpen)).count(), 1);
    instances.remove(holder).kill();
    service.hold_trials(false);
    all_are(&instances, Closed);
    assert_eq!(service.recoveries().iter().sum::<usize>(), 1 + TRIALS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_is_frozen_loses_the_lease_and_does_no_harm() {
    let _alone = alone();
    let Trial { redis, service, mut instances, holder: frozen } = Trial::under_way();
    let mut frozen = instances.remove(frozen);
    let name = frozen.ask("name");
    frozen.signal(Signal::STOP);
    service.hold_trials(false);
    until("all others are closed", || {
        let try_it = instances.iter().any(|instance| !instance.is(Open));
        assert!(!try_it || holder(&redis).as_ref() != Some(&name), "before the lease was over");
        instances.iter().all(|instance| instance.is(Closed))
    });
    let opened: Vec<_> = instances.iter().map(|instance| instance.times(Open)).collect();
    // Awake, with a lease that it believes in and an answer that has waited for it.
    frozen.signal(Signal::CONT);
    until("it agrees", || frozen.is(Closed));
    frozen.makes_calls(20);
    instances.push(frozen);
    // Whatever it has said since it was awake, all have heard before they hear this.
    let operator = Fleet::connect(&redis.address()).application("shop").timeout(SECOND).start().unwrap();
    operator.operate(BREAKER, &Operation::disable()).await.unwrap();
    all_are(&instances, Disabled);
    let still = instances[..2].iter().map(|instance| instance.times(Open));
    assert!(still.eq(opened), "nobody has opened for it");
    let trials = service.recoveries().iter().sum::<usize>();
    assert!(trials <= 2 * TRIALS, "{trials} trial calls of two instances");
    operator.stop().await;
}

#[test]
fn rare_calls_are_enough_to_recover() {
    let _alone = alone();
    let redis = Redis::start();
    let setup = Setup { recovery: REST, ..Setup::new(redis.address()) };
    let mut instances = Instance::fleet(2, &setup);
    for caller in [0, 1] {
        // It trips in the first; all calls are made by one.
        let name = instances[caller].ask("name");
        instances[0].tell("trip");
        all_are(&instances, Open);
        let rejected = instances[caller].number("rejected");
        if caller == 1 {
            // Who has tripped has the lease, and no calls: this one is rejected, and asks.
            until("who has tripped has the lease", || holder(&redis).is_some_and(|holder| holder != name));
            instances[1].tell("call");
        }
        for call in 0..TRIALS {
            until("it has the lease", || holder(&redis).as_ref() == Some(&name));
            until("its next call is a trial call", || instances[caller].ask("tries") == "true");
            // Far longer than one lease, and nobody takes it away.
            is_renewed(&redis, 2);
            assert_eq!(holder(&redis).as_ref(), Some(&name), "{call}");
            instances[caller].tell("call");
            let expected = if call + 1 == TRIALS { Closed } else { HalfOpen };
            until("the call is made", || instances[caller].is(expected));
        }
        all_are(&instances, Closed);
        let rejected = instances[caller].number("rejected") - rejected;
        assert_eq!(rejected, caller as u64, "all others were let through");
    }
}
