//! Long idle times, many transitions, many calls: packed counters and timestamps do not wrap visibly, expired values are not read.

use std::{
    io,
    time::{Duration, SystemTime},
};

use prometheus_client::{encoding::prometheus_text, registry::Registry};
use steadfast::{
    BreakerConfig,
    BreakerState::{self, Closed, Disabled, ForcedOpen, HalfOpen, Open},
    CircuitBreaker, KeyedBreakers, OpenReason, Override, Window,
    prometheus::SteadfastCollector,
    testing::FakeClock,
};
use tokio::time::advance;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);
const CONFIG: BreakerConfig = BreakerConfig::new().failure_threshold(1);

fn fail(breaker: &CircuitBreaker) {
    _ = breaker.call(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut)));
}

fn succeed(breaker: &CircuitBreaker) -> bool {
    breaker.call(|| Ok::<_, io::Error>(())).is_ok()
}

/// Returns durations without a call, from zero to ten years.
fn idle_times() -> impl Iterator<Item = Duration> {
    let minutes = (0..120).map(|minutes| SECOND * 60 * minutes);
    minutes.chain([1, 7, 30, 50, 101, 180, 365, 3_650].map(|days| DAY * days))
}

#[tokio::test(start_paused = true)]
async fn hung_trial_permits_are_reclaimed_after_any_idle_time() {
    for idle in idle_times().filter(|idle| *idle >= 30 * SECOND) {
        let breaker = CircuitBreaker::new("hung trials", CONFIG);
        fail(&breaker);
        advance(30 * SECOND).await;
        let hung = [(); 3].map(|()| breaker.try_acquire().unwrap());
        advance(idle).await;
        assert!(succeed(&breaker), "{idle:?}");
        drop(hung);
        assert!(succeed(&breaker) && succeed(&breaker), "{idle:?}");
        assert_eq!(breaker.state(), Closed, "{idle:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_ramp_that_has_ended_does_not_start_again() {
    for idle in idle_times().filter(|idle| *idle >= 10 * SECOND) {
        let breaker = CircuitBreaker::new("ramped", CONFIG.half_open_max_calls(1).ramp_up(10 * SECOND));
        fail(&breaker);
        advance(30 * SECOND).await;
        assert!(succeed(&breaker));
        advance(idle).await;
        assert!((0..200).all(|_| succeed(&breaker)), "{idle:?}");
        assert_eq!(breaker.snapshot().rejections, 0, "{idle:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn long_recovery_timeouts_and_overrides_expire_exactly() {
    let longest = [DAY * 30, DAY * 60, DAY * 365, DAY * 3_650];
    for wait in longest {
        let opened = CircuitBreaker::new("long recovery timeout", CONFIG.recovery_timeout(wait));
        fail(&opened);
        let forced = CircuitBreaker::new("long force open", CONFIG);
        forced.force_open_for(wait);
        let overridden = CircuitBreaker::new("long override", CONFIG);
        overridden.apply_override(&Override::open().expires_in(wait));
        for breaker in [&opened, &forced, &overridden] {
            assert_eq!(breaker.try_acquire().unwrap_err().retry_after(), Some(wait));
        }
        for _ in 1..10 {
            advance(wait / 10).await;
            assert!([&opened, &forced, &overridden].iter().all(|breaker| breaker.try_acquire().is_err()), "{wait:?}");
        }
        advance(wait / 10).await;
        assert!([&opened, &forced, &overridden].iter().all(|breaker| breaker.try_acquire().is_ok()), "{wait:?}");
    }
    let unlimited = CircuitBreaker::new("unlimited", CONFIG.recovery_timeout(Duration::MAX));
    fail(&unlimited);
    advance(DAY * 3_650).await;
    assert_eq!(unlimited.state(), Open);
    assert!(unlimited.try_acquire().is_err());
}

#[test]
fn a_permit_never_changes_the_state_after_a_reset() {
    let breaker = CircuitBreaker::new("held", CONFIG);
    let mut held = Some(breaker.try_acquire().unwrap());
    for resets in 1..=20_000_u32 {
        breaker.reset();
        if resets.is_multiple_of(4_096) || resets.is_power_of_two() {
            held.take().expect("held").failure();
            assert_eq!(breaker.state(), Closed, "{resets}");
            held = Some(breaker.try_acquire().unwrap());
        }
    }
    let held_over_resets = held.take().expect("held");
    for _ in 0..3 * 4_096 {
        breaker.reset();
    }
    held_over_resets.failure();
    assert_eq!(breaker.state(), Closed);
}

#[tokio::test(start_paused = true)]
async fn a_permit_of_an_earlier_round_of_trial_calls_releases_nothing() {
    let breaker = CircuitBreaker::new("rounds", CONFIG.half_open_max_calls(1));
    fail(&breaker);
    advance(30 * SECOND).await;
    for rounds in [1, 15, 16, 17, 200, 1_000] {
        let held = breaker.try_acquire().unwrap();
        for _ in 0..rounds {
            advance(30 * SECOND).await;
            std::mem::forget(breaker.try_acquire().unwrap());
        }
        drop(held);
        assert!(breaker.try_acquire().is_err(), "{rounds}");
        advance(30 * SECOND).await;
    }
}

#[test]
fn a_window_excludes_calls_before_a_reset() {
    for window in [Window::calls(100), Window::time(3_600 * SECOND)] {
        let breaker = CircuitBreaker::new("windowed", BreakerConfig::new().window(window).min_calls(50));
        for resets in 0..10_000_u32 {
            if resets % 5_000 == 0 {
                (0..3).for_each(|_| fail(&breaker));
            }
            breaker.reset();
            let counted = breaker.snapshot().window.unwrap();
            assert_eq!((counted.calls, counted.failures), (0, 0), "{resets}");
        }
        fail(&breaker);
        let counted = breaker.snapshot().window.unwrap();
        assert_eq!((counted.calls, counted.failures), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_window_stays_empty_after_it_has_elapsed() {
    let config = BreakerConfig::new().window(Window::time(Duration::from_millis(1))).min_calls(100);
    for seconds in 1..1_000 {
        let breaker = CircuitBreaker::new("short", config);
        fail(&breaker);
        // One of these durations is 134.2 s, after which a slot number of 22 bits would wrap.
        advance(Duration::from_micros(268_435_456 / 1_000 * seconds)).await;
        assert_eq!(breaker.snapshot().window.unwrap().calls, 0, "{seconds}");
    }
    let breaker = CircuitBreaker::new("short", config);
    fail(&breaker);
    advance(Duration::from_micros(32 << 22)).await;
    assert_eq!(breaker.snapshot().window.unwrap().calls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_resized_window_keeps_its_counts() {
    let seconds = |seconds| Window::time(SECOND * seconds);
    for (from, to, calls) in [
        (seconds(60), seconds(90), 60),
        (seconds(90), seconds(60), 60),
        (seconds(60), seconds(5), 5),
        (seconds(60), seconds(61), 60),
        (Window::calls(100), Window::calls(200), 60),
        (Window::calls(200), Window::calls(100), 60),
        (Window::calls(40), Window::calls(100), 40),
        (Window::calls(100), Window::calls(5), 5),
        (Window::calls(33), Window::calls(32), 32),
    ] {
        let config = BreakerConfig::new().min_calls(1_000).failure_rate(1.0);
        let breaker = CircuitBreaker::new("resized", config.window(from));
        for call in 0..60 {
            if call % 4 == 0 {
                fail(&breaker);
            } else {
                assert!(succeed(&breaker));
            }
            advance(SECOND).await;
        }
        breaker.reconfigure(config.window(to));
        let counted = breaker.snapshot().window.unwrap();
        // Calls in up to a sixteenth of the window may have been dropped early.
        assert!((calls - calls / 12 - 1..=calls).contains(&counted.calls), "{from:?} to {to:?}: {counted:?}");
        assert!(counted.failures.abs_diff(counted.calls / 4) <= 1, "{from:?} to {to:?}: {counted:?}");
        breaker.reconfigure(config.window(from));
        let again = breaker.snapshot().window.unwrap();
        assert!(again.calls >= counted.calls.min(55), "{from:?} to {to:?} and back: {again:?}");
        assert!(again.failures.abs_diff(again.calls / 4) <= 1, "{from:?} to {to:?} and back: {again:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_keeps_counting_through_repeated_reconfiguration() {
    let config = BreakerConfig::new().min_calls(1_000);
    let breaker = CircuitBreaker::new("reconfigured", config.window(Window::time(60 * SECOND)));
    for second in 0..50 {
        fail(&breaker);
        breaker.reconfigure(config.window(Window::time(SECOND * [60, 90, 120, 75][second % 4])));
        advance(SECOND).await;
    }
    assert_eq!(breaker.snapshot().window.unwrap().failures, 50);
}

/// Returns true if a scrape contains the line.
fn scraped(line: &str) -> bool {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(SteadfastCollector::new()));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry).unwrap();
    text.lines().any(|found| found == line)
}

static IDLE: CircuitBreaker = CircuitBreaker::new("idle", CONFIG);
static IDLE_HOSTS: KeyedBreakers = KeyedBreakers::new("idle hosts", CONFIG);
steadfast::register!(IDLE);
steadfast::register!(IDLE_HOSTS);

#[tokio::test(start_paused = true)]
async fn state_snapshot_and_metrics_agree_on_an_idle_circuit() {
    fail(&IDLE);
    _ = IDLE_HOSTS.breaker("a").call(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut)));
    let opened = SystemTime::now();
    assert!(scraped("circuit_breaker_state{service=\"idle\"} 1"));
    advance(30 * SECOND - Duration::from_micros(1)).await;
    assert_eq!((IDLE.state(), IDLE.snapshot().open_for), (Open, Some(Duration::from_micros(1))));
    advance(Duration::from_micros(1)).await;
    advance(3_600 * SECOND).await;
    assert_eq!(IDLE.state(), HalfOpen);
    let snapshot = IDLE.snapshot();
    assert_eq!((snapshot.state, snapshot.open_for, snapshot.transitions), (HalfOpen, Some(Duration::ZERO), 1));
    assert!(matches!(snapshot.open_reason, Some(OpenReason::ConsecutiveFailures { failures: 1, .. })), "{snapshot}");
    assert!(snapshot.last_transition.is_some_and(|at| at < opened), "no transition since it opened");
    let text =
        "idle: half-open, the next call is a trial call; 0 succeeded, 1 failed, 0 ignored, 0 cancelled, 0 rejected";
    assert_eq!((snapshot.to_string(), IDLE.to_string()), (text.to_owned(), text.to_owned()));
    assert!(format!("{IDLE:?}").contains("HalfOpen"));
    assert!(scraped("circuit_breaker_state{service=\"idle\"} 2"));
    assert!(scraped("circuit_breaker_state_seconds_total{service=\"idle\",state=\"open\"} 30.0"));
    assert!(scraped("circuit_breaker_state_seconds_total{service=\"idle\",state=\"half_open\"} 3600.0"));
    let hosts = IDLE_HOSTS.snapshot();
    assert_eq!((hosts.open, hosts.half_open, hosts.closed), (0, 1, 0));
    assert_eq!(IDLE_HOSTS.get("a").unwrap().state(), HalfOpen);
    assert!(scraped("circuit_breaker_keys{service=\"idle hosts\",state=\"half_open\"} 1"));
    // The transition happens at the next call; its time is not counted twice.
    let trial = IDLE.try_acquire().unwrap();
    assert_eq!(IDLE.snapshot().transitions, 2);
    assert!(scraped("circuit_breaker_state_seconds_total{service=\"idle\",state=\"open\"} 30.0"));
    assert!(scraped("circuit_breaker_state_seconds_total{service=\"idle\",state=\"half_open\"} 3600.0"));
    drop(trial);
    assert_eq!(IDLE.snapshot().open_for, None);
}

#[test]
fn after_an_override_expires_the_reported_state_is_that_of_the_next_call() {
    type Apply = fn(&CircuitBreaker);
    let overrides: [(Apply, BreakerState, BreakerState); 4] = [
        (|breaker| breaker.force_open_for(SECOND), ForcedOpen, HalfOpen),
        (|breaker| breaker.disable_for(SECOND), Disabled, Closed),
        (|breaker| breaker.apply_override(&Override::open().expires_in(SECOND).reason("others")), Open, HalfOpen),
        (CircuitBreaker::force_open, ForcedOpen, ForcedOpen),
    ];
    for (apply, forced, after_expiry) in overrides {
        let clock = FakeClock::new();
        let _clock = clock.enter();
        let breaker = CircuitBreaker::new("override with expiry", CONFIG);
        apply(&breaker);
        assert_eq!(breaker.state(), forced);
        clock.advance(SECOND * 3_600);
        let snapshot = breaker.snapshot();
        assert_eq!((breaker.state(), snapshot.state), (after_expiry, after_expiry));
        if forced != after_expiry {
            assert_eq!((snapshot.disabled_for, snapshot.entered), (None, forced));
        }
        let called = breaker.try_acquire().is_ok();
        assert_eq!(called, after_expiry != ForcedOpen);
        assert_eq!(breaker.state(), after_expiry, "the call found the same state");
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_of_a_half_open_rejection_is_never_too_short() {
    for micros in [1, 999, 12_345, 1_000_003, 29_999_999, 86_400_000_001] {
        let breaker = CircuitBreaker::new("waiting", CONFIG.recovery_timeout(Duration::from_micros(micros)));
        fail(&breaker);
        advance(Duration::from_micros(micros)).await;
        let hung = [(); 3].map(|()| breaker.try_acquire().unwrap());
        for _ in 0..3 {
            advance(Duration::from_micros(micros / 7)).await;
            let wait = breaker.try_acquire().unwrap_err().retry_after().unwrap();
            assert_eq!(wait, Duration::from_micros(micros - micros / 7), "the whole remaining time");
            advance(wait - Duration::from_micros(1)).await;
            assert!(breaker.try_acquire().is_err() || micros == 1);
            advance(Duration::from_micros(1)).await;
            let permits = [(); 3].map(|()| breaker.try_acquire());
            assert!(permits.iter().all(Result::is_ok), "{micros}: admitted after exactly that wait");
            std::mem::forget(permits);
        }
        drop(hung);
    }
}
