//! A replica takes over, with or without what was said last.

use steadfast::BreakerState::{Closed, Open};

use crate::{
    alone,
    faults::Trial,
    instance::{Instance, Setup, all_are, all_hear_of_another},
    proxy::Proxy,
    server::Redis,
    until,
};

const STATE: &str = "steadfast:{shop:payments}:state";

/// What a Redis has as the state of the breaker.
fn kind(redis: &Redis) -> String {
    redis.command::<Option<String>>(&["HGET", STATE, "kind"]).unwrap_or_default()
}

fn promote(redis: &Redis) {
    redis.command::<()>(&["REPLICAOF", "NO", "ONE"]);
}

/// Waits until it has copied a state, and lets it copy no more.
fn cut_off(replica: &Redis, state: &str) {
    until("it has copied the state", || kind(replica) == state);
    promote(replica);
}

#[test]
fn a_replica_takes_over() {
    let _alone = alone();
    let master = Redis::start();
    let (replica, proxy) = (master.replica(), Proxy::to(master.port));
    let mut trial = Trial::new(master, &Setup::new(proxy.address()));
    trial.reset();
    cut_off(&replica, "reset");
    trial.suffer_loss("failed over to a replica", Redis::kill, |_| proxy.lead_to(replica.port));
}

#[test]
fn what_a_failover_loses_is_said_again() {
    let _alone = alone();
    let mut master = Redis::start();
    let (mut replica, proxy) = (master.replica(), Proxy::to(master.port));
    let setup = Setup { more: 2, ..Setup::new(proxy.address()) };
    let mut trial = Trial::new(Redis::start(), &setup);
    trial.reset();
    let has_heard = |instance: &Instance| instance.events().iter().any(|event| event.contains("closed by"));
    until("all have heard of it", || trial.instances.iter().all(has_heard));
    cut_off(&replica, "reset");
    // It has opened, and the replica has not heard of it.
    trial.instances[0].tell("trip");
    all_are(&trial.instances, Open);
    proxy.lead_to(replica.port);
    master.kill();
    until("it is told what it has not heard", || kind(&replica) == "open");
    all_hear_of_another(&mut trial.instances, 0);
    assert!(trial.instances.iter().all(|instance| instance.is(Open) && instance.times(Open) == 1));
    let mut later = Instance::fleet(1, &setup);
    all_are(&later, Open);

    // It has closed, and the replica of that one has not heard of it.
    let last = replica.replica();
    cut_off(&last, "open");
    trial.instances.append(&mut later);
    trial.reset();
    assert_eq!((kind(&replica).as_str(), kind(&last).as_str()), ("reset", "open"));
    proxy.lead_to(last.port);
    replica.kill();
    until("it is told what it has not heard", || kind(&last) == "closed");
    all_hear_of_another(&mut trial.instances, 1);
    assert!(trial.instances.iter().all(|instance| instance.is(Closed) && instance.times(Open) == 1));
    all_are(&Instance::fleet(1, &setup), Closed);
}
