//! Each pair of attributes in both orders: the effect of the inner attribute on the outer one.
//!
//! Each pair annotates the same function, which fails, succeeds, or hangs.

#![warn(clippy::mem_forget, reason = "a lint that some users enable; generated code must not cause its warning")]

use std::{cell::RefCell, future::pending, time::Duration};

use steadfast::{
    BulkheadFull, CircuitOpen, RateLimited, TimedOut, Transient, breaker, bulkhead, circuit_breaker, fallback,
    rate_limit, retry, timeout,
};
use tokio::time::{Instant, sleep};

#[derive(Debug, thiserror::Error, Transient)]
enum Failure {
    #[error("fails")]
    #[transient]
    Fails,
    #[error(transparent)]
    #[transient(inherit)]
    TimedOut(#[from] TimedOut),
    #[error(transparent)]
    #[transient(inherit)]
    Limited(#[from] RateLimited),
    #[error(transparent)]
    #[transient(inherit)]
    Full(#[from] BulkheadFull),
    #[error(transparent)]
    Open(#[from] CircuitOpen),
}

/// The outcomes of a function's calls, one letter for each: `F`ails, `S`ucceeds, `H`angs. The last one repeats. Records the calls made.
struct Script {
    letters: &'static str,
    made: RefCell<String>,
}

impl Script {
    const fn new(letters: &'static str) -> Self {
        Self { letters, made: RefCell::new(String::new()) }
    }

    async fn call(&self) -> Result<char, Failure> {
        let letter = {
            let mut made = self.made.borrow_mut();
            let letter = self.letters.chars().nth(made.len()).or(self.letters.chars().last()).unwrap();
            made.push(letter);
            letter
        };
        match letter {
            'S' => Ok('S'),
            'F' => Err(Failure::Fails),
            _ => pending().await,
        }
    }

    fn made(&self) -> String {
        self.made.borrow().clone()
    }
}

/// The fallback of the pairs.
#[allow(clippy::unnecessary_wraps, reason = "a fallback has the signature of the function")]
const fn instead(_: &Script) -> Result<char, Failure> {
    Ok('I')
}

/// Returns the letter of a result: `S` and `I` for values; `f`, `t`, `l`, `b`, `o` for the errors.
fn letter(result: &Result<char, Failure>) -> char {
    match result {
        Ok(letter) => *letter,
        Err(Failure::Fails) => 'f',
        Err(Failure::TimedOut(_)) => 't',
        Err(Failure::Limited(_)) => 'l',
        Err(Failure::Full(_)) => 'b',
        Err(Failure::Open(_)) => 'o',
    }
}

/// Declares functions under two attributes each.
macro_rules! pairs {
    ($($name:ident: [$($upper:tt)*] [$($lower:tt)*];)*) => { $(
        #[$($upper)*]
        #[$($lower)*]
        async fn $name(script: &Script) -> Result<char, Failure> {
            script.call().await
        }
    )* };
}

pairs! {
    retry_breaker: [retry(max_attempts = 3, backoff = fixed(1s), jitter = none)] [circuit_breaker(name = "pairs 1", failure_threshold = 2)];
    breaker_retry: [circuit_breaker(name = "pairs 2", failure_threshold = 2)] [retry(max_attempts = 3, backoff = fixed(1s), jitter = none)];
    retry_timeout: [retry(max_attempts = 3, backoff = fixed(1s), jitter = none)] [timeout(2s)];
    timeout_retry: [timeout(2500ms)] [retry(max_attempts = 9, backoff = fixed(1s), jitter = none)];
    retry_fallback: [retry(max_attempts = 3, backoff = fixed(1s), jitter = none)] [fallback(instead, allow_order)];
    fallback_retry: [fallback(instead)] [retry(max_attempts = 3, backoff = fixed(1s), jitter = none)];
    retry_limit: [retry(max_attempts = 3, backoff = fixed(1s), jitter = none)] [rate_limit(name = "pairs 3", limit = 2, per = 60s)];
    limit_retry: [rate_limit(name = "pairs 4", limit = 2, per = 60s)] [retry(max_attempts = 3, backoff = fixed(1s), jitter = none)];
    retry_bulkhead: [retry(max_attempts = 3, backoff = fixed(1s), jitter = none)] [bulkhead(name = "pairs 5", max_concurrent = 1)];
    bulkhead_retry: [bulkhead(name = "pairs 6", max_concurrent = 1)] [retry(max_attempts = 3, backoff = fixed(1s), jitter = none)];
    breaker_timeout: [circuit_breaker(name = "pairs 7", failure_threshold = 2)] [timeout(2s)];
    timeout_breaker: [timeout(2s)] [circuit_breaker(name = "pairs 8", failure_threshold = 2, allow_order)];
    breaker_fallback: [circuit_breaker(name = "pairs 9", failure_threshold = 2)] [fallback(instead, allow_order)];
    fallback_breaker: [fallback(instead)] [circuit_breaker(name = "pairs 10", failure_threshold = 2)];
    breaker_limit: [circuit_breaker(name = "pairs 11", failure_threshold = 2)] [rate_limit(name = "pairs 11", limit = 2, per = 60s)];
    limit_breaker: [rate_limit(name = "pairs 12", limit = 4, per = 60s)] [circuit_breaker(name = "pairs 12", failure_threshold = 2)];
    breaker_bulkhead: [circuit_breaker(name = "pairs 13", failure_threshold = 2)] [bulkhead(name = "pairs 13", max_concurrent = 1)];
    bulkhead_breaker: [bulkhead(name = "pairs 14", max_concurrent = 1)] [circuit_breaker(name = "pairs 14", failure_threshold = 2)];
    timeout_fallback: [timeout(2s)] [fallback(instead)];
    fallback_timeout: [fallback(instead)] [timeout(2s)];
    timeout_limit: [timeout(2s)] [rate_limit(name = "pairs 15", limit = 1, per = 60s, max_wait = 60s)];
    limit_timeout: [rate_limit(name = "pairs 16", limit = 1, per = 60s, max_wait = 60s)] [timeout(2s)];
    timeout_bulkhead: [timeout(2s)] [bulkhead(name = "pairs 17", max_concurrent = 1, max_wait = 60s)];
    bulkhead_timeout: [bulkhead(name = "pairs 18", max_concurrent = 1, max_wait = 60s)] [timeout(2s)];
    fallback_limit: [fallback(instead)] [rate_limit(name = "pairs 19", limit = 1, per = 60s)];
    limit_fallback: [rate_limit(name = "pairs 20", limit = 1, per = 60s)] [fallback(instead)];
    fallback_bulkhead: [fallback(instead)] [bulkhead(name = "pairs 21", max_concurrent = 1)];
    bulkhead_fallback: [bulkhead(name = "pairs 22", max_concurrent = 1)] [fallback(instead)];
    limit_bulkhead: [rate_limit(name = "pairs 23", limit = 1, per = 60s)] [bulkhead(name = "pairs 23", max_concurrent = 1)];
    bulkhead_limit: [bulkhead(name = "pairs 24", max_concurrent = 1)] [rate_limit(name = "pairs 24", limit = 1, per = 60s)];
}

/// Calls a function several times in sequence, and returns the letters of the results, those of the calls made, and the elapsed seconds.
macro_rules! calls {
    ($function:ident, $letters:literal, $times:literal) => {{
        let (script, start, mut results) = (Script::new($letters), Instant::now(), String::new());
        for _ in 0..$times {
            results.push(letter(&$function(&script).await));
        }
        (results, script.made(), start.elapsed().as_secs_f64())
    }};
}

fn assert_calls((got, calls, took): (String, String, f64), results: &str, made: &str, seconds: f64) {
    assert_eq!((got, calls), (results.to_owned(), made.to_owned()));
    assert!((took - seconds).abs() < 0.1, "took {took} s, not {seconds} s");
}

#[tokio::test(start_paused = true)]
async fn a_retry_combines_with_each_other_attribute() {
    assert_calls(calls!(retry_breaker, "F", 2), "oo", "FF", 1.0);
    assert_calls(calls!(breaker_retry, "F", 3), "ffo", "FFFFFF", 4.0);
    assert_calls(calls!(retry_timeout, "HHS", 1), "S", "HHS", 6.0);
    // A third sleep would end past the timeout; an attempt that hangs is ended by the timeout.
    assert_calls(calls!(timeout_retry, "F", 1), "f", "FFF", 2.0);
    assert_calls(calls!(timeout_retry, "FFH", 1), "t", "FFH", 2.5);
    assert_calls(calls!(retry_fallback, "F", 1), "I", "F", 0.0);
    assert_calls(calls!(fallback_retry, "F", 1), "I", "FFF", 2.0);
    assert_calls(calls!(retry_limit, "F", 1), "l", "FF", 2.0);
    assert_calls(calls!(limit_retry, "F", 3), "ffl", "FFFFFF", 4.0);
}

/// The numbers of cancelled and ignored calls of a breaker.
fn unjudged(name: &str) -> (u64, u64) {
    let snapshot = breaker(name).unwrap().snapshot();
    (snapshot.cancelled, snapshot.ignored)
}

#[tokio::test(start_paused = true)]
async fn a_breaker_combines_with_each_other_attribute() {
    assert_calls(calls!(breaker_timeout, "H", 3), "tto", "HH", 4.0);
    assert_calls(calls!(timeout_breaker, "H", 3), "ttt", "HHH", 6.0);
    assert_calls(calls!(breaker_fallback, "F", 3), "III", "FFF", 0.0);
    assert_calls(calls!(fallback_breaker, "F", 3), "III", "FF", 0.0);
    assert_calls(calls!(breaker_limit, "SSF", 5), "SSlll", "SS", 0.0);
    assert_calls(calls!(limit_breaker, "F", 6), "ffooll", "FF", 0.0);
    assert_eq!([unjudged("pairs 8"), unjudged("pairs 11"), unjudged("pairs 12")], [(3, 0), (0, 3), (0, 0)]);
}

#[tokio::test(start_paused = true)]
async fn timeouts_fallbacks_and_rate_limits_combine_with_each_other() {
    assert_calls(calls!(timeout_fallback, "H", 1), "t", "H", 2.0);
    assert_calls(calls!(fallback_timeout, "H", 1), "I", "H", 2.0);
    assert_calls(calls!(timeout_limit, "S", 2), "St", "S", 2.0);
    assert_calls(calls!(limit_timeout, "H", 2), "tt", "HH", 62.0);
    assert_calls(calls!(fallback_limit, "S", 2), "SI", "S", 0.0);
    assert_calls(calls!(limit_fallback, "F", 2), "Il", "F", 0.0);
}

/// Makes two calls, the second half a second after the first; returns the results, the calls made, and the elapsed seconds.
macro_rules! two_at_once {
    ($function:ident, $letters:literal) => {{
        let (script, start) = (Script::new($letters), Instant::now());
        let second = async {
            sleep(Duration::from_millis(500)).await;
            letter(&$function(&script).await)
        };
        let limit = Duration::from_secs(100);
        let both = async { tokio::join!(async { letter(&$function(&script).await) }, second) };
        let (first, second) = tokio::time::timeout(limit, both).await.unwrap_or(('-', '-'));
        (format!("{first}{second}"), script.made(), start.elapsed().as_secs_f64())
    }};
}

#[tokio::test(start_paused = true)]
async fn a_bulkhead_combines_with_each_other_attribute() {
    // Retry outside: the permit is free during the sleep. Bulkhead outside: the permit is held.
    assert_calls(two_at_once!(retry_bulkhead, "FSS"), "SS", "FSS", 1.0);
    assert_calls(two_at_once!(bulkhead_retry, "FSS"), "Sb", "FS", 1.0);
    // The first call hangs. The second is rejected, which does not open the circuit.
    assert_calls(two_at_once!(breaker_bulkhead, "H"), "--", "H", 100.0);
    assert_eq!(unjudged("pairs 13"), (1, 1));
    assert_calls(two_at_once!(bulkhead_breaker, "H"), "--", "H", 100.0);
    assert_eq!(unjudged("pairs 14"), (1, 0));
    // Timeout outside: the timeout includes the second call's wait. Bulkhead outside: the timeout starts after the wait.
    assert_calls(two_at_once!(timeout_bulkhead, "H"), "tt", "HH", 2.5);
    assert_calls(two_at_once!(bulkhead_timeout, "H"), "tt", "HH", 4.0);
    assert_calls(two_at_once!(fallback_bulkhead, "H"), "--", "H", 100.0);
    assert_calls(two_at_once!(bulkhead_fallback, "F"), "II", "FF", 0.5);
    // Rate limit outside: a call rejected by the bulkhead uses up the limit. Bulkhead outside: such a call does not.
    let full = bulkhead("pairs 23").unwrap().try_acquire().unwrap();
    assert_calls(calls!(limit_bulkhead, "S", 2), "bl", "", 0.0);
    drop(full);
    let full = bulkhead("pairs 24").unwrap().try_acquire().unwrap();
    assert_calls(calls!(bulkhead_limit, "S", 2), "bb", "", 0.0);
    drop(full);
    assert_calls(calls!(bulkhead_limit, "S", 2), "Sl", "S", 0.0);
}
