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

const SECOND: Duration = Duration::from_secs(1);
const KEYS: usize = 10_000;

/// An instance, how often it has given up Redis, and of how many circuits it has heard that they are open.
struct Instance {
    hosts: &'static KeyedBreakers,
    fleet: Fleet,
    given_up: Arc<AtomicUsize>,
    opened: Arc<AtomicUsize>,
}

impl Instance {
    async fn start(redis: &Redis) -> Self {
        let config = BreakerConfig::new().failure_threshold(1).recovery_timeout(Duration::from_mins(10));
        let hosts: &'static KeyedBreakers = Box::leak(Box::new(KeyedBreakers::new("hosts", config).max_keys(2 * KEYS)));
        let (given_up, opened) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counts = (given_up.clone(), opened.clone());
        let tell = move |event: &FleetEvent| match event {
            FleetEvent::Unavailable { .. } => _ = counts.0.fetch_add(1, Ordering::Relaxed),
            FleetEvent::Opened { .. } => _ = counts.1.fetch_add(1, Ordering::Relaxed),
            _ => {}
        };
        let fleet = Fleet::connect(&redis.address())
            .application("shop")
            .timeout(SECOND)
            .share(hosts)
            .on_event(tell)
            .start()
            .unwrap();
        crate::found(&fleet).await;
        Self { hosts, fleet, given_up, opened }
    }

    /// Waits until all circuits are open.
    fn opens_all(&self, what: &str) {
        until_all(what, KEYS, || self.opened.load(Ordering::Relaxed));
        until_all(what, KEYS, || self.open());
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
    other.opens_all("all are open in the other instance");
    // Who comes later finds all of them, too.
    let later = Instance::start(&redis).await;
    later.opens_all("all are open where nobody has heard of them");
    until("all three live", || one.fleet.instances() == 3);
    assert_eq!([&one, &other, &later].map(|instance| instance.given_up.load(Ordering::Relaxed)), [0; 3]);
    for instance in [one, other, later] {
        instance.fleet.stop().await;
    }
}
