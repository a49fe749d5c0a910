//! Output to `tracing`. Runs in a process of its own, since `tracing` caches the enabled call sites for the whole process, so that other
//! tests would interfere.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    cell::Cell,
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use steadfast::{BreakerConfig, CircuitBreaker, Override, RetryPolicy, Schedule, retry};
use tracing::Instrument;

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

/// Returns the log output of `act` at `level` and above. Only one call runs at a time, since all threads share the cache of enabled call
/// sites.
fn logged(level: tracing::Level, act: impl FnOnce()) -> String {
    static ONE: Mutex<()> = Mutex::new(());
    let _alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
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
fn calls_are_logged_at_debug_level_only() {
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
        " WARN request{id=7}: steadfast: circuit `traced`: closed -> open after 2 failures in a row \
         circuit_breaker.name=\"traced\" circuit_breaker.state=open circuit_breaker.previous_state=closed\n \
         INFO request{id=7}: steadfast: circuit `traced`: open -> closed \
         circuit_breaker.name=\"traced\" circuit_breaker.state=closed circuit_breaker.previous_state=open\n"
    );
    let all = logged(tracing::Level::DEBUG, act);
    for expected in [
        "DEBUG request{id=7}: steadfast: retry `traced`: attempt 1 failed",
        "retry.name=\"traced\" retry.attempt=1 retry.delay=0.0",
        "DEBUG request{id=7}: steadfast: retry `traced`: exhausted after attempt 2",
        "DEBUG request{id=7}: steadfast: retry `traced`: ended because attempt 1 was rejected retry.name=\"traced\" retry.attempt=1",
        "DEBUG request{id=7}: steadfast: circuit `traced` is open after 2 failures in a row; retry after",
        "circuit_breaker.retry_after=",
    ] {
        assert!(all.contains(expected), "{expected} in {all}");
    }
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

#[test]
fn names_and_reasons_are_logged_on_one_line() {
    const HOSTILE: &str = "a\r\nERROR forged\u{1b}[2J\u{2028}\u{202e}b";
    let text = logged(tracing::Level::DEBUG, || {
        let breaker = CircuitBreaker::new(HOSTILE, CONFIG);
        breaker.apply_override(&Override::force_open().reason(HOSTILE));
        breaker.try_acquire().unwrap_err();
        breaker.reconfigure(CONFIG.failure_threshold(7));
        let fail = || Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut));
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
