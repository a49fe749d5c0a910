//! Manual overrides of the whole fleet.

use std::time::{Duration, UNIX_EPOCH};

use steadfast::BreakerState::{Closed, Disabled, ForcedOpen, Open};
use steadfast_redis::{Fleet, FleetError, Override};

use crate::{
    exclusive,
    support::{
        instance::{BREAKER, Instance, Setup, all_are, all_were},
        server::Redis,
    },
    until,
};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn an_override_applies_to_all_instances_and_is_audited() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let setup = Setup::new(redis.address());
    let mut instances = Instance::fleet(3, &setup);
    let operator = Fleet::connect(&redis.address()).application("shop").timeout(SECOND).start().unwrap();
    crate::connected(&operator).await;
    let force = Override::force_open().reason("migration until 14:00").by("ada");
    let before = redis.micros();
    operator.apply_override(BREAKER, &force.clone().expires_in(60 * SECOND)).await.unwrap();
    let after = redis.micros();
    all_are(&instances, ForcedOpen);
    // The override applies to instances that start later, too.
    instances.extend(Instance::fleet(1, &setup));
    all_are(&instances, ForcedOpen);
    // After it expires, the first calls are the trial calls.
    operator.apply_override(BREAKER, &force.expires_in(SECOND / 2)).await.unwrap();
    until("calls close it", || {
        for instance in &mut instances {
            instance.send("call");
        }
        instances.iter().all(|instance| instance.is(Closed))
    });
    operator.apply_override(BREAKER, &Override::disable().by("bob")).await.unwrap();
    all_are(&instances, Disabled);
    redis.assert_all_keys_expire(4);
    instances[0].send("trip");
    assert_eq!(instances[0].query("current-state"), "disabled"); // the reply also shows that the trip was processed
    operator.apply_override(BREAKER, &Override::reset().reason("done").by("ada")).await.unwrap();
    all_are(&instances, Closed);
    instances[1].send("trip");
    all_are(&instances, Open);
    operator.apply_override(BREAKER, &Override::reset()).await.unwrap();
    all_are(&instances, Closed);

    // An instance that starts while the circuit is closed emits no event about its past.
    let later = Instance::fleet(1, &setup);
    operator.apply_override(BREAKER, &Override::disable().by("eve")).await.unwrap();
    all_are(&later, Disabled);
    until("the event is emitted", || later[0].events().len() > 1);
    assert_eq!(later[0].events(), ["fleet: connected to Redis", "fleet: circuit `payments` disabled by eve"]);

    let audit = operator.audit(BREAKER).await.unwrap();
    let entries: Vec<_> = audit.iter().map(|entry| (entry.action, entry.by.as_str(), entry.reason.as_str())).collect();
    assert_eq!(
        entries,
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
async fn a_short_lived_operator_program() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let setup = Setup::new(redis.address());
    let instances = Instance::fleet(2, &setup);
    // The program does not wait for `available`.
    let operator = || Fleet::connect(&redis.address()).application("shop").timeout(SECOND).start().unwrap();
    let force = Override::force_open().by("ada").reason("migration").expires_in(SECOND / 2);
    let fleet = operator();
    fleet.apply_override(BREAKER, &force).await.unwrap();
    all_were(&instances, ForcedOpen);
    let entries = operator().audit(BREAKER).await.unwrap();
    assert_eq!(entries[0].to_string(), "forced by ada for 500ms: migration");
    // The instances emit events for the override and its expiry.
    let have_event =
        |text: &str| instances.iter().all(|instance| instance.events().iter().any(|event| event.contains(text)));
    until("the override is reported", || have_event("`payments` forced open by ada for "));
    until("the expiry is reported", || have_event("override of circuit `payments` expired"));
    fleet.apply_override(BREAKER, &Override::disable()).await.unwrap();
    until("the operator is anonymous", || have_event("`payments` disabled by an operator"));

    // A wrong argument is an error and changes nothing.
    let before: Vec<String> = redis.command(&["KEYS", "*"]);
    for (application, breaker, manual, expected) in [
        ("shop", "paymets", Override::reset(), "no instance of application `shop` shares a breaker named `paymets`"),
        ("shops", BREAKER, Override::reset(), "no instance of application `shops` shares a breaker named `payments`"),
        ("shop", BREAKER, Override::reset().key("eu"), "this breaker has no keys: remove `key`"),
        ("shop", BREAKER, Override::force_open().expires_in(Duration::ZERO), "`expires_in` must be longer than 0"),
    ] {
        let fleet = Fleet::connect(&redis.address()).application(application).timeout(SECOND).start().unwrap();
        let error = fleet.apply_override(breaker, &manual).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
        fleet.stop().await;
    }
    let after: Vec<String> = redis.command(&["KEYS", "*"]);
    assert_eq!(before.len(), after.len(), "{before:?} {after:?}");
    redis.assert_all_keys_expire(3);
    let unreachable = Fleet::connect("redis://127.0.0.1:1").start().unwrap();
    assert!(matches!(unreachable.audit(BREAKER).await, Err(FleetError::Unavailable(_))));
}
