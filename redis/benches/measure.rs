//! Prints how long things take that a fleet does, and what they cost; judges nothing.
//!
//! `cargo bench -p steadfast-redis --bench measure` measures all, `-- trips faults` only what is named. It needs `redis-server`.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, reason = "shared with the tests; what fails ends it")]

#[path = "../tests/it/instance.rs"]
mod instance;
#[path = "../tests/it/load.rs"]
mod load;
#[path = "../tests/it/server.rs"]
mod server;
#[path = "../tests/it/service.rs"]
mod service;
#[path = "../tests/it/wait.rs"]
mod wait;

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
use steadfast_redis::{Fleet, Operation};

use self::{
    instance::{BREAKER, Instance, Setup, all_are},
    server::Redis,
    service::Service,
    wait::{until, until_all},
};

const SECOND: Duration = Duration::from_secs(1);
const STATE: &str = "steadfast:{shop:payments}:state";

fn main() {
    // `cargo test --all-targets` runs it, too.
    if instance::is_one() || !env::args().any(|argument| argument == "--bench") {
        return;
    }
    let all: [(&str, fn()); 6] = [
        ("trips", trips),
        ("message", message),
        ("recoveries", recoveries),
        ("faults", faults),
        ("cost", cost),
        ("flood", flood),
    ];
    // What cargo adds begins with a dash.
    let wanted: Vec<_> = env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    for (name, measure) in all {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            measure();
        }
    }
}

/// As users have it: by the defaults.
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

fn operate(redis: &Redis, operation: &Operation) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let operator = Fleet::connect(&redis.address()).application("shop").timeout(SECOND).start().unwrap();
        operator.operate(BREAKER, operation).await.unwrap();
        operator.stop().await;
    });
}

/// Until others are open after a trip.
fn trips() {
    let redis = Redis::start();
    let mut instances = Instance::fleet(5, &setup(&redis));
    let (mut each, mut last) = (Vec::new(), Vec::new());
    for trip in 0..100 {
        let sick = trip % instances.len();
        instances[sick].tell("trip");
        all_are(&instances, Open);
        let first = instances[sick].since(Open).unwrap();
        let others = instances.iter().enumerate().filter(|(index, _)| *index != sick);
        let delays = others.map(|(_, other)| Duration::from_micros(other.since(Open).unwrap().saturating_sub(first)));
        let delays: Vec<_> = delays.collect();
        last.extend(delays.iter().max());
        each.extend(delays);
        operate(&redis, &Operation::reset());
        all_are(&instances, Closed);
    }
    let [median, most, worst] = [0.5, 0.99, 1.0].map(|share| quantile(&mut each, share));
    println!("100 trips, 4 others each: open after {median:?} at the median, {most:?} at 99 %, {worst:?} at worst");
    println!("the last of them: {:?} at the median", quantile(&mut last, 0.5));
}

/// Until all are open after a change whose message is lost.
fn message() {
    let redis = Redis::start();
    let instances = Instance::fleet(5, &setup(&redis));
    let now = redis.micros();
    let (version, end) = (now.to_string(), (now / 1_000 + 60_000).to_string());
    redis.command::<()>(&["HSET", STATE, "version", &version, "kind", "open", "until", &end]);
    redis.command::<()>(&["INCR", "steadfast:{shop}:version"]);
    let took = all_are(&instances, Open);
    println!("all open {took:?} after a change without a message, with a heartbeat each second");
}

/// Until all are closed after the service is well, and the trial calls that it sees.
fn recoveries() {
    let (redis, service) = (Redis::start(), Service::start());
    let setup = Setup { recovery: SECOND * 3 / 10, service: Some(service.address), ..setup(&redis) };
    let mut instances = Instance::fleet(5, &setup);
    for instance in &mut instances {
        instance.tell("load 4 5");
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
    println!("trial calls of {} recoveries over 5 processes: {recoveries:?}", recoveries.len());
    println!("closed everywhere after the service was well, rest 300 ms: {:?} at the median", quantile(&mut took, 0.5));
}

/// What a breaker takes of a call while Redis is away, and until all agree afterwards.
fn faults() {
    fn suffer(redis: &mut Redis, what: &str, begin: impl FnOnce(&mut Redis), end: impl FnOnce(&mut Redis)) {
        let mut instances = Instance::fleet(3, &setup(redis));
        for instance in &mut instances {
            instance.tell("load 2 1");
        }
        begin(redis);
        thread::sleep(5 * SECOND);
        let loads: Vec<_> = instances.iter_mut().map(|instance| instance.ask("unload")).collect();
        instances[0].tell("trip");
        thread::sleep(5 * SECOND);
        end(redis);
        let agreed = all_are(&instances, Open);
        let numbers = |load: &String| load.split(' ').map(|number| number.parse().unwrap()).collect::<Vec<u64>>();
        let loads: Vec<_> = loads.iter().map(numbers).collect();
        let calls: u64 = loads.iter().map(|load| load[0]).sum();
        let [most, worst] =
            [2, 3].map(|index| Duration::from_nanos(loads.iter().map(|load| load[index]).max().unwrap()));
        println!(
            "{what} for 10 s: agreed {agreed:?} after its end; {calls} calls, the breaker took {most:?} at 99 %, {worst:?} at worst"
        );
        drop(instances);
        redis.command::<()>(&["FLUSHALL"]);
    }
    let mut redis = Redis::start();
    suffer(&mut redis, "killed", Redis::kill, Redis::run);
    suffer(&mut redis, "stopped", |redis| redis.signal(Signal::STOP), |redis| redis.signal(Signal::CONT));
    suffer(&mut redis, "paused", |redis| redis.command(&["CLIENT", "PAUSE", "10000"]), |_| {});
    let memory = |redis: &mut Redis, bytes| redis.command(&["CONFIG", "SET", "maxmemory", bytes]);
    suffer(&mut redis, "out of memory", |redis| memory(redis, "1"), |redis| memory(redis, "0"));
}

/// Commands that a fleet costs Redis, those within scripts included.
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
    let at_rest = per_second(&redis);
    let trips = |instances: &mut [Instance]| instances.iter_mut().map(|instance| instance.number("trips")).sum::<u64>();
    let before = (commands(&redis), trips(&mut instances));
    for instance in &mut instances {
        instance.tell("trip-more");
    }
    for instance in &mut instances {
        until("all are open", || instance.ask("open-more") == "99");
    }
    thread::sleep(SECOND);
    let burst = (commands(&redis) - before.0, trips(&mut instances) - before.1);
    println!("100 breakers, 20 instances: {at_rest:.0} commands/s at rest");
    println!("99 breakers trip in all 20 at once: {} commands, {} round trips", burst.0, burst.1);
    println!("while they are open: {:.0} commands/s", per_second(&redis));
}

/// Ten thousand circuits that open at once: until all are open in another instance, and the oldest heartbeat meanwhile.
fn flood() {
    const KEYS: usize = 10_000;
    let redis = Redis::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _entered = runtime.enter();
    let [one, other] = [(); 2].map(|()| {
        let config = BreakerConfig::new().failure_threshold(1).recovery_timeout(SECOND);
        let hosts: &'static KeyedBreakers = Box::leak(Box::new(KeyedBreakers::new("hosts", config).max_keys(2 * KEYS)));
        let told = |event: &steadfast_redis::FleetEvent| {
            if matches!(event, steadfast_redis::FleetEvent::Unavailable { .. }) {
                println!("{event}");
            }
        };
        let fleet = Fleet::connect(&redis.address()).application("shop").share(hosts).on_event(told).start().unwrap();
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
        let living: Vec<(String, f64)> = range.query(&mut connection).unwrap();
        // It says that it lives for five heartbeats.
        let age = living.first().map_or(f64::INFINITY, |(_, until)| seconds + micros / 1e6 + 5.0 - until / 1e3);
        oldest = oldest.max(age);
    };
    let took = until_all("all are open in the other instance", KEYS, || {
        age();
        other.0.iter().filter(|breaker| breaker.snapshot().transitions > 0).count()
    });
    let open = begun.elapsed();
    // Each asks for the lease, and holds it.
    while begun.elapsed() < open + 15 * SECOND {
        thread::sleep(SECOND / 20);
        age();
    }
    let trips = one.1.round_trips() + other.1.round_trips();
    println!("{KEYS} circuits opened within {called:?}: open in the other instance {took:?} later");
    println!("the oldest heartbeat, of one each second, then and in the 15 s after it: {oldest:.2} s old");
    println!("questions in all: {trips}");
    runtime.block_on(async {
        one.1.stop().await;
        other.1.stop().await;
    });
}
