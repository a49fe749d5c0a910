//! `attempt()`: the number of the attempt that the code belongs to.

use std::{
    cell::RefCell,
    future::Future,
    io,
    pin::pin,
    sync::{Arc, Mutex, mpsc},
    task::{Context, Waker},
    thread,
    time::Duration,
};

use async_trait::async_trait;
use steadfast::{RetryPolicy, Schedule, attempt, bulkhead, circuit_breaker, fallback, rate_limit, retry, timeout};
use tokio::{runtime, task::yield_now};

const POLICY: RetryPolicy = RetryPolicy::new().backoff(Schedule::none());

fn failed() -> io::Error {
    io::ErrorKind::TimedOut.into()
}

/// The numbers seen so far.
#[derive(Default)]
struct Seen(RefCell<Vec<u32>>);

impl Seen {
    fn fail(&self) -> io::Result<()> {
        self.0.borrow_mut().push(attempt());
        Err(failed())
    }

    fn take(&self) -> Vec<u32> {
        self.0.take()
    }
}

#[retry(backoff = none)]
fn by_thread(seen: &Seen) -> io::Result<()> {
    seen.fail()
}

#[retry(backoff = none)]
async fn by_task(seen: &Seen) -> io::Result<()> {
    seen.0.borrow_mut().push(attempt());
    yield_now().await;
    seen.fail()
}

#[retry(name = "attempt number", backoff = none)]
async fn named(seen: &Seen) -> io::Result<()> {
    yield_now().await;
    seen.fail()
}

#[async_trait(?Send)]
trait Client {
    async fn call(&self, seen: &Seen) -> io::Result<()>;
}

struct Real;

#[async_trait(?Send)]
impl Client for Real {
    #[retry(backoff = none)]
    async fn call(&self, seen: &Seen) -> io::Result<()> {
        yield_now().await;
        seen.fail()
    }
}

#[tokio::test(start_paused = true)]
async fn each_attempt_has_its_number() {
    let seen = Seen::default();
    assert_eq!(attempt(), 1, "outside of a retry");
    by_thread(&seen).unwrap_err();
    assert_eq!(seen.take(), [1, 2, 3]);
    by_task(&seen).await.unwrap_err();
    assert_eq!(seen.take(), [1, 1, 2, 2, 3, 3]);
    named(&seen).await.unwrap_err();
    assert_eq!(seen.take(), [1, 2, 3]);
    Real.call(&seen).await.unwrap_err();
    assert_eq!(seen.take(), [1, 2, 3]);
    POLICY.run(|| seen.fail()).unwrap_err();
    assert_eq!(seen.take(), [1, 2, 3]);
    POLICY.run_async(async || seen.fail()).await.unwrap_err();
    assert_eq!(seen.take(), [1, 2, 3]);
    POLICY.retry_if(|_: &io::Error| true).run(|| seen.fail()).unwrap_err();
    assert_eq!(seen.take(), [1, 2, 3]);
    let call = POLICY.retry_if_result(io::Result::is_err);
    call.run_async(async || {
        yield_now().await;
        seen.fail()
    })
    .await
    .unwrap_err();
    assert_eq!(seen.take(), [1, 2, 3]);
    assert_eq!(attempt(), 1, "outside again");
}

#[retry(backoff = none)]
fn outer(seen: &Seen) -> io::Result<()> {
    seen.0.borrow_mut().push(attempt());
    _ = by_thread(seen);
    seen.fail()
}

#[retry(backoff = none)]
async fn outer_task(seen: &Seen) -> io::Result<()> {
    _ = named(seen).await;
    _ = by_thread(seen);
    seen.fail()
}

#[tokio::test(start_paused = true)]
async fn the_innermost_retry_counts() {
    let seen = Seen::default();
    outer(&seen).unwrap_err();
    assert_eq!(seen.take(), [1, 1, 2, 3, 1, 2, 1, 2, 3, 2, 3, 1, 2, 3, 3]);
    outer_task(&seen).await.unwrap_err();
    assert_eq!(seen.take(), [1, 2, 3, 1, 2, 3, 1, 1, 2, 3, 1, 2, 3, 2, 1, 2, 3, 1, 2, 3, 3]);
}

#[retry(max_attempts = 2, backoff = none)]
#[fallback(with_number, allow_order)]
#[timeout(1m)]
#[circuit_breaker(name = "attempt number")]
#[rate_limit(name = "attempt number", limit = 1_000, per = 1s)]
#[bulkhead(name = "attempt number", max_concurrent = 10)]
#[timeout(30s)]
async fn below_others(seen: &Seen) -> io::Result<()> {
    seen.0.borrow_mut().push(attempt());
    tokio::time::sleep(Duration::from_millis(1)).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    seen.fail()
}

fn with_number(seen: &Seen) -> io::Result<()> {
    seen.fail()
}

#[tokio::test(start_paused = true)]
async fn layers_between_the_retry_and_the_function_keep_the_number() {
    let seen = Seen::default();
    below_others(&seen).await.unwrap_err();
    assert_eq!(seen.take(), [1, 1, 1, 2, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn the_number_belongs_to_the_future() {
    // The attempts of two calls in one task take turns, and other futures of the task are outside of both.
    let (one, other) = (Seen::default(), Seen::default());
    let first = async {
        yield_now().await;
        by_task(&one).await.unwrap_err();
    };
    let between = async {
        for _ in 0..10 {
            assert_eq!(attempt(), 1);
            yield_now().await;
        }
    };
    tokio::join!(first, async { by_task(&other).await.unwrap_err() }, between);
    assert_eq!((one.take(), other.take()), (vec![1, 1, 2, 2, 3, 3], vec![1, 1, 2, 2, 3, 3]));

    // Futures that an attempt polls together are a part of it.
    let seen = Seen::default();
    let both = POLICY.run_async(async || {
        let one = async {
            yield_now().await;
            seen.fail()
        };
        let (one, other) = tokio::join!(one, async { seen.fail() });
        one.and(other)
    });
    both.await.unwrap_err();
    assert_eq!(seen.take(), [1, 1, 2, 2, 3, 3]);
}

#[test]
fn another_thread_may_poll_the_future() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let call = {
        let seen = seen.clone();
        async move {
            let call = POLICY.run_async(|| async {
                yield_now().await;
                seen.lock().unwrap().push(attempt());
                Err::<(), _>(failed())
            });
            call.await.unwrap_err();
        }
    };
    let mut call: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(call);
    loop {
        let (polled, is_ready) = thread::spawn(move || {
            let is_ready = call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
            assert_eq!(attempt(), 1);
            (call, is_ready)
        })
        .join()
        .unwrap();
        if is_ready {
            break;
        }
        call = polled;
    }
    assert_eq!(*seen.lock().unwrap(), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn spawned_tasks_and_threads_are_outside() {
    let seen = Seen::default();
    let call = POLICY.run_async(async || {
        let task = tokio::spawn(async { attempt() }).await.unwrap();
        seen.0.borrow_mut().extend([task, thread::spawn(attempt).join().unwrap()]);
        seen.fail()
    });
    call.await.unwrap_err();
    assert_eq!(seen.take(), [1, 1, 1, 1, 1, 2, 1, 1, 3]);
}

#[test]
fn a_task_that_an_attempt_happens_to_poll_is_outside() {
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    let (sender, receiver) = mpsc::channel();
    runtime.spawn(async move {
        loop {
            sender.send(attempt()).unwrap();
            yield_now().await;
        }
    });
    let seen = Seen::default();
    let call = || {
        runtime.block_on(async {
            for _ in 0..3 {
                yield_now().await;
            }
            seen.fail()
        })
    };
    POLICY.run(call).unwrap_err();
    assert_eq!(seen.take(), [1, 2, 3], "the future of `block_on` is a part of the attempt");
    let of_task: Vec<_> = receiver.try_iter().collect();
    assert!(of_task.len() > 3 && of_task.iter().all(|number| *number == 1), "{of_task:?}");
}

#[test]
fn a_panic_leaves_the_attempt() {
    let call = || POLICY.run(|| if attempt() == 2 { panic!("in the second attempt") } else { Err::<(), _>(failed()) });
    std::panic::catch_unwind(call).unwrap_err();
    assert_eq!(attempt(), 1);
}

#[test]
fn a_dropped_future_leaves_no_number() {
    {
        let seen = Seen::default();
        let mut call = pin!(by_task(&seen));
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(attempt(), 1);
    }
    assert_eq!(attempt(), 1);
}

#[retry(max_attempts = 3, backoff = none)]
#[circuit_breaker(name = "attempt number: replicas", key = format!("replica {}", attempt()), failure_threshold = 1)]
fn from_a_replica() -> io::Result<()> {
    Err(failed())
}

#[test]
fn the_key_of_a_breaker_sees_the_number() {
    from_a_replica().unwrap_err();
    let mut replicas: Vec<_> = steadfast::keyed_breakers("attempt number: replicas")
        .unwrap()
        .iter()
        .map(|replica| replica.key().to_owned())
        .collect();
    replicas.sort_unstable();
    assert_eq!(replicas, ["replica 1", "replica 2", "replica 3"]);
}

#[tokio::test]
async fn the_closure_of_a_policy_belongs_to_the_attempt() {
    let (seen, seen_by_call) = (Seen::default(), Seen::default());
    let run = POLICY.run_async(|| {
        let result = seen.fail();
        async { result }
    });
    run.await.unwrap_err();
    assert_eq!(seen.take(), [1, 2, 3]);
    let call = POLICY.retry_if(|_: &io::Error| true).run_async(|| {
        let result = seen_by_call.fail();
        async { result }
    });
    call.await.unwrap_err();
    assert_eq!(seen_by_call.take(), [1, 2, 3]);
}
