//! What `tracing` is told, in a process of its own: what a place in the code tells whom is decided for all threads at once, and
//! another test's threads would come in between.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use steadfast::{BreakerConfig, CircuitBreaker, RetryPolicy, Schedule};

const CONFIG: BreakerConfig = BreakerConfig::new().failure_threshold(2).half_open_max_calls(1);

fn fail(breaker: &CircuitBreaker) {
    _ = breaker.call(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut)));
}

/// Where a log goes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is logged at that level and above while `act` runs.
fn logged(level: tracing::Level, act: impl FnOnce()) -> String {
    let log = Log::default();
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
fn tracing_is_quiet_about_calls_unless_asked() {
    static POLICY: RetryPolicy = RetryPolicy::new().name("traced").max_attempts(2).backoff(Schedule::none());
    let act = || {
        let breaker = CircuitBreaker::new("traced", CONFIG);
        let span = tracing::info_span!("request", id = 7);
        let _entered = span.enter();
        _ = POLICY.run(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut)));
        (0..3).for_each(|_| fail(&breaker));
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
        "DEBUG request{id=7}: steadfast: retry `traced`: given up after attempt 2",
        "DEBUG request{id=7}: steadfast: circuit `traced` is open after 2 failures in a row; retry after",
        "circuit_breaker.retry_after=",
    ] {
        assert!(all.contains(expected), "{expected} in {all}");
    }
}
