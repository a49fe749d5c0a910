//! Rate limits that are counted in Redis.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use steadfast::{RateLimit, RateLimitConfig, RateLimited};
use steadfast_redis::{Fleet, OnUnavailable, RedisRateLimits};

use crate::{
    exclusive,
    support::{
        instance::{Instance, RATE_LIMIT_SCRIPT, Setup},
        server::Redis,
    },
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn eight_processes_together_never_exceed_a_window() {
    const LIMIT: usize = 50;
    const PER: u64 = 200_000;
    let _exclusive = exclusive();
    let redis = Redis::start();
    let mut instances = Instance::fleet(8, &Setup::new(redis.address()));
    for instance in &mut instances {
        instance.send(&format!("hammer {LIMIT} {PER} 3000"));
    }
    let (mut requests, mut admitted): (u64, Vec<u64>) = (0, Vec::new());
    for instance in &mut instances {
        let reply = instance.last("hammer");
        let (calls, times) = reply.split_once(' ').unwrap();
        requests += calls.parse::<u64>().unwrap();
        admitted.extend(times.split(',').filter(|time| !time.is_empty()).map(|time| time.parse::<u64>().unwrap()));
    }
    admitted.sort_unstable();
    let most = admitted
        .iter()
        .enumerate()
        .map(|(index, first)| admitted[index..].iter().take_while(|time| **time - first < PER).count());
    let most = most.max().unwrap();
    println!(
        "8 processes made {requests} requests in 3 s, {} were admitted, at most {most} in a window",
        admitted.len()
    );
    assert_eq!(most, LIMIT, "the limit is reached and not exceeded");
    let left: i64 = redis.command(&["PTTL", "hammered"]);
    assert!(left <= 202, "the key expires: {left}");
}

/// A single-threaded reference implementation.
#[derive(Default)]
struct Reference {
    /// The start of each permit.
    starts: Vec<u64>,
    arrival: u128,
}

impl Reference {
    /// Returns the time until there is capacity; zero if the call is admitted.
    fn window(&mut self, now: u64, limit: usize, per: u64, permits: usize) -> u64 {
        self.starts.retain(|at| at + per > now);
        if self.starts.len() + permits <= limit {
            self.starts.extend(vec![now; permits]);
            return 0;
        }
        self.starts[self.starts.len() + permits - limit - 1] + per - now
    }

    /// Returns the same for GCRA. Computes in units of 1/limit microseconds, so that all times are integers.
    fn gcra(&mut self, now: u64, limit: u32, per: u64, permits: u32, burst: u32) -> u64 {
        let scaled_now = u128::from(now) * u128::from(limit);
        let [own, at_once] = [permits, burst].map(|permits| u128::from(permits) * u128::from(per));
        let arrival = self.arrival.max(scaled_now) + own;
        let after = arrival.saturating_sub(at_once).saturating_sub(scaled_now).div_ceil(limit.into());
        if after == 0 {
            self.arrival = arrival;
        }
        u64::try_from(after).unwrap()
    }
}

#[test]
fn the_script_agrees_with_the_reference() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let (script, mut connection) = (redis::Script::new(RATE_LIMIT_SCRIPT), redis.connection());
    let mut random = 7_u32;
    let mut next = |below: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) % below
    };
    let (mut admitted, mut rejected) = (0, 0);
    for case in 0..60 {
        let (limit, per) = (1 + next(8), 1_000 + u64::from(next(20_000)));
        let (mut reference, is_window) = (Reference::default(), case % 2 == 0);
        // In some cases the burst differs from the limit, and calls take several permits.
        let burst = if is_window || case % 3 == 0 { limit } else { 1 + next(12) };
        let is_weighted = case % 4 >= 2;
        for number in 0..60 {
            let permits = if is_weighted { 1 + next(burst) } else { 1 };
            let mut call = script.key(format!("case {case}"));
            call.arg(if is_window { "window" } else { "gcra" }).arg(limit).arg(per).arg(number);
            call.arg("admit").arg(permits).arg(burst);
            let (is_admitted, after, now): (bool, u64, u64) = call.invoke(&mut connection).unwrap();
            let expected = if is_window {
                reference.window(now, limit as usize, per, permits as usize)
            } else {
                reference.gcra(now, limit, per, permits, burst)
            };
            assert_eq!((is_admitted, after), (expected == 0, expected), "{case}: {number}");
            (admitted, rejected) = (admitted + u32::from(is_admitted), rejected + u32::from(!is_admitted));
            if next(4) == 0 {
                thread::sleep(Duration::from_micros(u64::from(next(3_000))));
            }
        }
    }
    println!("in agreement with the reference: {admitted} admitted, {rejected} rejected");
    assert!(admitted > 100 && rejected > 100);
}

#[test]
fn counts_are_kept_when_the_limit_is_reconfigured() {
    const HOUR: u64 = 3_600_000_000;
    let _exclusive = exclusive();
    let redis = Redis::start();
    let (script, mut connection) = (redis::Script::new(RATE_LIMIT_SCRIPT), redis.connection());
    let mut number = 0;
    let mut admitted = |key: &str, algorithm: &str, limit: u32| {
        let mut made = 0;
        for _ in 0..40 {
            number += 1;
            let mut call = script.key(key);
            call.arg(algorithm).arg(limit).arg(HOUR).arg(number);
            made += u32::from(call.invoke::<(bool, u64, u64)>(&mut connection).unwrap().0);
        }
        made
    };
    for algorithm in ["window", "gcra"] {
        for (first, then, expected) in [(1, 30, 29), (30, 1, 0), (4, 7, 3), (9, 9, 0)] {
            let key = format!("{algorithm} {first} {then}");
            assert_eq!(admitted(&key, algorithm, first), first);
            assert_eq!(admitted(&key, algorithm, then), expected, "{key}");
        }
    }
}

#[test]
fn a_burst_of_the_limit_is_admitted() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let (script, mut connection) = (redis::Script::new(RATE_LIMIT_SCRIPT), redis.connection());
    for algorithm in ["window", "gcra"] {
        for limit in 1..=50 {
            let mut admit = |number: u32| {
                let mut call = script.key(format!("{algorithm} {limit}"));
                call.arg(algorithm).arg(limit).arg(1_000_000_000_u64).arg(number);
                call.invoke::<(bool, u64, u64)>(&mut connection).unwrap().0
            };
            assert!((0..limit).all(&mut admit) && !admit(limit), "{algorithm}: {limit}");
        }
    }
}

#[test]
fn a_call_of_many_permits_is_counted_and_cancelled_as_a_whole() {
    const HOUR: u64 = 3_600_000_000;
    let _exclusive = exclusive();
    let redis = Redis::start();
    let (script, mut connection) = (redis::Script::new(RATE_LIMIT_SCRIPT), redis.connection());
    for algorithm in ["window", "gcra"] {
        let mut run = |name: &str, action: &str| {
            let mut call = script.key(format!("many, {algorithm}"));
            call.arg(algorithm).arg(5_000).arg(HOUR).arg(name).arg(action).arg(2_500);
            call.invoke::<Option<(bool, u64, u64)>>(&mut connection).unwrap().map(|(is_admitted, ..)| is_admitted)
        };
        let admitted = ["first", "second", "third"].map(|name| run(name, "admit"));
        assert_eq!(admitted, [Some(true), Some(true), Some(false)], "{algorithm}");
        assert_eq!((run("third", "cancel"), run("fourth", "admit")), (None, Some(false)), "{algorithm}");
        assert_eq!((run("second", "cancel"), run("fifth", "admit")), (None, Some(true)), "{algorithm}");
        assert_eq!(run("sixth", "admit"), Some(false), "{algorithm}");
    }
    assert_eq!(redis.command::<u64>(&["ZCARD", "many, window"]), 5_000);
}

static ROWS: RedisRateLimits = RedisRateLimits::new();
static ROW_LIMIT: RateLimit = RateLimit::new("rows", RateLimitConfig::new(10, PER).store(&ROWS));

#[tokio::test(flavor = "multi_thread")]
async fn a_lighter_call_is_asked_for_although_a_heavier_one_was_rejected() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let fleet = Fleet::connect(&redis.address()).application("weights").timeout(SECOND).rate_limits(&ROWS);
    let fleet = fleet.start().unwrap();
    crate::connected(&fleet).await;
    ROW_LIMIT.acquire_many_async(6).await.unwrap();
    ROW_LIMIT.acquire_many_async(5).await.unwrap_err();
    ROW_LIMIT.acquire_many_async(4).await.unwrap();
    assert!(ROW_LIMIT.acquire_many_async(11).await.is_err_and(|error| error.exceeds_limit()));
    assert_eq!(redis.command::<u64>(&["ZCARD", "steadfast:{weights:rows}:limit:window"]), 10);
    fleet.stop().await;
}

/// A window that is longer than any test.
const PER: Duration = Duration::from_mins(10);
static LIMITS: RedisRateLimits = RedisRateLimits::new();
static SEARCH: RateLimit = RateLimit::new("search", RateLimitConfig::new(5, PER).store(&LIMITS));

async fn search(made: &AtomicU32) -> Result<(), RateLimited> {
    SEARCH
        .call_async(async || {
            made.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_takes_one_round_trip_and_none_while_the_limit_is_full() {
    let _exclusive = exclusive();
    let mut redis = Redis::start();
    let made = AtomicU32::new(0);
    search(&made).await.unwrap(); // before the fleet is started, the limit is local
    let fleet = Fleet::connect(&redis.address()).application("shop").timeout(SECOND).rate_limits(&LIMITS);
    let fleet = fleet.start().unwrap();
    crate::connected(&fleet).await;
    let scripts = |redis: &Redis| -> u64 {
        let info: String = redis.command(&["INFO", "commandstats"]);
        let line = info.lines().find_map(|line| line.strip_prefix("cmdstat_zcard:calls=")).unwrap_or("0,");
        line.split(',').next().unwrap().parse().unwrap()
    };
    let others = scripts(&redis);
    for _ in 0..5 {
        search(&made).await.unwrap();
    }
    let rejected = search(&made).await.unwrap_err();
    assert!(rejected.retry_after() <= PER && rejected.retry_after() > PER / 2, "{rejected}");
    let before = fleet.round_trips();
    for _ in 0..1_000 {
        search(&made).await.unwrap_err();
    }
    let trips = fleet.round_trips() - before;
    assert!(trips < 100, "known to be full: {trips} round trips, including heartbeats");
    assert!(scripts(&redis) >= others + 6);
    let key = "steadfast:{shop:search}:limit:window";
    assert_eq!(redis.command::<u64>(&["ZCARD", key]), 5, "rejected calls are not counted");
    // Without Redis the limit is local, once the cached rejection is too old or the loss of the connection is detected.
    redis.kill();
    let killed = Instant::now();
    while search(&made).await.is_err() {
        assert!(killed.elapsed() < SECOND * 30, "the cached rejection is still used");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let admitted = {
        let mut admitted = 1;
        for _ in 0..20 {
            admitted += u32::from(search(&made).await.is_ok());
        }
        admitted
    };
    assert!((4..=5).contains(&admitted), "{admitted}");
    fleet.stop().await;
}

#[tokio::test]
async fn without_redis_the_configured_fallback_applies() {
    static ALLOW: RedisRateLimits = RedisRateLimits::new().on_unavailable(OnUnavailable::Allow);
    static DENY: RedisRateLimits = RedisRateLimits::new().on_unavailable(OnUnavailable::Deny);
    for (store, expected) in [(&ALLOW, 10), (&DENY, 0)] {
        let limit = RateLimit::new("offline", RateLimitConfig::new(3, SECOND).store(store));
        let mut made = 0;
        for _ in 0..10 {
            let call = limit.call_async(async || Ok::<_, RateLimited>(())).await;
            made += u32::from(call.is_ok());
        }
        assert_eq!(made, expected, "{store:?}");
    }
}

#[test]
fn memory_use_of_a_key() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let (script, mut connection) = (redis::Script::new(RATE_LIMIT_SCRIPT), redis.connection());
    for (algorithm, limit) in [("window", 100), ("window", 1_000), ("gcra", 1_000)] {
        let key = format!("steadfast:{{shop:search:user-17}}:limit:{algorithm}");
        for number in 0..limit {
            let mut call = script.key(&key);
            call.arg(algorithm).arg(limit).arg(60_000_000).arg(format!("instance-5f3a0c1e-{number}"));
            call.invoke::<(u64, u64, u64)>(&mut connection).unwrap();
        }
        let bytes: u64 = redis.command(&["MEMORY", "USAGE", &key, "SAMPLES", "0"]);
        println!("{algorithm}, {limit} calls: {bytes} bytes");
        assert!(bytes < 300 + if algorithm == "window" { limit * 150 } else { 0 });
        redis.command::<()>(&["DEL", &key]);
    }
}
