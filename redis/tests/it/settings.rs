//! Errors of `start`, and texts that must not contain secrets.

use std::time::Duration;

use steadfast::{BreakerConfig, CircuitBreaker, circuit_breaker};
use steadfast_redis::{Fleet, FleetError, FleetEvent, OnUnavailable, RedisRateLimits};

// Each test has its own breaker, since two fleets of one program cannot share the same one.
static SECRET: CircuitBreaker = CircuitBreaker::new("secret", BreakerConfig::new());
static SHARED: CircuitBreaker = CircuitBreaker::new("shared once", BreakerConfig::new());
static LIMITS: RedisRateLimits = RedisRateLimits::new();
static ONE: CircuitBreaker = CircuitBreaker::new("one", BreakerConfig::new());
static OTHER: CircuitBreaker = CircuitBreaker::new("one", BreakerConfig::new());

#[tokio::test]
async fn start_fails_on_invalid_settings() {
    let fleet = || Fleet::connect("redis://127.0.0.1:1");
    for (builder, expected) in [
        (Fleet::connect("http://127.0.0.1"), "not a Redis address"),
        (fleet().share(steadfast::breaker("no such")), "the breaker to share is not declared"),
        (fleet().share(steadfast::keyed_breakers("no such")), "the breaker to share is not declared"),
        (fleet().share("no such"), "no breaker named `no such` is declared"),
        (fleet().share(&ONE).share(&OTHER), "one fleet cannot share two different breakers named `one`"),
        (fleet().quorum(0), "`quorum`"),
        (fleet().quorum_share(f64::NAN), "`quorum`"),
        (fleet().quorum_share(1.5), "`quorum`"),
        (fleet().sum_failures(0, Duration::from_secs(1)), "`sum_failures`"),
        (fleet().timeout(Duration::ZERO), "`timeout`"),
        (fleet().heartbeat(Duration::ZERO), "`heartbeat`"),
        (fleet().lease(Duration::from_millis(60)), "`lease`"),
        (fleet().lease(Duration::MAX), "`lease`"),
        (fleet().timeout(Duration::MAX), "`timeout`"),
        (fleet().heartbeat(Duration::MAX), "`heartbeat`"),
        (fleet().sum_failures(1, Duration::MAX).timeout(Duration::ZERO), "`timeout`"),
    ] {
        let error = builder.start().unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
        assert_eq!(format!("{error:?}"), error.to_string(), "`main` prints the Debug output");
    }
    let fleet = fleet().share(&ONE).share(&ONE).start().unwrap();
    assert!(!fleet.is_available());
    fleet.stop().await;
}

#[test]
fn start_fails_outside_a_runtime() {
    let started = Fleet::connect("redis://127.0.0.1:1").start();
    assert!(matches!(started, Err(FleetError::NoRuntime)), "{started:?}");
}

#[tokio::test]
async fn passwords_do_not_appear_in_any_text() {
    let builder = Fleet::connect("redis://anna:hunter2@127.0.0.1:1").share(&SECRET);
    assert!(!format!("{builder:?}").contains("hunter2"));
    let fleet = builder.start().unwrap();
    assert!(!format!("{fleet:?}").contains("hunter2"));
    for address in ["redis://anna:hunter2@[", "http://anna:hunter2@127.0.0.1", "redis://anna:hunter2@127.0.0.1/x"] {
        let error = Fleet::connect(address).start().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn two_fleets_of_one_program_cannot_share_a_breaker() {
    let fleet = || Fleet::connect("redis://127.0.0.1:1").share(&SHARED).rate_limits(&LIMITS).rate_limits(&LIMITS);
    let one = fleet().start().unwrap();
    let again = fleet().start().unwrap_err().to_string();
    assert!(again.starts_with("`shared once` is already shared by another fleet in this program"), "{again}");
    let limits = Fleet::connect("redis://127.0.0.1:1").rate_limits(&LIMITS).start().unwrap_err();
    assert!(matches!(limits, FleetError::AlreadyShared(_)), "{limits}");
    drop(one);
    fleet().start().unwrap().stop().await;
}

#[circuit_breaker(name = "by name")]
fn called() -> Option<()> {
    None
}

#[circuit_breaker(name = "by name and key", key = 1)]
fn called_with_a_key() -> Option<()> {
    None
}

#[tokio::test]
async fn a_breaker_can_be_shared_by_name_before_its_first_call() {
    let fleet = Fleet::connect("redis://127.0.0.1:1").share("by name").share("by name and key").start().unwrap();
    for (found, name) in [
        (steadfast::breaker("by name").is_some(), "by name"),
        (steadfast::keyed_breakers("by name and key").is_some(), "by name and key"),
    ] {
        assert!(found, "{name}");
        let again = Fleet::connect("redis://127.0.0.1:1").share(name).start().unwrap_err();
        assert!(matches!(&again, FleetError::AlreadyShared(shared) if **shared == *name), "{again}");
    }
    fleet.stop().await;
    assert_eq!((called(), called_with_a_key()), (None, None));
}

#[test]
fn unit_variants_can_be_matched_by_name() {
    let is_available = |event| match event {
        FleetEvent::Available => true,
        FleetEvent::Unavailable { .. } => false,
        _ => unreachable!("only these two are passed"),
    };
    assert!(is_available(FleetEvent::Available));
    assert!(matches!(OnUnavailable::Deny, OnUnavailable::Deny));
    assert!(!matches!(FleetError::InvalidAddress, FleetError::NoRuntime));
}
