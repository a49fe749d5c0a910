//! The circuit breakers and bulkheads that do not see calls that hang, as `validate` lists them.

use std::{future::pending, io, pin::Pin, time::Duration};

use steadfast::{
    BreakerConfig, CircuitBreaker, KeyedBreakers, blind_spots, breaker, bulkhead, circuit_breaker, retry, timeout,
    validate,
};

use crate::collect_events;

const TIMEOUT: Duration = Duration::from_secs(9);

static OWN: CircuitBreaker = CircuitBreaker::new("spot: static", BreakerConfig::new());
static KEYED: KeyedBreakers = KeyedBreakers::new("spot: keyed static", BreakerConfig::new());

/// Declares functions that hang, each with a line of attributes.
macro_rules! functions {
    ($($name:ident: $(#[$attribute:meta])*;)*) => { $(
        #[allow(dead_code, reason = "listed without being called")]
        $(#[$attribute])*
        async fn $name() -> io::Result<()> {
            pending().await
        }
    )* };
}

functions! {
    alone: #[circuit_breaker(name = "spot: alone")];
    with_settings: #[circuit_breaker(name = "spot: settings", failure_threshold = 3)];
    with_a_retry: #[retry(max_elapsed = 9s)] #[circuit_breaker(name = "spot: retry")];
    by_static: #[circuit_breaker(breaker = OWN)];
    by_key: #[circuit_breaker(name = "spot: key", key = 1)];
    by_keyed_static: #[circuit_breaker(breaker = KEYED, key = 1)];
    below_a_timeout: #[timeout(9s)] #[circuit_breaker(name = "spot: timeout above")];
    with_cancelled_call: #[circuit_breaker(name = "spot: cancelled call", cancelled_call = 1s)];
    bulkhead_alone: #[bulkhead(name = "spot: alone")];
    bulkhead_with_hung_call:
        #[circuit_breaker(name = "sees: hung call", hung_call = 1s)]
        #[bulkhead(name = "spot: hung call")];

    with_a_timeout: #[circuit_breaker(name = "sees: timeout below")] #[timeout(9s)];
    with_two_timeouts: #[timeout(9s)] #[circuit_breaker(name = "sees: two timeouts")] #[timeout(TIMEOUT)];
    with_hung_call: #[circuit_breaker(name = "sees: hung call, keyed", key = 1, hung_call = 1s)];
    with_hung_call_elsewhere: #[circuit_breaker(name = "sees: hung call")];
    cancelled_below_a_timeout: #[timeout(9s)] #[circuit_breaker(name = "sees: cancelled", cancelled_call = 1s)];
    bulkhead_with_a_timeout: #[bulkhead(name = "sees: timeout below")] #[timeout(9s)];
    bulkhead_below_a_timeout: #[timeout(9s)] #[bulkhead(name = "sees: timeout above")];
}

#[allow(dead_code, reason = "listed without being called")]
#[circuit_breaker(name = "spot: shared")]
async fn first() -> io::Result<()> {
    pending().await
}

#[allow(dead_code, reason = "listed without being called")]
#[circuit_breaker(name = "spot: shared")]
async fn second() -> io::Result<()> {
    pending().await
}

#[allow(dead_code, reason = "listed without being called")]
#[circuit_breaker(name = "spot: future")]
fn returns_a_future() -> Pin<Box<dyn Future<Output = io::Result<()>>>> {
    Box::pin(pending())
}

#[allow(dead_code, reason = "listed without being called")]
#[circuit_breaker(name = "sees: not async")]
fn not_async() -> io::Result<()> {
    Ok(())
}

/// Returns the texts of the blind spots whose name starts with `prefix`, without the location.
fn texts(prefix: &str) -> Vec<String> {
    let ours = blind_spots().into_iter().filter(|spot| spot.name.starts_with(prefix));
    ours.map(|spot| {
        let text = spot.to_string();
        let location = format!(" at {}", spot.location);
        assert!(spot.location.file().ends_with("blind_spots.rs") && text.contains(&location), "{text}");
        text.replace(&location, "")
    })
    .collect()
}

#[test]
fn policies_that_do_not_see_calls_that_hang_are_listed() {
    let endless = "does not see calls that hang; put a `#[timeout]` below it, or add `hung_call = 5s`";
    let cancelled = "does not see calls that hang, because the timeout above it cancels them; put a `#[timeout]` \
                     below it, or add a `hung_call` that is shorter than the timeout";
    let bulkhead = "does not see calls that hang, each of which keeps its permit; put a `#[timeout]` below it";
    let expected = [
        ("circuit breaker `spot: alone`", endless),
        ("circuit breaker `spot: cancelled call`", endless),
        ("circuit breaker `spot: future`", endless),
        ("circuit breaker `spot: retry`", endless),
        ("circuit breaker `spot: settings`", endless),
        ("circuit breaker `spot: shared`", endless),
        ("circuit breaker `spot: shared`", endless),
        ("circuit breaker `spot: static`", endless),
        ("circuit breaker `spot: timeout above`", cancelled),
        ("circuit breaker `spot: key`", endless),
        ("circuit breaker `spot: keyed static`", endless),
        ("bulkhead `spot: alone`", bulkhead),
        ("bulkhead `spot: hung call`", bulkhead),
    ];
    assert_eq!(texts("spot: "), expected.map(|(policy, text)| format!("{policy} {text}")));
    assert_eq!(texts("sees: "), [""; 0]);
    let lines: Vec<_> =
        blind_spots().iter().filter(|spot| spot.name == "spot: shared").map(|spot| spot.location.line()).collect();
    assert!(matches!(lines[..], [first, second] if first < second), "each function by itself: {lines:?}");
}

functions! {
    reconfigured: #[circuit_breaker(name = "reconfigured spot")];
}

#[test]
fn the_settings_in_force_decide() {
    assert_eq!(texts("reconfigured spot").len(), 1);
    let breaker = breaker("reconfigured spot").unwrap();
    breaker.reconfigure(breaker.config().hung_call(TIMEOUT));
    assert_eq!(texts("reconfigured spot").len(), 0);
    breaker.reset_config();
    assert_eq!(texts("reconfigured spot").len(), 1);
}

#[test]
fn validate_emits_an_event_for_each_blind_spot() {
    let events = collect_events("`spot: ");
    let conflicts = validate().unwrap_err();
    assert!(conflicts.iter().all(|conflict| !conflict.name.starts_with("spot: ")), "a blind spot is no conflict");
    // Other tests call `validate`, too.
    let texts = events.texts();
    for spot in blind_spots().iter().filter(|spot| spot.name.starts_with("spot: ")) {
        assert!(texts.contains(&spot.to_string()), "{spot}: {texts:?}");
    }
}
