//! An operator's hand on the whole fleet.

use std::time::{Duration, UNIX_EPOCH};

use steadfast::BreakerState::{Closed, Disabled, ForcedOpen, Open};
use steadfast_redis::{Fleet, FleetError, Operation};

use crate::{
    alone,
    instance::{BREAKER, Instance, Setup, all_are, all_were},
    server::Redis,
    until,
};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_holds_all_and_is_on_record() {
    let _alone = alone();
    let redis = Redis::start();
    let setup = Setup::new(redis.address());
    let mut instances = Instance::fleet(3, &setup);
    let operator = Fleet::connect(&redis.address()).application("shop").timeout(SECOND).start().unwrap();
    crate::found(&operator).await;
    let force = Operation::force_open().reason("migration until 14:00").by("ada");
    let before = redis.micros();
    operator.operate(BREAKER, &force.clone().expires_in(60 * SECOND)).await.unwrap();
    let after = redis.micros();
    all_are(&instances, ForcedOpen);
    // Who comes later is held as well.
    instances.extend(Instance::fleet(1, &setup));
    all_are(&instances, ForcedOpen);
    // Once it has expired one of them tries, by the first calls.
    operator.operate(BREAKER, &force.expires_in(SECOND / 2)).await.unwrap();
    until("calls close it", || {
        for instance in &mut instances {
            instance.tell("call");
        }
        instances.iter().all(|instance| instance.is(Closed))
    });
    operator.operate(BREAKER, &Operation::disable().by("bob")).await.unwrap();
    all_are(&instances, Disabled);
    redis.forgets_everything(4);
    instances[0].tell("trip");
    assert_eq!(instances[0].ask("is"), "disabled"); // and what trips has been said
    operator.operate(BREAKER, &Operation::reset().reason("done").by("ada")).await.unwrap();
    all_are(&instances, Closed);
    instances[1].tell("trip");
    all_are(&instances, Open);
    operator.operate(BREAKER, &Operation::reset()).await.unwrap();
    all_are(&instances, Closed);

    // Who comes when all is well is not told that it was otherwise.
    let later = Instance::fleet(1, &setup);
    operator.operate(BREAKER, &Operation::disable().by("eve")).await.unwrap();
    all_are(&later, Disabled);
    until("it is told", || later[0].events().len() > 1);
    assert_eq!(later[0].events(), ["fleet: Redis answers", "fleet: circuit `payments` disabled by eve"]);

    let audit = operator.audit(BREAKER).await.unwrap();
    let said: Vec<_> = audit.iter().map(|entry| (entry.action, entry.by.as_str(), entry.reason.as_str())).collect();
    assert_eq!(
        said,
        [
            ("disabled", "eve", ""),
            ("reset", "", ""),
            ("reset", "ada", "done"),
            ("disabled", "bob", ""),
            ("forced", "ada", "migration until 14:00"),
            ("forced", "ada", "migration until 14:00")
        ]
    );
    assert_eq!(audit[5].expires_in, Some(60 * SECOND));
    let at = audit[5].at.duration_since(UNIX_EPOCH).unwrap().as_micros();
    assert!((before.into()..=after.into()).contains(&at), "by the clock of Redis");
    assert_eq!(operator.audit("another").await.unwrap(), []);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_program_is_short() {
    let _alone = alone();
    let redis = Redis::start();
    let setup = Setup::new(redis.address());
    let instances = Instance::fleet(2, &setup);
    // It does not wait for the connection by itself.
    let operator = || Fleet::connect(&redis.address()).application("shop").timeout(SECOND).start().unwrap();
    let force = Operation::force_open().by("ada").reason("migration").expires_in(SECOND / 2);
    let fleet = operator();
    fleet.operate(BREAKER, &force).await.unwrap();
    all_were(&instances, ForcedOpen);
    let entries = operator().audit(BREAKER).await.unwrap();
    assert_eq!(entries[0].to_string(), "forced by ada for 500ms: migration");
    // What it means is told, and its end.
    let tells =
        |text: &str| instances.iter().all(|instance| instance.events().iter().any(|event| event.contains(text)));
    until("it is told", || tells("`payments` forced open by ada for "));
    until("it has expired", || tells("`payments` held no more"));
    fleet.operate(BREAKER, &Operation::disable()).await.unwrap();
    until("who does not say its name", || tells("`payments` disabled by an operator"));

    // A mistake is told, and nothing is done.
    let before: Vec<String> = redis.command(&["KEYS", "*"]);
    for (application, breaker, operation, expected) in [
        ("shop", "paymets", Operation::reset(), "no instance of `shop` shares a breaker `paymets`"),
        ("shops", BREAKER, Operation::reset(), "no instance of `shops` shares a breaker `payments`"),
        ("shop", BREAKER, Operation::reset().key("eu"), "this breaker has no keys: leave `key` out"),
        ("shop", BREAKER, Operation::force_open().expires_in(Duration::ZERO), "`expires_in` must be longer than 0"),
    ] {
        let fleet = Fleet::connect(&redis.address()).application(application).timeout(SECOND).start().unwrap();
        let error = fleet.operate(breaker, &operation).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
        fleet.stop().await;
    }
    let after: Vec<String> = redis.command(&["KEYS", "*"]);
    assert_eq!(before.len(), after.len(), "{before:?} {after:?}");
    redis.forgets_everything(3);
    let nowhere = Fleet::connect("redis://127.0.0.1:1").start().unwrap();
    assert!(matches!(nowhere.audit(BREAKER).await, Err(FleetError::Unavailable(_))));
}
