//! Access control: a user with minimal rights, and TLS.

use steadfast::BreakerState::Open;

use crate::{
    exclusive,
    support::{
        instance::{Instance, Setup, all_are},
        server::Redis,
    },
};

#[test]
fn the_acl_rights_in_the_readme_are_sufficient() {
    let _exclusive = exclusive();
    let redis = Redis::start();
    let readme = include_str!("../../README.md");
    let rights = readme.split('`').find(|text| text.starts_with("~steadfast:")).unwrap();
    let mut command = vec!["ACL", "SETUSER", "fleet", "on", ">swordfish"];
    command.extend(rights.split_whitespace());
    redis.command::<()>(&command);
    let setup = Setup::new(format!("redis://fleet:swordfish@127.0.0.1:{}", redis.port));
    let mut instances = Instance::fleet(2, &setup);
    instances[0].send("trip");
    all_are(&instances, Open);
    let events: Vec<_> = instances.iter().flat_map(Instance::events).collect();
    assert!(events.iter().all(|event| !event.contains("NOPERM")), "{events:?}");
}

#[test]
fn a_fleet_connects_with_tls() {
    let _exclusive = exclusive();
    let (_redis, port, authority) = Redis::with_tls();
    let setup = Setup { authority: Some(authority), ..Setup::new(format!("rediss://localhost:{port}")) };
    let mut instances = Instance::fleet(2, &setup);
    instances[0].send("trip");
    all_are(&instances, Open);
}
