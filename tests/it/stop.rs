//! Signals that end retries.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use steadfast::{
    Jitter, RetryPolicy, Schedule, StopSignal, retry,
    testing::{FakeClock, Script},
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
async fn a_token_ends_the_sleep_of_a_task_at_once() {
    let (service, start) = (Service::new(), Instant::now());
    let task = tokio::spawn({
        let service = service.clone();
        async move { service.call().await }
    });
    tokio::time::sleep(25 * SECOND).await;
    service.shutdown.cancel();
    assert_eq!(task.await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut, "the last error comes back");
    assert_eq!((service.calls(), start.elapsed()), (3, 25 * SECOND));
    service.call().await.unwrap_err();
    assert_eq!((service.calls(), start.elapsed()), (4, 25 * SECOND), "there always is a first attempt");
}

#[test]
fn a_token_ends_the_sleep_of_a_thread_at_once() {
    let service = Service::new();
    thread::scope(|scope| {
        let call = scope.spawn(|| service.call_blocking());
        crate::until(|| service.calls() > 0);
        service.shutdown.cancel();
        call.join().unwrap().unwrap_err();
    });
    assert_eq!(service.calls(), 1, "it has not slept for an hour");
}

#[test]
fn a_signal_wakes_all_threads_that_wait_for_it() {
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
        crate::until(|| calls.load(Ordering::Relaxed) == 8);
        signal.stop();
        signal.stop();
    });
    assert!(signal.is_stopped());
    assert_eq!(calls.load(Ordering::Relaxed), 8);
}

#[tokio::test(start_paused = true)]
async fn a_signal_wakes_all_tasks_that_wait_for_it_and_no_other() {
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
    // Those that are gone are not woken.
    let (gone, waiting): (Vec<_>, Vec<_>) = waiting.into_iter().enumerate().partition(|(index, _)| index % 2 == 0);
    for (_, task) in gone {
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
fn a_signal_that_is_not_given_changes_nothing() {
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
fn it_is_told_how_often_it_was_tried() {
    static SIGNAL: StopSignal = StopSignal::new();

    #[retry(name = "stopped in the attempt", backoff = fixed(1h), stop_on = SIGNAL)]
    fn stops(calls: &Script<io::Result<()>>) -> io::Result<()> {
        if calls.calls() == 1 {
            SIGNAL.stop();
        }
        calls.call()
    }

    let heard = crate::heard("stopped in the attempt");
    let clock = FakeClock::new();
    let _entered = clock.enter();
    stops(&Script::always(|| Err(timed_out()))).unwrap_err();
    assert_eq!(heard.texts().last().unwrap(), "retry `stopped in the attempt`: stopped after attempt 2");
    let retries = steadfast::retries();
    let counted = retries.iter().find(|retry| retry.name == "stopped in the attempt").unwrap();
    assert_eq!((counted.calls(), counted.stopped, counted.retries), (1, 1, 1));
}
