//! Breakers with a key: as many circuits as there are hosts or tenants.

use std::{io, time::Duration};

use steadfast::{
    BreakerConfig,
    BreakerState::{Closed, Disabled, ForcedOpen, HalfOpen, Open},
    KeyedBreakers,
};
use steadfast_redis::{Fleet, Operation};

use crate::{alone, server::Redis, until, wait::HANG};

const SECOND: Duration = Duration::from_secs(1);
/// Often, for what is found out by a heartbeat; or so seldom that nothing is.
const OFTEN: Duration = Duration::from_millis(200);
const SELDOM: Duration = Duration::from_secs(2 * HANG.as_secs());

/// One of several instances in this process, with circuits of its own.
struct Instance {
    hosts: &'static KeyedBreakers,
    fleet: Fleet,
}

impl Instance {
    async fn start(redis: &Redis, rest: Duration, max_keys: usize) -> Self {
        Self::with_heartbeat(redis, rest, max_keys, OFTEN).await
    }

    async fn with_heartbeat(redis: &Redis, rest: Duration, max_keys: usize, heartbeat: Duration) -> Self {
        let config = BreakerConfig::new().failure_threshold(3).recovery_timeout(rest);
        let hosts: &'static KeyedBreakers = Box::leak(Box::new(KeyedBreakers::new("hosts", config).max_keys(max_keys)));
        let fleet =
            Fleet::connect(&redis.address()).application("shop").timeout(SECOND).heartbeat(heartbeat).share(hosts);
        let fleet = fleet.start().unwrap();
        crate::found(&fleet).await;
        Self { hosts, fleet }
    }

    fn fail(&self, key: &str) {
        for _ in 0..3 {
            _ = self.hosts.breaker(key).call(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut)));
        }
    }

    fn call(&self, key: &str) -> bool {
        self.hosts.breaker(key).call(|| Ok::<_, io::Error>(())).is_ok()
    }

    /// Whether its circuit of that key is there and open.
    fn is_open(&self, key: &str) -> bool {
        self.hosts.get(key).is_some_and(|breaker| breaker.state() == Open)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_trips_is_open_everywhere_and_others_are_not() {
    let _alone = alone();
    let redis = Redis::start();
    // By a message: no heartbeat tells of it in the time that it may take.
    let one = Instance::with_heartbeat(&redis, 3 * SECOND, 100, SELDOM).await;
    let other = Instance::with_heartbeat(&redis, 3 * SECOND, 100, SELDOM).await;
    assert!(other.call("us:1"));
    one.fail("eu:1");
    until("it opens the same", || other.is_open("eu:1"));
    assert_eq!((other.hosts.len(), other.hosts.get("us:1").unwrap().state()), (2, Closed));
    let error = other.hosts.breaker("eu:1").call(|| Ok::<_, Error>(())).unwrap_err();
    assert!(error.0.contains("3 failures in a row"), "{}", error.0);
    // Who comes later has not heard it.
    let later = Instance::start(&redis, 3 * SECOND, 100).await;
    until("it is open there, too", || later.is_open("eu:1"));
    // One of them tries, and all are closed.
    until("one has recovered", || [&one, &other, &later].map(|instance| instance.call("eu:1")) == [true; 3]);
    let all = [&one, &other, &later];
    let is_closed = |instance: &&Instance| instance.hosts.get("eu:1").is_some_and(|breaker| breaker.state() == Closed);
    until("all are closed", || all.iter().all(is_closed));
    redis.forgets_everything(2);
    // And nobody who comes later opens it.
    let last = Instance::start(&redis, SECOND, 100).await;
    open_without_a_message(&redis, "jp");
    until("it looks at what is listed", || last.is_open("jp"));
    assert!(last.hosts.get("eu:1").is_none(), "there is no need for it");
    for instance in [one, other, later, last] {
        instance.fleet.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_message_about_a_key_costs_a_heartbeat() {
    let _alone = alone();
    let redis = Redis::start();
    let instance = Instance::start(&redis, SECOND, 100).await;
    open_without_a_message(&redis, "eu");
    until("it finds out", || instance.is_open("eu"));
    instance.fleet.stop().await;
}

/// Does what scripts of ours do, without the message.
fn open_without_a_message(redis: &Redis, key: &str) {
    let now = redis.micros();
    let (version, until) = (now.to_string(), (now / 1_000 + 60_000).to_string());
    let state = format!("steadfast:{{shop:hosts:{key}}}:state");
    redis.command::<()>(&["HSET", &state, "version", &version, "kind", "open", "until", &until]);
    redis.command::<()>(&["ZADD", "steadfast:{shop}:listed", &until, &format!("hosts:{key}")]);
    redis.command::<()>(&["INCR", "steadfast:{shop}:version"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_well_makes_room_and_what_has_no_room_is_left_alone() {
    let _alone = alone();
    let redis = Redis::start();
    let (one, narrow) = (Instance::start(&redis, OFTEN, 100).await, Instance::start(&redis, OFTEN, 1).await);
    one.fail("eu");
    until("it is open", || narrow.is_open("eu"));
    // A circuit that is open stays, so another key has none of its own, and what the fleet says of that key does not concern those
    // that share one.
    assert!(narrow.call("us"));
    one.fail("us");
    one.fail("jp");
    until("they are open", || one.is_open("us") && one.is_open("jp"));
    // It has heard of them when it hears what comes after.
    one.fleet.operate("hosts", &Operation::disable().key("eu")).await.unwrap();
    until("it is disabled", || narrow.hosts.get("eu").is_some_and(|breaker| breaker.state() == Disabled));
    assert!(narrow.hosts.get("us").is_none() && narrow.hosts.overflow().unwrap().snapshot().transitions == 0);
    // Once it is closed and nothing happens, it can go.
    one.fleet.operate("hosts", &Operation::reset().key("eu")).await.unwrap();
    until("it is closed", || narrow.hosts.get("eu").is_none_or(|breaker| breaker.state() == Closed));
    until("the key makes room", || narrow.call("fr") && narrow.hosts.get("fr").is_some());
    for instance in [one, narrow] {
        instance.fleet.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_holds_a_key() {
    let _alone = alone();
    let redis = Redis::start();
    let instance = Instance::start(&redis, SECOND, 100).await;
    assert!(instance.call("eu") && instance.call("us"));
    let state = |key: &str| instance.hosts.get(key).unwrap().state();
    instance.fleet.operate("hosts", &Operation::force_open().key("eu").by("ada")).await.unwrap();
    until("it is held", || state("eu") == ForcedOpen);
    assert_eq!(state("us"), Closed);
    let later = Instance::start(&redis, SECOND, 100).await;
    until("it is held there, too", || later.hosts.get("eu").is_some_and(|breaker| breaker.state() == ForcedOpen));
    instance.fleet.operate("hosts", &Operation::reset().key("eu")).await.unwrap();
    until("it is closed", || state("eu") == Closed);
    assert_eq!(instance.fleet.audit_of("hosts", "eu").await.unwrap().len(), 2);
    assert_eq!(instance.fleet.audit("hosts").await.unwrap(), []);
    assert_ne!(state("eu"), HalfOpen);
    let error = instance.fleet.operate("hosts", &Operation::reset()).await.unwrap_err().to_string();
    assert!(error.contains("say which, by `key`"), "{error}");
    let error = instance.fleet.operate("host", &Operation::reset().key("eu")).await.unwrap_err().to_string();
    assert!(error.contains("no instance of `shop` shares a breaker `host`"), "{error}");
    for instance in [instance, later] {
        instance.fleet.stop().await;
    }
}

/// What a rejection says.
#[derive(Debug)]
struct Error(String);

impl From<steadfast::CircuitOpen> for Error {
    fn from(open: steadfast::CircuitOpen) -> Self {
        Self(open.to_string())
    }
}
