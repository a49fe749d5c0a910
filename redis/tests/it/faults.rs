//! Whatever becomes of Redis: calls go on, and afterwards all agree.

use std::{
    sync::{atomic::Ordering, mpsc::TryRecvError},
    time::Duration,
};

use rustix::process::Signal;
use steadfast::BreakerState::{Closed, Disabled, ForcedOpen, Open};
use steadfast_redis::{Fleet, FleetError, FleetEvent, Operation};

use crate::{
    alone,
    instance::{BREAKER, Instance, Setup, all_are, all_hear_of_another},
    proxy::Proxy,
    server::Redis,
    until,
    wait::HANG,
};

const SECOND: Duration = Duration::from_secs(1);
const STATE: &str = "steadfast:{shop:payments}:state";
const LOST: &str = "every instance by itself";
const FOUND: &str = "Redis answers";

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

    /// The same as [`suffer`](Self::suffer) for what every instance notices as a loss of Redis, once.
    pub(crate) fn suffer_loss(&mut self, what: &str, begin: impl FnOnce(&mut Redis), end: impl FnOnce(&mut Redis)) {
        let lost: Vec<_> = self.instances.iter().map(|instance| instance.told(LOST)).collect();
        let counts = lost.clone();
        self.suffer_until(what, begin, end, move |instances: &[Instance]| {
            until("all have lost Redis", || instances.iter().zip(&counts).all(|(one, count)| one.told(LOST) > *count));
        });
        let events = self.instances.iter().zip(lost).map(|(instance, lost)| instance.told(LOST) - lost);
        assert!(events.clone().all(|told| told == 1), "{what}: one event each: {:?}", events.collect::<Vec<_>>());
    }

    /// One instance trips in the middle of the fault. When that is over, all agree with it; nobody has opened for another reason,
    /// and no call was rejected.
    pub(crate) fn suffer(&mut self, what: &str, begin: impl FnOnce(&mut Redis), end: impl FnOnce(&mut Redis)) {
        self.suffer_until(what, begin, end, |_: &[Instance]| {});
    }

    fn suffer_until(
        &mut self,
        what: &str,
        begin: impl FnOnce(&mut Redis),
        end: impl FnOnce(&mut Redis),
        is_noticed: impl FnOnce(&[Instance]),
    ) {
        let opened: Vec<_> = self.instances.iter().map(|instance| instance.times(Open)).collect();
        begin(&mut self.redis);
        is_noticed(&self.instances);
        for instance in &mut self.instances {
            instance.makes_calls(500);
        }
        assert!(self.instances.iter().zip(&opened).all(|(instance, opened)| instance.times(Open) == *opened), "{what}");
        let loads: Vec<_> = self.instances.iter_mut().map(|instance| instance.ask("unload")).collect();
        self.instances[0].tell("trip");
        until("a circuit opens by itself", || self.instances[0].is(Open));
        end(&mut self.redis);
        all_are(&self.instances, Open);
        let times = self.instances.iter().zip(&opened).map(|(instance, opened)| instance.times(Open) - opened);
        assert!(times.clone().all(|times| times == 1), "{what}: {:?}", times.collect::<Vec<_>>());
        self.reset();
        for load in loads {
            let rejected = load.split(' ').nth(1).unwrap();
            assert_eq!(rejected, "0", "{what}: closed circuits reject nothing");
        }
        for instance in &mut self.instances {
            instance.tell("load 2 1");
        }
    }

    pub(crate) fn reset(&self) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let operator = Fleet::connect(&self.address).application("shop").timeout(SECOND).start().unwrap();
            crate::found(&operator).await;
            operator.operate(BREAKER, &Operation::reset()).await.unwrap();
            operator.stop().await;
        });
        all_are(&self.instances, Closed);
    }
}

#[test]
fn redis_dies_and_comes_back_without_its_data() {
    let _alone = alone();
    let redis = Redis::start();
    let setup = Setup { more: 1, ..Setup::new(redis.address()) };
    let mut trial = Trial::new(redis, &setup);
    trial.suffer_loss("killed, without its data", Redis::kill, Redis::run);
    // What was open before stays open, although Redis has forgotten it; and what was closed stays closed.
    trial.instances[1].tell("trip");
    all_are(&trial.instances, Open);
    let found: Vec<_> = trial.instances.iter().map(|instance| instance.told(FOUND)).collect();
    let opened: Vec<_> = trial.instances.iter().map(|instance| instance.times(Open)).collect();
    trial.redis.kill();
    trial.redis.run();
    until("all have found it", || trial.instances.iter().zip(&found).all(|(one, count)| one.told(FOUND) > *count));
    all_hear_of_another(&mut trial.instances, 0);
    assert!(
        trial
            .instances
            .iter()
            .zip(opened)
            .all(|(instance, opened)| instance.is(Open) && instance.times(Open) == opened)
    );
}

#[test]
fn redis_dies_and_comes_back_with_its_data() {
    let _alone = alone();
    let redis = Redis::with(&["--appendonly", "yes"]);
    let setup = Setup::new(redis.address());
    let mut trial = Trial::new(redis, &setup);
    trial.suffer_loss("killed, with its data", Redis::kill, Redis::run);
    // An operator's word outlives it, also for those who come later.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let operator = Fleet::connect(&setup.address).application("shop").timeout(SECOND).start().unwrap();
        crate::found(&operator).await;
        operator.operate(BREAKER, &Operation::force_open().by("ada")).await.unwrap();
    });
    trial.redis.kill();
    trial.redis.run();
    trial.instances.extend(Instance::fleet(1, &setup));
    all_are(&trial.instances, ForcedOpen);
}

#[test]
fn redis_says_nothing() {
    let _alone = alone();
    let redis = Redis::start();
    let setup = Setup::new(redis.address());
    let mut trial = Trial::new(redis, &setup);
    trial.suffer_loss("stopped", |redis| redis.signal(Signal::STOP), |redis| redis.signal(Signal::CONT));
    // The pause ends by itself, by the clock of Redis.
    trial.suffer("clients paused", |redis| redis.command(&["CLIENT", "PAUSE", "3000"]), |_| {});
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

/// How often Redis has answered with an error.
fn errors(connection: &mut redis::Connection, error: &str) -> u64 {
    let info: String = redis::cmd("INFO").arg("errorstats").query(connection).unwrap();
    let count = info.lines().find_map(|line| line.strip_prefix(&format!("errorstat_{error}:count=")));
    count.map_or(0, |count| count.trim().parse().unwrap())
}

#[test]
fn connections_break_in_the_middle_of_an_answer() {
    let _alone = alone();
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port);
    let setup = Setup::new(proxy.address());
    let mut trial = Trial::new(redis, &setup);
    trial.suffer("cut in the middle of answers", |_| proxy.cut_answers(true), |_| proxy.cut_answers(false));
    assert!(proxy.cut.load(Ordering::Relaxed) > 0);
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
        |redis| {
            until("it has refused something", || errors(&mut redis.connection(), "WRONGTYPE") > 0);
            redis.command::<()>(&["DEL", STATE]);
        },
    );
    until("that is told", || trial.instances.iter().any(|instance| instance.told("WRONGTYPE") > 0));
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
    let setup_of_theirs = Setup { application: "shop:eu", ..setup.clone() };
    let mut theirs = Instance::fleet(2, &setup_of_theirs);
    ours[0].tell("trip");
    all_are(&ours, Open);
    until("two are alive in each", || (ours[0].ask("alive").as_str(), theirs[0].ask("alive").as_str()) == ("2", "2"));
    // Nor with those who come later and look.
    theirs.extend(Instance::fleet(1, &setup_of_theirs));
    let later = Instance::fleet(1, &setup);
    all_are(&later, Open);
    // Theirs have looked, and have heard whatever was said, before they hear this.
    assert!(theirs.iter().all(|instance| instance.times(Open) == 0));
    theirs[0].tell("trip");
    all_are(&theirs, Open);
    assert!(theirs.iter().chain(&ours).all(|instance| instance.times(Open) == 1));
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
    all_are(&instances[..1], Open);
    let [zero, three] =
        [0, 3].map(|database| Fleet::connect(&address(database)).application("shop").timeout(SECOND).start().unwrap());
    three.operate(BREAKER, &Operation::force_open()).await.unwrap();
    all_are(&instances[1..], ForcedOpen);
    // Each hears whatever was said before it hears this.
    zero.operate(BREAKER, &Operation::disable()).await.unwrap();
    all_are(&instances[..1], Disabled);
    three.operate(BREAKER, &Operation::reset()).await.unwrap();
    all_are(&instances[1..], Closed);
    let times = |index: usize| [Open, ForcedOpen, Disabled].map(|state| instances[index].times(state));
    assert_eq!((times(0), times(1)), ([1, 0, 1], [0, 1, 0]));
    for fleet in [zero, three] {
        fleet.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_once_and_not_shown() {
    let _alone = alone();
    let redis = Redis::with(&["--requirepass", "correct-horse"]);
    let (tell, told) = std::sync::mpsc::channel();
    let address = |password: &str| format!("redis://:{password}@127.0.0.1:{}", redis.port);
    let fleet = Fleet::connect(&address("battery-staple"))
        .timeout(SECOND)
        .on_event(move |event| tell.send(event.clone()).unwrap())
        .start()
        .unwrap();
    let event = told.recv_timeout(HANG).unwrap();
    let text = format!("{event} {event:?}");
    assert!(text.contains("WRONGPASS") || text.contains("password"), "{text}");
    assert!(!text.contains("battery-staple"), "{text}");
    assert!(matches!(event, FleetEvent::Unavailable { .. }), "{text}");
    // It tries again and again.
    let mut connection = redis::Client::open(address("correct-horse")).unwrap().get_connection().unwrap();
    until("it has tried several times", || errors(&mut connection, "WRONGPASS") >= 4);
    assert_eq!(told.try_recv().unwrap_err(), TryRecvError::Empty, "told once");
    let refused = fleet.operate(BREAKER, &Operation::reset()).await.unwrap_err();
    assert!(matches!(refused, FleetError::Unavailable(_)), "{refused}");
    fleet.stop().await;
    let fleet = Fleet::connect(&address("correct-horse")).timeout(SECOND).start().unwrap();
    crate::found(&fleet).await;
    fleet.stop().await;
}
