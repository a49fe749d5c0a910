//! An operator's hand on the whole fleet.

use std::time::Duration;

use steadfast::BreakerState::{Closed, Disabled, ForcedOpen, Open};
use steadfast_redis::{Fleet, Operation};

use crate::{
    alone,
    instance::{BREAKER, Instance, Setup, all_are},
    server::Redis,
};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_holds_all_and_is_on_record() {
    let _alone = alone();
    let redis = Redis::start();
    let setup = Setup::new(redis.address());
    let mut instances = Instance::fleet(3, &setup);
    let operator = Fleet::connect(&redis.address()).application("shop").start().unwrap();
    crate::found(&operator).await;
    let force = Operation::force_open().reason("migration until 14:00").by("ada");
    operator.operate(BREAKER, &force.expires_in(SECOND)).await.unwrap();
    all_are(&instances, ForcedOpen, SECOND);
    // Who comes later is held as well.
    instances.extend(Instance::fleet(1, &setup));
    all_are(&instances, ForcedOpen, SECOND);
    // Then one of them tries, by the first calls after it has expired.
    for _ in 0..40 {
        for instance in &mut instances {
            instance.tell("call");
        }
        std::thread::sleep(SECOND / 20);
    }
    all_are(&instances, Closed, 3 * SECOND);
    operator.operate(BREAKER, &Operation::disable().by("bob")).await.unwrap();
    all_are(&instances, Disabled, SECOND);
    redis.forgets_everything(4);
    instances[0].tell("trip");
    assert_eq!(instances[0].ask("is"), "disabled"); // and what trips has been said
    operator.operate(BREAKER, &Operation::reset().reason("done").by("ada")).await.unwrap();
    all_are(&instances, Closed, SECOND);
    instances[1].tell("trip");
    all_are(&instances, Open, SECOND);
    operator.operate(BREAKER, &Operation::reset()).await.unwrap();
    all_are(&instances, Closed, SECOND);

    let audit = operator.audit(BREAKER).await.unwrap();
    let said: Vec<_> = audit.iter().map(|entry| (entry.action, entry.by.as_str(), entry.reason.as_str())).collect();
    assert_eq!(
        said,
        [
            ("reset", "", ""),
            ("reset", "ada", "done"),
            ("disabled", "bob", ""),
            ("forced", "ada", "migration until 14:00")
        ]
    );
    assert_eq!(audit[3].expires_in, Some(SECOND));
    assert!(audit[3].at.elapsed().unwrap() < Duration::from_mins(1));
    assert_eq!(operator.audit("another").await.unwrap(), []);
    operator.stop().await;
}
