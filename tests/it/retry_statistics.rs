//! Statistics of named retries: outcomes, attempts, retries, delays.

use std::{
    cell::Cell,
    future::{Future, pending, poll_fn},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
    thread,
    time::Duration,
};

use steadfast::{
    BulkheadFull, RateLimited, RetryBudget, RetryPolicy, RetrySnapshot, Schedule, StopSignal, bulkhead,
    circuit_breaker, rate_limit, retries, retry,
    testing::{FakeClock, Script},
};
use tokio::time::timeout;

static EMPTY_BUDGET: RetryBudget = RetryBudget::new().ratio(0.0).reserve_per_second(0);

type Calls = Script<io::Result<()>>;

fn failing_then_ok(failures: u32, kind: io::ErrorKind) -> Calls {
    Script::times(failures, move || Err(kind.into())).then(|| Ok(()))
}

fn counted(name: &str) -> RetrySnapshot {
    retries().into_iter().find(|retry| retry.name == name).expect("the retry is listed")
}

#[retry(name = "statistics", max_attempts = 3, backoff = exponential(base = 1s), jitter = none)]
fn counted_call(calls: &Calls) -> io::Result<()> {
    calls.call()
}

#[retry(name = "statistics", max_attempts = 3, backoff = none, budget = EMPTY_BUDGET)]
async fn counted_call_async(calls: &Calls) -> io::Result<()> {
    calls.call()
}

#[tokio::test(start_paused = true)]
async fn every_outcome_is_counted() {
    use io::ErrorKind::{NotFound, TimedOut};

    assert_eq!(counted("statistics").calls(), 0, "listed before the first call");
    let clock = FakeClock::beside_tokio();
    let _entered = clock.enter();
    counted_call(&failing_then_ok(0, TimedOut)).unwrap();
    counted_call(&failing_then_ok(0, TimedOut)).unwrap();
    counted_call(&failing_then_ok(1, TimedOut)).unwrap();
    counted_call(&failing_then_ok(2, TimedOut)).unwrap();
    counted_call(&failing_then_ok(3, TimedOut)).unwrap_err();
    counted_call(&failing_then_ok(1, NotFound)).unwrap_err();
    let mixed = Script::times(1, || Err(TimedOut.into())).then(|| Err(NotFound.into()));
    counted_call(&mixed).unwrap_err();
    counted_call_async(&failing_then_ok(1, TimedOut)).await.unwrap_err();
    let counted = counted("statistics");
    assert_eq!(
        counted.to_string(),
        "statistics: 8 calls, 2 succeeded at once, 2 after a retry, 4 failed (2 not transient, 0 rejected, 1 exhausted, \
         1 denied, 0 stopped); 6 retries"
    );
    // Four delays of one second, two of two.
    assert_eq!(counted.delayed, Duration::from_secs(8));
    let delays_up_to = |seconds| {
        let bucket = counted.delays().find(|(bound, _)| *bound == Some(Duration::from_secs(seconds)));
        bucket.map(|(_, count)| count)
    };
    assert_eq!((delays_up_to(1), delays_up_to(5)), (Some(4), Some(2)));
    assert_eq!(counted.delays().map(|(_, count)| count).sum::<u64>(), 6);
    assert_eq!(counted.attempts, 8 + 6);
    let json = serde_json::to_string(&counted).unwrap();
    assert!(json.contains(r#""retried_successes":2"#) && json.contains(r#""delayed":8.0"#), "{json}");
}

#[retry(name = "statistics of threads")]
fn counted_by_threads(calls: &Calls) -> io::Result<()> {
    calls.call()
}

#[test]
fn concurrent_calls_are_counted_exactly() {
    let calls = failing_then_ok(0, io::ErrorKind::TimedOut);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..1_000).for_each(|_| counted_by_threads(&calls).unwrap()));
        }
    });
    assert_eq!(counted("statistics of threads").first_try_successes, 8_000);
    let names: Vec<_> = retries().iter().map(|retry| retry.name).collect();
    assert!(names.is_sorted(), "{names:?}");
}

/// Returns the numbers of cancelled calls, of calls that panicked, of attempts, and of retries.
fn unfinished(name: &str) -> (u64, u64, u64, u64) {
    let retry = counted(name);
    assert_eq!(retry.calls(), retry.cancelled + retry.panicked + retry.failures() + retry.first_try_successes);
    (retry.cancelled, retry.panicked, retry.attempts, retry.retries)
}

fn timed_out() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

/// Polls a future once, checks that it is pending, and drops it.
async fn poll_once<F: Future>(future: F) {
    let mut future = pin!(future);
    let poll = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
    assert!(poll.is_pending());
}

static LARGE: RetryBudget = RetryBudget::new().ratio(0.0).reserve_per_second(100);

#[retry(name = "hangs", backoff = fixed(1s), jitter = none, budget = LARGE)]
async fn hangs(failures: &Cell<u32>) -> io::Result<()> {
    if failures.get() > 0 {
        failures.set(failures.get() - 1);
        return timed_out();
    }
    pending().await
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_is_counted() {
    const LIMIT: Duration = Duration::from_millis(2_500);
    assert_eq!(unfinished("hangs"), (0, 0, 0, 0));
    {
        // An attempt is counted when it starts.
        let failures = Cell::new(0);
        let mut call = pin!(hangs(&failures));
        poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_pending())).await;
        assert_eq!(unfinished("hangs"), (0, 0, 1, 0));
    }
    assert_eq!(unfinished("hangs"), (1, 0, 1, 0), "cancelled in its first attempt");
    poll_once(hangs(&Cell::new(1))).await;
    assert_eq!(unfinished("hangs"), (2, 0, 2, 0), "cancelled in a sleep, before any retry");
    assert_eq!((LARGE.withdrawn(), LARGE.balance()), (0, 1_000), "nothing is withdrawn from the budget");
    timeout(LIMIT, hangs(&Cell::new(1))).await.unwrap_err();
    assert_eq!(unfinished("hangs"), (3, 0, 4, 1), "cancelled in a retry");
    timeout(LIMIT, hangs(&Cell::new(3))).await.unwrap().unwrap_err();
    assert_eq!(unfinished("hangs"), (3, 0, 7, 3));
    let counted = counted("hangs");
    assert_eq!((counted.calls(), counted.exhausted, counted.delayed), (4, 1, Duration::from_secs(3)));
    assert_eq!(LARGE.withdrawn(), 3);
    drop(hangs(&Cell::new(0)));
    assert_eq!(unfinished("hangs"), (3, 0, 7, 3), "a future that was never polled is no call");
    assert!(counted.to_string().ends_with("0 stopped), 3 cancelled; 3 retries"), "{counted}");
}

#[retry(name = "panics", max_attempts = 3, backoff = none)]
fn panics(calls: &Calls) -> io::Result<()> {
    calls.call()
}

#[retry(name = "panics, async", max_attempts = 3, backoff = none)]
async fn panics_async(calls: &Calls) -> io::Result<()> {
    tokio::task::yield_now().await;
    calls.call()
}

#[retry(name = "panics in condition", retry_if = |_: &io::Error| panic!("condition"), backoff = none)]
async fn panics_in_condition() -> io::Result<()> {
    timed_out()
}

fn panic_after(failures: u32) -> Calls {
    Script::times(failures, timed_out).then(|| panic!("call"))
}

#[test]
fn a_call_that_panics_is_counted() {
    let caught = |run: &dyn Fn()| catch_unwind(AssertUnwindSafe(run)).unwrap_err();
    caught(&|| panics(&panic_after(0)).unwrap());
    assert_eq!(unfinished("panics"), (0, 1, 1, 0));
    caught(&|| panics(&panic_after(2)).unwrap());
    assert_eq!(unfinished("panics"), (0, 2, 4, 2));
    assert!(counted("panics").to_string().ends_with("0 stopped), 2 panicked; 2 retries"));

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    caught(&|| runtime.block_on(panics_async(&panic_after(1))).unwrap());
    assert_eq!(unfinished("panics, async"), (0, 1, 2, 1));
    caught(&|| runtime.block_on(panics_in_condition()).unwrap());
    assert_eq!(unfinished("panics in condition"), (0, 1, 1, 0));
}

#[retry(name = "next to a panic", backoff = fixed(1s), jitter = none)]
async fn next_to_panic(fails: bool) -> io::Result<()> {
    if fails { timed_out() } else { pending().await }
}

#[tokio::test(start_paused = true)]
async fn a_call_next_to_a_panic_is_cancelled() {
    let run = async {
        let mut calls = [Box::pin(next_to_panic(false)), Box::pin(next_to_panic(true))];
        poll_fn(|context| {
            for call in &mut calls {
                assert!(call.as_mut().poll(context).is_pending());
            }
            Poll::Ready(())
        })
        .await;
        let _calls = calls; // dropped while the task unwinds
        panic!("next to them");
    };
    assert!(tokio::spawn(run).await.unwrap_err().is_panic());
    assert_eq!(unfinished("next to a panic"), (2, 0, 2, 0));
}

static SIGNAL: StopSignal = StopSignal::new();

#[retry(name = "stopped in a sleep", backoff = fixed(1s), jitter = none, budget = SPARE, stop_on = SIGNAL)]
async fn stopped() -> io::Result<()> {
    timed_out()
}

static SPARE: RetryBudget = RetryBudget::new().ratio(0.0).reserve_per_second(1);

#[tokio::test(start_paused = true)]
async fn a_retry_stopped_in_its_sleep_is_not_counted() {
    let stop = async { SIGNAL.stop() };
    let (result, ()) = tokio::join!(stopped(), stop);
    result.unwrap_err();
    let counted = counted("stopped in a sleep");
    assert_eq!((counted.calls(), counted.stopped, counted.attempts, counted.retries), (1, 1, 1, 0));
    assert_eq!((counted.delayed, SPARE.withdrawn(), SPARE.balance()), (Duration::ZERO, 0, 10));
}

#[retry(name = "denied or too late", backoff = fixed(1s), jitter = none, budget = EMPTY_BUDGET)]
fn denied() -> io::Result<()> {
    timed_out()
}

#[retry(name = "denied or too late", backoff = fixed(1s), jitter = none, max_elapsed = 500ms)]
fn too_late() -> io::Result<()> {
    timed_out()
}

#[test]
fn a_retry_that_is_denied_or_too_late_is_not_counted() {
    denied().unwrap_err();
    too_late().unwrap_err();
    let counted = counted("denied or too late");
    assert_eq!((counted.denied, counted.exhausted, counted.attempts, counted.retries), (1, 1, 2, 0));
}

#[retry(name = "in a queue", backoff = none)]
#[bulkhead(name = "queue of a retry", max_concurrent = 1, max_wait = 1h)]
async fn queues() -> Result<(), BulkheadFull> {
    pending().await
}

#[tokio::test(start_paused = true)]
async fn a_call_cancelled_in_a_queue_is_counted() {
    let mut first = Box::pin(queues());
    poll_fn(|context| Poll::Ready(first.as_mut().poll(context).is_pending())).await;
    poll_once(queues()).await;
    assert_eq!(unfinished("in a queue"), (1, 0, 2, 0), "an attempt starts with its wait for a permit");
    drop(first);
    assert_eq!(unfinished("in a queue"), (2, 0, 2, 0));
}

#[test]
fn an_unnamed_policy_returns_the_retry_of_a_cancelled_sleep_to_the_budget() {
    static BUDGET: RetryBudget = RetryBudget::new().ratio(0.0).reserve_per_second(1);
    static POLICY: RetryPolicy = RetryPolicy::new().backoff(Schedule::fixed(Duration::from_secs(1))).budget(&BUDGET);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        poll_once(POLICY.run_async(async || timed_out())).await;
        assert_eq!((BUDGET.withdrawn(), BUDGET.balance()), (0, 10));
        let signal = StopSignal::new();
        let policy = POLICY.stop_on(&signal);
        let (result, ()) = tokio::join!(policy.run_async(async || timed_out()), async { signal.stop() });
        result.unwrap_err();
        assert_eq!((BUDGET.withdrawn(), BUDGET.balance()), (0, 10));
    });
}

#[retry(name = "attempts, limited", retry_if = |_| false)]
#[rate_limit(name = "limits attempts", limit = 2, per = 1h)]
fn limited() -> Result<(), RateLimited> {
    Ok(())
}

#[retry(name = "attempts, limited", retry_if = |_| false)]
#[rate_limit(name = "limits attempts, async", limit = 2, per = 1h)]
async fn limited_async() -> Result<(), RateLimited> {
    Ok(())
}

#[retry(name = "attempts, rejected", max_attempts = 4, backoff = none)]
#[circuit_breaker(name = "rejects attempts", failure_threshold = 2)]
fn behind_breaker() -> io::Result<()> {
    timed_out()
}

#[retry(name = "attempts, rejected", max_attempts = 4, backoff = none)]
#[circuit_breaker(name = "rejects attempts, async", failure_threshold = 2)]
async fn behind_breaker_async() -> io::Result<()> {
    timed_out()
}

#[tokio::test(start_paused = true)]
async fn a_rejected_attempt_is_not_counted() {
    for succeeds in [true, true, false] {
        assert_eq!(limited().is_ok(), succeeds);
        assert_eq!(limited_async().await.is_ok(), succeeds);
    }
    let limited = counted("attempts, limited");
    assert_eq!((limited.calls(), limited.first_try_successes, limited.attempts), (6, 4, 4), "{limited}");
    for _ in 0..2 {
        behind_breaker().unwrap_err();
        behind_breaker_async().await.unwrap_err();
    }
    let behind_breaker = counted("attempts, rejected");
    assert_eq!(
        (behind_breaker.calls(), behind_breaker.rejected, behind_breaker.attempts, behind_breaker.retries),
        (4, 4, 4, 2),
        "{behind_breaker}"
    );
}
