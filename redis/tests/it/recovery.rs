//! A service that recovers sees the trial calls of one instance.

use std::{
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use steadfast::BreakerState::{Closed, HalfOpen, Open};

use crate::{
    alone, eventually,
    instance::{BREAKER_SCRIPT, Instance, Setup, all_are},
    server::Redis,
    service::Service,
};

const SECOND: Duration = Duration::from_secs(1);
const REST: Duration = Duration::from_millis(300);
/// As the instances are configured.
const TRIALS: usize = 3;

#[test]
fn trial_calls_of_all_together_are_as_many_as_of_one() {
    let _alone = alone();
    let (redis, service) = (Redis::start(), Service::start());
    service.takes(Duration::from_millis(10));
    let setup = Setup { recovery: REST, service: Some(service.address), ..Setup::new(redis.address()) };
    let mut instances = Instance::fleet(5, &setup);
    for instance in &mut instances {
        instance.tell("load 4 5");
    }
    let mut took = Vec::new();
    for _ in 0..10 {
        service.set_down(true);
        all_are(&instances, Open, 5 * SECOND);
        // One recovery fails, at least; the next succeeds.
        let failed = service.recoveries(REST).len();
        eventually(5 * SECOND, "a recovery fails", || service.recoveries(REST).len() > failed);
        thread::sleep(REST / 10);
        service.set_down(false);
        took.push(all_are(&instances, Closed, 10 * SECOND));
    }
    let recoveries = service.recoveries(REST);
    println!("trial calls of {} recoveries over 5 processes: {recoveries:?}", recoveries.len());
    println!("closed everywhere after the service was well: {took:?}");
    assert!(recoveries.len() >= 20, "{recoveries:?}");
    assert!(recoveries.iter().all(|trials| *trials <= TRIALS), "{recoveries:?}");
}

/// Three instances, one of which is making a trial call under a lease of a second.
struct Trial {
    _redis: Redis,
    service: Service,
    instances: Vec<Instance>,
    holder: usize,
}

impl Trial {
    fn that_takes(long: Duration) -> Self {
        let (redis, service) = (Redis::start(), Service::start());
        let (recovery, lease) = (REST, SECOND);
        let setup = Setup { recovery, lease, service: Some(service.address), ..Setup::new(redis.address()) };
        let mut instances = Instance::fleet(3, &setup);
        instances[0].tell("trip");
        all_are(&instances, Open, SECOND);
        service.takes(long);
        for instance in &mut instances {
            instance.tell("load 1 5");
        }
        eventually(5 * SECOND, "a trial call", || instances.iter().any(|instance| instance.is(HalfOpen)));
        let holder = instances.iter().position(|instance| instance.is(HalfOpen)).unwrap();
        Self { _redis: redis, service, instances, holder }
    }
}

#[test]
fn a_holder_that_dies_loses_the_lease() {
    let _alone = alone();
    // A trial call hangs, and its instance dies over it.
    let Trial { _redis, service, mut instances, holder } = Trial::that_takes(3 * SECOND);
    thread::sleep(SECOND / 2);
    assert_eq!(instances.iter().filter(|instance| instance.is(HalfOpen)).count(), 1);
    instances.remove(holder).kill();
    service.takes(Duration::from_millis(5));
    let died = Instant::now();
    all_are(&instances, Closed, 5 * SECOND);
    println!("closed {:?} after the holder of a lease of 1 s had died", died.elapsed());
    assert_eq!(service.recoveries(Duration::from_millis(1)).iter().sum::<usize>(), 1 + TRIALS);
}

#[test]
fn a_holder_that_is_frozen_loses_the_lease_and_does_no_harm() {
    let _alone = alone();
    let Trial { _redis, service, mut instances, holder } = Trial::that_takes(SECOND / 2);
    let frozen = instances.remove(holder);
    frozen.signal(Signal::STOP);
    let began = Instant::now();
    let took = all_are(&instances, Closed, 5 * SECOND);
    assert!(took > SECOND / 2, "before the lease was over: {took:?}");
    println!("closed {:?} after the holder of a lease of 1 s was frozen", began.elapsed());
    let opened: Vec<_> = instances.iter().map(|instance| instance.times(Open)).collect();
    // Awake, with a lease that it believes in and an answer that has waited for it.
    frozen.signal(Signal::CONT);
    let woke = Instant::now();
    eventually(2 * SECOND, "it agrees", || frozen.is(Closed));
    println!("it agreed {:?} after it was awake", woke.elapsed());
    thread::sleep(SECOND / 2);
    assert!(frozen.is(Closed));
    let still = instances.iter().map(|instance| instance.times(Open));
    assert!(still.eq(opened), "nobody has opened for it");
    let trials = service.recoveries(Duration::from_millis(1)).iter().sum::<usize>();
    assert!(trials <= 2 * TRIALS, "{trials} trial calls of two instances");
}

#[test]
fn rare_calls_are_enough_to_recover() {
    let _alone = alone();
    let redis = Redis::start();
    let lease = SECOND / 5;
    let setup = Setup { recovery: REST, lease, ..Setup::new(redis.address()) };
    let mut instances = Instance::fleet(2, &setup);
    instances[0].tell("trip");
    all_are(&instances, Open, SECOND);
    // Far longer than the lease, and than all renewals of one that is in use.
    let apart = SECOND * 11 / 5;
    thread::sleep(apart);
    for call in 1..=TRIALS {
        instances[0].tell("call");
        let expected = if call == TRIALS { Closed } else { HalfOpen };
        eventually(SECOND / 4, "who has tripped is let through at once", || instances[0].is(expected));
        thread::sleep(apart);
    }
    all_are(&instances, Closed, SECOND);
    // It trips there, and all calls are made elsewhere: the first of them is what asks for trial calls.
    instances[0].tell("trip");
    all_are(&instances, Open, SECOND);
    thread::sleep(REST);
    for _ in 0..=TRIALS {
        assert!(!instances[1].is(Closed));
        thread::sleep(5 * lease);
        instances[1].tell("call");
    }
    all_are(&instances, Closed, SECOND);
}

#[test]
fn a_lease_goes_round() {
    let _alone = alone();
    let redis = Redis::start();
    let (script, mut connection) = (redis::Script::new(BREAKER_SCRIPT), redis.connection());
    let mut call = |instance: &str, verb: &str, arguments: &[&str]| -> (String, i64, i64, i64) {
        let mut call = script.prepare_invoke();
        for part in ["state", "votes", "lease", "audit"] {
            call.key(format!("{{b}}:{part}"));
        }
        call.arg(verb).arg(instance).arg("channel").arg("b");
        for argument in arguments {
            call.arg(*argument);
        }
        call.invoke(&mut connection).unwrap()
    };
    let (state, ..) = call("one", "announce", &["0", "0", "1", "1000", "why"]);
    assert!(state.contains("open"), "{state}");
    let mut ask = |instance: &str, yields: &str| {
        let (_, granted, left, _) = call(instance, "ask", &["300", yields]);
        (granted, left > 0)
    };
    assert_eq!(ask("one", "yields"), (1, false));
    assert_eq!(ask("one", "yields"), (1, false), "nobody else wants it");
    assert_eq!(ask("two", "yields"), (0, true));
    assert_eq!(ask("one", ""), (1, false), "trial calls are under way");
    assert_eq!(ask("one", "yields"), (2, false), "it is not forgotten that another wants it");
    assert_eq!(ask("two", "yields"), (0, true), "the lease is over when it is");
    thread::sleep(Duration::from_millis(320));
    assert_eq!(ask("two", "yields"), (1, false));
    assert_eq!(ask("one", "yields"), (0, true));
    // Whose lease it is may close, and nobody else by that.
    let (state, ..) = call("one", "close", &["0"]);
    assert!(state.contains("open"), "{state}");
    let (state, ..) = call("two", "close", &["0"]);
    assert!(state.contains("closed"), "{state}");
}
