//! The breaker script without instances: the order in which leases are granted, and clocks that jump.

use std::time::Duration;

use steadfast::BreakerState::{Closed, Open};

use crate::{
    exclusive,
    support::{
        instance::{BREAKER_SCRIPT, Instance, Setup, all_are},
        server::Redis,
    },
    until,
};

const RECOVERY_TIMEOUT: Duration = Duration::from_millis(300);

type Reply = (String, i64, i64, i64);

/// The script, called directly by the tests.
struct Script {
    script: redis::Script,
    connection: redis::Connection,
}

impl Script {
    fn of(redis: &Redis) -> Self {
        Self { script: redis::Script::new(BREAKER_SCRIPT), connection: redis.connection() }
    }

    fn call(&mut self, instance: &str, verb: &str, arguments: &[&str]) -> Reply {
        let mut call = self.script.prepare_invoke();
        for part in ["state", "votes", "lease", "audit"] {
            call.key(format!("{{b}}:{part}"));
        }
        call.arg(verb).arg(instance).arg("channel").arg("b");
        for argument in arguments {
            call.arg(*argument);
        }
        call.invoke(&mut self.connection).unwrap()
    }

    /// Votes to open the circuit, for `open_for` milliseconds. Returns the state line.
    fn vote(&mut self, instance: &str, quorum: &str, open_for: &str) -> String {
        self.call(instance, "vote", &[open_for, "0", quorum, "1000", "why"]).0
    }

    /// Requests the lease for a minute. Returns the grant, and the milliseconds for which another instance holds it.
    fn lease(&mut self, instance: &str, claim: &str, yields_above: &str) -> (i64, i64) {
        let (_, grant, left, _) = self.call(instance, "lease", &["60000", claim, yields_above]);
        (grant, left)
    }
}

#[test]
fn the_lease_goes_to_the_instance_with_more_rejected_calls() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let mut script = Script::of(&redis);
    let state = script.vote("one", "1", "0");
    assert!(state.contains("open"), "{state}");
    assert_eq!(script.lease("one", "0", "0"), (1, 0));
    assert_eq!(script.lease("one", "0", "0"), (1, 0), "renewed while no other instance has a claim");
    let (grant, left) = script.lease("two", "0", "0");
    assert!(grant == 0 && left > 0);
    assert_eq!(script.lease("one", "0", "0"), (1, 0), "an instance without rejected calls has no claim");
    assert_eq!(script.lease("two", "3", "3").0, 0);
    assert_eq!(script.lease("three", "1", "1").0, 0);
    assert_eq!(script.lease("one", "0", "-1"), (1, 0), "trial calls are in flight");
    assert_eq!(script.lease("one", "3", "3"), (1, 0), "an equal claim is not better");
    assert_eq!(script.lease("one", "0", "0"), (2, 0), "the claim of the waiting instance is kept");
    assert_eq!(script.lease("two", "3", "3").0, 0, "the current lease runs to its end");
    redis.command::<i64>(&["DEL", "{b}:lease"]);
    assert_eq!(script.lease("two", "3", "3"), (1, 0));
    assert_eq!(script.lease("one", "0", "0").0, 0);
    // Only the holder may close with an outdated version.
    let (state, ..) = script.call("one", "close", &["0"]);
    assert!(state.contains("open"), "{state}");
    let (state, ..) = script.call("two", "close", &["0"]);
    assert!(state.contains("closed"), "{state}");
}

/// Returns the version of the stored state.
fn version(redis: &Redis) -> u64 {
    redis.command::<String>(&["HGET", "{b}:state", "version"]).parse().unwrap()
}

/// Moves all stored times by `millis`, as if the clock had jumped in the other direction.
fn shift(redis: &Redis, millis: i64) {
    let shift = |field: &str, scale: i64| {
        let old: i64 = redis.command::<String>(&["HGET", "{b}:state", field]).parse().unwrap();
        let new = if old == 0 { 0 } else { old + millis * scale };
        redis.command::<i64>(&["HSET", "{b}:state", field, &new.to_string()]);
    };
    shift("version", 1_000);
    shift("until", 1);
    shift("at", 1);
    for key in ["{b}:state", "{b}:lease"] {
        let left: i64 = redis.command(&["PTTL", key]);
        if left > 0 {
            redis.command::<i64>(&["PEXPIRE", key, &(left + millis).max(0).to_string()]);
        }
    }
    for vote in redis.command::<Vec<String>>(&["ZRANGE", "{b}:votes", "0", "-1"]) {
        redis.command::<String>(&["ZINCRBY", "{b}:votes", &millis.to_string(), &vote]);
    }
}

const HOUR: i64 = 3_600_000;

#[test]
fn durations_do_not_grow_when_the_clock_goes_back() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let mut script = Script::of(&redis);
    // The recovery timeout has elapsed by the instance's own clock.
    script.vote("one", "1", "60000");
    assert_eq!(script.lease("one", "0", "0").0, 0, "the recovery timeout has not elapsed");
    shift(&redis, HOUR);
    let before = version(&redis);
    assert_eq!(script.lease("one", "0", "0"), (1, 0));
    // The lease of a holder that has been killed.
    shift(&redis, HOUR);
    let (grant, left) = script.lease("two", "1", "1");
    assert!(grant == 0 && (1..=60_000).contains(&left), "{left}");
    let expires: i64 = redis.command(&["PTTL", "{b}:lease"]);
    assert!(expires <= 60_000, "{expires}");
    // Every later state has a higher version.
    let (state, ..) = script.call("one", "close", &[&version(&redis).to_string()]);
    assert!(state.contains("closed") && version(&redis) > before, "{state}");
    let before = version(&redis);
    script.vote("one", "1", "60000");
    assert!(version(&redis) > before && before > redis.micros());
    // At a read, the recovery timeout is counted again from now.
    shift(&redis, HOUR);
    let (state, ..) = script.call("two", "read", &[]);
    let left: i64 = state.split('\x1f').nth(2).unwrap().parse().unwrap();
    assert!((1..=60_000).contains(&left), "{state}");
    // The state is kept until the clock has passed its version, so that no lower version follows.
    let kept: i64 = redis.command(&["PTTL", "{b}:state"]);
    assert!(u64::try_from(kept).unwrap() * 1_000 + redis.micros() > version(&redis));
    // An override lasts no longer than its duration.
    script.call("ops", "override", &["forced", "60000", "ada", "why"]);
    shift(&redis, HOUR);
    let (state, ..) = script.call("two", "read", &[]);
    let left: i64 = state.split('\x1f').nth(2).unwrap().parse().unwrap();
    assert!(state.contains("forced") && (1..=60_000).contains(&left), "{state}");
}

#[test]
fn votes_expire_when_the_clock_goes_back() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let mut script = Script::of(&redis);
    script.vote("dead", "3", "60000");
    let vote = |name: &str| redis.command::<f64>(&["ZSCORE", "{b}:votes", name]);
    redis.command::<String>(&["ZINCRBY", "{b}:votes", &HOUR.to_string(), "dead"]);
    script.vote("one", "3", "60000");
    #[allow(clippy::cast_precision_loss, reason = "milliseconds")]
    let now = (redis.micros() / 1_000) as f64;
    assert!(vote("dead") <= now + 600_000.0 && vote("one") <= now + 1_000.0);
}

#[test]
fn a_clock_that_jumps_forward_only_shortens_durations() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let mut script = Script::of(&redis);
    script.vote("one", "1", "60000");
    let before = version(&redis);
    shift(&redis, -HOUR);
    redis.command::<i64>(&["PERSIST", "{b}:state"]);
    assert_eq!(script.lease("two", "1", "1"), (1, 0), "the recovery timeout has elapsed");
    let (state, ..) = script.call("two", "close", &["0"]);
    assert!(state.contains("closed") && version(&redis) > before, "{state}");
}

#[test]
fn instances_recover_after_the_clock_went_back() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let mut instances = Instance::fleet(2, &Setup { recovery: RECOVERY_TIMEOUT, ..Setup::new(redis.address()) });
    // A state from one hour ahead, without the field `at`, as written by older versions.
    let ahead = redis.micros() / 1_000 + 3_600_000;
    let (version, until_then) = ((ahead * 1_000).to_string(), (ahead + 300).to_string());
    let state = "steadfast:{shop:payments}:state";
    redis.command::<()>(&["HSET", state, "version", &version, "kind", "open", "until", &until_then]);
    redis.command::<()>(&["SET", "steadfast:{shop:payments}:lease", "dead\x1f3000\x1f0", "PX", "3600000"]);
    redis.command::<()>(&["INCR", "steadfast:{shop}:version"]);
    all_are(&instances, Open);
    until("calls close the fleet", || {
        instances[1].send("call");
        instances.iter().all(|instance| instance.is(Closed))
    });
    // A later trip still reaches all instances.
    instances[0].send("trip");
    all_are(&instances, Open);
}
