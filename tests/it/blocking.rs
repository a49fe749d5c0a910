//! Sleeps that block a thread of a runtime.

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

/// Ends the sleeps of the test, which otherwise would take an hour.
static OTHER_TASK_RAN: StopSignal = StopSignal::new();

#[retry(name = "blocks", max_attempts = 2, backoff = fixed(1h), jitter = none, stop_on = OTHER_TASK_RAN)]
fn blocks() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn other_tasks_go_on_while_a_thread_sleeps() {
    let heard = crate::heard("blocks");
    tokio::spawn(async {
        // The thread's other task, which no other thread is there to take over.
        let other = tokio::spawn(async { OTHER_TASK_RAN.stop() });
        blocks().unwrap_err();
        other.await.unwrap();
        blocks().unwrap_err();
    })
    .await
    .unwrap();
    let told = heard.texts().iter().filter(|text| text.ends_with("sleeps on a thread of the tokio runtime")).count();
    assert_eq!(told, 1, "once");
}

#[retry(name = "may block", max_attempts = 2, backoff = fixed(1us), jitter = none)]
fn may_block() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

#[retry(name = "holds up all", max_attempts = 2, backoff = fixed(1us), jitter = none)]
fn holds_up_all() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

#[tokio::test]
async fn only_a_thread_of_the_runtime_is_told_of() {
    let heard = crate::heard("");
    spawn_blocking(may_block).await.unwrap().unwrap_err();
    std::thread::spawn(may_block).join().unwrap().unwrap_err();
    holds_up_all().unwrap_err();
    let texts = heard.texts();
    assert!(!texts.iter().any(|text| text.contains("`may block`: sleeps on")), "{texts:?}");
    assert!(texts.iter().any(|text| text.contains("`holds up all`: sleeps on")), "{texts:?}");
}

#[retry(name = "takes nothing", max_attempts = 2, backoff = fixed(1us), jitter = none)]
fn takes_nothing() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

/// How often the task may go on before tokio wants it to give way: all of it, which is nothing afterwards.
fn spent() -> usize {
    let mut context = Context::from_waker(Waker::noop());
    let mut steps = 0;
    while let Poll::Ready(step) = coop::poll_proceed(&mut context) {
        step.made_progress();
        steps += 1;
    }
    steps
}

async fn spent_without_a_sleep_and_after_one() -> (usize, usize) {
    let task = async {
        let without = spent();
        yield_now().await; // which gives it as much again
        takes_nothing().unwrap_err();
        (without, spent())
    };
    tokio::spawn(task).await.unwrap()
}

#[tokio::test]
async fn a_sleep_leaves_the_task_its_budget() {
    let (without, after) = spent_without_a_sleep_and_after_one().await;
    assert_eq!((without > 1, after), (true, without));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_sleep_that_moves_other_tasks_leaves_it_as_well() {
    let (without, after) = spent_without_a_sleep_and_after_one().await;
    assert_eq!((without > 1, after), (true, without));
}

/// Retries, with sleeps that end at once.
#[retry(max_attempts = 3, backoff = fixed(1us), jitter = none)]
fn sleeps() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

fn multi_thread(workers: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(workers).enable_time().build().unwrap()
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

#[test]
fn a_sleep_panics_nowhere() {
    let (multi, single) = (multi_thread(1), current_thread());
    let handle = multi.handle();
    let fails = || sleeps().unwrap_err().kind();
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
        // A runtime inside of another.
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
        // The handle of another runtime is entered.
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
fn who_holds_a_place_goes_on_while_threads_wait_for_it() {
    static ONE: Bulkhead =
        Bulkhead::new("blocks workers", BulkheadConfig::new().max_concurrent(1).max_wait(Duration::from_hours(1)));

    let runtime = multi_thread(2);
    let held = runtime.block_on(ONE.acquire_async()).unwrap();
    let waiting = [(); 2].map(|()| runtime.spawn(async { ONE.call(|| Ok::<_, io::Error>(())) }));
    crate::until(|| ONE.waiting() == 2);
    runtime.spawn(async move { drop(held) });
    runtime.block_on(async {
        for waiting in waiting {
            tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("it hangs").unwrap().unwrap();
        }
    });
}
