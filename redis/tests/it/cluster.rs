//! A Redis cluster: several nodes, each with a part of the slots.

use std::time::Duration;

use steadfast::BreakerState::{Closed, Open};
use steadfast::{RateLimit, RateLimitConfig, RateLimited};
use steadfast_redis::{Fleet, FleetBuilder, Override, RedisRateLimits};

use crate::{
    exclusive,
    support::{
        instance::{BREAKER, Instance, Setup, all_are},
        server::{Redis, Reserved},
    },
    until,
};

const SLOTS: u32 = 16_384;

static LIMITS: RedisRateLimits = RedisRateLimits::new();
static SEARCH: RateLimit = RateLimit::new("search", RateLimitConfig::new(2, Duration::from_mins(10)).store(&LIMITS));

struct Cluster {
    masters: Vec<Redis>,
}

impl Cluster {
    /// Starts a cluster with a number of masters and an equal part of the slots for each.
    fn of(count: u32) -> Self {
        let cluster = Self { masters: (0..count).map(|_| Self::node()).collect() };
        for (index, node) in (0..).zip(&cluster.masters) {
            let slots = [index * SLOTS / count, (index + 1) * SLOTS / count - 1].map(|slot| slot.to_string());
            node.command::<()>(&["CLUSTER", "ADDSLOTSRANGE", &slots[0], &slots[1]]);
        }
        cluster.masters[1..].iter().for_each(|node| cluster.meet(node));
        until("the cluster is ready", || cluster.masters.iter().all(Self::is_ready));
        cluster
    }

    fn node() -> Redis {
        let bus = Reserved::new();
        let port = bus.port.to_string();
        let mut node =
            Redis::with(&["--cluster-enabled", "yes", "--cluster-node-timeout", "3000", "--cluster-port", &port]);
        node.reserve(bus);
        node
    }

    fn is_ready(node: &Redis) -> bool {
        node.command::<String>(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
    }

    fn meet(&self, node: &Redis) {
        let (_, bus): (String, String) = node.command(&["CONFIG", "GET", "cluster-port"]);
        self.masters[0].command::<()>(&["CLUSTER", "MEET", "127.0.0.1", &node.port.to_string(), &bus]);
    }

    /// The index of the master that stores a key.
    fn master_of(&self, key: &str) -> usize {
        let slot: u32 = self.masters[0].command(&["CLUSTER", "KEYSLOT", key]);
        let count = u32::try_from(self.masters.len()).unwrap();
        (0..count).find(|index| slot < (index + 1) * SLOTS / count).unwrap().try_into().unwrap()
    }

    /// Starts a replica of a master.
    fn replica_of(&self, master: usize) -> Redis {
        let (replica, master) = (Self::node(), &self.masters[master]);
        self.meet(&replica);
        let id: String = master.command(&["CLUSTER", "MYID"]);
        let replicate =
            || redis::cmd("CLUSTER").arg("REPLICATE").arg(&id).query::<()>(&mut replica.connection()).is_ok();
        until("the replica knows its master", replicate);
        let info = || -> String { replica.command(&["INFO", "replication"]) };
        until("the replica is in sync", || info().contains("master_link_status:up"));
        let all = format!("cluster_known_nodes:{}", self.masters.len() + 1);
        let knows_all = |node: &Redis| node.command::<String>(&["CLUSTER", "INFO"]).contains(&all);
        until("all nodes know each other", || self.masters.iter().chain([&replica]).all(knows_all));
        replica
    }

    /// The addresses in the format of `Setup`.
    fn addresses(&self) -> String {
        let addresses: Vec<_> = self.masters.iter().map(Redis::address).collect();
        addresses.join(",")
    }

    fn fleet(&self) -> FleetBuilder {
        Fleet::connect_cluster(self.addresses().split(',')).application("shop").timeout(Duration::from_secs(1))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_behaves_like_one_node() {
    let _exclusive = exclusive();
    let cluster = Cluster::of(3);
    let masters: Vec<_> =
        (0..9).map(|number| cluster.master_of(&format!("steadfast:{{shop:other {number}}}:state"))).collect();
    assert!((0..3).all(|master| masters.contains(&master)), "each node has a breaker: {masters:?}");
    let mut instances = Instance::fleet(3, &Setup { more: 9, ..Setup::new(cluster.addresses()) });
    instances[0].send("trip-more");
    for instance in &mut instances {
        until("all nine are open", || instance.query("open-more") == "9");
    }
    instances[0].send("trip");
    all_are(&instances, Open);
    let fleet = cluster.fleet().rate_limits(&LIMITS).start().unwrap();
    crate::connected(&fleet).await;
    fleet.apply_override(BREAKER, &Override::reset().by("ada")).await.unwrap();
    all_are(&instances, Closed);
    assert_eq!(fleet.audit(BREAKER).await.unwrap().len(), 1);
    for expected in [true, true, false] {
        let call = SEARCH.call_async(async || Ok::<_, RateLimited>(())).await;
        assert_eq!(call.is_ok(), expected);
    }
    let key = "steadfast:{shop:search}:limit:window";
    assert_eq!(cluster.masters[cluster.master_of(key)].command::<u64>(&["ZCARD", key]), 2);
    fleet.stop().await;
}

#[test]
fn a_replica_takes_over_from_a_killed_master() {
    let _exclusive = exclusive();
    let mut cluster = Cluster::of(3);
    let master = cluster.master_of("steadfast:{shop:payments}:state");
    let _replica = cluster.replica_of(master);
    let mut instances = Instance::fleet(3, &Setup::new(cluster.addresses()));
    cluster.masters[master].kill();
    instances[0].send("trip");
    until("the local circuit opens", || instances[0].is(Open));
    all_are(&instances, Open);
    let opened: Vec<_> = instances.iter().map(|instance| instance.entries(Open)).collect();
    assert_eq!(opened, [1; 3]);
}
