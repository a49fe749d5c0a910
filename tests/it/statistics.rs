//! What became of the calls of named retries.

use std::{io, thread, time::Duration};

use steadfast::{
    RetryBudget, RetrySnapshot, retries, retry,
    testing::{FakeClock, Script},
};

static NOTHING: RetryBudget = RetryBudget::new().ratio(0.0).reserve_per_second(0);

type Calls = Script<io::Result<()>>;

fn after(failures: u32, kind: io::ErrorKind) -> Calls {
    Script::times(failures, move || Err(kind.into())).then(|| Ok(()))
}

fn counted(name: &str) -> RetrySnapshot {
    retries().into_iter().find(|retry| retry.name == name).expect("it is listed")
}

#[retry(name = "statistics", max_attempts = 3, backoff = exponential(base = 1s), jitter = none)]
fn counts(calls: &Calls) -> io::Result<()> {
    calls.call()
}

#[retry(name = "statistics", max_attempts = 3, backoff = none, budget = NOTHING)]
async fn counts_too(calls: &Calls) -> io::Result<()> {
    calls.call()
}

#[tokio::test(start_paused = true)]
async fn every_way_to_end_is_counted() {
    use io::ErrorKind::{NotFound, TimedOut};

    assert_eq!(counted("statistics").calls(), 0, "listed before the first call");
    let clock = FakeClock::beside_tokio();
    let _entered = clock.enter();
    counts(&after(0, TimedOut)).unwrap();
    counts(&after(0, TimedOut)).unwrap();
    counts(&after(1, TimedOut)).unwrap();
    counts(&after(2, TimedOut)).unwrap();
    counts(&after(3, TimedOut)).unwrap_err();
    counts(&after(1, NotFound)).unwrap_err();
    let mixed = Script::times(1, || Err(TimedOut.into())).then(|| Err(NotFound.into()));
    counts(&mixed).unwrap_err();
    counts_too(&after(1, TimedOut)).await.unwrap_err();
    let counted = counted("statistics");
    assert_eq!(
        counted.to_string(),
        "statistics: 8 calls, 2 succeeded at once, 2 after a retry, 4 failed (2 not transient, 0 rejected, 1 exhausted, \
         1 denied, 0 stopped); 6 retries"
    );
    // Four of one second, two of two.
    assert_eq!(counted.delayed, Duration::from_secs(8));
    let bound =
        |seconds| RetrySnapshot::DELAYS.iter().position(|bound| *bound == Duration::from_secs(seconds)).unwrap();
    assert_eq!((counted.delays[bound(1)], counted.delays[bound(5)]), (4, 2));
    assert_eq!(counted.delays.iter().sum::<u64>(), 6);
    assert!(serde_json::to_string(&counted).unwrap().contains(r#""retried_successes":2"#));
}

#[retry(name = "statistics of threads")]
fn counts_by_threads(calls: &Calls) -> io::Result<()> {
    calls.call()
}

#[test]
fn threads_count_exactly() {
    let calls = after(0, io::ErrorKind::TimedOut);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..1_000).for_each(|_| counts_by_threads(&calls).unwrap()));
        }
    });
    assert_eq!(counted("statistics of threads").first_try_successes, 8_000);
    let names: Vec<_> = retries().iter().map(|retry| retry.name).collect();
    assert!(names.is_sorted(), "{names:?}");
}
