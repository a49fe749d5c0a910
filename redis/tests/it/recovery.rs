//! A service that recovers sees the trial calls of one instance.

use std::time::Duration;

use rustix::process::Signal;
use steadfast::BreakerState::{Closed, Disabled, HalfOpen, Open};
use steadfast_redis::{Fleet, Operation};

use crate::{
    alone,
    instance::{BREAKER, BREAKER_SCRIPT, Instance, Setup, all_are},
    server::Redis,
    service::Service,
    until,
};

const SECOND: Duration = Duration::from_secs(1);
const REST: Duration = Duration::from_millis(300);
/// As the instances are configured.
const TRIALS: usize = 3;
const LEASE: &str = "steadfast:{shop:payments}:lease";

/// The instance that Redis has lent the lease to.
fn holder(redis: &Redis) -> Option<String> {
    let lease: Option<String> = redis.command(&["GET", LEASE]);
    lease.and_then(|lease| Some(lease.split('\x1f').next()?.to_owned()))
}

/// Waits until the lease has been renewed so many times.
fn is_renewed(redis: &Redis, times: u32) {
    let left = || redis.command::<i64>(&["PTTL", LEASE]);
    for _ in 0..times {
        let mut least = left();
        until("the lease is renewed", || {
            let now = left();
            let is_renewed = now > least;
            least = now;
            is_renewed
        });
    }
}

#[test]
fn trial_calls_of_all_together_are_as_many_as_of_one() {
    let _alone = alone();
    let (redis, service) = (Redis::start(), Service::start());
    // Nobody is so slow that it loses the lease.
    let setup =
        Setup { recovery: REST, lease: 20 * SECOND, service: Some(service.address), ..Setup::new(redis.address()) };
    let mut instances = Instance::fleet(5, &setup);
    for instance in &mut instances {
        instance.tell("load 4 5");
    }
    for recovery in 0..20 {
        service.hold_trials(true);
        service.set_down(true);
        until("a trial call", || !service.held().is_empty());
        // It is under way while all others make calls.
        for instance in &mut instances {
            instance.makes_calls(20);
        }
        let held = service.held();
        assert!(held.len() <= TRIALS && held.iter().all(|trial| *trial == held[0]), "{held:?}");
        service.set_down(recovery % 2 == 0);
        service.hold_trials(false);
        if recovery % 2 == 1 {
            all_are(&instances, Closed);
        } else {
            until("the recovery fails", || service.held().iter().all(|trial| *trial != held[0]));
        }
    }
    let recoveries = service.recoveries();
    assert!(recoveries.len() >= 20 && recoveries.iter().all(|trials| *trials <= TRIALS), "{recoveries:?}");
}

/// Three instances, one of which is making a trial call, under a lease.
struct Trial {
    redis: Redis,
    service: Service,
    instances: Vec<Instance>,
    holder: usize,
}

impl Trial {
    fn under_way() -> Self {
        let (redis, service) = (Redis::start(), Service::start());
        let setup = Setup { recovery: REST, service: Some(service.address), ..Setup::new(redis.address()) };
        let mut instances = Instance::fleet(3, &setup);
        instances[0].tell("trip");
        all_are(&instances, Open);
        service.hold_trials(true);
        for instance in &mut instances {
            instance.tell("load 1 5");
        }
        until("a trial call", || service.held().len() == 1 && instances.iter().any(|instance| instance.is(HalfOpen)));
        let holder = instances.iter().position(|instance| instance.is(HalfOpen)).unwrap();
        Self { redis, service, instances, holder }
    }
}

#[test]
fn a_holder_that_dies_loses_the_lease() {
    let _alone = alone();
    // A trial call hangs, and its instance dies over it.
    let Trial { redis, service, mut instances, holder } = Trial::under_way();
    is_renewed(&redis, 1);
    assert_eq!(instances.iter().filter(|instance| instance.is(HalfOpen)).count(), 1);
    instances.remove(holder).kill();
    service.hold_trials(false);
    all_are(&instances, Closed);
    assert_eq!(service.recoveries().iter().sum::<usize>(), 1 + TRIALS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_is_frozen_loses_the_lease_and_does_no_harm() {
    let _alone = alone();
    let Trial { redis, service, mut instances, holder: frozen } = Trial::under_way();
    let mut frozen = instances.remove(frozen);
    let name = frozen.ask("name");
    frozen.signal(Signal::STOP);
    service.hold_trials(false);
    until("all others are closed", || {
        let try_it = instances.iter().any(|instance| !instance.is(Open));
        assert!(!try_it || holder(&redis).as_ref() != Some(&name), "before the lease was over");
        instances.iter().all(|instance| instance.is(Closed))
    });
    let opened: Vec<_> = instances.iter().map(|instance| instance.times(Open)).collect();
    // Awake, with a lease that it believes in and an answer that has waited for it.
    frozen.signal(Signal::CONT);
    until("it agrees", || frozen.is(Closed));
    frozen.makes_calls(20);
    instances.push(frozen);
    // Whatever it has said since it was awake, all have heard before they hear this.
    let operator = Fleet::connect(&redis.address()).application("shop").timeout(SECOND).start().unwrap();
    operator.operate(BREAKER, &Operation::disable()).await.unwrap();
    all_are(&instances, Disabled);
    let still = instances[..2].iter().map(|instance| instance.times(Open));
    assert!(still.eq(opened), "nobody has opened for it");
    let trials = service.recoveries().iter().sum::<usize>();
    assert!(trials <= 2 * TRIALS, "{trials} trial calls of two instances");
    operator.stop().await;
}

#[test]
fn rare_calls_are_enough_to_recover() {
    let _alone = alone();
    let redis = Redis::start();
    let setup = Setup { recovery: REST, ..Setup::new(redis.address()) };
    let mut instances = Instance::fleet(2, &setup);
    for caller in [0, 1] {
        // It trips in the first; all calls are made by one.
        let name = instances[caller].ask("name");
        instances[0].tell("trip");
        all_are(&instances, Open);
        let rejected = instances[caller].number("rejected");
        if caller == 1 {
            // Who has tripped has the lease, and no calls: this one is rejected, and asks.
            until("who has tripped has the lease", || holder(&redis).is_some_and(|holder| holder != name));
            instances[1].tell("call");
        }
        for call in 0..TRIALS {
            until("it has the lease", || holder(&redis).as_ref() == Some(&name));
            until("its next call is a trial call", || instances[caller].ask("tries") == "true");
            // Far longer than one lease, and nobody takes it away.
            is_renewed(&redis, 2);
            assert_eq!(holder(&redis).as_ref(), Some(&name), "{call}");
            instances[caller].tell("call");
            let expected = if call + 1 == TRIALS { Closed } else { HalfOpen };
            until("the call is made", || instances[caller].is(expected));
        }
        all_are(&instances, Closed);
        let rejected = instances[caller].number("rejected") - rejected;
        assert_eq!(rejected, caller as u64, "all others were let through");
    }
}

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
    redis.command::<()>(&["SET", LEASE, "dead\x1f3000\x1f0", "PX", "3600000"]);
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
