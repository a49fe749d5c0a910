//! Eviction: which breaker is evicted for a new key, and which is kept.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use steadfast::{
    BreakerConfig,
    BreakerState::{self, Closed, ForcedOpen, HalfOpen, Open},
    KeyedBreakers, Window,
};
use tokio::time::advance;

use super::{CONFIG, fail, state, succeed};

#[test]
fn the_least_recently_used_idle_breaker_is_evicted() {
    let breakers = KeyedBreakers::new("bounded", CONFIG).max_keys(4);
    for key in 0..4 {
        assert!(succeed(&breakers, key));
    }
    fail(&breakers, 0);
    for new_key in 4..7 {
        // Key 3 is in constant use; key 0 has failed.
        assert!(succeed(&breakers, 3));
        assert!(succeed(&breakers, new_key));
        assert_eq!(breakers.len(), 4);
    }
    assert!(breakers.get(&1).is_none() && breakers.get(&2).is_none());
    assert!(breakers.get(&0).is_some(), "its failure still counts");
    assert!(breakers.get(&3).is_some(), "it is in use and kept");
    fail(&breakers, 0);
    assert_eq!(state(&breakers, 0), Some(Open));
    let snapshot = breakers.snapshot();
    assert_eq!((snapshot.keys, snapshot.closed, snapshot.open), (4, 3, 1));
    assert_eq!((snapshot.successes, snapshot.failures), (10, 2), "totals include evicted breakers");
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_is_not_closed_is_not_evicted() {
    let breakers = KeyedBreakers::new("held", CONFIG).max_keys(4);
    for key in ["open", "half-open"] {
        fail(&breakers, key);
        fail(&breakers, key);
    }
    advance(Duration::from_secs(30)).await;
    let half_open = breakers.breaker("half-open");
    let trial = half_open.try_acquire().unwrap();
    breakers.breaker("forced").force_open();
    breakers.breaker("disabled").disable();
    for new_key in 0..1_000 {
        assert!(succeed(&breakers, new_key));
    }
    assert_eq!(state(&breakers, "open"), Some(HalfOpen), "its recovery timeout has elapsed");
    assert_eq!(state(&breakers, "half-open"), Some(HalfOpen));
    assert_eq!(state(&breakers, "forced"), Some(ForcedOpen));
    assert_eq!(state(&breakers, "disabled"), Some(BreakerState::Disabled));
    assert_eq!(breakers.len(), 4);
    assert_eq!(breakers.overflow().unwrap().snapshot().successes, 1_000);
    trial.success();
    drop(half_open);
    // The half-open breaker has closed, so it is evicted for a new key.
    assert!(succeed(&breakers, "new key"));
    assert_eq!(state(&breakers, "new key"), Some(Closed));
    assert!(breakers.get("half-open").is_none());
}

#[tokio::test(start_paused = true)]
async fn breakers_that_failed_and_are_no_longer_called_are_evicted() {
    const DAY: Duration = Duration::from_hours(24);
    let breakers = KeyedBreakers::new("pods", CONFIG).max_keys(4);
    for pod in ["open", "open, rejected", "half-open", "failed once"] {
        fail(&breakers, pod);
    }
    for pod in ["open", "open, rejected", "half-open"] {
        fail(&breakers, pod);
    }
    breakers.breaker("open, rejected").try_acquire().unwrap_err();
    advance(Duration::from_secs(30)).await;
    drop(breakers.breaker("half-open").try_acquire().unwrap());
    assert_eq!(state(&breakers, "half-open"), Some(HalfOpen));
    advance(DAY).await;
    for new_key in 1..=4 {
        fail(&breakers, new_key);
    }
    for new_key in 1..=4 {
        assert!(breakers.get(&new_key).is_some(), "{new_key} has a breaker of its own");
    }
    assert!(breakers.overflow().is_none());
    assert_eq!(breakers.snapshot().failures, 2 * 3 + 1 + 4);
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_is_kept_until_its_recovery_timeout_has_elapsed_twice() {
    let breakers = KeyedBreakers::new("twice", CONFIG).max_keys(2);
    for key in ["a", "b"] {
        fail(&breakers, key);
        fail(&breakers, key);
    }
    let flood = || {
        for new_key in 0..100 {
            assert!(succeed(&breakers, new_key));
        }
    };
    for _ in 0..5 {
        flood();
        advance(Duration::from_secs(10)).await;
    }
    advance(Duration::from_micros(9_999_999)).await;
    flood();
    assert!(breakers.get("a").is_some() && breakers.get("b").is_some());
    assert_eq!(breakers.overflow().unwrap().snapshot().successes, 600);
    advance(Duration::from_micros(1)).await;
    flood();
    assert!(
        breakers.get("a").is_none() || breakers.get("b").is_none(),
        "one evicted breaker is enough for all closed ones"
    );
    assert_eq!(breakers.overflow().unwrap().snapshot().successes, 600);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_ramps_up_is_kept_until_the_ramp_ends() {
    const HOUR: Duration = Duration::from_hours(1);
    let rates = BreakerConfig::new().window(Window::calls(4)).min_calls(1).half_open_max_calls(1);
    for config in [CONFIG, rates] {
        let breakers = KeyedBreakers::new("ramping", config.ramp_up(HOUR)).max_keys(4);
        for _ in 0..2 {
            fail(&breakers, "host");
        }
        advance(Duration::from_secs(30)).await;
        assert!(succeed(&breakers, "host"));
        assert_eq!(state(&breakers, "host"), Some(Closed));
        // The ramp takes as long as configured, and the breaker is kept that long.
        for _ in 0..2 {
            for new_key in 0..100 {
                assert!(succeed(&breakers, new_key));
            }
            let admitted = (0..1_000).filter(|_| succeed(&breakers, "host")).count();
            assert!((1..900).contains(&admitted), "{admitted} of 1,000 at the start and in the middle of the ramp");
            advance(HOUR / 2).await;
        }
        for new_key in 0..100 {
            assert!(succeed(&breakers, new_key));
        }
        assert!(breakers.get("host").is_none(), "a breaker is idle once its ramp has ended, even without a call");
    }
}

#[tokio::test(start_paused = true)]
async fn an_override_without_expiry_is_never_evicted() {
    let breakers = KeyedBreakers::new("overridden", CONFIG).max_keys(2);
    breakers.breaker("forced").force_open();
    breakers.breaker("disabled").disable();
    advance(Duration::from_hours(1_000)).await;
    assert!(succeed(&breakers, "new key"));
    assert!(breakers.get("new key").is_none());
    assert_eq!(
        (state(&breakers, "forced"), state(&breakers, "disabled")),
        (Some(ForcedOpen), Some(BreakerState::Disabled))
    );
}

#[tokio::test(start_paused = true)]
async fn an_expired_override_is_evicted() {
    let breakers = KeyedBreakers::new("overridden with expiry", CONFIG).max_keys(2);
    let hour = Duration::from_hours(1);
    breakers.breaker("forced").force_open_for(hour);
    breakers.breaker("disabled").disable_for(hour);
    advance(hour - Duration::from_secs(1)).await;
    assert!(succeed(&breakers, "early") && breakers.get("early").is_none());
    advance(Duration::from_secs(1)).await;
    let two = [breakers.breaker("late"), breakers.breaker("later")];
    assert!(breakers.get("forced").is_none() && breakers.get("disabled").is_none());
    assert!(two.iter().all(|breaker| !breaker.is_overflow()));
}

#[test]
fn failures_in_a_window_prevent_eviction_like_consecutive_failures() {
    let config = CONFIG.window(Window::calls(10)).min_calls(2).failure_rate(0.5);
    let breakers = KeyedBreakers::new("by rate", config).max_keys(3);
    fail(&breakers, "failed");
    for new_key in 0..100 {
        assert!(succeed(&breakers, new_key));
    }
    fail(&breakers, "failed");
    assert_eq!(state(&breakers, "failed"), Some(Open));
}

#[test]
fn one_evictable_breaker_among_many_is_found() {
    let breakers = KeyedBreakers::new("one evictable", CONFIG).max_keys(1_000);
    for key in 0..1_000 {
        breakers.breaker(&key).force_open();
    }
    breakers.breaker(&567).reset();
    let new_keys = (1_000..).take_while(|new_key| succeed(&breakers, new_key) && breakers.get(new_key).is_none());
    assert!(new_keys.count() < 1_000 / 8, "each new key scans eight more entries");
    assert!(breakers.get(&567).is_none());
}

#[test]
fn a_breaker_with_a_call_in_flight_is_not_evicted() {
    let breakers = KeyedBreakers::new("in flight", CONFIG).max_keys(2);
    let held = breakers.breaker("held");
    let permit = held.try_acquire().unwrap();
    for new_key in 0..100 {
        assert!(succeed(&breakers, new_key));
    }
    permit.failure();
    assert_eq!(breakers.get("held").unwrap().snapshot().failures, 1);
    drop(held);
    for new_key in 0..100 {
        fail(&breakers, new_key);
    }
    assert!(breakers.get("held").is_none(), "none is idle, so one with failures is evicted");
}

#[test]
fn many_threads_with_many_keys_stay_within_max_keys() {
    const KEYS: usize = 100;
    const THREADS: usize = 8;
    let breakers = KeyedBreakers::new("flooded", CONFIG).max_keys(KEYS);
    for key in 0..KEYS / 2 {
        breakers.breaker(&key).force_open();
    }
    let most = AtomicUsize::new(0);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (breakers, most) = (&breakers, &most);
            scope.spawn(move || {
                for call in 0..5_000 {
                    let key = KEYS + (call * (thread + 1)) % 1_000;
                    assert!(succeed(breakers, key));
                    most.fetch_max(breakers.len(), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!((most.into_inner(), breakers.len()), (KEYS, KEYS));
    for key in 0..KEYS / 2 {
        assert_eq!(state(&breakers, key), Some(ForcedOpen));
    }
    assert_eq!(breakers.snapshot().successes, THREADS as u64 * 5_000, "every call is counted");
}
