//! What snapshots tell about an outage, a ramp-up and a breaker that only observes, as its callers meet them.

use std::{fmt, io, time::Duration};

use steadfast::{
    BreakerConfig,
    BreakerState::{Closed, ForcedOpen, HalfOpen, Open},
    CircuitBreaker, HistoryEvent, KeyedBreakers, OpenReason, Outage, Override, breaker, circuit_breaker,
    prometheus::SteadfastCollector,
    testing::isolate,
};
use tokio::time::advance;

use crate::support::scrape;

const SECOND: Duration = Duration::from_secs(1);
const CONFIG: BreakerConfig = BreakerConfig::new().failure_threshold(2).half_open_max_calls(1);

/// Makes a call that fails with this text, if the breaker admits it.
fn fail(breaker: &CircuitBreaker, text: impl fmt::Display) -> bool {
    breaker.try_acquire().map(|permit| permit.failure_with(&text)).is_ok()
}

fn succeed(breaker: &CircuitBreaker) -> bool {
    breaker.try_acquire().map(steadfast::Permit::success).is_ok()
}

fn outage(breaker: &CircuitBreaker) -> Outage {
    breaker.snapshot().outage.expect("the circuit is not closed")
}

#[tokio::test(start_paused = true)]
async fn an_outage_lasts_from_the_first_opening_until_the_circuit_closes() {
    let breaker = CircuitBreaker::new("down", CONFIG);
    assert_eq!(breaker.snapshot().outage, None);
    assert!(fail(&breaker, "refused"));
    assert_eq!(breaker.snapshot().outage, None, "still closed");
    assert!(fail(&breaker, "reset"));
    for (recoveries, seconds) in [(0, 0), (1, 40), (2, 80), (3, 120)] {
        let snapshot = breaker.snapshot();
        let outage = snapshot.outage.as_ref().unwrap();
        assert_eq!((snapshot.state, outage.lasted()), (Open, seconds * SECOND));
        assert!(matches!(outage.reason, OpenReason::ConsecutiveFailures { failures: 2, .. }), "{outage:?}");
        assert_eq!((outage.failed_recoveries, outage.error.as_deref()), (recoveries, Some("reset")));
        let since = snapshot.last_transition.unwrap().duration_since(outage.since).unwrap();
        assert_eq!(since, seconds * SECOND);

        advance(30 * SECOND).await;
        let due = breaker.snapshot();
        assert_eq!((due.state, due.outage.unwrap().lasted()), (HalfOpen, (seconds + 30) * SECOND));
        let trial = breaker.try_acquire().unwrap();
        advance(10 * SECOND).await;
        assert_eq!((breaker.state(), self::outage(&breaker).failed_recoveries), (HalfOpen, recoveries));
        trial.failure_with(&"timed out");
    }
    let snapshot = breaker.snapshot();
    assert_eq!(snapshot.last_failure.map(|failure| failure.text.to_string()).as_deref(), Some("timed out"));
    assert_eq!(snapshot.open_reason, Some(OpenReason::TrialFailed));
    assert_eq!(
        breaker.snapshot().to_string(),
        "down: open after a failed trial call, for another 30.000s, in an outage of 160.000s (first open after 2 failures in a row); \
         0 succeeded, 6 failed, 0 ignored, 0 cancelled, 0 rejected"
    );
    advance(30 * SECOND).await;
    assert!(succeed(&breaker));
    assert_eq!((breaker.state(), breaker.snapshot().outage), (Closed, None));
    // The next outage is another one.
    fail(&breaker, "a");
    fail(&breaker, "b");
    let next = outage(&breaker);
    assert_eq!((next.lasted(), next.failed_recoveries, next.error.as_deref()), (Duration::ZERO, 0, Some("b")));
}

#[tokio::test(start_paused = true)]
async fn an_override_neither_restarts_an_outage_nor_hides_its_beginning() {
    let breaker = CircuitBreaker::new("overridden outage", CONFIG);
    fail(&breaker, "refused");
    fail(&breaker, "refused");
    advance(30 * SECOND).await;
    fail(&breaker, "still refused");
    breaker.force_open_for(60 * SECOND);
    let forced = outage(&breaker);
    assert_eq!((breaker.state(), forced.lasted(), forced.failed_recoveries), (ForcedOpen, 30 * SECOND, 1));
    assert!(matches!(forced.reason, OpenReason::ConsecutiveFailures { .. }));
    advance(60 * SECOND).await;
    fail(&breaker, "and again");
    let reopened = outage(&breaker);
    assert_eq!((reopened.lasted(), reopened.failed_recoveries), (90 * SECOND, 2), "the override resets no count");
    for end in [CircuitBreaker::reset, CircuitBreaker::disable] {
        breaker.force_open();
        assert!(breaker.snapshot().outage.is_some());
        end(&breaker);
        assert_eq!(breaker.snapshot().outage, None);
        breaker.reset();
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_begins_with_an_override_as_well() {
    let breaker = CircuitBreaker::new("ordered outage", CONFIG);
    breaker.force_open_for(10 * SECOND);
    advance(15 * SECOND).await;
    let forced = outage(&breaker);
    assert_eq!((forced.reason, forced.lasted(), forced.error), (OpenReason::Forced, 15 * SECOND, None));
    assert_eq!(breaker.state(), HalfOpen, "after the expiry, calls are still rejected but one");
    assert!(succeed(&breaker));
    assert_eq!(breaker.snapshot().outage, None);

    // An opening that another instance has decided.
    breaker.apply_override(&Override::open().failed_recoveries(2).reason("another instance"));
    assert_eq!((outage(&breaker).reason, outage(&breaker).failed_recoveries), (OpenReason::Override, 2));
    breaker.apply_override(&Override::open().failed_recoveries(4).expires_in(SECOND));
    assert_eq!(outage(&breaker).failed_recoveries, 4, "without a transition");
    advance(SECOND).await;
    let trial = breaker.try_acquire().unwrap();
    breaker.apply_override(&Override::open().failed_recoveries(4));
    drop(trial);
    assert_eq!(outage(&breaker).failed_recoveries, 4, "no trial call of this instance has failed");
    breaker.apply_override(&Override::close());
    assert_eq!(breaker.snapshot().outage, None);
}

#[tokio::test(start_paused = true)]
async fn the_admitted_share_is_what_callers_meet() {
    let breaker = CircuitBreaker::new("ramping up", CONFIG.ramp_up(100 * SECOND));
    let share = || breaker.snapshot().admitted_share;
    let expect = |expected: f64| assert!((share() - expected).abs() < 1e-9, "{} instead of {expected}", share());
    expect(1.0);
    fail(&breaker, "refused");
    fail(&breaker, "refused");
    expect(0.0);
    advance(30 * SECOND).await;
    expect(0.0);
    let trial = breaker.try_acquire().unwrap();
    assert!(!succeed(&breaker));
    expect(0.0);
    let half_open = breaker.snapshot();
    assert_eq!((half_open.trials_in_flight, half_open.config.half_open_max_calls), (1, 1), "all permits are taken");
    assert!(
        half_open.to_string().starts_with("ramping up: half-open, 1 trial call in flight; 0 succeeded"),
        "{half_open}"
    );
    trial.success();
    assert_eq!(breaker.state(), Closed);
    for (after, expected) in [(0, 0.1), (20, 0.28), (30, 0.55), (49, 0.991)] {
        advance(after * SECOND).await;
        expect(expected);
        let admitted = (0..10_000).filter(|_| succeed(&breaker)).count();
        let met = f64::from(u32::try_from(admitted).unwrap()) / 10_000.0;
        assert!((met - expected).abs() < 0.04, "{met} of the calls, {expected} expected");
    }
    assert!(
        breaker.snapshot().to_string().starts_with("ramping up: closed, ramping up: 99 % of the calls are admitted, 0")
    );
    advance(SECOND).await;
    expect(1.0);
    assert!((0..1_000).all(|_| succeed(&breaker)));

    breaker.force_open_for(SECOND);
    expect(0.0);
    breaker.disable_for(SECOND);
    expect(1.0);
    advance(SECOND).await;
    expect(1.0);
    breaker.force_open();
    breaker.reconfigure(CONFIG.observe_only(true));
    expect(1.0);
}

#[tokio::test(start_paused = true)]
async fn an_observing_breaker_counts_rejections_apart() {
    let breaker = CircuitBreaker::new("observing", CONFIG.observe_only(true));
    for _ in 0..5 {
        assert!(fail(&breaker, "refused"));
    }
    let counts = |breaker: &CircuitBreaker| {
        let snapshot = breaker.snapshot();
        (snapshot.failures, snapshot.rejections, snapshot.observed_rejections)
    };
    assert_eq!(counts(&breaker), (5, 0, 3));
    assert!(matches!(outage(&breaker).reason, OpenReason::ConsecutiveFailures { failures: 2, .. }));
    assert_eq!(
        breaker.snapshot().to_string(),
        "observing: open (observe only) after 2 failures in a row, for another 30.000s; \
         0 succeeded, 5 failed, 0 ignored, 0 cancelled, 0 rejected, 3 rejections only observed"
    );
    // A live switch keeps both counts.
    breaker.reconfigure(CONFIG);
    for _ in 0..4 {
        assert!(!fail(&breaker, "refused"));
    }
    assert_eq!(counts(&breaker), (5, 4, 3));
    breaker.reset_config();
    assert!(fail(&breaker, "refused"));
    assert_eq!(counts(&breaker), (6, 4, 4));
    // At most one rejection per second is stored.
    breaker.reset();
    advance(SECOND).await;
    breaker.force_open();
    assert!(succeed(&breaker));
    let rejections: Vec<_> = breaker
        .recent()
        .into_iter()
        .filter_map(|entry| match entry.what {
            HistoryEvent::Rejected { observed, .. } => Some(observed),
            _ => None,
        })
        .collect();
    assert_eq!(rejections, [true, true]);
}

#[test]
fn the_totals_of_keys_contain_the_observed_rejections_of_evicted_ones() {
    static HOSTS: KeyedBreakers = KeyedBreakers::new("observed hosts", CONFIG.observe_only(true)).max_keys(2);
    let observe = |host: &str| {
        let breaker = HOSTS.breaker(host);
        breaker.force_open();
        breaker.try_acquire().unwrap().success();
        assert!(breaker.snapshot().outage.is_some());
        breaker.reset();
        (breaker.snapshot().rejections, breaker.snapshot().observed_rejections)
    };
    for host in ["a", "b", "c", "d"] {
        assert_eq!(observe(host), (0, 1), "{host}");
    }
    let all = HOSTS.snapshot();
    assert_eq!((all.keys, all.successes, all.rejections, all.observed_rejections), (2, 4, 0, 4));
    assert!(all.to_string().ends_with(" 0 rejected, 4 rejections only observed"), "{all}");
    // A key that returns has a new breaker.
    assert_eq!(HOSTS.breaker("a").snapshot().outage, None);
    assert_eq!(HOSTS.unhealthiest(2).len(), 2);
}

#[circuit_breaker(name = "isolated outage", failure_threshold = 1)]
fn isolated() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

#[test]
fn an_outage_of_an_isolation_is_not_seen_outside() {
    let own = isolate();
    isolated().unwrap_err();
    let outage = breaker("isolated outage").unwrap().snapshot().outage.unwrap();
    assert_eq!(outage.error.as_deref(), Some("timed out"));
    drop(own);
    assert_eq!(breaker("isolated outage").unwrap().snapshot().outage, None);
}

static OBSERVED: CircuitBreaker = CircuitBreaker::new("observed outage", CONFIG.observe_only(true));
steadfast::register!(OBSERVED);

#[tokio::test(start_paused = true)]
async fn a_scrape_contains_the_outage() {
    let expect = |expected: [&str; 4]| {
        let lines = scrape(SteadfastCollector::new(), "service=\"observed outage\"");
        for expected in expected {
            assert!(lines.iter().any(|line| line == expected), "{expected} in {lines:#?}");
        }
    };
    expect([
        "circuit_breaker_admitted_share{} 1.0",
        "circuit_breaker_outage_seconds{} 0.0",
        "circuit_breaker_observe_only{} 1",
        "circuit_breaker_observed_rejections_total{} 0",
    ]);
    for _ in 0..3 {
        assert!(fail(&OBSERVED, "refused"));
    }
    advance(90 * SECOND).await;
    expect([
        "circuit_breaker_admitted_share{} 1.0",
        "circuit_breaker_outage_seconds{} 90.0",
        "circuit_breaker_rejections_total{} 0",
        "circuit_breaker_observed_rejections_total{} 1",
    ]);
    OBSERVED.reconfigure(CONFIG.ramp_up(10 * SECOND));
    expect([
        "circuit_breaker_admitted_share{} 0.0",
        "circuit_breaker_observe_only{} 0",
        "circuit_breaker_state{} 2",
        "circuit_breaker_calls_total{,outcome=\"rejected\"} 0",
    ]);
    assert!(succeed(&OBSERVED));
    advance(2 * SECOND).await;
    expect([
        "circuit_breaker_admitted_share{} 0.28",
        "circuit_breaker_outage_seconds{} 0.0",
        "circuit_breaker_state{} 0",
        "circuit_breaker_observed_rejections_total{} 1",
    ]);
}

static REGIONS: KeyedBreakers = KeyedBreakers::new("regions", CONFIG);
steadfast::register!(REGIONS);

#[tokio::test(start_paused = true)]
async fn a_scrape_contains_the_longest_outage_of_the_keys_in_use() {
    let expect = |keys: u64, seconds: &str| {
        let lines = scrape(SteadfastCollector::new(), "service=\"regions\"");
        for expected in [
            format!("circuit_breaker_keys_in_outage{{}} {keys}"),
            format!("circuit_breaker_outage_seconds{{}} {seconds}"),
        ] {
            assert!(lines.contains(&expected), "{expected} in {lines:#?}");
        }
    };
    let fail = |key: &str| REGIONS.breaker(key).try_acquire().unwrap().failure();
    expect(0, "0.0");
    fail("north");
    expect(0, "0.0");
    fail("north");
    advance(60 * SECOND).await;
    (0..2).for_each(|_| fail("south"));
    // The next call of the first key is a trial call.
    assert_eq!(REGIONS.breaker("north").state(), HalfOpen);
    expect(2, "60.0");
    REGIONS.breaker("north").force_open();
    expect(1, "0.0");
    REGIONS.breaker("north").reset();
    // Trial calls in between do not end the outage.
    for minute in 1..=10 {
        advance(60 * SECOND).await;
        fail("south");
        expect(1, &format!("{}.0", minute * 60));
    }
    // A key that is not called stays half-open, and is not in an outage for ever.
    advance(599 * SECOND).await;
    expect(1, "1199.0");
    advance(SECOND).await;
    expect(0, "0.0");
    fail("south");
    expect(1, "1200.0");
    advance(30 * SECOND).await;
    REGIONS.breaker("south").try_acquire().unwrap().success();
    expect(0, "0.0");
}

#[test]
fn an_outage_can_be_serialized() {
    let breaker = CircuitBreaker::new("serialized outage", CONFIG);
    let json = serde_json::to_value(breaker.snapshot()).unwrap();
    assert_eq!((&json["outage"], &json["admitted_share"]), (&serde_json::Value::Null, &1.0.into()));
    fail(&breaker, "refused");
    fail(&breaker, "refused");
    let json = serde_json::to_value(breaker.snapshot()).unwrap();
    assert_eq!((&json["admitted_share"], &json["observed_rejections"]), (&0.0.into(), &0.into()));
    let outage = json["outage"].as_object().unwrap();
    // The order of the fields depends on a feature of `serde_json`.
    let mut names: Vec<_> = outage.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["error", "failed_recoveries", "reason", "since"]);
    assert!(outage["since"].as_f64().is_some_and(|since| since > 1e9));
    assert_eq!((&outage["reason"], &outage["error"]), (&"open after 2 failures in a row".into(), &"refused".into()));
    assert_eq!(breaker.snapshot().state, Open);
}
