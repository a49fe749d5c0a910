//! Rate limits that a fleet shares.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use steadfast::{RateLimit, RateLimitConfig, RateLimited};
use steadfast_redis::{Fleet, OnUnavailable, RedisRateLimits};

use crate::{
    alone,
    instance::{Instance, LIMIT, Setup},
    server::Redis,
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn eight_processes_never_exceed_a_window() {
    const LIMIT: usize = 50;
    const PER: u64 = 200_000;
    let _alone = alone();
    let redis = Redis::start();
    let mut instances = Instance::fleet(8, &Setup::new(redis.address()));
    for instance in &mut instances {
        instance.tell(&format!("hammer {LIMIT} {PER} 3000"));
    }
    let (mut asked, mut admitted): (u64, Vec<u64>) = (0, Vec::new());
    for instance in &mut instances {
        let answer = instance.last("hammer");
        let (calls, times) = answer.split_once(' ').unwrap();
        asked += calls.parse::<u64>().unwrap();
        admitted.extend(times.split(',').filter(|time| !time.is_empty()).map(|time| time.parse::<u64>().unwrap()));
    }
    admitted.sort_unstable();
    let most = admitted
        .iter()
        .enumerate()
        .map(|(index, first)| admitted[index..].iter().take_while(|time| **time - first < PER).count());
    let most = most.max().unwrap();
    println!("8 processes asked {asked} times in 3 s, {} were admitted, {most} in a window at most", admitted.len());
    assert_eq!(most, LIMIT, "the limit is used up, and not exceeded");
    let left: i64 = redis.command(&["PTTL", "hammered"]);
    assert!(left <= 202, "it expires by itself: {left}");
}

/// One limit for one thread, written to be read.
#[derive(Default)]
struct Reference {
    calls: Vec<u64>,
    arrival: u128,
}

impl Reference {
    /// How long until there is capacity: zero for a call that is admitted.
    fn window(&mut self, now: u64, limit: usize, per: u64) -> u64 {
        self.calls.retain(|at| at + per > now);
        if self.calls.len() < limit {
            self.calls.push(now);
            return 0;
        }
        self.calls[self.calls.len() - limit] + per - now
    }

    /// Moments in limit-ths of a microsecond, so that all of them are whole.
    fn gcra(&mut self, now: u64, limit: u32, per: u64) -> u64 {
        let [scaled_now, scaled_per] = [now, per].map(|micros| u128::from(micros) * u128::from(limit));
        let arrival = self.arrival.max(scaled_now) + u128::from(per);
        let after = arrival.saturating_sub(scaled_per).saturating_sub(scaled_now).div_ceil(limit.into());
        if after == 0 {
            self.arrival = arrival;
        }
        u64::try_from(after).unwrap()
    }
}

#[test]
fn the_script_does_as_its_reference() {
    let _alone = alone();
    let redis = Redis::start();
    let (script, mut connection) = (redis::Script::new(LIMIT), redis.connection());
    let mut random = 7_u32;
    let mut next = |below: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) % below
    };
    let (mut admitted, mut rejected) = (0, 0);
    for case in 0..60 {
        let (limit, per) = (1 + next(8), 1_000 + u64::from(next(20_000)));
        let (mut reference, is_window) = (Reference::default(), case % 2 == 0);
        for number in 0..60 {
            let mut call = script.key(format!("case {case}"));
            call.arg(if is_window { "window" } else { "gcra" }).arg(limit).arg(per).arg(number);
            let (is_admitted, after, now): (bool, u64, u64) = call.invoke(&mut connection).unwrap();
            let expected =
                if is_window { reference.window(now, limit as usize, per) } else { reference.gcra(now, limit, per) };
            assert_eq!((is_admitted, after), (expected == 0, expected), "{case}: {number}");
            (admitted, rejected) = (admitted + u32::from(is_admitted), rejected + u32::from(!is_admitted));
            if next(4) == 0 {
                thread::sleep(Duration::from_micros(u64::from(next(3_000))));
            }
        }
    }
    println!("as the reference: {admitted} admitted, {rejected} rejected");
    assert!(admitted > 100 && rejected > 100);
}

#[test]
fn the_script_counts_on_under_another_limit() {
    const HOUR: u64 = 3_600_000_000;
    let _alone = alone();
    let redis = Redis::start();
    let (script, mut connection) = (redis::Script::new(LIMIT), redis.connection());
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
fn as_many_as_the_limit_are_admitted_at_once() {
    let _alone = alone();
    let redis = Redis::start();
    let (script, mut connection) = (redis::Script::new(LIMIT), redis.connection());
    for algorithm in ["window", "gcra"] {
        for limit in 1..=50 {
            let mut ask = |number: u32| {
                let mut call = script.key(format!("{algorithm} {limit}"));
                call.arg(algorithm).arg(limit).arg(1_000_000_000_u64).arg(number);
                call.invoke::<(bool, u64, u64)>(&mut connection).unwrap().0
            };
            assert!((0..limit).all(&mut ask) && !ask(limit), "{algorithm}: {limit}");
        }
    }
}

/// Longer than any test.
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
async fn a_call_is_one_way_there_and_back_and_none_when_it_is_full() {
    let _alone = alone();
    let mut redis = Redis::start();
    let made = AtomicU32::new(0);
    search(&made).await.unwrap(); // before there is a fleet, by its own counts
    let fleet = Fleet::connect(&redis.address()).application("shop").timeout(SECOND).rate_limits(&LIMITS);
    let fleet = fleet.start().unwrap();
    crate::found(&fleet).await;
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
    let asked = fleet.round_trips();
    for _ in 0..1_000 {
        search(&made).await.unwrap_err();
    }
    let trips = fleet.round_trips() - asked;
    assert!(trips < 100, "known to be full: {trips} ways to Redis, heartbeats included");
    assert!(scripts(&redis) >= others + 6);
    let key = "steadfast:{shop:search}:limit:window";
    assert_eq!(redis.command::<u64>(&["ZCARD", key]), 5, "what was rejected is not counted");
    // Without Redis: by its own counts, once what Redis has said is old or the connection is seen to be gone.
    redis.kill();
    let killed = Instant::now();
    while search(&made).await.is_err() {
        assert!(killed.elapsed() < SECOND * 30, "it still goes by what Redis has said");
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
async fn without_redis_it_does_as_it_was_told() {
    static ALLOW: RedisRateLimits = RedisRateLimits::new().on_unavailable(OnUnavailable::Allow);
    static DENY: RedisRateLimits = RedisRateLimits::new().on_unavailable(OnUnavailable::Deny);
    for (store, expected) in [(&ALLOW, 10), (&DENY, 0)] {
        let limit = RateLimit::new("lonely", RateLimitConfig::new(3, SECOND).store(store));
        let mut made = 0;
        for _ in 0..10 {
            let call = limit.call_async(async || Ok::<_, RateLimited>(())).await;
            made += u32::from(call.is_ok());
        }
        assert_eq!(made, expected, "{store:?}");
    }
}

#[test]
fn what_a_key_takes_in_redis() {
    let _alone = alone();
    let redis = Redis::start();
    let (script, mut connection) = (redis::Script::new(LIMIT), redis.connection());
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
