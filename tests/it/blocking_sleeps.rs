//! Blocking sleeps of sync retries on threads of a tokio runtime.

use std::{
    io,
    task::{Context, Poll, Waker},
    time::Duration,
};

use steadfast::{Bulkhead, BulkheadConfig, StopSignal, retry};
use tokio::{
    runtime::{Builder, Runtime},
    task::{LocalSet, block_in_place, coop, coop::unconstrained, spawn_blocking, spawn_local, yield_now},
};

/// A signal that ends the sleeps of the test, which would otherwise last an hour.
static OTHER_TASK_RAN: StopSignal = StopSignal::new();

#[retry(name = "blocks", max_attempts = 2, backoff = fixed(1h), jitter = none, stop_on = OTHER_TASK_RAN)]
fn blocks() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn other_tasks_run_during_a_blocking_sleep() {
    let events = crate::collect_events("blocks");
    tokio::spawn(async {
        // The only worker has to run this task during the blocking sleep.
        let other = tokio::spawn(async { OTHER_TASK_RAN.stop() });
        blocks().unwrap_err();
        other.await.unwrap();
        blocks().unwrap_err();
    })
    .await
    .unwrap();
    let count =
        events.texts().iter().filter(|text| text.ends_with("sleeps on a worker thread of the tokio runtime")).count();
    assert_eq!(count, 1, "emitted once");
}

#[retry(name = "may block", max_attempts = 2, backoff = fixed(1us), jitter = none)]
fn may_block() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

#[retry(name = "blocks the runtime", max_attempts = 2, backoff = fixed(1us), jitter = none)]
fn blocks_the_runtime() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

#[tokio::test]
async fn an_event_is_emitted_only_for_a_thread_of_the_runtime() {
    let events = crate::collect_events("");
    spawn_blocking(may_block).await.unwrap().unwrap_err();
    std::thread::spawn(may_block).join().unwrap().unwrap_err();
    blocks_the_runtime().unwrap_err();
    let texts = events.texts();
    assert!(!texts.iter().any(|text| text.contains("`may block`: sleeps on")), "{texts:?}");
    assert!(texts.iter().any(|text| text.contains("`blocks the runtime`: sleeps on")), "{texts:?}");
}

#[retry(name = "retries once", max_attempts = 2, backoff = fixed(1us), jitter = none)]
fn retries_once() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

/// Uses up the task's coop budget and returns the number of steps that it still had.
fn spend_budget() -> usize {
    let mut context = Context::from_waker(Waker::noop());
    let mut steps = 0;
    while let Poll::Ready(step) = coop::poll_proceed(&mut context) {
        step.made_progress();
        steps += 1;
    }
    steps
}

async fn budget_without_and_after_a_sleep() -> (usize, usize) {
    let task = async {
        let without = spend_budget();
        yield_now().await; // restores the budget
        retries_once().unwrap_err();
        (without, spend_budget())
    };
    tokio::spawn(task).await.unwrap()
}

#[tokio::test]
async fn a_blocking_sleep_keeps_the_coop_budget() {
    let (without, after) = budget_without_and_after_a_sleep().await;
    assert_eq!((without > 1, after), (true, without));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn block_in_place_keeps_the_coop_budget() {
    let (without, after) = budget_without_and_after_a_sleep().await;
    assert_eq!((without > 1, after), (true, without));
}

/// Retries with sleeps of a microsecond.
#[retry(max_attempts = 3, backoff = fixed(1us), jitter = none)]
fn retried_with_sleeps() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

fn multi_thread(workers: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(workers).enable_time().build().unwrap()
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

#[test]
fn a_blocking_sleep_does_not_panic_on_any_kind_of_thread() {
    let (multi, single) = (multi_thread(1), current_thread());
    let handle = multi.handle();
    let fails = || retried_with_sleeps().unwrap_err().kind();
    let in_local_set = async || {
        let local = LocalSet::new();
        local.run_until(async { spawn_local(async move { fails() }).await.unwrap() }).await
    };
    let kinds = [
        fails(),
        multi.block_on(async { fails() }),
        single.block_on(async { fails() }),
        multi.block_on(in_local_set()),
        single.block_on(in_local_set()),
        LocalSet::new().block_on(&multi, async { fails() }),
        multi.block_on(async { tokio::spawn(async move { fails() }).await.unwrap() }),
        multi.block_on(async { tokio::spawn(unconstrained(async move { fails() })).await.unwrap() }),
        multi.block_on(async { spawn_blocking(fails).await.unwrap() }),
        // A runtime inside another runtime.
        multi.block_on(async {
            tokio::spawn(async move {
                block_in_place(|| {
                    current_thread().block_on(async { tokio::spawn(async move { fails() }).await.unwrap() })
                })
            })
            .await
            .unwrap()
        }),
        multi.block_on(async { spawn_blocking(move || current_thread().block_on(async { fails() })).await.unwrap() }),
        // Inside the entered handle of another runtime.
        {
            let _entered = handle.enter();
            fails()
        },
        {
            let _entered = handle.enter();
            single.block_on(async { fails() })
        },
        single.block_on(async {
            let _entered = handle.enter();
            fails()
        }),
        single.block_on(async {
            let handle = handle.clone();
            let task = async move {
                let _entered = handle.enter();
                fails()
            };
            tokio::spawn(task).await.unwrap()
        }),
    ];
    assert!(kinds.iter().all(|kind| *kind == io::ErrorKind::TimedOut), "{kinds:?}");
}

#[test]
fn a_task_can_release_its_permit_while_all_workers_wait_for_one() {
    static ONE: Bulkhead =
        Bulkhead::new("blocks workers", BulkheadConfig::new().max_concurrent(1).max_wait(Duration::from_hours(1)));

    let runtime = multi_thread(2);
    let held = runtime.block_on(ONE.acquire_async()).unwrap();
    let waiting = [(); 2].map(|()| runtime.spawn(async { ONE.call(|| Ok::<_, io::Error>(())) }));
    crate::support::wait_until(|| ONE.waiting() == 2);
    runtime.spawn(async move { drop(held) });
    runtime.block_on(async {
        for waiting in waiting {
            tokio::time::timeout(Duration::from_secs(30), waiting)
                .await
                .expect("the waiting calls end")
                .unwrap()
                .unwrap();
        }
    });
}
