//! What one instance finds out, all know.

use std::{io, thread, time::Duration};

use steadfast::{
    BreakerConfig,
    BreakerState::{Closed, Open},
    CircuitBreaker,
};
use steadfast_redis::{Fleet, FleetBuilder, Operation};

use crate::{
    alone,
    instance::{BREAKER, Instance, Setup, all_are},
    server::Redis,
    until,
    wait::{HANG, PAUSE},
};

const SECOND: Duration = Duration::from_secs(1);
const STATE: &str = "steadfast:{shop:payments}:state";

#[tokio::test(flavor = "multi_thread")]
async fn one_trips_and_all_are_open() {
    let _alone = alone();
    let redis = Redis::start();
    // No heartbeat tells of it in the time that it may take.
    let setup = Setup { heartbeat: 2 * HANG, ..Setup::new(redis.address()) };
    let mut instances = Instance::fleet(5, &setup);
    let operator = Fleet::connect(&redis.address()).application("shop").timeout(SECOND).start().unwrap();
    crate::found(&operator).await;
    for trip in 0..20 {
        let sick = trip % instances.len();
        instances[sick].tell("trip");
        all_are(&instances, Open);
        operator.operate(BREAKER, &Operation::reset()).await.unwrap();
        all_are(&instances, Closed);
    }
    assert!(instances.iter().all(|instance| instance.times(Open) == 20));
    operator.stop().await;
}

#[test]
fn one_sick_instance_does_not_open_the_others() {
    let _alone = alone();
    let redis = Redis::start();
    let setup = Setup { quorum: 2, recovery: SECOND / 10, ..Setup::new(redis.address()) };
    let mut instances = Instance::fleet(5, &setup);
    let trips = |instances: &mut [Instance], sick: usize| {
        instances[sick].tell("trip");
        thread::sleep(4 * PAUSE);
    };
    until("it trips by itself, again and again", || {
        trips(&mut instances, 0);
        instances[0].times(Open) >= 20
    });
    let votes = || redis.command::<u64>(&["ZCARD", "steadfast:{shop:payments}:votes"]);
    until("a vote", || {
        trips(&mut instances, 0);
        votes() == 1
    });
    redis.forgets_everything(2);
    // It keeps its own circuit open; with another one that finds the same, it is no longer alone.
    until("a quorum opens all", || {
        trips(&mut instances, 0);
        trips(&mut instances, 3);
        [1, 2, 4].iter().all(|other| instances[*other].times(Open) > 0)
    });
    assert!([1, 2, 4].iter().all(|other| instances[*other].times(Open) == 1), "one alone is no quorum");
}

#[test]
fn a_lost_message_is_made_up_for_by_a_heartbeat() {
    let _alone = alone();
    let redis = Redis::start();
    let instances = Instance::fleet(5, &Setup::new(redis.address()));
    // What a script of ours does, without the message.
    let now = redis.micros();
    let (version, until) = (now.to_string(), (now / 1_000 + 60_000).to_string());
    redis.command::<()>(&["HSET", STATE, "version", &version, "kind", "open", "until", &until]);
    redis.command::<()>(&["INCR", "steadfast:{shop}:version"]);
    all_are(&instances, Open);
}

#[test]
fn a_fleet_at_rest_asks_nothing_but_its_heartbeats() {
    let _alone = alone();
    let redis = Redis::start();
    let _instances = Instance::fleet(3, &Setup { more: 30, ..Setup::new(redis.address()) });
    // Each heartbeat says that its instance lives; each question looks at a state. All look at all states as they come.
    until("twelve heartbeats without a question", || {
        let (questions, beats) = (redis.calls_of("hmget"), redis.calls_of("zadd"));
        until("twelve heartbeats", || redis.calls_of("zadd") >= beats + 12);
        redis.calls_of("hmget") == questions
    });
}

/// Two instances in one process, each with a circuit of its own.
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
async fn failures_of_all_together_open() {
    let _alone = alone();
    let redis = Redis::start();
    // Even where two votes are needed, since here all of them speak.
    let fleet = pair(&redis, |builder| builder.quorum(2).sum_failures(10, 600 * SECOND));
    for (breaker, fleet) in &fleet {
        crate::found(fleet).await;
        fail(breaker, 4);
    }
    let sum = || -> u64 { redis.command::<Vec<u64>>(&["HVALS", "steadfast:{shop:summed}:failures"]).iter().sum() };
    until("all have said how many", || sum() == 8);
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
async fn a_share_of_those_who_live_is_a_quorum() {
    let _alone = alone();
    let redis = Redis::start();
    let fleet = pair(&redis, |builder| builder.quorum_share(0.6));
    for (_, fleet) in &fleet {
        crate::found(fleet).await;
    }
    until("both live", || fleet.iter().all(|(_, fleet)| fleet.instances() == 2));
    fail(fleet[0].0, 100);
    until("a vote", || redis.command::<u64>(&["ZCARD", "steadfast:{shop:summed}:votes"]) == 1);
    let kind = || redis.command::<Option<String>>(&["HGET", "steadfast:{shop:summed}:state", "kind"]);
    assert_eq!(kind(), None, "one of two is less than 60 %");
    assert_eq!((fleet[0].0.state(), fleet[1].0.state()), (Open, Closed));
    // The other one leaves the fleet, so that the next vote is the first of a fleet of one.
    let [(first, alone), (_, gone)] = fleet;
    gone.stop().await;
    let living: u64 = redis.command(&["ZCARD", "steadfast:{shop}:instances"]);
    assert_eq!(living, 1, "it has said so, and its place need not lapse");
    until("one lives", || alone.instances() == 1);
    first.reset();
    fail(first, 100);
    until("one of one is a quorum", || kind().as_deref() == Some("open"));
    alone.stop().await;
}
