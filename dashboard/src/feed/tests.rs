//! Readings that are slow, dropped or begun in a runtime that stops.

use std::pin::pin;

use futures_util::FutureExt;
use tokio::{
    runtime::{Builder, Runtime},
    time::{advance, timeout},
};

use super::*;

fn feed() -> Arc<Feed> {
    Feed::new(About::default())
}

#[tokio::test(start_paused = true)]
async fn the_reading_of_a_dropped_request_does_not_overlap_with_another() {
    let feed = feed();
    {
        let _slow = lock(&feed.reader);
        for _ in 0..3 {
            assert!(feed.fresh_reading().now_or_never().is_none(), "a request that is dropped");
        }
    }
    assert_eq!(feed.fresh_reading().await.number, 2, "one reading by all dropped requests, and this one");
}

#[tokio::test(start_paused = true)]
#[allow(clippy::await_holding_lock, reason = "the lock stands for a slow reading")]
async fn a_stream_waits_until_its_deadline_at_most_for_a_slow_reading() {
    let feed = feed();
    let (_, mut publications) = feed.open().await;
    let deadline = Instant::now() + TICK * 20;
    let mut next = pin!(feed.next(&mut publications, deadline));
    let slow = lock(&feed.reader);
    while Instant::now() < deadline {
        assert!(next.as_mut().now_or_never().is_none(), "neither a publication nor the deadline");
        advance(TICK).await;
    }
    assert!(feed.pace().is_reading);
    assert!(matches!(next.now_or_never(), Some(None)), "the deadline");
    drop(slow);
}

#[test]
fn a_runtime_that_is_not_driven_does_not_stop_the_readings() {
    let runtime = || Builder::new_current_thread().enable_time().build().expect("a runtime");
    let (feed, stopped): (_, Runtime) = (feed(), runtime());
    let suspended = stopped.block_on(async {
        [(); 3].map(|()| {
            let feed = feed.clone();
            let mut request = Box::pin(async move { feed.fresh_reading().await });
            _ = request.as_mut().now_or_never();
            request
        })
    });
    runtime().block_on(async {
        for _ in 0..3 {
            let reading = timeout(Duration::from_secs(10), feed.fresh_reading()).await;
            assert!(reading.is_ok(), "a suspended request holds nothing");
        }
    });
    drop(suspended);
}

#[tokio::test(start_paused = true)]
async fn a_full_reading_that_a_request_waits_for_is_made_at_the_next_tick() {
    let feed = feed();
    let (_, mut publications) = feed.open().await;
    let requested = feed.fresh_reading();
    let mut requested = pin!(requested);
    lock(&feed.pace).next_allowed = Instant::now() + TICK;
    assert!(requested.as_mut().now_or_never().is_none());
    let published = feed.next(&mut publications, Instant::now() + FULL_INTERVAL).await;
    assert_eq!(requested.await.number, published.expect("a publication").reading.number);
}

#[test]
fn the_pause_after_a_reading_is_bounded() {
    for (reading, pause) in [(0, 0), (10, 90), (200, 1_800), (4_000, 2_000), (3_600_000, 2_000)] {
        assert_eq!(pause_after(Duration::from_millis(reading)), Duration::from_millis(pause));
    }
}
