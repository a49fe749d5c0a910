//! Bulkheads: permits, the queue that threads and tasks share, and the release of permits by every kind of exit.

use std::{
    future::Future,
    io,
    pin::pin,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use steadfast::{
    Bulkhead, BulkheadConfig, BulkheadFull, CircuitOpen, Transient, breaker, bulkhead, bulkheads, circuit_breaker,
    register, retry,
};
use tokio::{
    sync::{Notify, Semaphore},
    task::yield_now,
    time::{Instant, sleep},
};

#[derive(Debug, thiserror::Error, Transient)]
enum Failure {
    #[error(transparent)]
    #[transient(inherit)]
    Full(#[from] BulkheadFull),
    #[error(transparent)]
    Open(#[from] CircuitOpen),
}

const SECOND: Duration = Duration::from_secs(1);

#[bulkhead(name = "two at once", max_concurrent = 2)]
async fn two_at_once(until: &Notify) -> Result<(), Failure> {
    until.notified().await;
    Ok(())
}

#[bulkhead(name = "two at once")]
fn sync_call() -> Result<u8, Failure> {
    Ok(1)
}

#[bulkhead(name = "two at once")]
fn optional() -> Option<u8> {
    Some(1)
}

#[tokio::test]
async fn async_and_sync_calls_share_the_permits() {
    let shared = bulkhead("two at once").unwrap();
    let until = Arc::new(Notify::new());
    sync_call().unwrap();
    let calls: Vec<_> = (0..2)
        .map(|_| {
            let until = until.clone();
            tokio::spawn(async move { two_at_once(&until).await.unwrap() })
        })
        .collect();
    yield_now().await;
    assert_eq!((shared.in_flight(), shared.waiting()), (2, 0));
    let Err(Failure::Full(full)) = sync_call() else { panic!("a call was admitted to a full bulkhead") };
    assert_eq!(full.to_string(), "bulkhead `two at once` is full (max_concurrent = 2)");
    assert_eq!(
        (full.name(), full.max_concurrent(), full.waited(), full.is_transient()),
        ("two at once", 2, None, true)
    );
    assert_eq!(optional(), None);
    until.notify_waiters();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(optional(), Some(1));
    let expected = "two at once: 0 of 2 in flight, 0 waiting; 4 admitted, 2 rejected";
    assert_eq!(shared.snapshot().to_string(), expected);
    assert!(bulkheads().iter().any(|other| std::ptr::eq(*other, shared)));
}

static QUEUE: Bulkhead =
    Bulkhead::new("in a queue", BulkheadConfig::new().max_concurrent(1).max_wait(Duration::from_millis(9_500)));
register!(QUEUE);

#[bulkhead(bulkhead = QUEUE)]
async fn queued(number: usize, order: &Mutex<Vec<usize>>) -> io::Result<()> {
    order.lock().unwrap().push(number);
    sleep(SECOND).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_fifo_and_waits_are_bounded() {
    let (start, order) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
    let calls: Vec<_> = (0..15)
        .map(|number| {
            let order = order.clone();
            tokio::spawn(async move { queued(number, &order).await })
        })
        .collect();
    let mut results = Vec::new();
    for call in calls {
        results.push(call.await.unwrap());
    }
    assert_eq!(*order.lock().unwrap(), (0..10).collect::<Vec<_>>());
    assert!(results[..10].iter().all(Result::is_ok) && results[10..].iter().all(Result::is_err));
    assert_eq!(start.elapsed(), SECOND * 10);
    let error = results.pop().unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
    assert_eq!(error.to_string(), "bulkhead `in a queue` is full (max_concurrent = 1) after a wait of 9.5s");
    assert_eq!((QUEUE.in_flight(), QUEUE.waiting()), (0, 0));
}

static MIXED: Bulkhead =
    Bulkhead::new("threads and tasks", BulkheadConfig::new().max_concurrent(1).max_wait(Duration::from_mins(10)));

#[test]
fn threads_and_tasks_share_one_queue() {
    let first = MIXED.try_acquire().unwrap();
    let (order, entered) = mpsc::channel();
    thread::scope(|scope| {
        for number in 0..6_u32 {
            let order = order.clone();
            scope.spawn(move || {
                let enter = || -> io::Result<()> {
                    order.send(number).unwrap();
                    Ok(())
                };
                if number % 2 == 0 {
                    MIXED.call(enter).unwrap();
                } else {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                    runtime.block_on(MIXED.call_async(async || enter())).unwrap();
                }
            });
            crate::support::wait_until(|| MIXED.waiting() > number);
        }
        assert!(MIXED.try_acquire().is_err(), "a new call must not overtake the queue");
        drop(first);
    });
    drop(order);
    assert_eq!(entered.iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    assert_eq!((MIXED.in_flight(), MIXED.waiting()), (0, 0));
}

#[test]
fn a_thread_waits_at_most_max_wait() {
    let clock = steadfast::testing::FakeClock::new();
    let entered = clock.enter();
    let full = Bulkhead::new("full", BulkheadConfig::new().max_concurrent(1).max_wait(SECOND));
    let _permit = full.acquire().unwrap();
    assert_eq!(full.acquire().unwrap_err().waited(), Some(SECOND));
    assert_eq!(clock.slept(), [SECOND]);
    assert_eq!((full.in_flight(), full.waiting()), (1, 0));

    // The same with the real clock, and with a `max_wait` that is short enough for a test.
    drop(entered);
    let full = Bulkhead::new("full", BulkheadConfig::new().max_concurrent(1).max_wait(Duration::from_micros(1)));
    let _permit = full.acquire().unwrap();
    assert!(full.acquire().is_err());
    assert_eq!(full.waiting(), 0);
}

#[bulkhead(name = "cancelled", max_concurrent = 1, max_wait = 10s)]
async fn yields_inside(waits: u32) -> io::Result<()> {
    for _ in 0..waits {
        yield_now().await;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_future_dropped_at_any_await_releases_its_permit() {
    let shared = bulkhead("cancelled").unwrap();
    let poll = |call: &mut std::pin::Pin<&mut _>| {
        let call: &mut std::pin::Pin<&mut dyn Future<Output = io::Result<()>>> = call;
        call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    };
    for polls in 0..5 {
        // Dropped while it holds a permit.
        {
            let call: std::pin::Pin<&mut dyn Future<Output = io::Result<()>>> = pin!(yields_inside(3));
            let mut call = call;
            let ended = (0..polls).any(|_| matches!(poll(&mut call), Poll::Ready(_)));
            assert_eq!(ended, polls == 4);
            assert_eq!(shared.in_flight(), u32::from(polls > 0 && !ended));
        }
        assert_eq!((shared.in_flight(), shared.waiting()), (0, 0));
        // Dropped while queued, before and after a permit was handed to it.
        for is_released in [false, true] {
            let permit = shared.try_acquire().unwrap();
            {
                let call: std::pin::Pin<&mut dyn Future<Output = io::Result<()>>> = pin!(yields_inside(3));
                let mut call = call;
                for _ in 0..polls {
                    assert!(poll(&mut call).is_pending());
                }
                assert_eq!(shared.waiting(), u32::from(polls > 0));
                if is_released {
                    drop(permit);
                    assert_eq!(
                        (shared.in_flight(), shared.waiting()),
                        (u32::from(polls > 0), 0),
                        "the permit is handed to the waiter"
                    );
                }
            }
            assert_eq!((shared.in_flight(), shared.waiting()), (u32::from(!is_released), 0));
        }
    }
}

#[bulkhead(name = "panics inside", max_concurrent = 1)]
fn panics() -> io::Result<()> {
    std::panic::resume_unwind(Box::new("inside"))
}

#[test]
fn a_panic_releases_the_permit() {
    for _ in 0..3 {
        std::panic::catch_unwind(panics).unwrap_err();
    }
    assert_eq!(bulkhead("panics inside").unwrap().in_flight(), 0);
}

static STRESSED: Bulkhead =
    Bulkhead::new("stressed", BulkheadConfig::new().max_concurrent(5).max_wait(Duration::from_millis(1)));

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_permit_leaks_under_stress() {
    #[bulkhead(bulkhead = STRESSED)]
    async fn call(number: u32) -> io::Result<()> {
        for _ in 0..number % 4 {
            yield_now().await;
        }
        if number.is_multiple_of(7) { std::panic::resume_unwind(Box::new("under stress")) } else { Ok(()) }
    }

    let running = Arc::new(Semaphore::new(64));
    let mut calls = Vec::new();
    for number in 0..10_000_u32 {
        let permit = running.clone().acquire_owned().await.unwrap();
        calls.push(tokio::spawn(async move {
            _ = call(number).await;
            drop(permit);
        }));
        if number.is_multiple_of(5) {
            // Cancelled at the await that the call has reached by now.
            calls[number as usize].abort();
        }
        if number.is_multiple_of(11) {
            _ = STRESSED.try_acquire();
        }
    }
    for call in calls {
        _ = call.await;
    }
    assert_eq!((STRESSED.in_flight(), STRESSED.waiting()), (0, 0), "leaked permits");
    let snapshot = STRESSED.snapshot();
    assert!(snapshot.admitted > 1_000, "{snapshot}");
    for _ in 0..5 {
        std::mem::forget(STRESSED.try_acquire().unwrap());
    }
    assert!(STRESSED.try_acquire().is_err(), "more permits than max_concurrent");
}

#[test]
fn calls_in_flight_never_exceed_max_concurrent() {
    static INSIDE: AtomicU32 = AtomicU32::new(0);
    static MOST: AtomicU32 = AtomicU32::new(0);
    static NARROW: Bulkhead =
        Bulkhead::new("narrow", BulkheadConfig::new().max_concurrent(3).max_wait(Duration::from_mins(10)));

    #[bulkhead(bulkhead = NARROW)]
    fn call() -> io::Result<()> {
        MOST.fetch_max(INSIDE.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        thread::yield_now();
        INSIDE.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }

    let barrier = Barrier::new(8);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                barrier.wait();
                for _ in 0..1_000 {
                    call().unwrap();
                }
            });
        }
    });
    assert_eq!((NARROW.snapshot().admitted, NARROW.in_flight()), (8_000, 0));
    assert!(MOST.load(Ordering::SeqCst) <= 3);
}

#[tokio::test(start_paused = true)]
async fn reconfigure_applies_to_waiting_and_new_calls() {
    static CHANGED: Bulkhead = Bulkhead::new("changed", BulkheadConfig::new().max_concurrent(1).max_wait(SECOND));
    let first = CHANGED.acquire_async().await.unwrap();
    let waiting = tokio::spawn(CHANGED.acquire_async());
    yield_now().await;
    assert_eq!(CHANGED.waiting(), 1);
    CHANGED.reconfigure(BulkheadConfig::new().max_concurrent(3));
    let second = waiting.await.unwrap().unwrap();
    let third = CHANGED.try_acquire().unwrap();
    CHANGED.reconfigure(BulkheadConfig::new().max_concurrent(1));
    assert_eq!(CHANGED.in_flight(), 3, "running calls are not interrupted");
    drop((second, third));
    assert!(CHANGED.acquire_async().await.is_err(), "max_wait is zero now");
    drop(first);
    assert!(CHANGED.try_acquire().is_ok());
    assert_eq!(CHANGED.config(), BulkheadConfig::new().max_concurrent(1));
}

#[circuit_breaker(name = "above a bulkhead", failure_threshold = 1)]
#[bulkhead(name = "below a breaker", max_concurrent = 1)]
async fn below_breaker() -> Result<(), Failure> {
    Ok(())
}

#[retry(max_attempts = 3, backoff = fixed(1s), jitter = none)]
#[circuit_breaker(name = "above a bulkhead, retried", failure_threshold = 1)]
#[bulkhead(name = "below a breaker")]
async fn retried() -> Result<(), Failure> {
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_full_bulkhead_does_not_open_the_circuit_above_it() {
    let permit = bulkhead("below a breaker").unwrap().try_acquire().unwrap();
    for _ in 0..3 {
        assert!(matches!(below_breaker().await, Err(Failure::Full(_))));
    }
    let snapshot = breaker("above a bulkhead").unwrap().snapshot();
    assert_eq!((snapshot.failures, snapshot.ignored), (0, 3));

    let start = Instant::now();
    assert!(matches!(retried().await, Err(Failure::Full(_))));
    assert_eq!(start.elapsed(), SECOND * 2, "it is retried twice");
    drop(permit);
    retried().await.unwrap();
    let snapshot = breaker("above a bulkhead, retried").unwrap().snapshot();
    assert_eq!((snapshot.successes, snapshot.failures, snapshot.ignored), (1, 0, 3));
}

#[test]
fn a_rejection_emits_an_event() {
    let events = crate::collect_events("bulkhead `reported`");
    let full = Bulkhead::new("reported", BulkheadConfig::new().max_concurrent(1));
    let _permit = full.try_acquire().unwrap();
    full.try_acquire().unwrap_err();
    assert_eq!(events.texts(), ["bulkhead `reported`: full (max_concurrent = 1)"]);
    let json = serde_json::to_string(&full.snapshot()).unwrap();
    let expected = r#"{"name":"reported","max_concurrent":1,"in_flight":1,"waiting":0,"admitted":1,"rejected":1}"#;
    assert_eq!(json, expected);
}
