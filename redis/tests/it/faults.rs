//! Whatever becomes of Redis: calls go on, and afterwards all agree.

use std::{
    env, thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use steadfast::BreakerState::{Closed, Open};
use steadfast_redis::{Fleet, FleetError, FleetEvent, Operation};

use crate::{
    alone, eventually,
    instance::{BREAKER, Instance, Setup, all_are},
    proxy::Proxy,
    server::Redis,
};

const SECOND: Duration = Duration::from_secs(1);
const STATE: &str = "steadfast:{shop:payments}:state";
/// In this time all have to agree again.
pub(crate) const AGREED: Duration = Duration::from_secs(2);

/// How long a fault lasts: shorter than one would like, unless the environment says `STEADFAST_LONG`.
fn lasts() -> Duration {
    if env::var_os("STEADFAST_LONG").is_some() { 10 * SECOND } else { 2 * SECOND }
}

/// A fleet under load, to which something happens.
pub(crate) struct Trial {
    pub(crate) redis: Redis,
    /// Under which the instances find it.
    address: String,
    pub(crate) instances: Vec<Instance>,
}

impl Trial {
    pub(crate) fn new(redis: Redis, setup: &Setup) -> Self {
        let mut instances = Instance::fleet(3, setup);
        for instance in &mut instances {
            instance.tell("load 2 1");
        }
        Self { redis, address: setup.address.clone(), instances }
    }

    /// One instance trips in the middle of the fault. When that is over, all agree with it; nobody has opened for another reason,
    /// and no call was held up.
    pub(crate) fn suffer(&mut self, what: &str, begin: impl FnOnce(&mut Redis), end: impl FnOnce(&mut Redis)) {
        let opened: Vec<_> = self.instances.iter().map(|instance| instance.times(Open)).collect();
        begin(&mut self.redis);
        thread::sleep(lasts() / 2);
        assert!(self.instances.iter().zip(&opened).all(|(instance, opened)| instance.times(Open) == *opened), "{what}");
        let loads: Vec<_> = self.instances.iter_mut().map(|instance| instance.ask("unload")).collect();
        let tripped = Instant::now();
        self.instances[0].tell("trip");
        eventually(SECOND / 5, "a circuit opens by itself", || self.instances[0].is(Open));
        assert!(tripped.elapsed() < SECOND / 5);
        thread::sleep(lasts() / 2);
        end(&mut self.redis);
        let agreed = all_are(&self.instances, Open, AGREED);
        let times = self.instances.iter().zip(&opened).map(|(instance, opened)| instance.times(Open) - opened);
        assert!(times.clone().all(|times| times == 1), "{what}: {:?}", times.collect::<Vec<_>>());
        self.reset();
        let (mut calls, mut most, mut worst) = (0, 0, 0);
        for load in loads {
            let numbers: Vec<u64> = load.split(' ').map(|number| number.parse().unwrap()).collect();
            let [made, rejected, _, p99, max] = numbers[..] else { panic!("{load}") };
            assert_eq!(rejected, 0, "{what}: closed circuits reject nothing");
            (calls, most, worst) = (calls + made, most.max(p99), worst.max(max));
        }
        let [most, worst] = [most, worst].map(Duration::from_nanos);
        println!(
            "{what}: agreed {agreed:?} after its end; {calls} calls, the breaker took {most:?} at 99 %, {worst:?} at worst"
        );
        assert!(calls > 500 && most < SECOND / 1_000, "{what}: {most:?} of {calls} calls");
        for instance in &mut self.instances {
            instance.tell("load 2 1");
        }
    }

    pub(crate) fn reset(&self) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let operator = Fleet::connect(&self.address).application("shop").start().unwrap();
            crate::found(&operator).await;
            operator.operate(BREAKER, &Operation::reset()).await.unwrap();
            operator.stop().await;
        });
        all_are(&self.instances, Closed, AGREED);
    }
}

#[test]
fn redis_dies_and_comes_back_without_its_data() {
    let _alone = alone();
    let redis = Redis::start();
    let setup = Setup::new(redis.address());
    let mut trial = Trial::new(redis, &setup);
    trial.suffer("killed, without its data", Redis::kill, Redis::run);
    for instance in &trial.instances {
        let events = instance.events();
        let unavailable = events.iter().filter(|event| event.contains("every instance by itself")).count();
        assert_eq!(unavailable, 1, "one event, however long it lasts: {events:?}");
    }
    // What was open before stays open, although Redis has forgotten it; and what was closed stays closed.
    trial.instances[1].tell("trip");
    all_are(&trial.instances, Open, SECOND);
    trial.redis.kill();
    trial.redis.run();
    thread::sleep(AGREED);
    assert!(trial.instances.iter().all(|instance| instance.is(Open)));
}

#[test]
fn redis_dies_and_comes_back_with_its_data() {
    let _alone = alone();
    let redis = Redis::with(&["--appendonly", "yes"]);
    let setup = Setup::new(redis.address());
    let mut trial = Trial::new(redis, &setup);
    trial.suffer("killed, with its data", Redis::kill, Redis::run);
    // An operator's word outlives it, also for those who come later.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let operator = Fleet::connect(&setup.address).application("shop").start().unwrap();
        crate::found(&operator).await;
        operator.operate(BREAKER, &Operation::force_open().by("ada")).await.unwrap();
    });
    trial.redis.kill();
    trial.redis.run();
    trial.instances.extend(Instance::fleet(1, &setup));
    all_are(&trial.instances, steadfast::BreakerState::ForcedOpen, AGREED);
}

#[test]
fn redis_says_nothing() {
    let _alone = alone();
    let redis = Redis::start();
    let setup = Setup::new(redis.address());
    let mut trial = Trial::new(redis, &setup);
    trial.suffer("stopped", |redis| redis.signal(Signal::STOP), |redis| redis.signal(Signal::CONT));
    let pause = lasts().as_millis().to_string();
    trial.suffer("clients paused", |redis| redis.command(&["CLIENT", "PAUSE", &pause]), |_| {});
}

#[test]
fn redis_loses_connections_and_scripts() {
    let _alone = alone();
    let redis = Redis::start();
    let setup = Setup::new(redis.address());
    let mut trial = Trial::new(redis, &setup);
    let kill = |redis: &mut Redis| {
        for kind in ["pubsub", "normal"] {
            redis.command::<i64>(&["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"]);
        }
    };
    trial.suffer("subscribers killed", kill, |_| {});
    trial.suffer("scripts flushed", |redis| redis.command(&["SCRIPT", "FLUSH"]), |_| {});
}

#[test]
fn connections_break_in_the_middle_of_an_answer() {
    let _alone = alone();
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port);
    let setup = Setup::new(proxy.address());
    let mut trial = Trial::new(redis, &setup);
    trial.suffer("cut in the middle of answers", |_| proxy.cut_answers(true), |_| proxy.cut_answers(false));
    assert!(proxy.cut.load(std::sync::atomic::Ordering::Relaxed) > 0);
}

#[test]
fn redis_refuses() {
    let _alone = alone();
    let redis = Redis::start();
    let setup = Setup::new(redis.address());
    let mut trial = Trial::new(redis, &setup);
    let memory = |redis: &mut Redis, bytes| redis.command(&["CONFIG", "SET", "maxmemory", bytes]);
    trial.suffer("out of memory", |redis| memory(redis, "1"), |redis| memory(redis, "0"));
    trial.suffer(
        "a wrong type under the key",
        |redis| redis.command::<()>(&["SET", STATE, "x"]),
        |redis| redis.command::<()>(&["DEL", STATE]),
    );
    let told = |text| trial.instances.iter().flat_map(Instance::events).filter(|event| event.contains(text)).count();
    assert!(told("WRONGTYPE") >= 1);
    trial.suffer(
        "foreign content under the key",
        |redis| redis.command::<()>(&["HSET", STATE, "version", "x", "kind", "17", "until", "never", "y", "z"]),
        |_| {},
    );
    trial.suffer(
        "a foreign lease and votes",
        |redis| {
            redis.command::<()>(&["SET", "steadfast:{shop:payments}:lease", "someone", "PX", "500"]);
            redis.command::<()>(&["LPUSH", "steadfast:{shop:payments}:votes", "x"]);
        },
        |redis| redis.command::<()>(&["DEL", "steadfast:{shop:payments}:votes"]),
    );
}

#[test]
fn two_applications_share_nothing() {
    let _alone = alone();
    let redis = Redis::start();
    let setup = Setup::new(redis.address());
    let mut ours = Instance::fleet(2, &setup);
    let mut theirs = Instance::fleet(2, &Setup { application: "shop:eu", ..setup.clone() });
    ours[0].tell("trip");
    all_are(&ours, Open, SECOND);
    thread::sleep(SECOND * 3 / 2);
    assert!(theirs.iter().all(|instance| instance.times(Open) == 0));
    assert_eq!((ours[0].ask("alive"), theirs[0].ask("alive")), ("2".to_owned(), "2".to_owned()));
    // Nor with those who come later and look.
    let later = Instance::fleet(1, &Setup { application: "shop:eu", ..setup.clone() });
    thread::sleep(SECOND / 5);
    assert_eq!(later[0].times(Open), 0);
    let later = Instance::fleet(1, &setup);
    all_are(&later, Open, SECOND);
    redis.forgets_everything(4);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_databases_share_nothing() {
    let _alone = alone();
    let redis = Redis::start();
    let address = |database: u32| format!("{}/{database}", redis.address());
    let mut instances: Vec<_> =
        [0, 3].iter().flat_map(|database| Instance::fleet(1, &Setup::new(address(*database)))).collect();
    instances[0].tell("trip");
    all_are(&instances[..1], Open, SECOND);
    let fleet = Fleet::connect(&address(3)).application("shop").start().unwrap();
    fleet.operate(BREAKER, &Operation::force_open()).await.unwrap();
    all_are(&instances[1..], steadfast::BreakerState::ForcedOpen, SECOND);
    thread::sleep(SECOND * 3 / 2);
    assert!(instances[0].is(Open) && instances[1].times(Open) == 0);
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_once_and_not_shown() {
    let _alone = alone();
    let redis = Redis::with(&["--requirepass", "correct-horse"]);
    let (tell, told) = std::sync::mpsc::channel();
    let address = |password: &str| format!("redis://:{password}@127.0.0.1:{}", redis.port);
    let fleet = Fleet::connect(&address("battery-staple"))
        .on_event(move |event| tell.send(event.clone()).unwrap())
        .start()
        .unwrap();
    let event = told.recv_timeout(5 * SECOND).unwrap();
    let text = format!("{event} {event:?}");
    assert!(text.contains("WRONGPASS") || text.contains("password"), "{text}");
    assert!(!text.contains("battery-staple"), "{text}");
    assert!(matches!(event, FleetEvent::Unavailable { .. }), "{text}");
    thread::sleep(SECOND);
    assert!(told.try_recv().is_err(), "told once");
    let refused = fleet.operate(BREAKER, &Operation::reset()).await.unwrap_err();
    assert!(matches!(refused, FleetError::Unavailable(_)), "{refused}");
    fleet.stop().await;
    let fleet = Fleet::connect(&address("correct-horse")).start().unwrap();
    tokio::time::timeout(5 * SECOND, fleet.available()).await.unwrap();
    fleet.stop().await;
}
