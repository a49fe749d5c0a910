//! What can be wrong before anything begins, and what no text contains.

use std::time::Duration;

use steadfast::{BreakerConfig, CircuitBreaker};
use steadfast_redis::{Fleet, FleetError};

static ONE: CircuitBreaker = CircuitBreaker::new("one", BreakerConfig::new());
static OTHER: CircuitBreaker = CircuitBreaker::new("one", BreakerConfig::new());

#[tokio::test]
async fn mistakes_are_told_at_the_start() {
    let fleet = || Fleet::connect("redis://127.0.0.1:1");
    for (builder, expected) in [
        (Fleet::connect("http://127.0.0.1"), "not the address of a Redis"),
        (fleet().share(steadfast::breaker("no such")), "a breaker to be shared is not declared"),
        (fleet().share(&ONE).share(&OTHER), "two breakers named `one`"),
        (fleet().quorum(0), "`quorum`"),
        (fleet().quorum_share(f64::NAN), "`quorum`"),
        (fleet().quorum_share(1.5), "`quorum`"),
        (fleet().sum_failures(0, Duration::from_secs(1)), "`sum_failures`"),
        (fleet().timeout(Duration::ZERO), "`timeout`"),
        (fleet().heartbeat(Duration::ZERO), "`heartbeat`"),
        (fleet().lease(Duration::from_millis(60)), "`lease`"),
    ] {
        let error = builder.start().unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    let fleet = fleet().share(&ONE).share(&ONE).start().unwrap();
    assert!(!fleet.is_available());
    fleet.stop().await;
}

#[test]
fn outside_of_a_runtime_it_says_so() {
    let started = Fleet::connect("redis://127.0.0.1:1").start();
    assert!(matches!(started, Err(FleetError::NoRuntime)), "{started:?}");
}

#[tokio::test]
async fn a_password_is_in_no_text() {
    let builder = Fleet::connect("redis://anna:hunter2@127.0.0.1:1").share(&ONE);
    assert!(!format!("{builder:?}").contains("hunter2"));
    let fleet = builder.start().unwrap();
    assert!(!format!("{fleet:?}").contains("hunter2"));
    for address in ["redis://anna:hunter2@[", "http://anna:hunter2@127.0.0.1", "redis://anna:hunter2@127.0.0.1/x"] {
        let error = Fleet::connect(address).start().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}
