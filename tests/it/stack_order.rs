//! Stacks of attributes: the attribute nearest to `fn` is innermost.

use std::{cell::Cell, io, time::Duration};

use steadfast::{BreakerState, CircuitOpen, breaker, circuit_breaker, retry};
use tokio::time::{Instant, advance};

use crate::{Failure, Script};

#[retry(max_attempts = 5, backoff = none)]
#[circuit_breaker(name = "retry over breaker", failure_threshold = 3)]
fn retry_over_breaker(script: &Script) -> Result<u32, Failure> {
    script.call()
}

#[retry(max_attempts = 5, backoff = none)]
#[circuit_breaker(name = "retry over breaker, async", failure_threshold = 3)]
async fn retry_over_breaker_async(script: &Script) -> Result<u32, Failure> {
    tokio::task::yield_now().await;
    script.call()
}

#[tokio::test]
async fn retry_over_breaker_sends_every_attempt_through_the_breaker() {
    let script = Script::new("T");
    assert!(matches!(retry_over_breaker(&script), Err(Failure::Open(_))));
    assert_eq!(script.calls(), 3, "the fourth attempt was rejected and is the last");
    let snapshot = breaker("retry over breaker").unwrap().snapshot();
    assert_eq!((snapshot.failures, snapshot.rejections), (3, 1));

    let script = Script::new("T");
    assert!(matches!(retry_over_breaker_async(&script).await, Err(Failure::Open(_))));
    assert_eq!(script.calls(), 3);
    let snapshot = breaker("retry over breaker, async").unwrap().snapshot();
    assert_eq!((snapshot.failures, snapshot.rejections), (3, 1));
}

#[circuit_breaker(name = "breaker over retry", failure_threshold = 2)]
#[retry(max_attempts = 5, backoff = none)]
fn breaker_over_retry(script: &Script) -> Result<u32, Failure> {
    script.call()
}

#[circuit_breaker(name = "breaker over retry, async", failure_threshold = 2)]
#[retry(max_attempts = 5, backoff = none)]
async fn breaker_over_retry_async(script: &Script) -> Result<u32, Failure> {
    script.call()
}

#[tokio::test]
async fn breaker_over_retry_counts_one_result_for_all_attempts() {
    let script = Script::new("T");
    assert_eq!(breaker_over_retry(&script), Err(Failure::Transient(5)));
    let snapshot = breaker("breaker over retry").unwrap().snapshot();
    assert_eq!((snapshot.failures, snapshot.consecutive_failures), (1, 1));
    assert_eq!(breaker_over_retry(&script), Err(Failure::Transient(10)));
    assert!(matches!(breaker_over_retry(&script), Err(Failure::Open(_))));
    assert_eq!(script.calls(), 10);

    let script = Script::new("T");
    assert_eq!(breaker_over_retry_async(&script).await, Err(Failure::Transient(5)));
    assert_eq!(breaker("breaker over retry, async").unwrap().snapshot().failures, 1);
}

#[steadfast::retry(max_attempts = 2, backoff = none)]
#[cfg_attr(all(), steadfast::circuit_breaker(name = "by path"))]
#[inline]
fn by_path(script: &Script) -> Result<u32, Failure> {
    script.call()
}

#[test]
fn attributes_of_a_stack_are_recognised_by_their_last_path_segment_and_through_cfg_attr() {
    let script = Script::new("T");
    assert_eq!(by_path(&script), Err(Failure::Transient(2)));
    assert_eq!(breaker("by path").unwrap().snapshot().failures, 2);
}

#[retry(max_attempts = 2, backoff = none, allow_order)]
#[circuit_breaker(name = "in the middle", failure_threshold = 100)]
#[retry(max_attempts = 3, backoff = none)]
#[circuit_breaker(name = "innermost", failure_threshold = 100)]
fn four(script: &Script) -> Result<u32, Failure> {
    script.call()
}

#[test]
fn a_stack_of_four_runs_in_order() {
    let script = Script::new("T");
    assert_eq!(four(&script), Err(Failure::Transient(6)));
    assert_eq!(breaker("in the middle").unwrap().snapshot().failures, 2);
    assert_eq!(breaker("innermost").unwrap().snapshot().failures, 6);
}

#[retry(max_attempts = 3, backoff = none, retry_if = any)]
#[circuit_breaker(name = "retried by any", failure_threshold = 1)]
fn retry_any(script: &Script) -> Result<u32, Failure> {
    script.call()
}

#[retry(max_attempts = 3, backoff = none, retry_if = |_| true)]
#[circuit_breaker(name = "outer of two", failure_threshold = 100)]
#[circuit_breaker(name = "inner of two", failure_threshold = 1)]
fn below_another_breaker(script: &Script) -> Result<u32, Failure> {
    script.call()
}

#[test]
fn an_open_circuit_is_not_retried() {
    let script = Script::new("T");
    assert!(matches!(retry_any(&script), Err(Failure::Open(_))));
    assert_eq!(breaker("retried by any").unwrap().snapshot().rejections, 1);

    let script = Script::new("T");
    assert!(matches!(below_another_breaker(&script), Err(Failure::Open(_))));
    assert_eq!(breaker("inner of two").unwrap().snapshot().rejections, 1);
}

#[circuit_breaker(name = "deeper", failure_threshold = 1, recovery_timeout = 20s)]
fn deeper_call(calls: &Cell<u32>) -> io::Result<()> {
    calls.set(calls.get() + 1);
    Err(io::ErrorKind::TimedOut.into())
}

#[derive(Debug, thiserror::Error)]
#[error("wrapped")]
struct Wrapped(#[from] io::Error);

#[retry(max_attempts = 5, backoff = none, retry_if = any)]
fn retry_any_around(calls: &Cell<u32>) -> Result<(), Wrapped> {
    Ok(deeper_call(calls)?)
}

#[retry(max_attempts = 5, backoff = none, retry_if = |_| true)]
async fn predicate_around(calls: &Cell<u32>) -> anyhow::Result<()> {
    Ok(deeper_call(calls)?)
}

#[retry(max_attempts = 5, backoff = none, retry_if(io::Error))]
fn type_around(calls: &Cell<u32>) -> Result<(), Box<dyn std::error::Error>> {
    Ok(deeper_call(calls)?)
}

#[retry(max_attempts = 2, backoff = none, retry_if(CircuitOpen))]
async fn retries_rejections(calls: &Cell<u32>) -> Result<(), Wrapped> {
    Ok(deeper_call(calls)?)
}

#[tokio::test(start_paused = true)]
async fn a_rejection_deeper_inside_is_found_in_the_error_chain() {
    let inside = breaker("deeper").unwrap();
    let rejections = || inside.snapshot().rejections;
    let calls = Cell::new(0);
    retry_any_around(&calls).unwrap_err();
    assert_eq!((calls.get(), rejections()), (1, 1));
    predicate_around(&calls).await.unwrap_err();
    assert_eq!((calls.get(), rejections()), (1, 2));
    type_around(&calls).unwrap_err();
    assert_eq!((calls.get(), rejections()), (1, 3));
    let start = Instant::now();
    retries_rejections(&calls).await.unwrap_err();
    assert_eq!((calls.get(), rejections()), (2, 4), "it waited and made a trial call");
    assert_eq!(start.elapsed(), Duration::from_secs(20));
}

#[retry(max_attempts = 3, backoff = fixed(1s), jitter = none, retry_if(CircuitOpen, io::Error))]
#[circuit_breaker(name = "waited for", failure_threshold = 1, recovery_timeout = 20s)]
async fn waits(calls: &Cell<u32>) -> io::Result<()> {
    calls.set(calls.get() + 1);
    if calls.get() == 1 { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
}

#[retry(max_attempts = 3, backoff = fixed(1s), jitter = none, max_elapsed = 15s, retry_if(CircuitOpen, io::Error))]
#[circuit_breaker(name = "not waited for", failure_threshold = 1, recovery_timeout = 20s)]
async fn gives_up(calls: &Cell<u32>) -> io::Result<()> {
    calls.set(calls.get() + 1);
    Err(io::ErrorKind::TimedOut.into())
}

#[tokio::test(start_paused = true)]
async fn a_retry_of_rejections_waits_for_the_breaker_or_gives_up() {
    let (calls, start) = (Cell::new(0), Instant::now());
    waits(&calls).await.unwrap();
    assert_eq!(calls.get(), 2);
    assert_eq!(start.elapsed(), Duration::from_secs(20), "no sleep of 1 s before it");

    let (calls, start) = (Cell::new(0), Instant::now());
    let error = gives_up(&calls).await.unwrap_err();
    assert!(error.get_ref().unwrap().is::<CircuitOpen>());
    assert_eq!(calls.get(), 1);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[retry(max_attempts = 5, backoff = fixed(10s), jitter = none)]
#[circuit_breaker(name = "outer opens", failure_threshold = 2, recovery_timeout = 60s)]
#[circuit_breaker(name = "inner stays closed", failure_threshold = 100)]
async fn opens_during_retry(script: &Script) -> Result<u32, Failure> {
    script.call()
}

#[retry(max_attempts = 5, backoff = fixed(10s), jitter = none)]
#[circuit_breaker(name = "recovers soon", failure_threshold = 1, recovery_timeout = 7s)]
async fn closes_during_retry(script: &Script) -> Result<u32, Failure> {
    script.call()
}

#[tokio::test(start_paused = true)]
async fn a_retry_does_not_sleep_before_a_certain_rejection() {
    let (script, start) = (Script::new("T"), Instant::now());
    assert!(matches!(opens_during_retry(&script).await, Err(Failure::Open(_))));
    assert_eq!(script.calls(), 2);
    assert_eq!(start.elapsed(), Duration::from_secs(10), "one sleep, between the two attempts");

    let (script, start) = (Script::new("TS"), Instant::now());
    assert_eq!(closes_during_retry(&script).await, Ok(2));
    assert_eq!(start.elapsed(), Duration::from_secs(10), "the circuit has recovered when the sleep ends");
}

#[circuit_breaker(name = "failures by type", failure_threshold = 1, failure_if(io::Error))]
fn by_type(error: &'static str) -> anyhow::Result<()> {
    match error {
        "io" => Err(io::Error::from(io::ErrorKind::TimedOut))?,
        "other" => anyhow::bail!("not an io error"),
        _ => Ok(()),
    }
}

#[circuit_breaker(name = "failures by predicate", failure_threshold = 1, failure_if = |error| error.kind() != io::ErrorKind::NotFound)]
async fn by_predicate(kind: io::ErrorKind) -> io::Result<()> {
    Err(kind.into())
}

#[tokio::test]
async fn failure_if_selects_failures() {
    by_type("other").unwrap_err();
    by_type("").unwrap();
    let snapshot = breaker("failures by type").unwrap().snapshot();
    assert_eq!((snapshot.successes, snapshot.failures, snapshot.ignored), (1, 0, 1));
    by_type("io").unwrap_err();
    assert_eq!(breaker("failures by type").unwrap().state(), BreakerState::Open);
    assert!(by_type("").unwrap_err().is::<CircuitOpen>());

    by_predicate(io::ErrorKind::NotFound).await.unwrap_err();
    assert_eq!(breaker("failures by predicate").unwrap().snapshot().ignored, 1);
    by_predicate(io::ErrorKind::TimedOut).await.unwrap_err();
    assert_eq!(breaker("failures by predicate").unwrap().state(), BreakerState::Open);
}

#[circuit_breaker(name = "option", failure_threshold = 2)]
fn find(found: Option<u8>) -> Option<u8> {
    found
}

#[test]
fn a_rejected_call_that_returns_an_option_returns_none() {
    assert_eq!(find(Some(1)), Some(1));
    assert_eq!((find(None), find(None)), (None, None));
    assert_eq!(find(Some(1)), None);
    assert_eq!(breaker("option").unwrap().snapshot().rejections, 1);
}

#[circuit_breaker(name = "panics", failure_threshold = 1)]
#[allow(clippy::unused_async, reason = "the panic is what is tested")]
async fn panics() -> io::Result<()> {
    panic!("original payload")
}

#[circuit_breaker(name = "dropped", failure_threshold = 1, half_open_max_calls = 1)]
async fn hangs(forever: bool) -> io::Result<()> {
    if forever {
        std::future::pending::<()>().await;
    }
    Err(io::ErrorKind::TimedOut.into())
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failure_and_a_drop_is_not() {
    assert!(tokio::spawn(panics()).await.unwrap_err().is_panic());
    let panicked = breaker("panics").unwrap();
    assert_eq!((panicked.state(), panicked.snapshot().failures), (BreakerState::Open, 1));

    let dropped = breaker("dropped").unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(1), hangs(true)).await.is_err());
    assert_eq!((dropped.state(), dropped.snapshot().cancelled), (BreakerState::Closed, 1));
    hangs(false).await.unwrap_err();
    for _ in 0..3 {
        advance(Duration::from_secs(30)).await;
        assert!(tokio::time::timeout(Duration::from_secs(1), hangs(true)).await.is_err());
        assert_eq!(dropped.state(), BreakerState::HalfOpen);
    }
    assert_eq!(dropped.snapshot().cancelled, 4);
}

struct Store {
    script: Script,
    writes: u32,
}

trait Read {
    async fn read(&self) -> Result<u32, Failure>;

    #[retry(max_attempts = 4, backoff = none)]
    fn provided(&mut self) -> Result<u32, Failure> {
        self.again()
    }

    fn again(&mut self) -> Result<u32, Failure>;
}

impl Store {
    const fn new(outcomes: &'static str) -> Self {
        Self { script: Script::new(outcomes), writes: 0 }
    }

    #[retry(max_attempts = 4, backoff = none)]
    #[circuit_breaker(name = "store", failure_threshold = 10)]
    fn get(&self) -> Result<u32, Failure> {
        self.script.call()
    }

    #[retry(max_attempts = 4, backoff = none)]
    #[circuit_breaker(name = "store", failure_threshold = 10)]
    async fn write(&mut self, log: &mut Vec<u32>) -> Result<u32, Failure> {
        self.writes += 1;
        log.push(self.writes);
        self.script.call()
    }
}

impl Read for Store {
    #[retry(max_attempts = 4, backoff = none)]
    #[circuit_breaker(name = "store", failure_threshold = 10)]
    async fn read(&self) -> Result<u32, Failure> {
        self.script.call()
    }

    fn again(&mut self) -> Result<u32, Failure> {
        self.writes += 1;
        self.script.call()
    }
}

#[tokio::test]
async fn methods_are_retried_behind_a_breaker() {
    assert_eq!(Store::new("TTS").get(), Ok(3));
    assert_eq!(Store::new("TTS").read().await, Ok(3));
    let mut store = Store::new("TTS");
    assert_eq!((store.provided(), store.writes), (Ok(3), 3));
    let (mut store, mut log) = (Store::new("TTS"), Vec::new());
    assert_eq!(store.write(&mut log).await, Ok(3));
    assert_eq!(log, [1, 2, 3]);
    assert_eq!(breaker("store").unwrap().snapshot().successes, 3);
}

async fn plain(script: &Script) -> Result<u32, Failure> {
    tokio::task::yield_now().await;
    script.call()
}

#[retry]
async fn retried(script: &Script) -> Result<u32, Failure> {
    tokio::task::yield_now().await;
    script.call()
}

#[circuit_breaker(name = "sizes")]
async fn behind_breaker(script: &Script) -> Result<u32, Failure> {
    tokio::task::yield_now().await;
    script.call()
}

#[retry]
#[circuit_breaker(name = "sizes")]
async fn both(script: &Script) -> Result<u32, Failure> {
    tokio::task::yield_now().await;
    script.call()
}

#[test]
fn futures_stay_small() {
    let script = Script::new("S");
    let bare = size_of_val(&plain(&script));
    // The future includes the span of an attempt, since the feature `tracing` is enabled in these tests.
    let span = size_of::<Option<Box<()>>>();
    for (name, size, most) in [
        ("retry", size_of_val(&retried(&script)), 72 + span),
        ("breaker", size_of_val(&behind_breaker(&script)), 48),
        ("both", size_of_val(&both(&script)), 112 + span),
    ] {
        assert!(size <= bare + most, "{name}: {bare} grew to {size}");
    }
}
