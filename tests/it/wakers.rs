//! Wakers that panic and wakers that drop other waiters, for everything that can be awaited.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Wake, Waker},
    thread,
    time::Duration,
};

use steadfast::{Bulkhead, BulkheadConfig, RateLimit, RateLimitConfig, Stop, StopSignal};

const HOUR: Duration = Duration::from_hours(1);

type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An awaitable item: `wait` creates a waiter, and `wake` wakes all waiters.
struct Awaited {
    name: &'static str,
    wait: Box<dyn Fn() -> Waiting + Send>,
    wake: Box<dyn Fn() + Send>,
}

fn all_kinds() -> [Awaited; 3] {
    let limit: &RateLimit =
        Box::leak(Box::new(RateLimit::new("woken", RateLimitConfig::new(1, HOUR).max_wait(24 * HOUR))));
    limit.try_acquire().unwrap();
    let bulkhead: &Bulkhead =
        Box::leak(Box::new(Bulkhead::new("woken", BulkheadConfig::new().max_concurrent(1).max_wait(HOUR))));
    std::mem::forget(bulkhead.try_acquire().unwrap());
    let signal: &StopSignal = Box::leak(Box::new(StopSignal::new()));
    [
        Awaited {
            name: "rate limit",
            wait: Box::new(|| Box::pin(async { limit.acquire_async().await.unwrap() })),
            wake: Box::new(|| limit.reconfigure(RateLimitConfig::new(9, HOUR))),
        },
        Awaited {
            name: "bulkhead",
            wait: Box::new(|| Box::pin(async { drop(bulkhead.acquire_async().await.unwrap()) })),
            wake: Box::new(|| bulkhead.reconfigure(BulkheadConfig::new().max_concurrent(9))),
        },
        Awaited {
            name: "stop signal",
            wait: Box::new(|| Box::pin(signal.stopped())),
            wake: Box::new(|| signal.stop()),
        },
    ]
}

fn is_pending(waiting: &mut Waiting, waker: &Waker) -> bool {
    waiting.as_mut().poll(&mut Context::from_waker(waker)).is_pending()
}

/// A waker that panics.
pub(crate) struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker that panics");
    }
}

/// A waker that counts its wakes.
#[derive(Default)]
pub(crate) struct CountsWakes(pub(crate) AtomicU32);

impl Wake for CountsWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_waker_that_panics_does_not_prevent_the_wakes_of_other_waiters() {
    for Awaited { name, wait, wake } in all_kinds() {
        let (mut panics, mut counted) = (wait(), wait());
        let woken = Arc::new(CountsWakes::default());
        assert!(is_pending(&mut panics, &Waker::from(Arc::new(Panics))), "{name}");
        assert!(is_pending(&mut counted, &Waker::from(woken.clone())), "{name}");
        wake();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1, "{name}");
        assert!(!is_pending(&mut panics, Waker::noop()) && !is_pending(&mut counted, Waker::noop()), "{name}");
    }
}

/// A waker that owns another waiter, which is dropped with it.
struct OwnsWaiter(#[allow(dead_code, reason = "it is dropped")] Mutex<Option<Waiting>>);

impl Wake for OwnsWaiter {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_waker_may_drop_another_waiter() {
    // A deadlock would make this thread hang.
    let thread = thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let _entered = runtime.enter();
        for Awaited { name, wait, wake } in all_kinds() {
            let (mut first, mut other) = (wait(), wait());
            assert!(is_pending(&mut other, Waker::noop()));
            assert!(is_pending(&mut first, &Waker::from(Arc::new(OwnsWaiter(Mutex::new(Some(other)))))), "{name}");
            // The previous waker is dropped here.
            assert!(is_pending(&mut first, Waker::noop()), "{name}");
            let mut last = wait();
            assert!(is_pending(&mut last, &Waker::from(Arc::new(OwnsWaiter(Mutex::new(Some(first)))))), "{name}");
            drop(last);
            wake();
        }
    });
    crate::support::wait_until(|| thread.is_finished());
    thread.join().unwrap();
}
