//! Sleeps that block a thread of a runtime.

use std::{
    io,
    task::{Context, Poll, Waker},
};

use steadfast::{StopSignal, retry};
use tokio::task::{coop, yield_now};

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
    tokio::task::spawn_blocking(may_block).await.unwrap().unwrap_err();
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
