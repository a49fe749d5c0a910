//! Fault injection into a fleet under load.

use std::time::Duration;

use steadfast::BreakerState::{Closed, Open};
use steadfast_redis::{Fleet, Override};

use crate::{
    support::{
        instance::{BREAKER, Instance, Setup, all_are},
        server::Redis,
    },
    until,
};

const SECOND: Duration = Duration::from_secs(1);
/// A part of the text of [`FleetEvent::Unavailable`](steadfast_redis::FleetEvent::Unavailable).
const DISCONNECTED: &str = "fleet: disconnected";

/// A fleet under load, for the injection of faults.
pub(crate) struct FaultTest {
    pub(crate) redis: Redis,
    /// The address that the instances use.
    address: String,
    pub(crate) instances: Vec<Instance>,
}

impl FaultTest {
    pub(crate) fn new(redis: Redis, setup: &Setup) -> Self {
        let mut instances = Instance::fleet(3, setup);
        for instance in &mut instances {
            instance.send("load 2 1");
        }
        Self { redis, address: setup.address.clone(), instances }
    }

    /// Injects a fault as [`inject`](Self::inject) does, and asserts that every instance reports exactly one outage.
    pub(crate) fn inject_outage(&mut self, what: &str, begin: impl FnOnce(&mut Redis), end: impl FnOnce(&mut Redis)) {
        let lost: Vec<_> = self.instances.iter().map(|instance| instance.event_count(DISCONNECTED)).collect();
        let counts = lost.clone();
        self.inject_until(what, begin, end, move |instances: &[Instance]| {
            until("all have reported the outage", || {
                instances.iter().zip(&counts).all(|(one, count)| one.event_count(DISCONNECTED) > *count)
            });
        });
        let events = self.instances.iter().zip(lost).map(|(instance, lost)| instance.event_count(DISCONNECTED) - lost);
        assert!(events.clone().all(|count| count == 1), "{what}: one event each: {:?}", events.collect::<Vec<_>>());
    }

    /// Injects a fault, during which the circuit of one instance opens. Asserts that no call is rejected before that, and that all circuits
    /// open after the end of the fault, each exactly once.
    pub(crate) fn inject(&mut self, what: &str, begin: impl FnOnce(&mut Redis), end: impl FnOnce(&mut Redis)) {
        self.inject_until(what, begin, end, |_: &[Instance]| {});
    }

    fn inject_until(
        &mut self,
        what: &str,
        begin: impl FnOnce(&mut Redis),
        end: impl FnOnce(&mut Redis),
        wait_for_effect: impl FnOnce(&[Instance]),
    ) {
        let opened: Vec<_> = self.instances.iter().map(|instance| instance.entries(Open)).collect();
        begin(&mut self.redis);
        wait_for_effect(&self.instances);
        for instance in &mut self.instances {
            instance.wait_for_calls(500);
        }
        assert!(
            self.instances.iter().zip(&opened).all(|(instance, opened)| instance.entries(Open) == *opened),
            "{what}"
        );
        let loads: Vec<_> = self.instances.iter_mut().map(|instance| instance.query("stop-load")).collect();
        self.instances[0].send("trip");
        until("a local circuit opens", || self.instances[0].is(Open));
        end(&mut self.redis);
        all_are(&self.instances, Open);
        let times = self.instances.iter().zip(&opened).map(|(instance, opened)| instance.entries(Open) - opened);
        assert!(times.clone().all(|times| times == 1), "{what}: {:?}", times.collect::<Vec<_>>());
        self.reset();
        for load in loads {
            let rejected = load.split(' ').nth(1).unwrap();
            assert_eq!(rejected, "0", "{what}: closed circuits reject nothing");
        }
        for instance in &mut self.instances {
            instance.send("load 2 1");
        }
    }

    pub(crate) fn reset(&self) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let operator = Fleet::connect(&self.address).application("shop").timeout(SECOND).start().unwrap();
            crate::connected(&operator).await;
            operator.apply_override(BREAKER, &Override::reset()).await.unwrap();
            operator.stop().await;
        });
        all_are(&self.instances, Closed);
    }
}
