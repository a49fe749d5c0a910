//! What a breaker for each key costs: memory, and the time to find one, beside what one would write by hand: a
//! `Mutex<HashMap<String, Arc<CircuitBreaker>>>` without a bound. `cargo bench -p steadfast-benches --bench keyed`
//!
//! Memory is what the process grows by for a million keys, less what it grows by for the texts of the keys alone. Times are
//! the medians of rounds that take turns, so that a machine that slows down slows all of them.

#![allow(clippy::expect_used, reason = "a measurement that can't be made ends")]

use std::{
    collections::HashMap,
    hint::black_box,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use memory_stats::memory_stats;
use steadfast::{BreakerConfig, CircuitBreaker, KeyedBreakers};

const MANY: usize = 1_000_000;
const FEW: usize = 1_000;
const LOOKUPS: usize = 100_000;
const ROUNDS: usize = 21;

type ByHand = Mutex<HashMap<String, Arc<CircuitBreaker>>>;

fn main() {
    let keys: Vec<String> = (0..MANY).map(|key| format!("host-{key:07}.example.org")).collect();

    let (texts, texts_alone) = grown_by(|| keys.iter().map(|key| Arc::<str>::from(key.as_str())).collect::<Vec<_>>());
    // The list of them is not the keys'.
    let texts_alone = texts_alone - size_of_val(texts.as_slice());
    let (many, all) = grown_by(|| filled(&keys));
    let (breaker, text) = ((all - texts_alone) / MANY, texts_alone / MANY);
    println!("memory of a keyed breaker: {breaker} bytes, and {text} for its key's text");
    let few = filled(&keys[..FEW]);
    let (many_by_hand, few_by_hand) = (by_hand(&keys), by_hand(&keys[..FEW]));

    // In an order that no prefetcher sees through. The text that a caller has in hand is in its cache, so these lie side by
    // side.
    let length = keys[0].len();
    let spread: String = (0..MANY).map(|index| keys[index * 7_368_787 % MANY].as_str()).collect();
    let in_order: String = keys[..FEW].concat();
    for (name, breakers, by_hand, keys) in [
        ("1,000 keys", &few, &few_by_hand, in_order.as_str()),
        ("1,000 of 1,000,000 keys", &many, &many_by_hand, &spread[..FEW * length]),
        ("all of 1,000,000 keys", &many, &many_by_hand, &spread),
    ] {
        let mut times = [Vec::new(), Vec::new()];
        let mut position = 0;
        for _ in 0..ROUNDS {
            let mut next = || {
                position = (position + length) % keys.len();
                &keys[position..position + length]
            };
            times[0].push(time(|| drop(black_box(breakers.breaker(next())))));
            times[1].push(time(|| {
                let found = by_hand.lock().expect("nobody panics").get(next()).cloned();
                drop(black_box(found.expect("it is there")));
            }));
        }
        let [ours, theirs] = times.map(|mut times| {
            times.sort_unstable();
            times[ROUNDS / 2]
        });
        let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
        println!("found among {name}: {ours:?}, by hand {theirs:?}, ratio {ratio:.2}");
    }
}

fn time(look: impl FnMut()) -> Duration {
    let mut look = look;
    let start = Instant::now();
    for _ in 0..LOOKUPS {
        look();
    }
    start.elapsed() / u32::try_from(LOOKUPS).expect("small")
}

fn filled(keys: &[String]) -> KeyedBreakers {
    let breakers = KeyedBreakers::new("measured", BreakerConfig::new()).max_keys(keys.len());
    for key in keys {
        breakers.breaker(key);
    }
    assert_eq!(breakers.len(), keys.len());
    breakers
}

fn by_hand(keys: &[String]) -> ByHand {
    let breaker = || Arc::new(CircuitBreaker::new("by hand", BreakerConfig::new()));
    Mutex::new(keys.iter().map(|key| (key.clone(), breaker())).collect())
}

fn grown_by<T>(make: impl FnOnce() -> T) -> (T, usize) {
    let memory = || memory_stats().expect("the system tells").physical_mem;
    let before = memory();
    let value = make();
    (value, memory() - before)
}
