//! Calls of all breakers, from a thread of their own.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use steadfast::{CircuitBreaker, KeyedBreaker, KeyedBreakers};

use crate::CONFIG;

/// The number of keys that accompany 10,000 breakers.
const KEYS: usize = 10_000;
static HOSTS: KeyedBreakers = KeyedBreakers::new("hosts", CONFIG).max_keys(KEYS);
steadfast::register!(HOSTS);

/// The number of changes after which a breaker that was opened is closed again.
const OPEN_FOR: usize = 50;

/// Starts the calls, and describes them.
pub(crate) fn start() -> String {
    let breakers = steadfast::breakers();
    let count = breakers.len();
    let per_second = if count == 1_000 { 20_000 } else { 50 };
    if count < 10_000 {
        thread::spawn(move || repeat(per_second, |round| call_one(&breakers, round)));
        return format!("{count} breakers, {per_second} calls a second");
    }
    for key in 0..KEYS {
        _ = HOSTS.breaker(&format_args!("host-{key:05}.example.org")).call(|| Ok::<_, io::Error>(()));
    }
    let keys: Vec<_> = HOSTS.iter().collect();
    thread::spawn(move || repeat(per_second, |round| change_one(&breakers, &keys, round)));
    format!("{count} breakers and {KEYS} keys, {per_second} state changes a second")
}

/// Calls `action` with 0, 1, 2 ... as often as `per_second` says, for ever.
fn repeat(per_second: u64, mut action: impl FnMut(usize)) {
    let (begun, mut round) = (Instant::now(), 0_u64);
    loop {
        let due = begun.elapsed().as_millis() * u128::from(per_second) / 1_000;
        while u128::from(round) < due {
            action(usize::try_from(round).unwrap_or(0));
            round += 1;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Calls one breaker after the other. Every 50th fails always, the others fail one call in 20.
fn call_one(breakers: &[&CircuitBreaker], round: usize) {
    let (index, turn) = (round % breakers.len(), round / breakers.len());
    let fails = index.is_multiple_of(50) || (turn + index).is_multiple_of(20);
    let result = if fails { Err(io::Error::from(io::ErrorKind::TimedOut)) } else { Ok(()) };
    _ = breakers[index].call(|| result);
}

/// Changes the state of one breaker or key: opens one by failures, or closes the one that was opened [`OPEN_FOR`] changes ago.
fn change_one(breakers: &[&CircuitBreaker], keys: &[std::sync::Arc<KeyedBreaker>], round: usize) {
    let item = |round: usize| (round / 4 * 7_919, (round / 2).is_multiple_of(2));
    if round.is_multiple_of(2) {
        let (index, of_breaker) = item(round);
        for _ in 0..5 {
            let failure = || Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut));
            if of_breaker {
                _ = breakers[index % breakers.len()].call(failure);
            } else {
                _ = keys[index % keys.len()].call(failure);
            }
        }
    } else if let Some(round) = (round - 1).checked_sub(OPEN_FOR) {
        let (index, of_breaker) = item(round);
        if of_breaker { breakers[index % breakers.len()].reset() } else { keys[index % keys.len()].reset() }
    }
}
