//! The updates for one page, on tokio's paused clock.

use steadfast::{BreakerConfig, CircuitBreaker, Permit};
use tokio::{sync::Semaphore, time::sleep};

use super::*;
use crate::about::About;

static STREAMED: CircuitBreaker = CircuitBreaker::new("streamed", BreakerConfig::new());
steadfast::register!(STREAMED);

async fn open() -> Updates {
    let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("one permit");
    Updates::open(Feed::new(About::default()), false, permit).await
}

/// Returns the parts up to the one that contains `end`, each as text.
async fn until(updates: &mut Updates, end: &str) -> Vec<String> {
    let mut parts = Vec::new();
    while !parts.last().is_some_and(|part: &String| part.contains(end)) {
        parts.push(String::from_utf8_lossy(&updates.next().await).into_owned());
    }
    parts
}

fn succeed() {
    _ = STREAMED.try_acquire().map(Permit::success);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_missed_readings_gets_all_changes_in_one_event() {
    let mut updates = open().await;
    until(&mut updates, "event: ping").await;
    for _ in 0..50 {
        succeed();
        updates.feed.fresh_reading().await;
    }
    let parts = until(&mut updates, "\"successes\":50").await;
    assert_eq!(parts.len(), 1, "{parts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_keeps_up_gets_each_change_once() {
    let mut updates = open().await;
    until(&mut updates, "event: ping").await;
    for successes in 1..=5 {
        succeed();
        let parts = until(&mut updates, &format!("\"successes\":{successes}}}")).await;
        assert_eq!(parts.iter().filter(|part| part.starts_with("event: changes")).count(), 1, "{parts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_ping_is_sent_after_five_seconds_without_an_event() {
    let mut updates = open().await;
    until(&mut updates, "event: ping").await;
    let begun = Instant::now();
    assert_eq!(until(&mut updates, "event: ping").await.len(), 1);
    assert_eq!(begun.elapsed(), PING_INTERVAL);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_read_while_no_page_is_open() {
    let updates = open().await;
    let feed = updates.feed.clone();
    let before = feed.fresh_reading().await.number;
    sleep(Duration::from_mins(1)).await;
    assert_eq!(feed.fresh_reading().await.number, before + 1);
}
