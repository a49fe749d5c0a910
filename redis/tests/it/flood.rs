//! Many circuits at once.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use steadfast::{BreakerConfig, BreakerState::Open, KeyedBreakers};
use steadfast_redis::{Fleet, FleetEvent};

use crate::{alone, server::Redis, until, until_all};

const KEYS: usize = 10_000;

/// An instance, and how often it has given up Redis.
struct Instance {
    hosts: &'static KeyedBreakers,
    fleet: Fleet,
    given_up: Arc<AtomicUsize>,
}

impl Instance {
    async fn start(redis: &Redis) -> Self {
        let config = BreakerConfig::new().failure_threshold(1).recovery_timeout(Duration::from_mins(10));
        let hosts: &'static KeyedBreakers = Box::leak(Box::new(KeyedBreakers::new("hosts", config).max_keys(2 * KEYS)));
        let given_up = Arc::new(AtomicUsize::new(0));
        let count = given_up.clone();
        let fleet = Fleet::connect(&redis.address()).application("shop").share(hosts).on_event(move |event| {
            if matches!(event, FleetEvent::Unavailable { .. }) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let fleet = fleet.start().unwrap();
        crate::found(&fleet).await;
        Self { hosts, fleet, given_up }
    }

    fn open(&self) -> usize {
        self.hosts.iter().filter(|breaker| breaker.snapshot().transitions > 0 && breaker.state() == Open).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_circuits_open_at_once_and_redis_is_not_given_up() {
    let _alone = alone();
    let redis = Redis::start();
    let (one, other) = (Instance::start(&redis).await, Instance::start(&redis).await);
    until("both live", || one.fleet.instances() == 2 && other.fleet.instances() == 2);
    for key in 0..KEYS {
        _ = one.hosts.breaker(&key).call(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut)));
    }
    until_all("all are open in the other instance", KEYS, || other.open());
    // Who comes later finds all of them, too.
    let later = Instance::start(&redis).await;
    until_all("all are open where nobody has heard of them", KEYS, || later.open());
    until("all three live", || one.fleet.instances() == 3);
    assert_eq!([&one, &other, &later].map(|instance| instance.given_up.load(Ordering::Relaxed)), [0; 3]);
    for instance in [one, other, later] {
        instance.fleet.stop().await;
    }
}
