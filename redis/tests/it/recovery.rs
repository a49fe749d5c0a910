//! A service that recovers sees the trial calls of one instance.

use std::{
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use steadfast::BreakerState::{Closed, HalfOpen, Open};

use crate::{
    alone, eventually,
    instance::{Instance, Setup, all_are},
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

#[test]
fn a_holder_that_dies_loses_the_lease() {
    let _alone = alone();
    let (redis, service) = (Redis::start(), Service::start());
    let setup = Setup { recovery: REST, lease: SECOND, service: Some(service.address), ..Setup::new(redis.address()) };
    let mut instances = Instance::fleet(3, &setup);
    instances[0].tell("trip");
    all_are(&instances, Open, SECOND);
    // A trial call hangs, and its instance dies over it.
    service.takes(3 * SECOND);
    for instance in &mut instances {
        instance.tell("load 1 5");
    }
    eventually(5 * SECOND, "a trial call", || instances.iter().any(|instance| instance.is(HalfOpen)));
    let holder = instances.iter().position(|instance| instance.is(HalfOpen)).unwrap();
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
    let (redis, service) = (Redis::start(), Service::start());
    let setup = Setup { recovery: REST, lease: SECOND, service: Some(service.address), ..Setup::new(redis.address()) };
    let mut instances = Instance::fleet(3, &setup);
    instances[0].tell("trip");
    all_are(&instances, Open, SECOND);
    service.takes(SECOND / 2);
    for instance in &mut instances {
        instance.tell("load 1 5");
    }
    eventually(5 * SECOND, "a trial call", || instances.iter().any(|instance| instance.is(HalfOpen)));
    let holder = instances.iter().position(|instance| instance.is(HalfOpen)).unwrap();
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
    let apart = 3 * SECOND;
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
