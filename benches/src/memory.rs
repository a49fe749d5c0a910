//! Memory of breakers and allocations of calls, measured in a separate program, since the counting allocator slows allocations down.

use std::{any::Any, hint::black_box, mem, sync::Arc, time::Duration};

use allocation_counter::measure;
use anyhow::{Context, Result, ensure};
use layered::Service;
use memory_stats::memory_stats;
use steadfast::{BreakerConfig, CircuitBreaker, Window};
use tower::Layer;

use crate::{
    contestant::Contestant,
    keyed::{MANY, filled, keys},
    peers::{arcly, circuitbreaker_rs, failsafe, recloser, seatbelt, tower_resilience},
    work::{FAILING, add, wait},
};

const HOUR: Duration = Duration::from_hours(1);
const CALLS: u64 = 1_000;
const HUNG_CALL: Duration = Duration::from_secs(30);

/// Returns the size in bytes of each breaker with all memory that it owns, after a thousand calls of which one failed.
#[must_use]
pub fn breakers() -> Vec<(&'static str, i64)> {
    let ours = |config: BreakerConfig| {
        bytes(
            move || CircuitBreaker::new("measured", config),
            |breaker, number| {
                _ = breaker.call(|| add(number));
            },
        )
    };
    vec![
        ("steadfast", ours(BreakerConfig::new())),
        ("steadfast, calls(100)", ours(BreakerConfig::new().window(Window::calls(100)))),
        ("steadfast, time(60s)", ours(BreakerConfig::new().window(Window::time(Duration::from_mins(1))))),
        ("steadfast, hung_call = 30s", ours(BreakerConfig::new().hung_call(HUNG_CALL))),
        ("steadfast, durations = true", ours(BreakerConfig::new().durations(true))),
        ("seatbelt, 60 s", {
            bytes(
                || seatbelt::breaker(&seatbelt::by_rate(HOUR), seatbelt::Work),
                |service, number| {
                    _ = wait(service.execute(number));
                },
            )
        }),
        ("recloser, 100 calls", {
            bytes(|| recloser::breaker(HOUR), |breaker, number| drop(breaker.call(|| add(number))))
        }),
        ("failsafe", {
            bytes(
                || failsafe::by_failures(HOUR),
                |breaker, number| drop(::failsafe::CircuitBreaker::call(breaker, || add(number))),
            )
        }),
        ("circuitbreaker-rs", {
            bytes(|| circuitbreaker_rs::breaker(HOUR), |breaker, number| drop(breaker.call(|| add(number))))
        }),
        ("arcly-http", {
            bytes(|| arcly::breaker(HOUR), |breaker, number| drop(wait(breaker.execute(|| async move { add(number) }))))
        }),
        ("tower-resilience", {
            bytes(
                || Arc::new(std::sync::Mutex::new(tower_resilience::layer(HOUR).layer(tower_resilience::Work))),
                |service, number| {
                    let mut service = service.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    _ = tower_resilience::call(&mut *service, number);
                },
            )
        }),
    ]
}

fn bytes<B: Any>(make: impl FnOnce() -> B, call: impl Fn(&B, u64)) -> i64 {
    let mut kept = None;
    let info = measure(|| {
        let breaker = Box::new(make());
        (0..CALLS / 2).for_each(|number| call(&breaker, number));
        call(&breaker, FAILING);
        (0..CALLS / 2).for_each(|number| call(&breaker, number));
        kept = Some(breaker);
    });
    drop(black_box(kept));
    info.bytes_current
}

/// Returns the average number of allocations per call.
pub fn allocations(contestant: &Contestant) -> Result<f64> {
    contestant.warm_up(1_000)?;
    let info = measure(|| {
        black_box(contestant.call(0..CALLS));
    });
    Ok(crate::timing::to_f64(info.count_total) / crate::timing::to_f64(CALLS))
}

/// Returns the bytes of keyed breakers after a call, and of the text of a key: the growth of the process for a million of each, per key.
pub fn keyed() -> Result<[(&'static str, usize); 4]> {
    let keys: Vec<_> = keys(MANY).collect();
    let (texts, all_texts) = grown_by(|| keys.iter().map(|key| Arc::<str>::from(key.as_str())).collect::<Vec<_>>())?;
    // The list itself does not count.
    let all_texts = all_texts.saturating_sub(size_of_val(texts.as_slice()));
    let of_key = |config: BreakerConfig| {
        let (breakers, all) = grown_by(|| {
            let breakers = filled(&keys, config);
            for key in &keys {
                _ = breakers.breaker(key).call(|| add(0));
            }
            breakers
        })?;
        ensure!(breakers.len() == keys.len(), "{} breakers", breakers.len());
        // Freed memory would hide the growth of the next measurement.
        mem::forget(breakers);
        anyhow::Ok(all.saturating_sub(all_texts) / keys.len())
    };
    let figures = [
        ("steadfast, one of a million keys", of_key(BreakerConfig::new())?),
        ("steadfast, hung_call = 30s, one of a million keys", of_key(BreakerConfig::new().hung_call(HUNG_CALL))?),
        ("steadfast, durations = true, one of a million keys", of_key(BreakerConfig::new().durations(true))?),
        ("the text of its key", all_texts / keys.len()),
    ];
    drop(black_box(texts));
    Ok(figures)
}

fn grown_by<T>(make: impl FnOnce() -> T) -> Result<(T, usize)> {
    let memory = || memory_stats().map(|stats| stats.physical_mem).context("the system does not report memory use");
    let before = memory()?;
    let value = make();
    Ok((value, memory()?.saturating_sub(before)))
}
