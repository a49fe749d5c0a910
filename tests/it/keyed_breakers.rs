//! Keyed breakers: one per key, the overflow breaker, eviction.

mod eviction;

use std::{
    fmt, io, panic, ptr,
    sync::{Arc, Mutex},
    time::Duration,
};

use steadfast::{
    BreakerConfig,
    BreakerState::{self, Closed, Open},
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
fn new_keys_share_an_overflow_breaker_and_an_event_is_emitted() {
    static BREAKERS: KeyedBreakers = KeyedBreakers::new("overflowing", CONFIG).max_keys(2);
    let events = Arc::new(Mutex::new(Vec::new()));
    let subscription = events::subscribe({
        let events = events.clone();
        move |event| {
            if let Event::KeysOverflowed { name: "overflowing", .. } = event {
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
    let expected = "circuit breaker `overflowing`: `max_keys = 2` is reached; new keys share one circuit breaker";
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
    crate::flush_events();
    assert_eq!(events.lock().unwrap().len(), 2);
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
