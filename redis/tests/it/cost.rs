//! What a fleet costs Redis.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    alone, eventually,
    instance::{Instance, Setup},
    server::Redis,
};

const SECOND: Duration = Duration::from_secs(1);
/// Commands in a second: 20 heartbeats of 7, a little more often than each second.
const AT_REST: u64 = 200;

#[test]
fn commands_for_a_hundred_breakers_and_twenty_instances() {
    let _alone = alone();
    let redis = Redis::start();
    let setup = Setup { more: 99, ..Setup::new(redis.address()) };
    let mut instances = Instance::fleet(20, &setup);
    let per_second = |redis: &Redis| {
        let (before, begun) = (redis.commands(), Instant::now());
        thread::sleep(3 * SECOND);
        #[allow(clippy::cast_precision_loss, reason = "few")]
        let commands = (redis.commands() - before) as f64;
        commands / begun.elapsed().as_secs_f64()
    };
    // Each has looked at every breaker as it came, again where the machine was too busy to answer in time.
    eventually(20 * SECOND, "all have looked", || {
        let before = redis.commands();
        thread::sleep(SECOND);
        redis.commands() - before < AT_REST
    });
    let at_rest = per_second(&redis);
    let trips = |instances: &mut [Instance]| -> u64 {
        instances.iter_mut().map(|instance| instance.ask("trips").parse::<u64>().unwrap()).sum()
    };
    // Everything is down, for everybody, in the same moment.
    let before = (redis.commands(), trips(&mut instances));
    for instance in &mut instances {
        instance.tell("trip-more");
    }
    for instance in &mut instances {
        eventually(20 * SECOND, "all are open", || instance.ask("open-more") == "99");
    }
    thread::sleep(SECOND);
    let burst = (redis.commands() - before.0, trips(&mut instances) - before.1);
    let open = per_second(&redis);
    println!("100 breakers, 20 instances: {at_rest:.0} commands/s at rest, those within scripts included");
    println!(
        "99 breakers trip in all 20 at once: {} commands, {} round trips; then {open:.0}/s while open",
        burst.0, burst.1
    );
    #[allow(clippy::cast_precision_loss, reason = "few")]
    let most = AT_REST as f64;
    assert!(at_rest < most && open < most, "{at_rest}, {open}");
}
