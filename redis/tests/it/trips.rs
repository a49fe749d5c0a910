//! A circuit that opens in one instance opens in all.

use std::{io, thread, time::Duration};

use steadfast::{
    BreakerConfig,
    BreakerState::{Closed, Open},
    CircuitBreaker,
};
use steadfast_redis::{Fleet, FleetBuilder, Override};

use crate::{
    exclusive,
    support::{
        instance::{BREAKER, Instance, Setup, all_are},
        server::Redis,
        wait::{HANG, PAUSE},
    },
    until,
};

const SECOND: Duration = Duration::from_secs(1);
const STATE: &str = "steadfast:{shop:payments}:state";

#[tokio::test(flavor = "multi_thread")]
async fn all_open_after_one_trips() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    // A heartbeat interval so long that only broadcasts can open the other circuits.
    let setup = Setup { heartbeat: 2 * HANG, ..Setup::new(redis.address()) };
    let mut instances = Instance::fleet(5, &setup);
    let operator = Fleet::connect(&redis.address()).application("shop").timeout(SECOND).start().unwrap();
    crate::connected(&operator).await;
    for trip in 0..20 {
        let failing = trip % instances.len();
        instances[failing].send("trip");
        all_are(&instances, Open);
        operator.apply_override(BREAKER, &Override::reset()).await.unwrap();
        all_are(&instances, Closed);
    }
    assert!(instances.iter().all(|instance| instance.entries(Open) == 20));
    operator.stop().await;
}

#[test]
fn one_failing_instance_does_not_open_the_others() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let setup = Setup { quorum: 2, recovery: SECOND / 10, ..Setup::new(redis.address()) };
    let mut instances = Instance::fleet(5, &setup);
    let trips = |instances: &mut [Instance], failing: usize| {
        instances[failing].send("trip");
        thread::sleep(4 * PAUSE);
    };
    until("it trips alone, repeatedly", || {
        trips(&mut instances, 0);
        instances[0].entries(Open) >= 20
    });
    let votes = || redis.command::<u64>(&["ZCARD", "steadfast:{shop:payments}:votes"]);
    until("a vote", || {
        trips(&mut instances, 0);
        votes() == 1
    });
    redis.assert_all_keys_expire(2);
    // A second failing instance completes the quorum.
    until("a quorum opens all", || {
        trips(&mut instances, 0);
        trips(&mut instances, 3);
        [1, 2, 4].iter().all(|other| instances[*other].entries(Open) > 0)
    });
    assert!([1, 2, 4].iter().all(|other| instances[*other].entries(Open) == 1), "one vote is below the quorum");
}

#[test]
fn a_heartbeat_makes_up_for_a_lost_broadcast() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let instances = Instance::fleet(5, &Setup::new(redis.address()));
    // Opens the fleet as the script does, but without a broadcast.
    let now = redis.micros();
    let (version, until) = (now.to_string(), (now / 1_000 + 60_000).to_string());
    redis.command::<()>(&["HSET", STATE, "version", &version, "kind", "open", "until", &until]);
    redis.command::<()>(&["INCR", "steadfast:{shop}:version"]);
    all_are(&instances, Open);
}

#[test]
fn an_idle_fleet_sends_only_heartbeats() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let _instances = Instance::fleet(3, &Setup { more: 30, ..Setup::new(redis.address()) });
    // Each heartbeat calls ZADD, each request about a breaker HMGET. Instances read all states when they start.
    until("twelve heartbeats without a request", || {
        let (requests, heartbeats) = (redis.calls_of("hmget"), redis.calls_of("zadd"));
        until("twelve heartbeats", || redis.calls_of("zadd") >= heartbeats + 12);
        redis.calls_of("hmget") == requests
    });
}

/// Starts two instances in this process, each with its own circuit.
fn pair(redis: &Redis, build: impl Fn(FleetBuilder) -> FleetBuilder) -> [(&'static CircuitBreaker, Fleet); 2] {
    [(); 2].map(|()| {
        let config = BreakerConfig::new().failure_threshold(100);
        let breaker: &'static CircuitBreaker = Box::leak(Box::new(CircuitBreaker::new("summed", config)));
        let builder = Fleet::connect(&redis.address()).application("shop").timeout(SECOND).share(breaker);
        (breaker, build(builder).start().unwrap())
    })
}

fn fail(breaker: &CircuitBreaker, times: u32) {
    for _ in 0..times {
        _ = breaker.call(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_failure_sum_opens_the_fleet() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    // The quorum is two votes, but the failure sum opens the fleet without a quorum.
    let fleet = pair(&redis, |builder| builder.quorum(2).sum_failures(10, 600 * SECOND));
    for (breaker, fleet) in &fleet {
        crate::connected(fleet).await;
        fail(breaker, 4);
    }
    let sum = || -> u64 { redis.command::<Vec<u64>>(&["HVALS", "steadfast:{shop:summed}:failures"]).iter().sum() };
    until("all have reported their failures", || sum() == 8);
    assert!(fleet.iter().all(|(breaker, _)| breaker.state() == Closed), "8 of 10");
    fail(fleet[1].0, 2);
    until("both are open", || fleet.iter().all(|(breaker, _)| breaker.state() == Open));
    assert!(fleet.iter().all(|(breaker, _)| breaker.snapshot().transitions == 1));
    let reason = fleet[0].0.snapshot().operator_reason.unwrap();
    assert!(reason.contains("10 failures in the fleet"), "{reason}");
    for (_, fleet) in fleet {
        fleet.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fraction_of_the_live_instances_is_a_quorum() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let fleet = pair(&redis, |builder| builder.quorum_share(0.6));
    for (_, fleet) in &fleet {
        crate::connected(fleet).await;
    }
    until("both are live", || fleet.iter().all(|(_, fleet)| fleet.instances() == 2));
    fail(fleet[0].0, 100);
    until("a vote", || redis.command::<u64>(&["ZCARD", "steadfast:{shop:summed}:votes"]) == 1);
    let kind = || redis.command::<Option<String>>(&["HGET", "steadfast:{shop:summed}:state", "kind"]);
    assert_eq!(kind(), None, "one of two is less than 60 %");
    assert_eq!((fleet[0].0.state(), fleet[1].0.state()), (Open, Closed));
    // The other instance stops, so the next vote is the only one of a fleet of one.
    let [(first, remaining), (_, stopped)] = fleet;
    stopped.stop().await;
    let live: u64 = redis.command(&["ZCARD", "steadfast:{shop}:instances"]);
    assert_eq!(live, 1, "a stopped instance deregisters at once");
    until("one is live", || remaining.instances() == 1);
    first.reset();
    fail(first, 100);
    until("one of one is a quorum", || kind().as_deref() == Some("open"));
    remaining.stop().await;
}
