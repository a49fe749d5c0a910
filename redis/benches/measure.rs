//! Measurements of durations and costs of a fleet over a real Redis. They are printed, not asserted.
//!
//! `cargo bench -p steadfast-redis --bench measure` runs all measurements, `-- trips faults` only the named ones. They need `redis-server`.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "shared with the tests; a failure ends the benchmark"
)]

#[path = "../tests/it/support/mod.rs"]
mod support;

use std::{
    env, io, thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use steadfast::{
    BreakerConfig,
    BreakerState::{Closed, Open},
    KeyedBreakers,
};
use steadfast_redis::{Fleet, Override};

use self::support::{
    instance::{BREAKER, Instance, Setup, all_are},
    process,
    server::Redis,
    service::Service,
    wait::{until, until_count},
};

const SECOND: Duration = Duration::from_secs(1);
const STATE: &str = "steadfast:{shop:payments}:state";

fn main() {
    // `cargo test --all-targets` runs benchmarks without `--bench`.
    if process::run_if_started_as_instance() || !env::args().any(|argument| argument == "--bench") {
        return;
    }
    let all: [(&str, fn()); 6] = [
        ("trips", trips),
        ("lost-broadcast", lost_broadcast),
        ("recoveries", recoveries),
        ("faults", faults),
        ("cost", cost),
        ("flood", flood),
    ];
    // Arguments that cargo adds begin with a dash.
    let wanted: Vec<_> = env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    for (name, measure) in all {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            measure();
        }
    }
}

/// Returns a setup with the default lease and timeout of a fleet; the tests use longer ones.
fn setup(redis: &Redis) -> Setup {
    let (lease, timeout) = (2 * SECOND, SECOND / 20);
    Setup { lease, timeout, ..Setup::new(redis.address()) }
}

fn quantile(durations: &mut [Duration], share: f64) -> Duration {
    durations.sort_unstable();
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "few")]
    let index = ((durations.len() - 1) as f64 * share).round() as usize;
    durations[index]
}

fn apply_override(redis: &Redis, manual: &Override) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let operator = Fleet::connect(&redis.address()).application("shop").timeout(SECOND).start().unwrap();
        operator.apply_override(BREAKER, manual).await.unwrap();
        operator.stop().await;
    });
}

/// Measures the time until the other instances are open after a trip.
fn trips() {
    let redis = Redis::start();
    let mut instances = Instance::fleet(5, &setup(&redis));
    let (mut each, mut last) = (Vec::new(), Vec::new());
    for trip in 0..100 {
        let failing = trip % instances.len();
        instances[failing].send("trip");
        all_are(&instances, Open);
        let first = instances[failing].entered_at(Open).unwrap();
        let others = instances.iter().enumerate().filter(|(index, _)| *index != failing);
        let delays =
            others.map(|(_, other)| Duration::from_micros(other.entered_at(Open).unwrap().saturating_sub(first)));
        let delays: Vec<_> = delays.collect();
        last.extend(delays.iter().max());
        each.extend(delays);
        apply_override(&redis, &Override::reset());
        all_are(&instances, Closed);
    }
    let [median, p99, max] = [0.5, 0.99, 1.0].map(|share| quantile(&mut each, share));
    println!(
        "100 trips, 4 other instances each: open after {median:?} (median), {p99:?} (99th percentile), {max:?} (maximum)"
    );
    println!("the last of the 4: {:?} (median)", quantile(&mut last, 0.5));
}

/// Measures the time until all instances are open after a change whose broadcast is lost.
fn lost_broadcast() {
    let redis = Redis::start();
    let instances = Instance::fleet(5, &setup(&redis));
    let now = redis.micros();
    let (version, end) = (now.to_string(), (now / 1_000 + 60_000).to_string());
    redis.command::<()>(&["HSET", STATE, "version", &version, "kind", "open", "until", &end]);
    redis.command::<()>(&["INCR", "steadfast:{shop}:version"]);
    let took = all_are(&instances, Open);
    println!("all open {took:?} after a change without a broadcast, with one heartbeat per second");
}

/// Measures the time until all instances are closed after the service has recovered, and counts its trial calls.
fn recoveries() {
    let (redis, service) = (Redis::start(), Service::start());
    let setup = Setup { recovery: SECOND * 3 / 10, service: Some(service.address), ..setup(&redis) };
    let mut instances = Instance::fleet(5, &setup);
    for instance in &mut instances {
        instance.send("load 4 5");
    }
    let mut took = Vec::new();
    for _ in 0..10 {
        let before = service.recoveries().len();
        service.set_down(true);
        until("a recovery fails", || service.recoveries().len() > before);
        all_are(&instances, Open);
        service.set_down(false);
        took.push(all_are(&instances, Closed));
    }
    let recoveries = service.recoveries();
    println!("trial calls in {} recoveries over 5 processes: {recoveries:?}", recoveries.len());
    println!(
        "closed everywhere after the service recovered, recovery timeout 300 ms: {:?} (median)",
        quantile(&mut took, 0.5)
    );
}

/// Measures the overhead of a breaker during an outage of Redis, and the time until all instances agree after it.
fn faults() {
    fn measure_fault(redis: &mut Redis, what: &str, begin: impl FnOnce(&mut Redis), end: impl FnOnce(&mut Redis)) {
        let mut instances = Instance::fleet(3, &setup(redis));
        for instance in &mut instances {
            instance.send("load 2 1");
        }
        begin(redis);
        thread::sleep(5 * SECOND);
        let loads: Vec<_> = instances.iter_mut().map(|instance| instance.query("stop-load")).collect();
        instances[0].send("trip");
        thread::sleep(5 * SECOND);
        end(redis);
        let agreed = all_are(&instances, Open);
        let numbers = |load: &String| load.split(' ').map(|number| number.parse().unwrap()).collect::<Vec<u64>>();
        let loads: Vec<_> = loads.iter().map(numbers).collect();
        let calls: u64 = loads.iter().map(|load| load[0]).sum();
        let [p99, max] = [2, 3].map(|index| Duration::from_nanos(loads.iter().map(|load| load[index]).max().unwrap()));
        println!(
            "{what} for 10 s: agreement {agreed:?} after its end; {calls} calls, overhead {p99:?} (99th percentile), {max:?} (maximum)"
        );
        drop(instances);
        redis.command::<()>(&["FLUSHALL"]);
    }
    let mut redis = Redis::start();
    measure_fault(&mut redis, "killed", Redis::kill, Redis::restart);
    measure_fault(&mut redis, "stopped", |redis| redis.signal(Signal::STOP), |redis| redis.signal(Signal::CONT));
    measure_fault(&mut redis, "paused", |redis| redis.command(&["CLIENT", "PAUSE", "10000"]), |_| {});
    let memory = |redis: &mut Redis, bytes| redis.command(&["CONFIG", "SET", "maxmemory", bytes]);
    measure_fault(&mut redis, "out of memory", |redis| memory(redis, "1"), |redis| memory(redis, "0"));
}

/// Counts the commands that Redis executes for a fleet, including those in scripts.
fn cost() {
    fn commands(redis: &Redis) -> u64 {
        let info: String = redis.command(&["INFO", "stats"]);
        let line = info.lines().find_map(|line| line.strip_prefix("total_commands_processed:")).unwrap();
        line.trim().parse().unwrap()
    }
    fn per_second(redis: &Redis) -> f64 {
        let (before, begun) = (commands(redis), Instant::now());
        thread::sleep(5 * SECOND);
        #[allow(clippy::cast_precision_loss, reason = "few")]
        let commands = (commands(redis) - before) as f64;
        commands / begun.elapsed().as_secs_f64()
    }
    let redis = Redis::start();
    let mut instances = Instance::fleet(20, &Setup { more: 99, ..setup(&redis) });
    thread::sleep(5 * SECOND);
    let idle = per_second(&redis);
    let round_trips = |instances: &mut [Instance]| {
        instances.iter_mut().map(|instance| instance.query_number("round-trips")).sum::<u64>()
    };
    let before = (commands(&redis), round_trips(&mut instances));
    for instance in &mut instances {
        instance.send("trip-more");
    }
    for instance in &mut instances {
        until("all are open", || instance.query("open-more") == "99");
    }
    thread::sleep(SECOND);
    let burst = (commands(&redis) - before.0, round_trips(&mut instances) - before.1);
    println!("100 breakers, 20 instances: {idle:.0} commands/s when idle");
    println!("99 breakers trip in all 20 at once: {} commands, {} round trips", burst.0, burst.1);
    println!("while they are open: {:.0} commands/s", per_second(&redis));
}

/// Opens 10,000 circuits at once. Measures the time until all are open in another instance, and the age of the oldest heartbeat.
fn flood() {
    const KEYS: usize = 10_000;
    let redis = Redis::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _entered = runtime.enter();
    let [one, other] = [(); 2].map(|()| {
        let config = BreakerConfig::new().failure_threshold(1).recovery_timeout(SECOND);
        let hosts: &'static KeyedBreakers = Box::leak(Box::new(KeyedBreakers::new("hosts", config).max_keys(2 * KEYS)));
        let on_event = |event: &steadfast_redis::FleetEvent| {
            if matches!(event, steadfast_redis::FleetEvent::Unavailable { .. }) {
                println!("{event}");
            }
        };
        let fleet =
            Fleet::connect(&redis.address()).application("shop").share(hosts).on_event(on_event).start().unwrap();
        runtime.block_on(fleet.available());
        (hosts, fleet)
    });
    let begun = Instant::now();
    for key in 0..KEYS {
        _ = one.0.breaker(&key).call(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut)));
    }
    let called = begun.elapsed();
    let mut connection = redis.connection();
    let mut oldest = 0.0_f64;
    let mut age = || {
        let (seconds, micros): (f64, f64) = redis::cmd("TIME").query(&mut connection).unwrap();
        let mut range = redis::cmd("ZRANGE");
        range.arg("steadfast:{shop}:instances").arg(0).arg(0).arg("WITHSCORES");
        let live: Vec<(String, f64)> = range.query(&mut connection).unwrap();
        // A heartbeat marks its instance as live for five seconds.
        let age = live.first().map_or(f64::INFINITY, |(_, until)| seconds + micros / 1e6 + 5.0 - until / 1e3);
        oldest = oldest.max(age);
    };
    let took = until_count("all are open in the other instance", KEYS, || {
        age();
        other.0.iter().filter(|breaker| breaker.snapshot().transitions > 0).count()
    });
    let open = begun.elapsed();
    // Then the lease of each circuit is requested, and its hold is extended.
    while begun.elapsed() < open + 15 * SECOND {
        thread::sleep(SECOND / 20);
        age();
    }
    let trips = one.1.round_trips() + other.1.round_trips();
    println!("{KEYS} circuits opened within {called:?}: open in the other instance {took:?} later");
    println!("oldest heartbeat, with one per second, in this time and the 15 s after it: {oldest:.2} s");
    println!("round trips in total: {trips}");
    runtime.block_on(async {
        one.1.stop().await;
        other.1.stop().await;
    });
}
