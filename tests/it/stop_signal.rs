//! Stop signals: they end the sleeps and waits of retries.

use std::{
    io,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use steadfast::{
    Bulkhead, BulkheadConfig, BulkheadFull, Jitter, RateLimit, RateLimitConfig, RateLimited, RetryPolicy, Schedule,
    StopSignal, TimedOut, Transient, bulkhead, retry,
    testing::{FakeClock, Script},
    timeout,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const SECOND: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_hours(1);
static PATIENT: RetryPolicy = RetryPolicy::new().max_attempts(10).backoff(Schedule::fixed(LONG)).jitter(Jitter::none());

fn timed_out() -> io::Error {
    io::ErrorKind::TimedOut.into()
}

struct Service {
    shutdown: CancellationToken,
    calls: AtomicU32,
}

impl Service {
    fn new() -> Arc<Self> {
        Arc::new(Self { shutdown: CancellationToken::new(), calls: AtomicU32::new(0) })
    }

    #[retry(max_attempts = 10, backoff = fixed(10s), jitter = none, stop_on = self.shutdown)]
    async fn call(&self) -> io::Result<()> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Err(timed_out())
    }

    #[retry(max_attempts = 10, backoff = fixed(1h), jitter = none, stop_on = self.shutdown)]
    fn call_blocking(&self) -> io::Result<()> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Err(timed_out())
    }

    fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_token_ends_the_sleep_of_a_task_at_once() {
    let (service, start) = (Service::new(), Instant::now());
    let task = tokio::spawn({
        let service = service.clone();
        async move { service.call().await }
    });
    tokio::time::sleep(25 * SECOND).await;
    service.shutdown.cancel();
    assert_eq!(task.await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut, "the last error is returned");
    assert_eq!((service.calls(), start.elapsed()), (3, 25 * SECOND));
    service.call().await.unwrap_err();
    assert_eq!((service.calls(), start.elapsed()), (4, 25 * SECOND), "the first attempt is always made");
}

#[test]
fn a_cancellation_token_ends_the_sleep_of_a_thread_at_once() {
    let service = Service::new();
    thread::scope(|scope| {
        let call = scope.spawn(|| service.call_blocking());
        crate::support::wait_until(|| service.calls() > 0);
        service.shutdown.cancel();
        call.join().unwrap().unwrap_err();
    });
    assert_eq!(service.calls(), 1, "the stop ended the sleep of an hour");
}

#[test]
fn a_stop_wakes_all_waiting_threads() {
    let (signal, calls) = (StopSignal::new(), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let call = || {
                    calls.fetch_add(1, Ordering::Relaxed);
                    Err::<(), _>(timed_out())
                };
                PATIENT.stop_on(&signal).run(call).unwrap_err();
            });
        }
        crate::support::wait_until(|| calls.load(Ordering::Relaxed) == 8);
        signal.stop();
        signal.stop();
    });
    assert!(signal.is_stopped());
    assert_eq!(calls.load(Ordering::Relaxed), 8);
}

#[tokio::test(start_paused = true)]
async fn a_stop_wakes_all_waiting_tasks_after_others_were_aborted() {
    let (signal, start) = (Arc::new(StopSignal::new()), Instant::now());
    let waiting: Vec<_> = (0..100)
        .map(|_| {
            let signal = signal.clone();
            tokio::spawn(async move {
                let retries = PATIENT.retry_if(|error: &io::Error| error.kind() == io::ErrorKind::TimedOut);
                retries.stop_on(&*signal).run_async(async || Err::<(), _>(timed_out())).await
            })
        })
        .collect();
    tokio::time::sleep(SECOND).await;
    let (aborted, waiting): (Vec<_>, Vec<_>) = waiting.into_iter().enumerate().partition(|(index, _)| index % 2 == 0);
    for (_, task) in aborted {
        task.abort();
    }
    tokio::time::sleep(SECOND).await;
    signal.stop();
    for (_, task) in waiting {
        task.await.unwrap().unwrap_err();
    }
    assert_eq!(start.elapsed(), 2 * SECOND);
}

#[test]
fn an_unused_signal_changes_nothing() {
    static NEVER: StopSignal = StopSignal::new();

    #[retry(max_attempts = 4, backoff = fixed(1s), jitter = none, stop_on = NEVER)]
    fn patient(calls: &Script<io::Result<u32>>) -> io::Result<u32> {
        calls.call()
    }

    let clock = FakeClock::new();
    let _entered = clock.enter();
    let calls = Script::times(2, || Err(timed_out())).then(|| Ok(7));
    assert_eq!(patient(&calls).unwrap(), 7);
    assert_eq!(clock.slept(), [SECOND; 2]);
    let calls = Script::always(|| Err(timed_out()));
    patient(&calls).unwrap_err();
    assert_eq!(calls.calls(), 4);
    let permanent = Script::always(|| Err(io::ErrorKind::NotFound.into()));
    patient(&permanent).unwrap_err();
    assert_eq!(permanent.calls(), 1);
}

#[test]
fn a_stop_emits_an_event_and_is_counted() {
    static SIGNAL: StopSignal = StopSignal::new();

    #[retry(name = "stopped in the attempt", backoff = fixed(1h), stop_on = SIGNAL)]
    fn stops_in_second_attempt(calls: &Script<io::Result<()>>) -> io::Result<()> {
        if calls.calls() == 1 {
            SIGNAL.stop();
        }
        calls.call()
    }

    let events = crate::collect_events("stopped in the attempt");
    let clock = FakeClock::new();
    let _entered = clock.enter();
    stops_in_second_attempt(&Script::always(|| Err(timed_out()))).unwrap_err();
    assert_eq!(events.texts().last().unwrap(), "retry `stopped in the attempt`: stopped after attempt 2 (timed out)");
    let retries = steadfast::retries();
    let counted = retries.iter().find(|retry| retry.name == "stopped in the attempt").unwrap();
    assert_eq!((counted.calls(), counted.stopped, counted.retries), (1, 1, 1));
}

// Waits inside an attempt.

#[derive(Clone, Debug, PartialEq, thiserror::Error, Transient)]
enum Failure {
    #[error(transparent)]
    #[transient(inherit)]
    Full(#[from] BulkheadFull),
    #[error(transparent)]
    #[transient(inherit)]
    TimedOut(#[from] TimedOut),
    #[error("failed")]
    #[transient]
    Failed,
}

/// Returns a bulkhead without a free permit, whose calls wait.
fn full(name: &'static str) -> &'static Bulkhead {
    let config = BulkheadConfig::new().max_concurrent(1).max_wait(LONG);
    let bulkhead: &'static Bulkhead = Box::leak(Box::new(Bulkhead::new(name, config)));
    std::mem::forget(bulkhead.try_acquire().unwrap());
    bulkhead
}

#[timeout(2h)]
async fn within_timeout(bulkhead: &Bulkhead) -> Result<(), Failure> {
    bulkhead.call_async(async || Ok(())).await
}

#[retry(max_attempts = 9, backoff = none, stop_on = *stop)]
async fn waits(stop: &CancellationToken, bulkhead: &Bulkhead) -> Result<(), Failure> {
    bulkhead.call_async(async || Ok(())).await
}

#[retry(max_attempts = 9, backoff = none, stop_on = *stop)]
async fn waits_within_timeout(stop: &CancellationToken, bulkhead: &Bulkhead) -> Result<(), Failure> {
    Box::pin(within_timeout(bulkhead)).await
}

#[retry(max_attempts = 9, backoff = none, stop_on = *stop)]
#[timeout(2h)]
#[bulkhead(name = "stopped in a stack", max_concurrent = 1, max_wait = 1h)]
async fn waits_in_a_stack(stop: &CancellationToken) -> Result<(), Failure> {
    unreachable!("the bulkhead is full")
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_waits_of_tasks_inside_an_attempt() {
    let stop = CancellationToken::new();
    let bulkhead = full("stopped in tasks");
    let in_stack = steadfast::bulkhead("stopped in a stack").unwrap();
    let _held = in_stack.try_acquire().unwrap();
    let start = Instant::now();
    let end = async {
        tokio::time::sleep(SECOND).await;
        assert_eq!((bulkhead.waiting(), in_stack.waiting()), (3, 1));
        stop.cancel();
    };
    // A policy whose closure waits.
    let by_policy = async {
        let policy = RetryPolicy::new().backoff(Schedule::none());
        let policy = policy.stop_on(&stop);
        policy.run_async(|| bulkhead.call_async(async || Ok::<(), Failure>(()))).await
    };
    let (a, b, c, d, ()) = tokio::join!(
        waits(&stop, bulkhead),
        waits_within_timeout(&stop, bulkhead),
        waits_in_a_stack(&stop),
        by_policy,
        end
    );
    for result in [a, b, c, d] {
        assert!(matches!(&result, Err(Failure::Full(full)) if full.waited().is_none()), "{result:?}");
    }
    assert_eq!(start.elapsed(), SECOND);
    assert_eq!((bulkhead.snapshot().rejected, in_stack.snapshot().rejected), (3, 1), "each call waited once");
}

#[retry(max_attempts = 9, backoff = fixed(1h), jitter = none)]
async fn sleeps(calls: &Script<Result<(), Failure>>) -> Result<(), Failure> {
    calls.call()
}

#[timeout(20h)]
async fn sleeps_within_timeout(calls: &Script<Result<(), Failure>>) -> Result<(), Failure> {
    tokio::join!(sleeps(calls), tokio::task::yield_now()).0
}

#[retry(max_attempts = 9, backoff = none, stop_on = *stop)]
async fn around(stop: &StopSignal, calls: &Script<Result<(), Failure>>) -> Result<(), Failure> {
    sleeps_within_timeout(calls).await
}

#[retry(max_attempts = 9, backoff = fixed(1h), jitter = none, retry_if = any)]
async fn sleeps_without_send(calls: &Script<io::Result<()>>) -> Result<(), Rc<io::Error>> {
    calls.call().map_err(Rc::new)
}

#[retry(max_attempts = 9, backoff = none, retry_if = any, stop_on = *stop)]
async fn around_without_send(stop: &StopSignal, calls: &Script<io::Result<()>>) -> Result<(), Rc<io::Error>> {
    sleeps_without_send(calls).await
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_sleeps_of_inner_retries() {
    let (stop, start) = (StopSignal::new(), Instant::now());
    let end = async {
        tokio::time::sleep(SECOND).await;
        stop.stop();
    };
    let calls = Script::always(|| Err(Failure::Failed));
    let (result, ()) = tokio::join!(around(&stop, &calls), end);
    assert_eq!((result, calls.calls(), start.elapsed()), (Err(Failure::Failed), 1, SECOND));
    // The first attempt is made even after the stop.
    let calls = Script::always(|| Err(Failure::Failed));
    around(&stop, &calls).await.unwrap_err();
    assert_eq!((calls.calls(), start.elapsed()), (1, SECOND));
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_not_send_costs_one_more_attempt() {
    let (stop, start) = (StopSignal::new(), Instant::now());
    let end = async {
        tokio::time::sleep(SECOND).await;
        stop.stop();
    };
    let calls = Script::always(|| Err(timed_out()));
    let (result, ()) = tokio::join!(around_without_send(&stop, &calls), end);
    result.unwrap_err();
    assert_eq!((calls.calls(), start.elapsed()), (2, SECOND));
}

#[retry(max_attempts = 9, backoff = none, stop_on = *stop)]
fn waits_on_a_thread(stop: &StopSignal, bulkhead: &Bulkhead) -> Result<(), Failure> {
    bulkhead.call(|| Ok(()))
}

#[retry(max_attempts = 9, backoff = none, stop_on = *stop)]
#[bulkhead(name = "stopped in a stack on a thread", max_concurrent = 1, max_wait = 1h)]
fn waits_in_a_stack_on_a_thread(stop: &StopSignal) -> Result<(), Failure> {
    unreachable!("the bulkhead is full")
}

#[retry(max_attempts = 9, backoff = fixed(1h), jitter = none)]
fn sleeps_on_a_thread(calls: &Script<Result<(), Failure>>) -> Result<(), Failure> {
    calls.call()
}

#[retry(max_attempts = 9, backoff = fixed(1h), jitter = none, on_retry = |_, _, _| ())]
fn sleeps_with_a_hook(calls: &Script<Result<(), Failure>>) -> Result<(), Failure> {
    calls.call()
}

type Inner = fn(&Script<Result<(), Failure>>) -> Result<(), Failure>;

#[retry(max_attempts = 9, backoff = none, stop_on = *stop)]
fn around_on_a_thread(stop: &StopSignal, calls: &Script<Result<(), Failure>>, inner: Inner) -> Result<(), Failure> {
    inner(calls)
}

#[test]
fn a_stop_ends_the_waits_of_threads_inside_an_attempt() {
    let stop = StopSignal::new();
    let bulkhead = full("stopped on threads");
    let in_stack = steadfast::bulkhead("stopped in a stack on a thread").unwrap();
    let _held = in_stack.try_acquire().unwrap();
    let (plain, hooked) = (Script::always(|| Err(Failure::Failed)), Script::always(|| Err(Failure::Failed)));
    thread::scope(|scope| {
        let waiting = [
            scope.spawn(|| waits_on_a_thread(&stop, bulkhead)),
            scope.spawn(|| waits_in_a_stack_on_a_thread(&stop)),
            // The signal of the outer retry ends the wait inside an inner retry that has its own signal.
            scope.spawn(|| {
                let policy = RetryPolicy::new().backoff(Schedule::none());
                policy.stop_on(&stop).run(|| waits_on_a_thread(&StopSignal::new(), bulkhead))
            }),
        ];
        let sleeping = [
            scope.spawn(|| around_on_a_thread(&stop, &plain, sleeps_on_a_thread)),
            scope.spawn(|| around_on_a_thread(&stop, &hooked, sleeps_with_a_hook)),
        ];
        crate::support::wait_until(|| {
            bulkhead.waiting() == 2 && in_stack.waiting() == 1 && plain.calls() > 0 && hooked.calls() > 0
        });
        stop.stop();
        for waiting in waiting {
            let result = waiting.join().unwrap();
            assert!(matches!(result, Err(Failure::Full(_))), "{result:?}");
        }
        for sleeping in sleeping {
            assert_eq!(sleeping.join().unwrap(), Err(Failure::Failed));
        }
    });
    assert_eq!((bulkhead.snapshot().rejected, in_stack.snapshot().rejected), (2, 1));
    assert_eq!((plain.calls(), hooked.calls()), (1, 1));
}

/// Returns a rate limit that is reached, whose calls wait.
fn exhausted(name: &'static str) -> &'static RateLimit {
    let config = RateLimitConfig::new(1, LONG).max_wait(10 * LONG);
    let limit: &'static RateLimit = Box::leak(Box::new(RateLimit::new(name, config)));
    limit.try_acquire().unwrap();
    limit
}

#[retry(max_attempts = 9, backoff = none, stop_on = *stop)]
async fn waits_for_a_limit(stop: &StopSignal, limit: &RateLimit) -> Result<(), RateLimited> {
    limit.call_async(async || Ok(())).await
}

#[retry(max_attempts = 9, backoff = none, stop_on = *stop)]
fn waits_for_a_limit_on_a_thread(stop: &StopSignal, limit: &RateLimit) -> Result<(), RateLimited> {
    limit.call(|| Ok(()))
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_waits_of_tasks_for_a_rate_limit() {
    let (stop, limit, start) = (StopSignal::new(), exhausted("stopped in a task"), Instant::now());
    let end = async {
        tokio::time::sleep(SECOND).await;
        assert_eq!(limit.snapshot().waiting, 2);
        stop.stop();
    };
    let (a, b, ()) = tokio::join!(waits_for_a_limit(&stop, limit), waits_for_a_limit(&stop, limit), end);
    a.unwrap_err();
    b.unwrap_err();
    assert_eq!((limit.snapshot().rejected, limit.snapshot().waiting, start.elapsed()), (2, 0, SECOND));
}

#[test]
fn a_stop_ends_the_waits_of_threads_for_a_rate_limit() {
    let (stop, limit) = (StopSignal::new(), exhausted("stopped on a thread"));
    thread::scope(|scope| {
        let waiting = [(); 2].map(|()| scope.spawn(|| waits_for_a_limit_on_a_thread(&stop, limit)));
        crate::support::wait_until(|| limit.snapshot().waiting == 2);
        stop.stop();
        for waiting in waiting {
            waiting.join().unwrap().unwrap_err();
        }
    });
    assert_eq!((limit.snapshot().rejected, limit.snapshot().waiting), (2, 0));
}

#[test]
fn a_retry_does_not_consume_the_callers_unpark() {
    let signal = Arc::new(StopSignal::new());
    thread::current().unpark();
    let policy = RetryPolicy::new().backoff(Schedule::fixed(Duration::from_millis(1))).jitter(Jitter::none());
    policy.stop_on(&signal).run(|| Err::<(), _>(timed_out())).unwrap_err();
    thread::park(); // returns at once, unless the token was consumed
}

#[test]
fn a_wait_for_a_permit_does_not_consume_the_callers_unpark() {
    let bulkhead = full("keeps an unpark");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let _permit = bulkhead.acquire().unwrap();
            thread::park();
        });
        crate::support::wait_until(|| bulkhead.waiting() == 1);
        waiting.thread().unpark();
        bulkhead.reconfigure(bulkhead.config().max_concurrent(2));
        waiting.join().unwrap();
    });
}

#[retry(max_attempts = 10, stop_on = *stop)]
async fn blocks_in_a_task(stop: &StopSignal, bulkhead: &Bulkhead) -> Result<(), Failure> {
    bulkhead.call(|| Ok(()))
}

#[test]
fn a_stop_ends_a_blocking_wait_inside_a_retried_task() {
    let (stop, bulkhead) = (StopSignal::new(), full("stopped in a blocking wait"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    thread::scope(|scope| {
        let waits = scope.spawn(|| runtime.block_on(blocks_in_a_task(&stop, bulkhead)));
        crate::support::wait_until(|| bulkhead.waiting() == 1);
        stop.stop();
        assert!(matches!(waits.join().unwrap(), Err(Failure::Full(_))));
    });
}

#[retry(max_attempts = 10, backoff = fixed(1h), jitter = none, stop_on = token.child_token())]
async fn call_with_a_temporary_signal(token: &CancellationToken) -> io::Result<()> {
    Err(timed_out())
}

#[retry(max_attempts = 10, backoff = fixed(1h), jitter = none, stop_on = Arc::clone(stop))]
fn block_with_a_temporary_signal(stop: &Arc<StopSignal>) -> io::Result<()> {
    Err(timed_out())
}

#[tokio::test]
async fn a_stop_signal_can_be_a_temporary_value() {
    let (token, stop) = (CancellationToken::new(), Arc::new(StopSignal::new()));
    token.cancel();
    stop.stop();
    call_with_a_temporary_signal(&token).await.unwrap_err();
    block_with_a_temporary_signal(&stop).unwrap_err();
}
