//! Output to `tracing`. Runs in a process of its own, since `tracing` caches the enabled call sites for the whole process, so that other
//! tests would interfere.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use steadfast::{
    BreakerConfig, BreakerState, Bulkhead, BulkheadConfig, CircuitBreaker, Fallback, KeyedBreakers, KeyedBulkheads,
    KeyedRateLimits, Override, RateLimitConfig, RetryBudget, RetryPolicy, Schedule, StopSignal, Timeout, bulkhead,
    circuit_breaker,
    events::{self, Event},
    retry,
    testing::FakeClock,
    validate,
};
use tracing::{Instrument, field::Field};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

const CONFIG: BreakerConfig = BreakerConfig::new().failure_threshold(2).half_open_max_calls(1);

fn fail(breaker: &CircuitBreaker) {
    _ = breaker.call(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut)));
}

/// A writer into memory.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Held while a subscriber of `tracing` is set, since all threads share the cache of enabled call sites.
static ALONE: Mutex<()> = Mutex::new(());

/// Returns the log output of `act` at `level` and above.
fn logged(level: tracing::Level, act: impl FnOnce()) -> String {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let log = Buffer::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer({
            let log = log.clone();
            move || log.clone()
        })
        .without_time()
        .with_ansi(false)
        .finish();
    tracing::subscriber::with_default(subscriber, act);
    let bytes = log.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn calls_are_logged_at_debug_level_except_exhausted_retries() {
    static POLICY: RetryPolicy = RetryPolicy::new().name("traced").max_attempts(2).backoff(Schedule::none());
    let act = || {
        let breaker = CircuitBreaker::new("traced", CONFIG);
        let span = tracing::info_span!("request", id = 7);
        let _entered = span.enter();
        _ = POLICY.run(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut)));
        (0..3).for_each(|_| fail(&breaker));
        _ = POLICY.run(|| breaker.call(|| Ok::<_, io::Error>(())));
        breaker.reset();
    };
    let quiet = logged(tracing::Level::INFO, act);
    assert_eq!(
        quiet,
        " WARN request{id=7}: steadfast: retry `traced`: exhausted after attempt 2 (timed out) \
         retry.name=\"traced\" retry.attempts=2 error=\"timed out\"\n \
         WARN request{id=7}: steadfast: circuit `traced`: closed -> open after 2 failures in a row \
         circuit_breaker.name=\"traced\" circuit_breaker.state=open circuit_breaker.previous_state=closed\n \
         INFO request{id=7}: steadfast: circuit `traced`: open -> closed \
         circuit_breaker.name=\"traced\" circuit_breaker.state=closed circuit_breaker.previous_state=open\n"
    );
    let all = logged(tracing::Level::DEBUG, act);
    for expected in [
        "DEBUG request{id=7}: steadfast: retry `traced`: attempt 1 failed",
        "retry.name=\"traced\" retry.attempt=1 retry.delay=0.0 error=\"timed out\"",
        "DEBUG request{id=7}: steadfast: retry `traced`: ended because attempt 1 was rejected (circuit `traced` is open",
        "retry.name=\"traced\" retry.attempt=1 error=\"circuit `traced` is open after 2 failures in a row; retry after",
        "DEBUG request{id=7}: steadfast: circuit `traced` is open after 2 failures in a row; retry after",
        "circuit_breaker.retry_after=",
    ] {
        assert!(all.contains(expected), "{expected} in {all}");
    }
}

#[retry(max_attempts = 2, backoff = none)]
fn exhausted() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

#[retry(max_attempts = 2, backoff = none)]
async fn exhausted_async() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

#[test]
fn exhausted_retries_without_a_name_are_logged_as_warnings() {
    let log = logged(tracing::Level::WARN, || {
        exhausted().unwrap_err();
        paused_runtime().block_on(exhausted_async()).unwrap_err();
    });
    assert_eq!(log.matches("exhausted after attempt 2").count(), 2, "{log}");
}

/// A layer that panics at each event.
struct Panics;

impl<S: tracing::Subscriber> Layer<S> for Panics {
    fn on_event(&self, _: &tracing::Event<'_>, _: Context<'_, S>) {
        panic!("the subscriber");
    }
}

#[circuit_breaker(name = "panicking subscriber", failure_threshold = 1)]
#[retry(max_attempts = 2, backoff = none)]
fn watched(fails: &Cell<u32>) -> io::Result<u32> {
    next_result(fails)
}

#[test]
fn a_panic_of_the_subscriber_changes_no_call() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let clock = FakeClock::new();
    let _entered = clock.enter();
    let subscriber = tracing_subscriber::registry().with(Panics);
    tracing::subscriber::with_default(subscriber, || {
        assert_eq!(watched(&Cell::new(1)).unwrap(), 7, "an event of the retry");
        assert_eq!(watched(&Cell::new(2)).unwrap_err().kind(), io::ErrorKind::TimedOut, "the circuit opens");
        let breaker = steadfast::breaker("panicking subscriber").unwrap();
        assert_eq!(watched(&Cell::new(0)).unwrap_err().kind(), io::ErrorKind::ResourceBusy, "a rejection");
        clock.advance(breaker.config().get_recovery_timeout());
        while breaker.state() != BreakerState::Closed {
            assert_eq!(watched(&Cell::new(0)).unwrap(), 7, "the circuit closes");
        }
    });
}

#[retry(name = "traced attempts", max_attempts = 3, backoff = fixed(1s), jitter = none)]
async fn attempts(fails: &Cell<u32>) -> io::Result<u32> {
    tracing::info!("before");
    tokio::task::yield_now().await;
    tracing::info!("after");
    next_result(fails)
}

#[retry(max_attempts = 2, backoff = none)]
fn sync_attempts(fails: &Cell<u32>) -> io::Result<u32> {
    tracing::info!("once");
    next_result(fails)
}

fn next_result(fails: &Cell<u32>) -> io::Result<u32> {
    match fails.get() {
        0 => Ok(7),
        left => {
            fails.set(left - 1);
            Err(io::ErrorKind::TimedOut.into())
        }
    }
}

fn paused_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

#[test]
fn each_attempt_after_the_first_has_a_span() {
    let lines = |level, act: &dyn Fn()| {
        let text = logged(level, act);
        text.lines().map(|line| line.trim().replace("tracing: ", "")).collect::<Vec<_>>()
    };
    let request = || {
        let span = tracing::info_span!("request", id = 7);
        let call = async {
            attempts(&Cell::new(2)).await.unwrap();
            tracing::info!("answered");
        };
        paused_runtime().block_on(call.instrument(span));
    };
    let (second, third) = (
        "INFO request{id=7}:attempt{retry.name=\"traced attempts\" retry.attempt=2}: ",
        "INFO request{id=7}:attempt{retry.name=\"traced attempts\" retry.attempt=3}: ",
    );
    let expected = [
        "INFO request{id=7}: before".to_owned(),
        "INFO request{id=7}: after".to_owned(),
        format!("{second}before"),
        format!("{second}after"),
        format!("{third}before"),
        format!("{third}after"),
        "INFO request{id=7}: answered".to_owned(),
    ];
    assert_eq!(lines(tracing::Level::INFO, &request), expected);
    let at_once = || _ = paused_runtime().block_on(attempts(&Cell::new(0))).unwrap();
    assert_eq!(lines(tracing::Level::INFO, &at_once), ["INFO before", "INFO after"], "no span at the first attempt");
    let of_a_thread = || _ = sync_attempts(&Cell::new(1)).unwrap();
    assert_eq!(
        lines(tracing::Level::INFO, &of_a_thread),
        ["INFO once", "INFO attempt{retry.name=\"tracing::sync_attempts\" retry.attempt=2}: once"]
    );
    // Other futures in the same task are not inside the span.
    let beside = || {
        paused_runtime().block_on(async {
            let fails = Cell::new(1);
            let other = async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                for _ in 0..5 {
                    tracing::info!("other");
                    tokio::task::yield_now().await;
                }
            };
            let (result, ()) = tokio::join!(attempts(&fails), other);
            result.unwrap();
        });
    };
    let events = lines(tracing::Level::INFO, &beside);
    assert_eq!(events.iter().filter(|line| *line == "INFO other").count(), 5, "{events:#?}");
    assert_eq!(events.iter().filter(|line| line.contains("retry.attempt=2")).count(), 2, "{events:#?}");
}

fn unavailable() -> io::Result<u32> {
    tracing::info!("body");
    Err(io::ErrorKind::TimedOut.into())
}

mod spans {
    use tracing::instrument;

    use super::*;

    #[async_trait::async_trait]
    pub(super) trait Calls {
        async fn above(&self) -> io::Result<u32>;
        async fn below(&self) -> io::Result<u32>;
    }

    pub(super) struct Client;

    #[async_trait::async_trait]
    impl Calls for Client {
        #[instrument(err, skip_all, name = "call")]
        #[retry(max_attempts = 3, backoff = none)]
        #[circuit_breaker(name = "instrumented", failure_threshold = 1_000)]
        async fn above(&self) -> io::Result<u32> {
            unavailable()
        }

        #[retry(max_attempts = 3, backoff = none)]
        #[circuit_breaker(name = "instrumented")]
        #[instrument(err, skip_all, name = "call")]
        async fn below(&self) -> io::Result<u32> {
            unavailable()
        }
    }

    #[instrument(err, name = "call")]
    #[retry(max_attempts = 3, backoff = none)]
    #[circuit_breaker(name = "instrumented")]
    pub(super) async fn above() -> io::Result<u32> {
        unavailable()
    }

    #[retry(max_attempts = 3, backoff = none)]
    #[circuit_breaker(name = "instrumented")]
    #[instrument(err, name = "call")]
    pub(super) async fn below() -> io::Result<u32> {
        unavailable()
    }

    #[instrument(err, name = "call")]
    #[retry(max_attempts = 3, backoff = none)]
    pub(super) fn sync_above() -> io::Result<u32> {
        unavailable()
    }

    #[retry(max_attempts = 3, backoff = none)]
    #[instrument(err, name = "call")]
    pub(super) fn sync_below() -> io::Result<u32> {
        unavailable()
    }
}

/// Each case: the call, and the number of errors that `#[instrument(err)]` logs. It logs one for each attempt if it is above, and one for the
/// call if it is below; in both cases its span covers the body.
#[test]
fn instrument_covers_each_attempt_from_above_and_the_whole_call_from_below() {
    use self::spans::{Calls as _, Client, above, below, sync_above, sync_below};

    type Run = fn() -> io::Result<u32>;
    for (name, run, errors) in [
        ("above", (|| paused_runtime().block_on(above())) as Run, 3),
        ("below", || paused_runtime().block_on(below()), 1),
        ("above, not async", sync_above, 3),
        ("below, not async", sync_below, 1),
        ("above, in a trait", || paused_runtime().block_on(Client.above()), 3),
        ("below, in a trait", || paused_runtime().block_on(Client.below()), 1),
    ] {
        let log = logged(tracing::Level::INFO, || drop(run()));
        let bodies: Vec<_> = log.lines().filter(|line| line.ends_with("body")).collect();
        assert_eq!(bodies.len(), 3, "{name}: {log}");
        assert!(bodies.iter().all(|body| body.contains("call")), "{name}: {log}");
        assert_eq!(log.lines().filter(|line| line.contains("ERROR")).count(), errors, "{name}: {log}");
    }
}

#[test]
fn names_and_reasons_are_logged_on_one_line() {
    const HOSTILE: &str = "a\r\nERROR forged\u{1b}[2J\u{2028}\u{202e}b";
    let text = logged(tracing::Level::DEBUG, || {
        let breaker = CircuitBreaker::new(HOSTILE, CONFIG);
        breaker.apply_override(&Override::force_open().reason(HOSTILE));
        breaker.try_acquire().unwrap_err();
        breaker.reconfigure(CONFIG.failure_threshold(7));
        let fail = || Err::<(), _>(io::Error::new(io::ErrorKind::TimedOut, HOSTILE));
        RetryPolicy::new().name(HOSTILE).max_attempts(2).backoff(Schedule::none()).run(fail).unwrap_err();
    });
    let shown = steadfast::escaped(HOSTILE);
    for line in text.lines() {
        assert!(line.contains(&*shown), "{line:?}");
        assert!(!line.contains(|c: char| c.is_control() || "\u{2028}\u{202e}".contains(c)), "{line:?}");
    }
    assert!(text.contains(" INFO steadfast: settings applied (live): breaker."), "{text}");
    assert_eq!(text.lines().count(), 5, "{text}");
}

/// The log events of one variant of [`Event`]: their levels and the names of their fields.
#[derive(Debug, Default, PartialEq, Eq)]
struct Logged {
    levels: BTreeSet<String>,
    fields: BTreeSet<String>,
}

/// A layer that collects log events by their messages.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<BTreeMap<String, Logged>>>);

impl<S: tracing::Subscriber> Layer<S> for Collector {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let (metadata, mut message) = (event.metadata(), String::new());
        assert_eq!(metadata.target(), "steadfast");
        event.record(&mut |field: &Field, value: &dyn fmt::Debug| {
            if field.name() == "message" {
                message = format!("{value:?}");
            }
        });
        let mut all = self.0.lock().unwrap();
        let logged = all.entry(message).or_default();
        logged.levels.insert(metadata.level().to_string());
        let fields = metadata.fields().iter().map(|field| field.name().to_owned());
        logged.fields.extend(fields.filter(|name| name != "message"));
    }
}

/// Returns the rows of the table of events in `docs/events.md`.
fn documented() -> BTreeMap<String, Logged> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/events.md")).unwrap();
    let table = page.lines().skip_while(|line| !line.starts_with("| event |")).skip(2);
    let rows = table.take_while(|line| line.starts_with('|')).map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let ["", event, _, level, fields, ""] = cells[..] else { panic!("{line}") };
        let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        (event.trim_matches('`').to_owned(), Logged { levels: names(level), fields: names(fields) })
    });
    rows.collect()
}

#[retry(name = "inner", max_attempts = 2, backoff = none)]
fn inner() -> io::Result<()> {
    timed_out()
}

#[retry(name = "sleeps in a task", max_attempts = 2, backoff = fixed(1ns), jitter = none)]
fn sleeps_in_task() -> io::Result<()> {
    timed_out()
}

#[retry(name = "above a bulkhead", retry_if = |_| false)]
#[bulkhead(name = "below a retry", max_concurrent = 1)]
fn above_bulkhead() -> io::Result<()> {
    Ok(())
}

#[allow(dead_code, reason = "listed without being called")]
#[circuit_breaker(name = "without a timeout")]
async fn without_timeout() -> io::Result<()> {
    Ok(())
}

fn timed_out() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

/// Emits each event except `ConfigConflict`, which is a panic in debug builds.
async fn emit_all() {
    static EMPTY: RetryBudget = RetryBudget::new().ratio(0.0).reserve_per_second(0);
    const POLICY: RetryPolicy = RetryPolicy::new().max_attempts(2).backoff(Schedule::none()).name("documented");
    const HOUR: Duration = Duration::from_hours(1);

    let breaker = CircuitBreaker::new("documented", CONFIG);
    breaker.force_open();
    breaker.try_acquire().unwrap_err();
    breaker.reset();
    breaker.reconfigure(CONFIG.failure_threshold(7));
    let hosts = KeyedBreakers::new("documented", CONFIG).max_keys(1);
    hosts.breaker("a").force_open();
    hosts.breaker("b").force_open();
    hosts.breaker("c").try_acquire().unwrap_err();
    let pools = KeyedBulkheads::new("documented pools", BulkheadConfig::new().max_concurrent(1)).max_keys(1);
    let _held = pools.bulkhead("one").try_acquire_owned();
    // The second key shares the overflow bulkhead, which is full for the third.
    let _overflowing = pools.bulkhead("two").try_acquire_owned();
    _ = pools.bulkhead("three").try_acquire_owned();
    _ = pools.bulkhead("one").try_acquire_owned();
    let limits = KeyedRateLimits::new("documented", RateLimitConfig::new(1, HOUR)).max_keys(1);
    for key in ["a", "b", "b"] {
        _ = limits.limit(key).try_acquire();
    }

    validate().expect("a blind spot is no conflict");

    POLICY.run(timed_out).unwrap_err();
    let mut calls = 0..2;
    POLICY.run(|| if calls.next() == Some(0) { timed_out() } else { Ok(()) }).unwrap();
    POLICY.budget(&EMPTY).run(timed_out).unwrap_err();
    let signal = StopSignal::new();
    signal.stop();
    POLICY.stop_on(&signal).run(timed_out).unwrap_err();
    POLICY.run(inner).unwrap_err();
    tokio::spawn(async { sleeps_in_task().unwrap_err() }).await.unwrap();

    Fallback::new("documented").run(timed_out, |_| Ok::<_, io::Error>(())).unwrap();
    let hangs = async || std::future::pending::<io::Result<()>>().await;
    Timeout::new(Duration::from_nanos(1)).name("documented").run_async(hangs).await.unwrap_err();
    let _permit = bulkhead("below a retry").unwrap().try_acquire().unwrap();
    above_bulkhead().unwrap_err();
    let full = Bulkhead::new("documented", BulkheadConfig::new().max_concurrent(1));
    let _permit = full.try_acquire().unwrap();
    full.try_acquire().unwrap_err();

    // A subscriber that causes events without end is too slow for them.
    let flooded = CircuitBreaker::new("flooded", CONFIG);
    flooded.force_open();
    let has_flooded = Arc::new(Mutex::new(false));
    let _subscription = events::subscribe(move |_| {
        if !std::mem::replace(&mut *has_flooded.lock().unwrap(), true) {
            (0..2_000).for_each(|_| _ = flooded.try_acquire());
        }
    });
    breaker.force_open();
    breaker.reset();
}

#[test]
fn the_table_of_events_matches_what_is_logged() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let collector = Collector::default();
    let variants = Arc::new(Mutex::new(BTreeMap::new()));
    let _subscription = events::subscribe({
        let variants = variants.clone();
        move |event: &Event| {
            let variant = format!("{event:?}").split([' ', '(']).next().unwrap().to_owned();
            variants.lock().unwrap().insert(event.to_string(), variant);
        }
    });
    let subscriber = tracing_subscriber::registry().with(collector.clone());
    tracing::subscriber::with_default(subscriber, || paused_runtime().block_on(emit_all()));

    let (mut emitted, variants) = (BTreeMap::<String, Logged>::new(), variants.lock().unwrap());
    for (message, logged) in std::mem::take(&mut *collector.0.lock().unwrap()) {
        // The messages of lost events have no variant.
        if let Some(variant) = variants.get(&message) {
            let sum = emitted.entry(variant.clone()).or_default();
            sum.levels.extend(logged.levels);
            sum.fields.extend(logged.fields);
        }
    }
    let mut documented = documented();
    assert!(documented.remove("ConfigConflict").is_some());
    for (event, logged) in &documented {
        assert_eq!(emitted.get(event), Some(logged), "{event}");
    }
    assert_eq!(emitted.len(), documented.len(), "{emitted:#?}");

    let source = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../runtime/src/events/event.rs")).unwrap();
    let declared = source.split("\n}\n").next().unwrap().lines();
    let is_variant = |line: &&str| {
        let name = line.strip_prefix("    ").and_then(|line| line.strip_suffix(" {"));
        name.is_some_and(|name| name.starts_with(|c: char| c.is_ascii_uppercase()))
    };
    assert_eq!(declared.filter(is_variant).count(), documented.len() + 1, "a variant is missing in the table");
}
