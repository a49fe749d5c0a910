//! What one instance finds out, all know.

use std::{
    io, thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use steadfast::{
    BreakerConfig,
    BreakerState::{Closed, Open},
    CircuitBreaker,
};
use steadfast_redis::{Fleet, FleetBuilder, Operation};

use crate::{
    alone, eventually,
    instance::{BREAKER, Instance, Setup, all_are},
    quantile,
    server::Redis,
};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn one_trips_and_all_are_open() {
    let _alone = alone();
    let redis = Redis::start();
    let setup = Setup::new(redis.address());
    let mut instances = Instance::fleet(5, &setup);
    let operator = Fleet::connect(&redis.address()).application("shop").start().unwrap();
    crate::found(&operator).await;
    let (mut each, mut last) = (Vec::new(), Vec::new());
    for trip in 0..100 {
        let sick = trip % instances.len();
        instances[sick].tell("trip");
        all_are(&instances, Open, 5 * SECOND);
        let first = instances[sick].since(Open).unwrap();
        let others = instances.iter().enumerate().filter(|(index, _)| *index != sick);
        let after =
            |(_, instance): (_, &Instance)| Duration::from_micros(instance.since(Open).unwrap().saturating_sub(first));
        let delays: Vec<_> = others.map(after).collect();
        last.extend(delays.iter().max());
        each.extend(delays);
        operator.operate(BREAKER, &Operation::reset()).await.unwrap();
        all_are(&instances, Closed, 5 * SECOND);
    }
    let [median, most, worst] = [0.5, 0.99, 1.0].map(|share| quantile(&mut each, share));
    println!("100 trips, 4 others each: open after {median:?} at the median, {most:?} at 99 %, {worst:?} at worst");
    println!("the last of them: {:?} at the median", quantile(&mut last, 0.5));
    assert!(median < SECOND / 10 && worst < SECOND, "{median:?}, {worst:?}");
    operator.stop().await;
}

#[test]
fn one_sick_instance_does_not_open_the_others() {
    let _alone = alone();
    let redis = Redis::start();
    let setup = Setup { quorum: 2, recovery: SECOND / 10, ..Setup::new(redis.address()) };
    let mut instances = Instance::fleet(5, &setup);
    for _ in 0..20 {
        let before = instances[0].times(Open);
        eventually(5 * SECOND, "it trips by itself", || {
            instances[0].tell("trip");
            thread::sleep(SECOND / 50);
            instances[0].times(Open) > before
        });
    }
    thread::sleep(SECOND / 5);
    assert!(instances[1..].iter().all(|instance| instance.times(Open) == 0), "one alone is no quorum");
    instances[0].tell("trip");
    eventually(SECOND, "a vote", || redis.command::<u64>(&["ZCARD", "steadfast:{shop:payments}:votes"]) == 1);
    redis.forgets_everything(2);
    // It keeps its own circuit open; with another one that finds the same, it is no longer alone.
    instances[0].tell("trip");
    eventually(SECOND, "the first is open", || instances[0].is(Open));
    instances[3].tell("trip");
    eventually(SECOND, "a quorum opens all", || instances.iter().all(|instance| instance.times(Open) > 0));
}

#[test]
fn a_lost_message_costs_one_heartbeat() {
    let _alone = alone();
    let redis = Redis::start();
    let instances = Instance::fleet(5, &Setup::new(redis.address()));
    // What a script of ours does, without the message.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let (version, until) = ((now * 1_000).to_string(), (now + 60_000).to_string());
    let state = ["HSET", "steadfast:{shop:payments}:state", "version", &version, "kind", "open", "until", &until];
    redis.command::<()>(&state);
    redis.command::<()>(&["INCR", "steadfast:{shop}:version"]);
    let took = all_are(&instances, Open, SECOND * 3 / 2);
    println!("all open {took:?} after a change without a message, with a heartbeat each second");
}

/// Two instances in one process, each with a circuit of its own.
fn pair(redis: &Redis, build: impl Fn(FleetBuilder) -> FleetBuilder) -> [(&'static CircuitBreaker, Fleet); 2] {
    [(); 2].map(|()| {
        let config = BreakerConfig::new().failure_threshold(100);
        let breaker: &'static CircuitBreaker = Box::leak(Box::new(CircuitBreaker::new("summed", config)));
        let builder = Fleet::connect(&redis.address()).application("shop").heartbeat(SECOND / 10).share(breaker);
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
    let fleet = pair(&redis, |builder| builder.quorum(2).sum_failures(10, 60 * SECOND));
    for (breaker, fleet) in &fleet {
        crate::found(fleet).await;
        fail(breaker, 4);
    }
    tokio::time::sleep(SECOND / 2).await;
    assert!(fleet.iter().all(|(breaker, _)| breaker.state() == Closed), "8 of 10");
    fail(fleet[1].0, 2);
    eventually(2 * SECOND, "both are open", || fleet.iter().all(|(breaker, _)| breaker.state() == Open));
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
    let alive = || fleet.iter().all(|(_, fleet)| fleet.instances() == 2);
    eventually(2 * SECOND, "both live", alive);
    fail(fleet[0].0, 100);
    tokio::time::sleep(SECOND / 2).await;
    assert_eq!((fleet[0].0.state(), fleet[1].0.state()), (Open, Closed), "one of two is less than 60 %");
    // The other one leaves the fleet and comes back, so that its vote is the first of a fleet of one.
    let [(first, alone), (_, gone)] = fleet;
    gone.stop().await;
    // With the next heartbeat, not when its place has lapsed.
    eventually(SECOND / 4, "one lives", || alone.instances() == 1);
    first.reset();
    fail(first, 100);
    let keys = || redis.command::<Option<String>>(&["HGET", "steadfast:{shop:summed}:state", "kind"]);
    eventually(SECOND, "one of one is a quorum", || keys().as_deref() == Some("open"));
    alone.stop().await;
}
