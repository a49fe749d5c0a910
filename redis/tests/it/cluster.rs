//! What a cluster asks of those who use it: the keys of one script in one slot.

use steadfast::BreakerState::{Closed, Open};
use steadfast::{RateLimit, RateLimitConfig, RateLimited};
use steadfast_redis::{Fleet, Operation, RedisRateLimits};

use crate::{
    alone, eventually,
    faults::AGREED,
    instance::{BREAKER, Instance, Setup, all_are},
    server::Redis,
};

static LIMITS: RedisRateLimits = RedisRateLimits::new();
static SEARCH: RateLimit = RateLimit::new("search", RateLimitConfig::new(2, AGREED).store(&LIMITS));

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_one_node_does_as_any_other() {
    let _alone = alone();
    let redis = Redis::with(&["--cluster-enabled", "yes"]);
    redis.command::<()>(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    eventually(AGREED * 5, "the cluster is ready", || {
        redis.command::<String>(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
    });
    let mut instances = Instance::fleet(2, &Setup::new(redis.address()));
    instances[0].tell("trip");
    all_are(&instances, Open, AGREED);
    let fleet = Fleet::connect(&redis.address()).application("shop").rate_limits(&LIMITS).start().unwrap();
    crate::found(&fleet).await;
    fleet.operate(BREAKER, &Operation::reset().by("ada")).await.unwrap();
    all_are(&instances, Closed, AGREED);
    assert_eq!(fleet.audit(BREAKER).await.unwrap().len(), 1);
    for expected in [true, true, false] {
        let call = SEARCH.call_async(async || Ok::<_, RateLimited>(())).await;
        assert_eq!(call.is_ok(), expected);
    }
    assert_eq!(redis.command::<u64>(&["ZCARD", "steadfast:{shop:search}:limit:window"]), 2);
    fleet.stop().await;
}
