//! Faults of Redis and of the network: calls are not affected, and all instances agree afterwards.

use std::{
    sync::{atomic::Ordering, mpsc::TryRecvError},
    time::Duration,
};

use rustix::process::Signal;
use steadfast::BreakerState::{Closed, Disabled, ForcedOpen, Open};
use steadfast_redis::{Fleet, FleetError, FleetEvent, Override};

use crate::{
    exclusive,
    fault_test::FaultTest,
    support::{
        instance::{BREAKER, Instance, Setup, all_are, all_received_another_broadcast},
        proxy::Proxy,
        server::Redis,
        wait::HANG,
    },
    until,
};

const SECOND: Duration = Duration::from_secs(1);
const STATE: &str = "steadfast:{shop:payments}:state";
/// A part of the text of [`FleetEvent::Available`].
const CONNECTED: &str = "fleet: connected";

#[test]
fn redis_restarts_without_its_data() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let setup = Setup { more: 1, ..Setup::new(redis.address()) };
    let mut test = FaultTest::new(redis, &setup);
    test.inject_outage("killed, without its data", Redis::kill, Redis::restart);
    // Open circuits stay open and closed ones closed, although Redis has lost their states.
    test.instances[1].send("trip");
    all_are(&test.instances, Open);
    let found: Vec<_> = test.instances.iter().map(|instance| instance.event_count(CONNECTED)).collect();
    let opened: Vec<_> = test.instances.iter().map(|instance| instance.entries(Open)).collect();
    test.redis.kill();
    test.redis.restart();
    until("all are connected again", || {
        test.instances.iter().zip(&found).all(|(one, count)| one.event_count(CONNECTED) > *count)
    });
    all_received_another_broadcast(&mut test.instances, 0);
    assert!(
        test.instances
            .iter()
            .zip(opened)
            .all(|(instance, opened)| instance.is(Open) && instance.entries(Open) == opened)
    );
}

#[test]
fn redis_restarts_with_its_data() {
    let _exclusive = exclusive();
    let redis = Redis::with(&["--appendonly", "yes"]);
    let setup = Setup::new(redis.address());
    let mut test = FaultTest::new(redis, &setup);
    test.inject_outage("killed, with its data", Redis::kill, Redis::restart);
    // An override survives the restart, and applies to instances that start later.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let operator = Fleet::connect(&setup.address).application("shop").timeout(SECOND).start().unwrap();
        crate::connected(&operator).await;
        operator.apply_override(BREAKER, &Override::force_open().by("ada")).await.unwrap();
    });
    test.redis.kill();
    test.redis.restart();
    test.instances.extend(Instance::fleet(1, &setup));
    all_are(&test.instances, ForcedOpen);
}

#[test]
fn redis_stops_responding() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let setup = Setup::new(redis.address());
    let mut test = FaultTest::new(redis, &setup);
    test.inject_outage("stopped", |redis| redis.signal(Signal::STOP), |redis| redis.signal(Signal::CONT));
    // The pause ends without a command.
    test.inject("clients paused", |redis| redis.command(&["CLIENT", "PAUSE", "3000"]), |_| {});
}

#[test]
fn redis_loses_connections_and_scripts() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let setup = Setup::new(redis.address());
    let mut test = FaultTest::new(redis, &setup);
    let kill = |redis: &mut Redis| {
        for kind in ["pubsub", "normal"] {
            redis.command::<i64>(&["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"]);
        }
    };
    test.inject("subscribers killed", kill, |_| {});
    test.inject("scripts flushed", |redis| redis.command(&["SCRIPT", "FLUSH"]), |_| {});
}

/// Returns the number of replies with an error so far.
fn errors(connection: &mut redis::Connection, error: &str) -> u64 {
    let info: String = redis::cmd("INFO").arg("errorstats").query(connection).unwrap();
    let count = info.lines().find_map(|line| line.strip_prefix(&format!("errorstat_{error}:count=")));
    count.map_or(0, |count| count.trim().parse().unwrap())
}

#[test]
fn connections_break_in_the_middle_of_a_reply() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port);
    let setup = Setup::new(proxy.address());
    let mut test = FaultTest::new(redis, &setup);
    test.inject("cut in the middle of replies", |_| proxy.cut_replies(true), |_| proxy.cut_replies(false));
    assert!(proxy.cut_count.load(Ordering::Relaxed) > 0);
}

#[test]
fn redis_returns_errors() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let setup = Setup::new(redis.address());
    let mut test = FaultTest::new(redis, &setup);
    let memory = |redis: &mut Redis, bytes| redis.command(&["CONFIG", "SET", "maxmemory", bytes]);
    test.inject("out of memory", |redis| memory(redis, "1"), |redis| memory(redis, "0"));
    test.inject(
        "a wrong type under the key",
        |redis| redis.command::<()>(&["SET", STATE, "x"]),
        |redis| {
            until("an error was returned", || errors(&mut redis.connection(), "WRONGTYPE") > 0);
            redis.command::<()>(&["DEL", STATE]);
        },
    );
    until("the error is reported", || test.instances.iter().any(|instance| instance.event_count("WRONGTYPE") > 0));
    test.inject(
        "foreign content under the key",
        |redis| redis.command::<()>(&["HSET", STATE, "version", "x", "kind", "17", "until", "never", "y", "z"]),
        |_| {},
    );
    test.inject(
        "a foreign lease and votes",
        |redis| {
            redis.command::<()>(&["SET", "steadfast:{shop:payments}:lease", "someone", "PX", "500"]);
            redis.command::<()>(&["LPUSH", "steadfast:{shop:payments}:votes", "x"]);
        },
        |redis| redis.command::<()>(&["DEL", "steadfast:{shop:payments}:votes"]),
    );
}

#[test]
fn two_applications_share_nothing() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let setup = Setup::new(redis.address());
    let mut ours = Instance::fleet(2, &setup);
    let setup_of_theirs = Setup { application: "shop:eu", ..setup.clone() };
    let mut theirs = Instance::fleet(2, &setup_of_theirs);
    ours[0].send("trip");
    all_are(&ours, Open);
    until("two instances are live in each", || {
        (ours[0].query("instances").as_str(), theirs[0].query("instances").as_str()) == ("2", "2")
    });
    // Instances that start later and read the state do not share it, either.
    theirs.extend(Instance::fleet(1, &setup_of_theirs));
    let later = Instance::fleet(1, &setup);
    all_are(&later, Open);
    // By now the other application's instances have read the state. They receive all earlier broadcasts before the next one.
    assert!(theirs.iter().all(|instance| instance.entries(Open) == 0));
    theirs[0].send("trip");
    all_are(&theirs, Open);
    assert!(theirs.iter().chain(&ours).all(|instance| instance.entries(Open) == 1));
    redis.assert_all_keys_expire(4);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_databases_share_nothing() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let address = |database: u32| format!("{}/{database}", redis.address());
    let mut instances: Vec<_> =
        [0, 3].iter().flat_map(|database| Instance::fleet(1, &Setup::new(address(*database)))).collect();
    instances[0].send("trip");
    all_are(&instances[..1], Open);
    let [zero, three] =
        [0, 3].map(|database| Fleet::connect(&address(database)).application("shop").timeout(SECOND).start().unwrap());
    three.apply_override(BREAKER, &Override::force_open()).await.unwrap();
    all_are(&instances[1..], ForcedOpen);
    // Each instance receives all earlier broadcasts before the next one.
    zero.apply_override(BREAKER, &Override::disable()).await.unwrap();
    all_are(&instances[..1], Disabled);
    three.apply_override(BREAKER, &Override::reset()).await.unwrap();
    all_are(&instances[1..], Closed);
    let times = |index: usize| [Open, ForcedOpen, Disabled].map(|state| instances[index].entries(state));
    assert_eq!((times(0), times(1)), ([1, 0, 1], [0, 1, 0]));
    for fleet in [zero, three] {
        fleet.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_reported_once_and_not_shown() {
    let _exclusive = exclusive();
    let redis = Redis::with(&["--requirepass", "correct-horse"]);
    let (sender, receiver) = std::sync::mpsc::channel();
    let address = |password: &str| format!("redis://:{password}@127.0.0.1:{}", redis.port);
    let fleet = Fleet::connect(&address("battery-staple"))
        .timeout(SECOND)
        .on_event(move |event| sender.send(event.clone()).unwrap())
        .start()
        .unwrap();
    let event = receiver.recv_timeout(HANG).unwrap();
    let text = format!("{event} {event:?}");
    assert!(text.contains("WRONGPASS") || text.contains("password"), "{text}");
    assert!(!text.contains("battery-staple"), "{text}");
    assert!(matches!(event, FleetEvent::Unavailable { .. }), "{text}");
    // The fleet keeps trying to connect.
    let mut connection = redis::Client::open(address("correct-horse")).unwrap().get_connection().unwrap();
    until("several attempts", || errors(&mut connection, "WRONGPASS") >= 4);
    assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Empty, "reported once");
    let refused = fleet.apply_override(BREAKER, &Override::reset()).await.unwrap_err();
    assert!(matches!(refused, FleetError::Unavailable(_)), "{refused}");
    fleet.stop().await;
    let fleet = Fleet::connect(&address("correct-horse")).timeout(SECOND).start().unwrap();
    crate::connected(&fleet).await;
    fleet.stop().await;
}
