//! Nesting of calls, which follows the structure of futures, not the task or thread that happens to poll them.

use std::{
    cell::Cell,
    future::Future,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_util::{
    FutureExt, StreamExt,
    future::{join_all, select_all},
    stream::{self, FuturesUnordered},
};
use steadfast::{Jitter, Nested, RetryPolicy, Schedule, retry, testing::Script, timeout};
use tokio::{
    runtime::Builder,
    task::{LocalSet, spawn_local, yield_now},
    time::Instant,
};

type Calls = Script<io::Result<()>>;
type Boxed = Pin<Box<dyn Future<Output = io::Result<()>>>>;

const SECOND: Duration = Duration::from_secs(1);
static SLOW: RetryPolicy = RetryPolicy::new().backoff(Schedule::fixed(SECOND)).jitter(Jitter::none());
static INHERITS: RetryPolicy = RetryPolicy::new().backoff(Schedule::none()).nested(Nested::Inherit);

fn failing() -> Calls {
    Script::always(|| Err(io::ErrorKind::TimedOut.into()))
}

/// Makes three attempts, a second apart.
#[retry(backoff = fixed(1s), jitter = none)]
async fn load(calls: &Calls) -> io::Result<()> {
    yield_now().await;
    calls.call()
}

/// Makes three attempts by itself, but only one inside an attempt of another retry.
#[retry(backoff = none, nested = inherit)]
async fn inherits(calls: &Calls) -> io::Result<()> {
    yield_now().await;
    calls.call()
}

#[retry(backoff = none, nested = inherit)]
fn inherits_sync(calls: &Calls) -> io::Result<()> {
    calls.call()
}

/// Runs `work` inside one attempt of a retry.
#[retry(max_attempts = 2, backoff = none, retry_if = |_| false)]
async fn attempt<F: AsyncFn()>(work: F) -> io::Result<()> {
    work().await;
    Err(io::ErrorKind::Other.into())
}

#[timeout(500ms)]
async fn in_half_a_second<T>(call: impl Future<Output = T>) -> io::Result<T> {
    Ok(call.await)
}

/// Runs `work` inside an attempt, and returns the number of calls that it makes.
async fn calls_within_attempt(work: impl AsyncFn(&Calls)) -> u32 {
    let calls = failing();
    _ = attempt(async || work(&calls).await).await;
    calls.calls()
}

#[tokio::test(start_paused = true)]
async fn a_shared_call_keeps_its_own_deadline() {
    // A function, and a policy whose future is created outside or inside the shared future.
    let kinds: [fn(Rc<Calls>) -> Boxed; 3] = [
        |calls| Box::pin(async move { load(&calls).await }),
        |calls| {
            Box::pin(SLOW.run_async(move || {
                let calls = calls.clone();
                async move {
                    yield_now().await;
                    calls.call()
                }
            }))
        },
        |calls| {
            Box::pin(async move {
                SLOW.run_async(async || {
                    yield_now().await;
                    calls.call()
                })
                .await
            })
        },
    ];
    for kind in kinds {
        let (calls, start) = (Rc::new(failing()), Instant::now());
        let shared = kind(calls.clone()).map(|result| result.map_err(|error| error.kind())).shared();
        let leader = in_half_a_second(shared.clone());
        let (led, followed) = tokio::join!(biased; leader, shared);
        assert_eq!(led.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(followed, Err(io::ErrorKind::TimedOut));
        assert_eq!((calls.calls(), start.elapsed()), (3, 2 * SECOND));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_outlives_a_deadline_keeps_its_attempts() {
    let (calls, start) = (failing(), Instant::now());
    let attempt = async || {
        tokio::time::sleep(SECOND / 10).await;
        calls.call()
    };
    let mut call = pin!(SLOW.run_async(attempt));
    in_half_a_second(call.as_mut()).await.unwrap_err();
    call.await.unwrap_err();
    assert_eq!(
        (calls.calls(), start.elapsed()),
        (3, 23 * SECOND / 10),
        "the deadline of a policy is fixed where its future is created"
    );

    let (calls, start) = (failing(), Instant::now());
    let mut call = pin!(load(&calls));
    assert!(call.as_mut().now_or_never().is_none());
    in_half_a_second(call.as_mut()).await.unwrap_err();
    call.await.unwrap_err();
    assert_eq!(
        (calls.calls(), start.elapsed()),
        (3, 2 * SECOND),
        "the deadline of a function is fixed at its first poll"
    );
}

#[tokio::test(start_paused = true)]
async fn a_deadline_applies_through_combinators() {
    let (calls, start) = (failing(), Instant::now());
    let error = in_half_a_second(Box::pin(async { tokio::join!(load(&calls), yield_now()).0 })).await.unwrap();
    assert_eq!(error.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(
        (calls.calls(), start.elapsed()),
        (1, Duration::ZERO),
        "no sleep begins that would end after the deadline"
    );
}

#[tokio::test]
async fn a_call_in_the_same_task_is_nested() {
    assert_eq!(calls_within_attempt(async |calls| _ = inherits(calls).await).await, 1);
    assert_eq!(calls_within_attempt(async |calls| _ = inherits_sync(calls)).await, 1);
    assert_eq!(calls_within_attempt(async |calls| _ = INHERITS.run_async(async || calls.call()).await).await, 1);
    assert_eq!(calls_within_attempt(async |calls| _ = INHERITS.run(|| calls.call())).await, 1);
    assert_eq!(calls_within_attempt(async |calls| _ = Box::pin(inherits(calls)).await).await, 1);
    assert_eq!(calls_within_attempt(async |calls| _ = tokio::join!(inherits(calls), inherits(calls))).await, 2);
    assert_eq!(calls_within_attempt(async |calls| _ = join_all((0..5).map(|_| inherits(calls))).await).await, 5);
    let selected = async |calls: &Calls| {
        tokio::select! {
            _ = inherits(calls) => {}
            () = std::future::pending() => {}
        }
        _ = select_all([Box::pin(inherits(calls))]).await;
    };
    assert_eq!(calls_within_attempt(selected).await, 2);
}

#[tokio::test]
async fn a_future_with_its_own_waker_counts_as_a_task() {
    let unordered = async |calls: &Calls| {
        let mut all: FuturesUnordered<_> = (0..2).map(|_| inherits(calls)).collect();
        while all.next().await.is_some() {}
    };
    assert_eq!(calls_within_attempt(unordered).await, 6);
    let buffered = async |calls: &Calls| {
        stream::iter(0..2).map(|_| inherits(calls)).buffer_unordered(2).for_each(async |_| ()).await;
    };
    assert_eq!(calls_within_attempt(buffered).await, 6);
    // An attempt inside such a future nests the calls that it makes.
    let nested = async |calls: &Calls| {
        let mut one: FuturesUnordered<_> = [attempt(async || _ = inherits(calls).await)].into_iter().collect();
        _ = one.next().await;
    };
    assert_eq!(calls_within_attempt(nested).await, 1);
    let other_waker = async |calls: &Calls| {
        let (mut call, mut context) = (pin!(inherits(calls)), Context::from_waker(Waker::noop()));
        while call.as_mut().poll(&mut context).is_pending() {}
    };
    assert_eq!(calls_within_attempt(other_waker).await, 3, "a poll inside a poll");
}

#[tokio::test]
async fn a_spawned_task_is_not_nested() {
    let calls = Rc::new(failing());
    let local = LocalSet::new();
    let spawned = local.run_until(attempt(async || {
        let calls = calls.clone();
        let task = spawn_local(async move {
            _ = inherits(&calls).await;
            _ = inherits_sync(&calls);
        });
        task.await.unwrap();
    }));
    _ = spawned.await;
    assert_eq!(calls.calls(), 6);
    // A future created in an attempt and polled by another task.
    let calls: &'static Calls = Box::leak(Box::new(failing()));
    _ = attempt(async || _ = tokio::spawn(INHERITS.run_async(async || calls.call())).await.unwrap()).await;
    assert_eq!(calls.calls(), 3);
}

#[test]
fn a_task_polled_by_block_on_inside_an_attempt_is_not_nested() {
    let calls: &'static Calls = Box::leak(Box::new(failing()));
    let runtime = Builder::new_current_thread().build().unwrap();
    let policy = RetryPolicy::new().backoff(Schedule::none());
    let unrelated = runtime.spawn(async {
        _ = inherits(calls).await;
        _ = INHERITS.run_async(async || calls.call()).await;
        #[allow(clippy::let_underscore_must_use)]
        let _ = inherits_sync(calls);
        _ = INHERITS.run(|| calls.call());
    });
    // The sync attempt polls the unrelated task until it has finished.
    policy
        .run(|| {
            runtime.block_on(async {
                while !unrelated.is_finished() {
                    yield_now().await;
                }
            });
            Ok::<_, io::Error>(())
        })
        .unwrap();
    assert_eq!(calls.calls(), 12);
    // A call inside `block_on` without a task in between is nested.
    let calls = failing();
    policy
        .run(|| {
            runtime.block_on(async { _ = inherits_sync(&calls) });
            Ok::<_, io::Error>(())
        })
        .unwrap();
    assert_eq!(calls.calls(), 1);
}

#[tokio::test]
async fn attempts_may_end_in_any_order() {
    let waits = Cell::new(0);
    let hangs = || {
        Box::pin(attempt(async || {
            waits.set(waits.get() + 1);
            std::future::pending::<()>().await;
        }))
    };
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let mut hanging = [0; 3].map(|_| Some(hangs()));
        for call in hanging.iter_mut().flatten() {
            assert!(matches!(futures_util::poll!(call.as_mut()), Poll::Pending));
        }
        for index in order {
            hanging[index] = None;
            let calls = failing();
            inherits(&calls).await.unwrap_err();
            assert_eq!(calls.calls(), 3);
        }
    }
    assert_eq!(waits.get(), 9);
}

/// Succeeds at its first attempt, without yielding.
#[retry]
fn succeeds_sync() -> io::Result<()> {
    Ok(())
}

#[retry]
async fn succeeds() -> io::Result<()> {
    Ok(())
}

#[tokio::test]
async fn calls_after_a_success_inside_an_attempt_are_still_nested() {
    let around_async = async |calls: &Calls| {
        succeeds().await.unwrap();
        succeeds_sync().unwrap();
        _ = inherits(calls).await;
        _ = inherits_sync(calls);
    };
    assert_eq!(calls_within_attempt(around_async).await, 2);
    let calls = failing();
    SLOW.run(|| {
        succeeds_sync().unwrap();
        succeeds().now_or_never().unwrap().unwrap();
        _ = inherits_sync(&calls);
        Ok::<_, io::Error>(())
    })
    .unwrap();
    assert_eq!(calls.calls(), 1);
    // After the attempt nothing is nested.
    _ = inherits(&calls).await;
    _ = inherits_sync(&calls);
    assert_eq!(calls.calls(), 7);
}

#[tokio::test]
async fn an_attempt_that_panics_ends_the_nesting() {
    let panics = || -> io::Result<()> { panic!("in an attempt") };
    let run = || SLOW.run(|| SLOW.run(panics));
    catch_unwind(AssertUnwindSafe(run)).unwrap_err();
    let run_async = SLOW.run_async(async || SLOW.run_async(async || panics()).await);
    AssertUnwindSafe(run_async).catch_unwind().await.unwrap_err();
    let calls = failing();
    _ = inherits(&calls).await;
    _ = inherits_sync(&calls);
    assert_eq!(calls.calls(), 6);
}
