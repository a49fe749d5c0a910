//! Thousands of circuits that open at once.

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

use crate::{exclusive, support::server::Redis, until, until_count};

const SECOND: Duration = Duration::from_secs(1);
const KEYS: usize = 10_000;

/// An instance, with the numbers of outages and of opened circuits according to its events.
struct Instance {
    hosts: &'static KeyedBreakers,
    fleet: Fleet,
    outages: Arc<AtomicUsize>,
    opened: Arc<AtomicUsize>,
}

impl Instance {
    async fn start(redis: &Redis) -> Self {
        let config = BreakerConfig::new().failure_threshold(1).recovery_timeout(Duration::from_mins(10));
        let hosts: &'static KeyedBreakers = Box::leak(Box::new(KeyedBreakers::new("hosts", config).max_keys(2 * KEYS)));
        let (outages, opened) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counts = (outages.clone(), opened.clone());
        let on_event = move |event: &FleetEvent| match event {
            FleetEvent::Unavailable { .. } => _ = counts.0.fetch_add(1, Ordering::Relaxed),
            FleetEvent::Opened { .. } => _ = counts.1.fetch_add(1, Ordering::Relaxed),
            _ => {}
        };
        let fleet = Fleet::connect(&redis.address())
            .application("shop")
            .timeout(SECOND)
            .share(hosts)
            .on_event(on_event)
            .start()
            .unwrap();
        crate::connected(&fleet).await;
        Self { hosts, fleet, outages, opened }
    }

    /// Waits until all circuits are open.
    fn wait_for_all(&self, what: &str) {
        until_count(what, KEYS, || self.opened.load(Ordering::Relaxed));
        until_count(what, KEYS, || self.open_circuits());
    }

    fn open_circuits(&self) -> usize {
        self.hosts.iter().filter(|breaker| breaker.snapshot().transitions > 0 && breaker.state() == Open).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_circuits_open_at_once_without_an_outage() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let (one, other) = (Instance::start(&redis).await, Instance::start(&redis).await);
    until("both instances are live", || one.fleet.instances() == 2 && other.fleet.instances() == 2);
    for key in 0..KEYS {
        _ = one.hosts.breaker(&key).call(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut)));
    }
    other.wait_for_all("all are open in the other instance");
    // An instance that starts later reads all of them from the index.
    let later = Instance::start(&redis).await;
    later.wait_for_all("all are open in an instance that received no broadcast");
    until("all three instances are live", || one.fleet.instances() == 3);
    assert_eq!([&one, &other, &later].map(|instance| instance.outages.load(Ordering::Relaxed)), [0; 3]);
    for instance in [one, other, later] {
        instance.fleet.stop().await;
    }
}
