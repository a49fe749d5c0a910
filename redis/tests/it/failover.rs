//! Failover to a replica that has, or has not, received the last writes.

use steadfast::BreakerState::{Closed, Open};

use crate::{
    exclusive,
    fault_test::FaultTest,
    support::{
        instance::{Instance, Setup, all_are, all_received_another_broadcast},
        proxy::Proxy,
        server::Redis,
    },
    until,
};

const STATE: &str = "steadfast:{shop:payments}:state";

/// The kind of state that a Redis has for the breaker.
fn kind(redis: &Redis) -> String {
    redis.command::<Option<String>>(&["HGET", STATE, "kind"]).unwrap_or_default()
}

fn promote(redis: &Redis) {
    redis.command::<()>(&["REPLICAOF", "NO", "ONE"]);
}

/// Waits until a replica has a state, and promotes it, so that it receives no further writes.
fn promote_at(replica: &Redis, state: &str) {
    until("the replica has the state", || kind(replica) == state);
    promote(replica);
}

#[test]
fn a_fleet_follows_a_failover() {
    let _exclusive = exclusive();
    let master = Redis::start();
    let (replica, proxy) = (master.replica(), Proxy::to(master.port));
    let mut test = FaultTest::new(master, &Setup::new(proxy.address()));
    test.reset();
    promote_at(&replica, "reset");
    test.inject_outage("failed over to a replica", Redis::kill, |_| proxy.switch_to(replica.port));
}

#[test]
fn states_that_a_failover_loses_are_restored() {
    let _exclusive = exclusive();
    let mut master = Redis::start();
    let (mut replica, proxy) = (master.replica(), Proxy::to(master.port));
    let setup = Setup { more: 2, ..Setup::new(proxy.address()) };
    let mut test = FaultTest::new(Redis::start(), &setup);
    test.reset();
    let has_event = |instance: &Instance| instance.events().iter().any(|event| event.contains("closed by"));
    until("all have received the reset", || test.instances.iter().all(has_event));
    promote_at(&replica, "reset");
    // The fleet opens, and the replica does not receive that.
    test.instances[0].send("trip");
    all_are(&test.instances, Open);
    proxy.switch_to(replica.port);
    master.kill();
    until("the lost state is restored", || kind(&replica) == "open");
    all_received_another_broadcast(&mut test.instances, 0);
    assert!(test.instances.iter().all(|instance| instance.is(Open) && instance.entries(Open) == 1));
    let mut later = Instance::fleet(1, &setup);
    all_are(&later, Open);

    // The fleet closes, and the replica of the new master does not receive that.
    let last = replica.replica();
    promote_at(&last, "open");
    test.instances.append(&mut later);
    test.reset();
    assert_eq!((kind(&replica).as_str(), kind(&last).as_str()), ("reset", "open"));
    proxy.switch_to(last.port);
    replica.kill();
    until("the lost state is restored", || kind(&last) == "closed");
    all_received_another_broadcast(&mut test.instances, 1);
    assert!(test.instances.iter().all(|instance| instance.is(Closed) && instance.entries(Open) == 1));
    all_are(&Instance::fleet(1, &setup), Closed);
}
