//! Keyed breakers: one per key, eviction, the overflow breaker.

use std::{
    fmt, io, panic, ptr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use steadfast::{
    BreakerConfig,
    BreakerState::{self, Closed, ForcedOpen, HalfOpen, Open},
    KeyedBreakers, Window,
    events::{self, Event},
    keyed_breakers,
};
use tokio::time::advance;

const CONFIG: BreakerConfig = BreakerConfig::new().failure_threshold(2).half_open_max_calls(1);

fn fail(breakers: &KeyedBreakers, key: impl fmt::Display) {
    let result = breakers.breaker(&key).call(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut)));
    result.unwrap_err();
}

fn succeed(breakers: &KeyedBreakers, key: impl fmt::Display) -> bool {
    breakers.breaker(&key).call(|| Ok::<_, io::Error>(())).is_ok()
}

fn state(breakers: &KeyedBreakers, key: impl fmt::Display) -> Option<BreakerState> {
    breakers.get(&key).map(|breaker| breaker.state())
}

#[tokio::test(start_paused = true)]
async fn each_key_has_its_own_breaker() {
    let hosts = KeyedBreakers::new("hosts", CONFIG);
    for _ in 0..2 {
        fail(&hosts, "down");
        assert!(succeed(&hosts, "up"));
    }
    assert_eq!((state(&hosts, "down"), state(&hosts, "up")), (Some(Open), Some(Closed)));
    assert!(!succeed(&hosts, "down") && succeed(&hosts, "up"));
    let rejected = hosts.breaker("down").try_acquire().unwrap_err();
    assert_eq!(
        rejected.to_string(),
        "circuit `hosts` for `down` is open after 2 failures in a row; retry after 30.000s"
    );
    assert_eq!((rejected.name(), rejected.key()), ("hosts", Some("down")));
    advance(Duration::from_secs(30)).await;
    assert!(succeed(&hosts, "down"));
    assert_eq!(state(&hosts, "down"), Some(Closed));
    let snapshot = hosts.breaker("down").snapshot();
    assert_eq!((snapshot.key.as_deref(), snapshot.rejections), (Some("down"), 2));
    assert!(snapshot.to_string().starts_with("hosts[down]: closed"));
}

#[test]
fn keys_with_the_same_text_are_the_same_key() {
    let breakers = KeyedBreakers::new("shards", CONFIG);
    let breaker = breakers.breaker(&7_u16);
    assert!(Arc::ptr_eq(&breaker, &breakers.breaker("7")));
    assert!(Arc::ptr_eq(&breaker, &breakers.breaker(&String::from("7"))));
    assert_eq!((breaker.name(), breaker.key(), breakers.len()), ("shards", "7", 1));
    let long = "x".repeat(10_000);
    assert!(Arc::ptr_eq(&breakers.breaker(&long), &breakers.breaker(&long)));
    assert_eq!(breakers.breaker("").key(), "");
    assert_eq!(breakers.len(), 3);
}

#[test]
fn get_creates_no_breaker() {
    let breakers = KeyedBreakers::new("inspected", CONFIG);
    assert!(breakers.get("a").is_none() && breakers.is_empty() && breakers.overflow().is_none());
    assert_eq!(breakers.iter().count(), 0);
    assert_eq!(breakers.config(), CONFIG);
    assert!(breakers.is_empty());
}

#[test]
fn the_least_recently_used_idle_breaker_is_evicted() {
    let breakers = KeyedBreakers::new("bounded", CONFIG).max_keys(4);
    for key in 0..4 {
        assert!(succeed(&breakers, key));
    }
    fail(&breakers, 0);
    for new_key in 4..7 {
        // 3 is in constant use, 0 has failed.
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
    // It is closed now, so it is evicted for a new key.
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
        assert!(breakers.get("host").is_none(), "it is idle once the ramp has ended, even without a call");
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
fn no_key_is_confused_with_the_overflow_breaker() {
    let breakers = KeyedBreakers::new("forged", CONFIG).max_keys(4);
    let forged = ["(overflow)", "", "all other keys", "overflow"];
    for key in forged {
        breakers.breaker(key).force_open();
    }
    let overflow = breakers.breaker("new key");
    assert!(overflow.is_overflow() && Arc::ptr_eq(&overflow, &breakers.overflow().unwrap()));
    overflow.force_open();
    let (shown, rejected) = (overflow.snapshot(), overflow.try_acquire().unwrap_err());
    assert_eq!((shown.key.clone(), shown.overflow, rejected.key(), rejected.is_overflow()), (None, true, None, true));
    assert_eq!(rejected.to_string(), "circuit `forged` for all other keys is forced open");
    assert!(shown.to_string().starts_with("forged, all other keys: forced-open"), "{shown}");
    for key in forged {
        let breaker = breakers.breaker(key);
        assert!(!Arc::ptr_eq(&breaker, &overflow) && !breaker.is_overflow());
        let (snapshot, rejection) = (breaker.snapshot(), breaker.try_acquire().unwrap_err());
        assert_eq!((snapshot.key.as_deref(), snapshot.overflow), (Some(key), false));
        assert_eq!((rejection.key(), rejection.is_overflow()), (Some(key), false));
        assert_ne!(rejection.to_string(), rejected.to_string());
        assert!(rejection != rejected);
    }
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
fn new_keys_share_an_overflow_breaker_and_an_event_is_emitted() {
    static BREAKERS: KeyedBreakers = KeyedBreakers::new("overflowing", CONFIG).max_keys(2);
    let events = Arc::new(Mutex::new(Vec::new()));
    let subscription = events::subscribe({
        let events = events.clone();
        move |event| {
            if let Event::KeysOverflowed { breakers: "overflowing", .. } = event {
                // A callback may use the breakers that its event is about.
                assert_eq!(BREAKERS.len(), 2);
                events.lock().unwrap().push(event.to_string());
            }
        }
    });
    for key in ["a", "b"] {
        BREAKERS.breaker(key).force_open();
    }
    assert_eq!(events.lock().unwrap().len(), 0);
    assert!(succeed(&BREAKERS, "c") && succeed(&BREAKERS, "d"));
    assert!(Arc::ptr_eq(&BREAKERS.breaker("c"), &BREAKERS.breaker("d")));
    let expected = "circuit breakers `overflowing`: all 2 are in use, new keys share one";
    crate::flush_events();
    assert_eq!(*events.lock().unwrap(), [expected]);
    fail(&BREAKERS, "c");
    fail(&BREAKERS, "d");
    let rejected = BREAKERS.breaker("e").try_acquire().unwrap_err();
    assert_eq!((rejected.key(), rejected.is_overflow()), (None, true));
    assert_eq!(
        BREAKERS.snapshot().to_string().split(';').next().unwrap(),
        "overflowing: 2 of 2 keys, 0 closed, 1 open, 0 half-open, 2 forced-open, 0 disabled"
    );
    // Overflows again after a breaker could be evicted.
    BREAKERS.breaker("a").reset();
    assert!(succeed(&BREAKERS, "f"));
    BREAKERS.breaker("f").force_open();
    BREAKERS.breaker("g");
    assert_eq!(events.lock().unwrap().len(), 2);
    crate::flush_events();
    subscription.unsubscribe();
}

#[test]
fn reconfigure_applies_to_all_keys_and_keeps_their_counts() {
    let breakers = KeyedBreakers::new("reconfigured", CONFIG);
    fail(&breakers, "a");
    fail(&breakers, "b");
    fail(&breakers, "b");
    let config = CONFIG.failure_threshold(4).recovery_timeout(Duration::from_secs(7));
    breakers.reconfigure(config);
    assert_eq!((breakers.config(), breakers.breaker("a").config()), (config, config));
    let left = breakers.breaker("b").try_acquire().unwrap_err().retry_after().unwrap();
    assert!(left <= Duration::from_secs(7));
    for expected in [Closed, Closed, Open] {
        fail(&breakers, "a");
        assert_eq!(state(&breakers, "a"), Some(expected));
    }
    assert_eq!(breakers.breaker("new").config(), config);
    breakers.reconfigure(CONFIG.window(Window::calls(10)).min_calls(2));
    fail(&breakers, "new");
    fail(&breakers, "new");
    assert_eq!(state(&breakers, "new"), Some(Open));
}

#[test]
fn a_key_whose_display_panics_creates_no_breaker() {
    struct Panics;
    impl fmt::Display for Panics {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("half of ")?;
            panic!("display failed")
        }
    }
    let breakers = KeyedBreakers::new("panicking", CONFIG);
    let breaker = panic::AssertUnwindSafe(&breakers);
    assert!(panic::catch_unwind(|| drop(breaker.breaker(&Panics))).is_err());
    assert!(breakers.is_empty());
    assert!(succeed(&breakers, "another"));
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

static LISTED: KeyedBreakers = KeyedBreakers::new("registered", CONFIG);
steadfast::register!(LISTED);

#[test]
fn registered_breakers_are_listed_before_their_first_call() {
    let listed = keyed_breakers("registered").unwrap();
    assert!(ptr::eq(listed, &raw const LISTED));
    assert!(keyed_breakers("no such").is_none());
    assert!(steadfast::breaker("registered").is_none());
    assert_eq!(steadfast::all_keyed_breakers().iter().filter(|breakers| breakers.name() == "registered").count(), 1);
}
