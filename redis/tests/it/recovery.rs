//! During a recovery only one instance at a time makes trial calls.

use std::time::Duration;

use rustix::process::Signal;
use steadfast::BreakerState::{Closed, Disabled, HalfOpen, Open};
use steadfast_redis::{Fleet, Override};

use crate::{
    exclusive,
    support::{
        instance::{BREAKER, Instance, Setup, all_are},
        server::Redis,
        service::Service,
    },
    until,
};

const SECOND: Duration = Duration::from_secs(1);
const RECOVERY_TIMEOUT: Duration = Duration::from_millis(300);
/// `half_open_max_calls` of the instances.
const TRIALS: usize = 3;
const LEASE: &str = "steadfast:{shop:payments}:lease";

/// Returns the name of the instance that holds the lease.
fn holder(redis: &Redis) -> Option<String> {
    let lease: Option<String> = redis.command(&["GET", LEASE]);
    lease.and_then(|lease| Some(lease.split('\x1f').next()?.to_owned()))
}

/// Waits until the lease has been renewed a number of times.
fn wait_for_renewals(redis: &Redis, times: u32) {
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
fn the_limit_of_trial_calls_holds_for_all_instances_together() {
    let _exclusive = exclusive();
    let (redis, service) = (Redis::start(), Service::start());
    // A long lease, so that a slow instance does not lose it.
    let setup = Setup {
        recovery: RECOVERY_TIMEOUT,
        lease: 20 * SECOND,
        service: Some(service.address),
        ..Setup::new(redis.address())
    };
    let mut instances = Instance::fleet(5, &setup);
    for instance in &mut instances {
        // As many callers as trial calls: a breaker gives the permit of a hung trial call to another caller after a while.
        instance.send("load 3 5");
    }
    for recovery in 0..20 {
        service.hold_trials(true);
        service.set_down(true);
        until("a trial call", || !service.held().is_empty());
        // While the trial call is in flight, all other instances make calls.
        let trying = service.held()[0].instance;
        for instance in instances.iter_mut().filter(|instance| instance.process_id() != trying) {
            instance.wait_for_calls(20);
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

/// Three instances, one of which holds the lease and has a trial call in flight.
struct TrialInFlight {
    redis: Redis,
    service: Service,
    instances: Vec<Instance>,
    holder: usize,
}

impl TrialInFlight {
    fn start() -> Self {
        let (redis, service) = (Redis::start(), Service::start());
        let setup = Setup { recovery: RECOVERY_TIMEOUT, service: Some(service.address), ..Setup::new(redis.address()) };
        let mut instances = Instance::fleet(3, &setup);
        instances[0].send("trip");
        all_are(&instances, Open);
        service.hold_trials(true);
        for instance in &mut instances {
            instance.send("load 1 5");
        }
        until("a trial call", || service.held().len() == 1 && instances.iter().any(|instance| instance.is(HalfOpen)));
        let holder = instances.iter().position(|instance| instance.is(HalfOpen)).unwrap();
        Self { redis, service, instances, holder }
    }
}

#[test]
fn a_killed_holder_loses_the_lease() {
    let _exclusive = exclusive();
    // The holder is killed while its trial call hangs.
    let TrialInFlight { redis, service, mut instances, holder } = TrialInFlight::start();
    wait_for_renewals(&redis, 1);
    assert_eq!(instances.iter().filter(|instance| instance.is(HalfOpen)).count(), 1);
    instances.remove(holder).kill();
    service.hold_trials(false);
    all_are(&instances, Closed);
    assert_eq!(service.recoveries().iter().sum::<usize>(), 1 + TRIALS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_holder_loses_the_lease_and_does_not_affect_the_others() {
    let _exclusive = exclusive();
    let TrialInFlight { redis, service, mut instances, holder: frozen } = TrialInFlight::start();
    let mut frozen = instances.remove(frozen);
    let name = frozen.query("name");
    frozen.signal(Signal::STOP);
    service.hold_trials(false);
    until("all others are closed", || {
        let is_recovering = instances.iter().any(|instance| !instance.is(Open));
        assert!(!is_recovering || holder(&redis).as_ref() != Some(&name), "the lease was taken before its end");
        instances.iter().all(|instance| instance.is(Closed))
    });
    let opened: Vec<_> = instances.iter().map(|instance| instance.entries(Open)).collect();
    // The frozen instance continues, with a lease that has lapsed and an unread reply.
    frozen.signal(Signal::CONT);
    until("it agrees with the others", || frozen.is(Closed));
    frozen.wait_for_calls(20);
    instances.push(frozen);
    // Every instance receives the broadcast of this override after all those that the frozen instance has caused since it continued.
    let operator = Fleet::connect(&redis.address()).application("shop").timeout(SECOND).start().unwrap();
    operator.apply_override(BREAKER, &Override::disable()).await.unwrap();
    all_are(&instances, Disabled);
    let still = instances[..2].iter().map(|instance| instance.entries(Open));
    assert!(still.eq(opened), "it has not opened the others");
    let trials = service.recoveries().iter().sum::<usize>();
    assert!(trials <= 2 * TRIALS, "{trials} trial calls by two instances");
    operator.stop().await;
}

#[test]
fn rare_calls_suffice_for_a_recovery() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let setup = Setup { recovery: RECOVERY_TIMEOUT, ..Setup::new(redis.address()) };
    let mut instances = Instance::fleet(2, &setup);
    for caller in [0, 1] {
        // The first instance trips; all calls are made by `caller`.
        let name = instances[caller].query("name");
        instances[0].send("trip");
        all_are(&instances, Open);
        let rejected = instances[caller].query_number("rejected");
        if caller == 1 {
            // The first instance has the lease but makes no calls. A call in the other instance is rejected, which is a claim to the lease.
            until("the first instance has the lease", || holder(&redis).is_some_and(|holder| holder != name));
            instances[1].send("call");
        }
        for call in 0..TRIALS {
            until("the caller has the lease", || holder(&redis).as_ref() == Some(&name));
            until("its next call is a trial call", || instances[caller].query("next-is-trial") == "true");
            // The instance keeps the lease for longer than one lease duration.
            wait_for_renewals(&redis, 2);
            assert_eq!(holder(&redis).as_ref(), Some(&name), "{call}");
            instances[caller].send("call");
            let expected = if call + 1 == TRIALS { Closed } else { HalfOpen };
            until("the call is made", || instances[caller].is(expected));
        }
        all_are(&instances, Closed);
        let rejected = instances[caller].query_number("rejected") - rejected;
        assert_eq!(rejected, caller as u64, "all other calls were admitted");
    }
}
