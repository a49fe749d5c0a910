//! The script of a breaker by itself: who gets the lease, and what a clock does that jumps.

use std::time::Duration;

use steadfast::BreakerState::{Closed, Open};

use crate::{
    alone,
    instance::{BREAKER_SCRIPT, Instance, Setup, all_are},
    server::Redis,
    until,
};

const REST: Duration = Duration::from_millis(300);

type Answer = (String, i64, i64, i64);

/// The script, called by the tests themselves.
struct Script {
    script: redis::Script,
    connection: redis::Connection,
}

impl Script {
    fn of(redis: &Redis) -> Self {
        Self { script: redis::Script::new(BREAKER_SCRIPT), connection: redis.connection() }
    }

    fn call(&mut self, instance: &str, verb: &str, arguments: &[&str]) -> Answer {
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

    /// Trips it, for a rest of so many milliseconds.
    fn trip(&mut self, instance: &str, quorum: &str, rest: &str) -> String {
        self.call(instance, "announce", &[rest, "0", quorum, "1000", "why"]).0
    }

    /// Asks for the lease of a minute: how it was granted, and for how many milliseconds another has it.
    fn ask(&mut self, instance: &str, claim: &str, yields_above: &str) -> (i64, i64) {
        let (_, granted, left, _) = self.call(instance, "ask", &["60000", claim, yields_above]);
        (granted, left)
    }
}

#[test]
fn a_lease_goes_to_whoever_has_the_calls() {
    let _alone = alone();
    let redis = Redis::start();
    let mut script = Script::of(&redis);
    let state = script.trip("one", "1", "0");
    assert!(state.contains("open"), "{state}");
    assert_eq!(script.ask("one", "0", "0"), (1, 0));
    assert_eq!(script.ask("one", "0", "0"), (1, 0), "nobody else wants it");
    let (granted, left) = script.ask("two", "0", "0");
    assert!(granted == 0 && left > 0);
    assert_eq!(script.ask("one", "0", "0"), (1, 0), "who has had no calls takes it from nobody");
    assert_eq!(script.ask("two", "3", "3").0, 0);
    assert_eq!(script.ask("three", "1", "1").0, 0);
    assert_eq!(script.ask("one", "0", "-1"), (1, 0), "trial calls are under way");
    assert_eq!(script.ask("one", "3", "3"), (1, 0), "as many calls are not more");
    assert_eq!(script.ask("one", "0", "0"), (2, 0), "it is not forgotten that another wants it");
    assert_eq!(script.ask("two", "3", "3").0, 0, "the lease is over when it is");
    redis.command::<i64>(&["DEL", "{b}:lease"]);
    assert_eq!(script.ask("two", "3", "3"), (1, 0));
    assert_eq!(script.ask("one", "0", "0").0, 0);
    // Whose lease it is may close, and nobody else by that.
    let (state, ..) = script.call("one", "close", &["0"]);
    assert!(state.contains("open"), "{state}");
    let (state, ..) = script.call("two", "close", &["0"]);
    assert!(state.contains("closed"), "{state}");
}

/// What stands there as the version of the state.
fn version(redis: &Redis) -> u64 {
    redis.command::<String>(&["HGET", "{b}:state", "version"]).parse().unwrap()
}

/// Moves what stands there into the future, or into the past: as if the clock went the other way.
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
fn a_clock_that_went_back_an_hour_holds_nobody() {
    let _alone = alone();
    let redis = Redis::start();
    let mut script = Script::of(&redis);
    // A rest that an instance has seen pass.
    script.trip("one", "1", "60000");
    assert_eq!(script.ask("one", "0", "0").0, 0, "the rest is not over");
    shift(&redis, HOUR);
    let before = version(&redis);
    assert_eq!(script.ask("one", "0", "0"), (1, 0));
    // Of a holder that is dead by now.
    shift(&redis, HOUR);
    let (granted, left) = script.ask("two", "1", "1");
    assert!(granted == 0 && (1..=60_000).contains(&left), "{left}");
    let expires: i64 = redis.command(&["PTTL", "{b}:lease"]);
    assert!(expires <= 60_000, "{expires}");
    // Whatever comes next is newer than what was.
    let (state, ..) = script.call("one", "close", &[&version(&redis).to_string()]);
    assert!(state.contains("closed") && version(&redis) > before, "{state}");
    let before = version(&redis);
    script.trip("one", "1", "60000");
    assert!(version(&redis) > before && before > redis.micros());
    // Who only looks sees the rest once more, at most.
    shift(&redis, HOUR);
    let (state, ..) = script.call("two", "read", &[]);
    let left: i64 = state.split('\x1f').nth(2).unwrap().parse().unwrap();
    assert!((1..=60_000).contains(&left), "{state}");
    // The state is kept until its version is past, so that no lower one follows.
    let kept: i64 = redis.command(&["PTTL", "{b}:state"]);
    assert!(u64::try_from(kept).unwrap() * 1_000 + redis.micros() > version(&redis));
    // An operator's word lasts as long as it was to last.
    script.call("ops", "operate", &["forced", "60000", "ada", "why"]);
    shift(&redis, HOUR);
    let (state, ..) = script.call("two", "read", &[]);
    let left: i64 = state.split('\x1f').nth(2).unwrap().parse().unwrap();
    assert!(state.contains("forced") && (1..=60_000).contains(&left), "{state}");
}

#[test]
fn votes_from_before_the_clock_went_back_lapse() {
    let _alone = alone();
    let redis = Redis::start();
    let mut script = Script::of(&redis);
    script.trip("dead", "3", "60000");
    let vote = |name: &str| redis.command::<f64>(&["ZSCORE", "{b}:votes", name]);
    redis.command::<String>(&["ZINCRBY", "{b}:votes", &HOUR.to_string(), "dead"]);
    script.trip("one", "3", "60000");
    #[allow(clippy::cast_precision_loss, reason = "milliseconds")]
    let now = (redis.micros() / 1_000) as f64;
    assert!(vote("dead") <= now + 600_000.0 && vote("one") <= now + 1_000.0);
}

#[test]
fn a_clock_that_went_on_an_hour_loses_nothing_but_time() {
    let _alone = alone();
    let redis = Redis::start();
    let mut script = Script::of(&redis);
    script.trip("one", "1", "60000");
    let before = version(&redis);
    shift(&redis, -HOUR);
    redis.command::<i64>(&["PERSIST", "{b}:state"]);
    assert_eq!(script.ask("two", "1", "1"), (1, 0), "the rest is over");
    let (state, ..) = script.call("two", "close", &["0"]);
    assert!(state.contains("closed") && version(&redis) > before, "{state}");
}

#[test]
fn instances_recover_after_the_clock_went_back() {
    let _alone = alone();
    let redis = Redis::start();
    let mut instances = Instance::fleet(2, &Setup { recovery: REST, ..Setup::new(redis.address()) });
    // A state of an hour ahead, as an instance of an older version writes it.
    let ahead = redis.micros() / 1_000 + 3_600_000;
    let (version, until_then) = ((ahead * 1_000).to_string(), (ahead + 300).to_string());
    let state = "steadfast:{shop:payments}:state";
    redis.command::<()>(&["HSET", state, "version", &version, "kind", "open", "until", &until_then]);
    redis.command::<()>(&["SET", "steadfast:{shop:payments}:lease", "dead\x1f3000\x1f0", "PX", "3600000"]);
    redis.command::<()>(&["INCR", "steadfast:{shop}:version"]);
    all_are(&instances, Open);
    until("calls recover it", || {
        instances[1].tell("call");
        instances.iter().all(|instance| instance.is(Closed))
    });
    // And a trip after that is heard by all.
    instances[0].tell("trip");
    all_are(&instances, Open);
}
