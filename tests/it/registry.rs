//! The registry: the listed policies and their names, and conflicts between declarations.

use std::{fmt, io, panic::catch_unwind, ptr, time::Duration};

use steadfast::{
    BreakerConfig, Bulkhead, BulkheadConfig, CircuitBreaker, KeyedBreakers, KeyedRateLimits, RateLimit,
    RateLimitConfig, breaker, breakers, bulkhead, circuit_breaker, rate_limit, validate,
};

#[circuit_breaker(name = "shared", failure_threshold = 2, recovery_timeout = 7s)]
fn with_settings(result: io::Result<()>) -> io::Result<()> {
    result
}

#[circuit_breaker(name = "shared")]
fn by_name_alone(result: io::Result<()>) -> io::Result<()> {
    result
}

mod elsewhere {
    #[steadfast::circuit_breaker(name = "shared")]
    pub(crate) async fn by_name_alone(result: std::io::Result<()>) -> std::io::Result<()> {
        result
    }
}

fn failure() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

#[tokio::test]
async fn declarations_with_the_same_name_share_one_breaker() {
    by_name_alone(failure()).unwrap_err();
    assert_eq!(breaker("shared").unwrap().snapshot().consecutive_failures, 1);
    elsewhere::by_name_alone(failure()).await.unwrap_err();
    let rejected = with_settings(Ok(())).unwrap_err();
    assert_eq!(rejected.to_string(), "circuit `shared` is open after 2 failures in a row; retry after 7.000s");
    let expected = BreakerConfig::new().failure_threshold(2).recovery_timeout(Duration::from_secs(7));
    assert_eq!(breaker("shared").unwrap().config(), expected);
}

#[allow(dead_code, reason = "listed without being called")]
#[circuit_breaker(name = "never called", half_open_max_calls = 1)]
fn never_called<T: Default>() -> Option<T> {
    None
}

#[test]
fn breakers_are_listed_before_the_first_call_and_sorted_by_name() {
    let config = BreakerConfig::new().half_open_max_calls(1);
    assert_eq!(breaker("never called").unwrap().config(), config);
    assert!(breaker("no such").is_none());
    let names: Vec<_> = breakers().iter().map(|breaker| breaker.name()).collect();
    assert!(names.is_sorted());
    for name in ["never called", "shared", "mine", "ledger"] {
        assert_eq!(names.iter().filter(|other| **other == name).count(), 1, "{name} in {names:?}");
    }
}

static MINE: CircuitBreaker = CircuitBreaker::new("mine", BreakerConfig::new().failure_threshold(1));

#[circuit_breaker(breaker = MINE)]
fn by_static(result: io::Result<()>) -> io::Result<()> {
    result
}

#[circuit_breaker(name = "mine")]
fn by_the_name_of_a_static(result: io::Result<()>) -> io::Result<()> {
    result
}

static LEDGER: CircuitBreaker = CircuitBreaker::new("ledger", BreakerConfig::new());
steadfast::register!(LEDGER);

#[test]
fn user_declared_statics_are_used_and_found_by_name() {
    by_the_name_of_a_static(failure()).unwrap_err();
    by_static(Ok(())).unwrap_err();
    assert!(ptr::eq(breaker("mine").unwrap(), &raw const MINE));
    assert!(ptr::eq(breaker("ledger").unwrap(), &raw const LEDGER));
}

#[test]
fn policies_display_their_snapshots() {
    static BREAKER: CircuitBreaker = CircuitBreaker::new("shown", BreakerConfig::new());
    static POOL: Bulkhead = Bulkhead::new("shown", BulkheadConfig::new().max_concurrent(4));
    static LIMIT: RateLimit = RateLimit::new("shown", CONFIG);
    static HOSTS: KeyedBreakers = KeyedBreakers::new("shown by key", BreakerConfig::new());
    static LIMITS: KeyedRateLimits = KeyedRateLimits::new("shown by key", CONFIG);
    const CONFIG: RateLimitConfig = RateLimitConfig::new(100, Duration::from_mins(1));

    assert_eq!(
        BREAKER.to_string(),
        "shown: closed, 0 failures in a row; 0 succeeded, 0 failed, 0 ignored, 0 cancelled, 0 rejected"
    );
    assert_eq!(POOL.to_string(), "shown: 0 of 4 in flight, 0 waiting; 0 admitted, 0 rejected");
    assert_eq!(LIMIT.to_string(), "shown: 0 of 100 in 60s, 0 waiting; 0 admitted, 0 rejected");
    assert_eq!(HOSTS.to_string(), HOSTS.snapshot().to_string());
    assert_eq!(HOSTS.breaker("a").to_string(), HOSTS.breaker("a").snapshot().to_string());
    assert_eq!(LIMITS.to_string(), "shown by key: 0 of 10000 keys, 0 at their limit; 0 admitted, 0 rejected");
    assert_eq!(LIMITS.limit("a").to_string(), "shown by key[a]: 0 of 100 in 60s, 0 waiting; 0 admitted, 0 rejected");
}

#[circuit_breaker(name = "contested", failure_threshold = 1)]
fn first(result: io::Result<()>) -> io::Result<()> {
    result
}

#[steadfast::retry(max_attempts = 1)]
#[circuit_breaker(name = "contested", failure_threshold = 2)]
fn second(result: io::Result<()>) -> io::Result<()> {
    result
}

#[circuit_breaker(name = "contested", failure_threshold = 1)]
fn agrees_with_the_first(result: io::Result<()>) -> io::Result<()> {
    result
}

static TWIN: CircuitBreaker = CircuitBreaker::new("twin", BreakerConfig::new());
static OTHER_TWIN: CircuitBreaker = CircuitBreaker::new("twin", BreakerConfig::new());
steadfast::register!(TWIN);
steadfast::register!(OTHER_TWIN);

#[test]
fn conflicts_name_both_declarations() {
    let conflicts = validate().unwrap_err();
    let ours: Vec<_> = conflicts.iter().filter(|conflict| ["contested", "twin"].contains(&conflict.name)).collect();
    let [contested, twin] = ours.as_slice() else { panic!("two conflicts: {conflicts:?}") };
    assert_eq!(contested.name, "contested");
    assert_eq!(contested.first.config, BreakerConfig::new().failure_threshold(1));
    assert_eq!(contested.second.config, BreakerConfig::new().failure_threshold(2));
    assert_eq!(contested.first.location.line() + 6, contested.second.location.line(), "the lines of the attributes");
    assert!(contested.first.location.file().ends_with("registry.rs"));
    let text = contested.to_string();
    assert!(text.contains("failure_threshold = 1") && text.contains("failure_threshold = 2"), "{text}");
    assert!(twin.to_string().starts_with("two statics declare circuit breaker `twin`"), "{twin}");
}

#[test]
fn an_unvalidated_conflict_panics_at_the_first_use_in_a_debug_build() {
    for call in [first, second, agrees_with_the_first] {
        let result = catch_unwind(|| call(Ok(())));
        if cfg!(debug_assertions) {
            let panic = result.unwrap_err();
            let message = panic.downcast_ref::<String>().unwrap();
            assert!(message.contains("`contested` is declared with different settings"), "{message}");
        } else {
            result.unwrap().unwrap();
        }
    }
    assert_eq!(breaker("contested").unwrap().config(), BreakerConfig::new().failure_threshold(1));
}

/// Declarations that count the same errors as failures, in different spellings.
mod agreeing {
    use super::*;

    static STATIC: CircuitBreaker = CircuitBreaker::new("agreed, static", BreakerConfig::new());
    steadfast::register!(STATIC);

    #[circuit_breaker(name = "agreed", preset = critical, failure_if(io::Error, fmt::Error))]
    pub(super) fn types() -> io::Result<()> {
        Ok(())
    }

    #[circuit_breaker(name = "agreed", failure_if(fmt::Error, io::Error))]
    pub(super) fn types_in_another_order() -> io::Result<()> {
        Ok(())
    }

    #[circuit_breaker(name = "agreed, by a closure", failure_if = |error| error.kind() == io::ErrorKind::TimedOut)]
    pub(super) fn closure() -> io::Result<()> {
        Ok(())
    }

    #[rustfmt::skip]
    #[circuit_breaker(name = "agreed, by a closure", failure_if = |error| error . kind()
        == io::ErrorKind::TimedOut)]
    pub(super) fn closure_in_two_lines() -> io::Result<()> {
        Ok(())
    }

    #[circuit_breaker(breaker = STATIC, failure_if = |_| true)]
    pub(super) fn on_registered_static() -> io::Result<()> {
        Ok(())
    }

    #[circuit_breaker(name = "agreed, static", failure_if = |_| true)]
    pub(super) fn by_name_of_registered_static() -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn equivalent_failure_conditions_do_not_conflict() {
    for call in [
        agreeing::types,
        agreeing::types_in_another_order,
        agreeing::closure,
        agreeing::closure_in_two_lines,
        agreeing::on_registered_static,
        agreeing::by_name_of_registered_static,
    ] {
        call().unwrap();
    }
    assert!(validate().unwrap_err().iter().all(|conflict| !conflict.name.starts_with("agreed")));
}

#[circuit_breaker(name = "counted differently", failure_threshold = 2, failure_if = |_| false)]
fn no_error_is_a_failure(result: io::Result<()>) -> io::Result<()> {
    result
}

#[circuit_breaker(name = "counted differently")]
fn every_error_is_a_failure(result: io::Result<()>) -> io::Result<()> {
    result
}

#[circuit_breaker(name = "counted differently, with settings", failure_threshold = 2)]
fn first_with_settings(result: io::Result<()>) -> io::Result<()> {
    result
}

#[circuit_breaker(name = "counted differently, with settings", failure_threshold = 3, failure_if(io::Error))]
fn second_with_settings(result: io::Result<()>) -> io::Result<()> {
    result
}

#[test]
fn different_failure_conditions_under_one_name_conflict() {
    let conflicts = validate().unwrap_err();
    let ours: Vec<_> = conflicts.iter().filter(|conflict| conflict.name.starts_with("counted differently")).collect();
    let [condition, with_settings] = ours.as_slice() else { panic!("two conflicts: {ours:?}") };
    assert_eq!(condition.first.failure_if, Some("failure_if = |_| false"));
    assert_eq!(condition.second.failure_if, None);
    assert_eq!(condition.first.location.line() + 5, condition.second.location.line());
    let text = condition.to_string();
    for part in [
        "circuit breaker `counted differently` counts different errors as failures: `failure_if = |_| false` at ",
        "`every error` at ",
        "use the same `failure_if` in both places",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let text = with_settings.to_string();
    for part in ["with different settings", "failure_threshold = 2", "failure_threshold = 3", "failure_if(io::Error)"] {
        assert!(text.contains(part), "{text}");
    }
    for call in [no_error_is_a_failure, every_error_is_a_failure, first_with_settings, second_with_settings] {
        assert_eq!(catch_unwind(|| call(Ok(()))).is_err(), cfg!(debug_assertions));
    }
}

#[bulkhead(name = "disputed", max_concurrent = 1)]
fn narrow() -> io::Result<()> {
    Ok(())
}

#[bulkhead(name = "disputed", max_concurrent = 2, max_wait = 1s)]
fn wide() -> io::Result<()> {
    Ok(())
}

#[rate_limit(name = "disputed", limit = 1, per = 1s, key = 1)]
fn keyed_by_one() -> io::Result<()> {
    Ok(())
}

#[rate_limit(name = "disputed", limit = 1, per = 1s, key = 2, max_keys = 2)]
fn keyed_by_two() -> io::Result<()> {
    Ok(())
}

#[rate_limit(name = "without a limit")]
fn unlimited() -> io::Result<()> {
    Ok(())
}

#[rate_limit(name = "of two kinds", limit = 1, per = 1s)]
fn without_a_key() -> io::Result<()> {
    Ok(())
}

#[rate_limit(name = "of two kinds", key = 1)]
fn with_a_key() -> io::Result<()> {
    Ok(())
}

#[test]
fn different_settings_of_a_bulkhead_or_rate_limit_conflict() {
    let conflicts = validate().unwrap_err();
    let texts: Vec<_> = conflicts.iter().map(ToString::to_string).collect();
    for (start, parts) in [
        ("bulkhead `disputed` is declared with different settings", ["`max_concurrent = 1` at", "max_wait = 1s` at"]),
        ("rate limit `disputed` is declared with different settings", ["max_keys = 10000` at", "max_keys = 2` at"]),
        ("rate limit `of two kinds` is declared", ["with a `key` at", "and without one at"]),
        ("rate limit `without a limit` is declared at", ["registry.rs", "no other declaration gives any; add them"]),
    ] {
        let found: Vec<_> = texts.iter().filter(|text| text.starts_with(start)).collect();
        let [text] = found.as_slice() else { panic!("one `{start}`: {texts:#?}") };
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    }
    for call in [narrow, wide, keyed_by_one, keyed_by_two, without_a_key, with_a_key, unlimited] {
        assert_eq!(catch_unwind(call).is_err(), cfg!(debug_assertions));
    }
}
