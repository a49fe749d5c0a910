//! Keyed breakers: one circuit per host or tenant.

use std::{io, time::Duration};

use steadfast::{
    BreakerConfig,
    BreakerState::{Closed, Disabled, ForcedOpen, HalfOpen, Open},
    KeyedBreakers,
};
use steadfast_redis::{Fleet, Override};

use crate::{HANG, exclusive, support::server::Redis, until};

const SECOND: Duration = Duration::from_secs(1);
/// A short heartbeat interval, and one so long that no test depends on a heartbeat.
const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(2 * HANG.as_secs());

/// An instance with its own circuits. Several instances run in this process.
struct Instance {
    hosts: &'static KeyedBreakers,
    fleet: Fleet,
}

impl Instance {
    async fn start(redis: &Redis, recovery_timeout: Duration, max_keys: usize) -> Self {
        Self::with_heartbeat(redis, recovery_timeout, max_keys, SHORT).await
    }

    async fn with_heartbeat(redis: &Redis, recovery_timeout: Duration, max_keys: usize, heartbeat: Duration) -> Self {
        let config = BreakerConfig::new().failure_threshold(3).recovery_timeout(recovery_timeout);
        let hosts: &'static KeyedBreakers = Box::leak(Box::new(KeyedBreakers::new("hosts", config).max_keys(max_keys)));
        let fleet =
            Fleet::connect(&redis.address()).application("shop").timeout(SECOND).heartbeat(heartbeat).share(hosts);
        let fleet = fleet.start().unwrap();
        crate::connected(&fleet).await;
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

    /// Returns true if the key has a circuit and it is open.
    fn is_open(&self, key: &str) -> bool {
        self.hosts.get(key).is_some_and(|breaker| breaker.state() == Open)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_key_is_open_everywhere_and_others_are_not() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    // The heartbeat interval is so long that only the broadcast can open the key in the other instance.
    let one = Instance::with_heartbeat(&redis, 3 * SECOND, 100, LONG).await;
    let other = Instance::with_heartbeat(&redis, 3 * SECOND, 100, LONG).await;
    assert!(other.call("us:1"));
    one.fail("eu:1");
    until("the same key is open there", || other.is_open("eu:1"));
    assert_eq!((other.hosts.len(), other.hosts.get("us:1").unwrap().state()), (2, Closed));
    let error = other.hosts.breaker("eu:1").call(|| Ok::<_, Error>(())).unwrap_err();
    assert!(error.0.contains("3 failures in a row"), "{}", error.0);
    // An instance that starts later has received no broadcast.
    let later = Instance::start(&redis, 3 * SECOND, 100).await;
    until("it is open there, too", || later.is_open("eu:1"));
    // One instance makes the trial calls, and all close.
    until("one has recovered", || [&one, &other, &later].map(|instance| instance.call("eu:1")) == [true; 3]);
    let all = [&one, &other, &later];
    let is_closed = |instance: &&Instance| instance.hosts.get("eu:1").is_some_and(|breaker| breaker.state() == Closed);
    until("all are closed", || all.iter().all(is_closed));
    redis.assert_all_keys_expire(2);
    // An instance that starts later does not create a circuit for the closed key.
    let last = Instance::start(&redis, SECOND, 100).await;
    open_without_a_broadcast(&redis, "jp");
    until("it reads the index", || last.is_open("jp"));
    assert!(last.hosts.get("eu:1").is_none(), "a closed key needs no circuit");
    for instance in [one, other, later, last] {
        instance.fleet.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_makes_up_for_a_lost_broadcast_about_a_key() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let instance = Instance::start(&redis, SECOND, 100).await;
    open_without_a_broadcast(&redis, "eu");
    until("the heartbeat detects it", || instance.is_open("eu"));
    instance.fleet.stop().await;
}

/// Opens a key as the scripts do, but without a broadcast.
fn open_without_a_broadcast(redis: &Redis, key: &str) {
    let now = redis.micros();
    let (version, until) = (now.to_string(), (now / 1_000 + 60_000).to_string());
    let state = format!("steadfast:{{shop:hosts:{key}}}:state");
    redis.command::<()>(&["HSET", &state, "version", &version, "kind", "open", "until", &until]);
    redis.command::<()>(&["ZADD", "steadfast:{shop}:listed", &until, &format!("hosts:{key}")]);
    redis.command::<()>(&["INCR", "steadfast:{shop}:version"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_keys_are_evicted_and_overflowing_keys_are_not_controlled() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let (one, small) = (Instance::start(&redis, SHORT, 100).await, Instance::start(&redis, SHORT, 1).await);
    one.fail("eu");
    until("it is open", || small.is_open("eu"));
    // The open circuit is not evicted, so another key uses the overflow breaker. The fleet's state of that key does not
    // affect the overflow breaker.
    assert!(small.call("us"));
    one.fail("us");
    one.fail("jp");
    until("they are open", || one.is_open("us") && one.is_open("jp"));
    // The small instance receives the earlier broadcasts before this one.
    one.fleet.apply_override("hosts", &Override::disable().key("eu")).await.unwrap();
    until("it is disabled", || small.hosts.get("eu").is_some_and(|breaker| breaker.state() == Disabled));
    assert!(small.hosts.get("us").is_none() && small.hosts.overflow().unwrap().snapshot().transitions == 0);
    // A closed and idle key can be evicted.
    one.fleet.apply_override("hosts", &Override::reset().key("eu")).await.unwrap();
    until("it is closed", || small.hosts.get("eu").is_none_or(|breaker| breaker.state() == Closed));
    until("the key is evicted", || small.call("fr") && small.hosts.get("fr").is_some());
    for instance in [one, small] {
        instance.fleet.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_of_one_key() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let instance = Instance::start(&redis, SECOND, 100).await;
    assert!(instance.call("eu") && instance.call("us"));
    let state = |key: &str| instance.hosts.get(key).unwrap().state();
    instance.fleet.apply_override("hosts", &Override::force_open().key("eu").by("ada")).await.unwrap();
    until("it is forced open", || state("eu") == ForcedOpen);
    assert_eq!(state("us"), Closed);
    let later = Instance::start(&redis, SECOND, 100).await;
    until("it is forced open there, too", || {
        later.hosts.get("eu").is_some_and(|breaker| breaker.state() == ForcedOpen)
    });
    instance.fleet.apply_override("hosts", &Override::reset().key("eu")).await.unwrap();
    until("it is closed", || state("eu") == Closed);
    assert_eq!(instance.fleet.audit_of("hosts", "eu").await.unwrap().len(), 2);
    assert_eq!(instance.fleet.audit("hosts").await.unwrap(), []);
    assert_ne!(state("eu"), HalfOpen);
    let error = instance.fleet.apply_override("hosts", &Override::reset()).await.unwrap_err().to_string();
    assert!(error.contains("select one with `key`"), "{error}");
    let error = instance.fleet.apply_override("host", &Override::reset().key("eu")).await.unwrap_err().to_string();
    assert!(error.contains("no instance of application `shop` shares a breaker named `host`"), "{error}");
    for instance in [instance, later] {
        instance.fleet.stop().await;
    }
}

/// An error that keeps the text of a rejection.
#[derive(Debug)]
struct Error(String);

impl From<steadfast::CircuitOpen> for Error {
    fn from(open: steadfast::CircuitOpen) -> Self {
        Self(open.to_string())
    }
}
