//! Durations of calls and attempts, in snapshots and metrics.

use std::{io, time::Duration};

use steadfast::{
    BreakerConfig, CircuitBreaker, DurationHistogram, KeyedBreakers, Window, breaker, circuit_breaker, keyed_breakers,
    prometheus::SteadfastCollector, register, retries, retry,
};
use tokio::time::{advance, sleep, timeout};

use crate::support::scrape;

/// Returns the value of the series whose line contains all parts.
fn sample(parts: &[&str]) -> String {
    let lines = scrape(SteadfastCollector::new(), "");
    let line = lines.iter().find(|line| parts.iter().all(|part| line.contains(part)));
    line.unwrap_or_else(|| panic!("{parts:?} in {lines:#?}")).rsplit(' ').next().unwrap().to_owned()
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn assert_close(histogram: &DurationHistogram, quantile: f64, expected: Duration) {
    let found = histogram.quantile(quantile).unwrap();
    assert!(found.abs_diff(expected) <= expected / 20, "{found:?} instead of {expected:?} at {quantile}");
}

static MEASURED: CircuitBreaker =
    CircuitBreaker::new("durations measured", BreakerConfig::new().durations(true).failure_threshold(1_000));
register!(MEASURED);

#[tokio::test(start_paused = true)]
async fn durations_are_counted_by_outcome() {
    for step in 1..=100 {
        let take = async |duration: Duration, result: io::Result<()>| {
            _ = MEASURED
                .call_async(async || {
                    sleep(duration).await;
                    result
                })
                .await;
        };
        take(millis(step), Ok(())).await;
        take(millis(1_000 + step), Err(io::ErrorKind::TimedOut.into())).await;
        timeout(millis(100 * step), take(Duration::from_mins(1), Ok(()))).await.unwrap_err();
    }
    let permit = MEASURED.try_acquire().unwrap();
    advance(millis(7)).await;
    permit.ignore();

    let durations = MEASURED.snapshot().durations.unwrap();
    let counts = [&durations.successes, &durations.failures, &durations.cancelled, &durations.ignored];
    assert_eq!(counts.map(DurationHistogram::count), [100, 100, 100, 1]);
    for (quantile, expected) in [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100)] {
        assert_close(&durations.successes, quantile, millis(expected));
        assert_close(&durations.failures, quantile, millis(1_000 + expected));
        assert_close(&durations.cancelled, quantile, millis(100 * expected));
    }
    assert_close(&durations.ignored, 0.5, millis(7));
    assert_close(&durations.all(), 1.0, millis(10_000));
    assert_eq!(durations.quantile(0.9), durations.all().quantile(0.9));
    assert!(durations.successes.mean().unwrap().abs_diff(Duration::from_micros(50_500)) < millis(2));

    let series = |suffix: &str, part: &str| {
        let name = format!("circuit_breaker_call_duration_seconds_{suffix}{{");
        sample(&[&name, "durations measured", "outcome=\"success\"", part])
    };
    assert_eq!([series("count", ""), series("bucket", "le=\"0.05\""), series("bucket", "+Inf")], ["100", "49", "100"]);
}

#[tokio::test(start_paused = true)]
async fn slow_call_and_hung_call_record_durations() {
    let windowed = BreakerConfig::new().window(Window::calls(10));
    for (config, is_recorded) in [
        (BreakerConfig::new(), false),
        (BreakerConfig::new().cancelled_call(millis(10)), false),
        (windowed, false),
        (windowed.slow_call(millis(10)), true),
        (BreakerConfig::new().hung_call(millis(10_000)), true),
        (BreakerConfig::new().durations(true), true),
    ] {
        let breaker = CircuitBreaker::new("recorded", config);
        assert_eq!(config.get_durations(), is_recorded, "{config}");
        let permit = breaker.try_acquire().unwrap();
        advance(millis(700)).await;
        permit.success();
        let durations = breaker.snapshot().durations;
        assert_eq!(durations.is_some(), is_recorded, "{config}");
        if let Some(durations) = durations {
            assert_close(&durations.successes, 0.5, millis(700));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn keys_share_their_durations() {
    static HOSTS: KeyedBreakers = KeyedBreakers::new("durations of keys", BreakerConfig::new().durations(true));
    register!(HOSTS);
    assert_eq!(HOSTS.snapshot().durations, None, "before the first key");
    for (host, duration) in [("a", 10), ("b", 20), ("b", 30)] {
        let breaker = HOSTS.breaker(host);
        let permit = breaker.try_acquire().unwrap();
        advance(millis(duration)).await;
        permit.success();
        assert_eq!(breaker.snapshot().durations, None);
    }
    let durations = keyed_breakers("durations of keys").unwrap().snapshot().durations.unwrap();
    assert_eq!(durations.successes.count(), 3);
    assert_close(&durations.successes, 0.5, millis(20));
    assert_eq!(sample(&["call_duration_seconds_count", "durations of keys", "\"success\""]), "3");
}

#[retry(name = "measured attempts", max_attempts = 3, backoff = fixed(5s), jitter = none)]
#[circuit_breaker(name = "measured by attribute", durations = true)]
async fn attempts(failures: u64) -> io::Result<()> {
    sleep(millis(300)).await;
    if retries().iter().find(|retry| retry.name == "measured attempts").unwrap().attempts <= failures {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn attempts_of_named_retries_have_durations() {
    attempts(2).await.unwrap();
    timeout(millis(200), attempts(0)).await.unwrap_err();
    let retry = retries().into_iter().find(|retry| retry.name == "measured attempts").unwrap();
    let durations = retry.attempt_durations;
    assert_eq!([durations.successes.count(), durations.failures.count(), durations.cancelled.count()], [1, 2, 1]);
    assert_close(&durations.failures, 1.0, millis(300));
    assert_close(&durations.successes, 1.0, millis(300));
    assert_close(&durations.cancelled, 1.0, millis(200));
    assert_eq!(breaker("measured by attribute").unwrap().snapshot().durations, Some(durations));
    assert_eq!(sample(&["retry_attempt_duration_seconds_count", "measured attempts", "\"failure\""]), "2");
}
