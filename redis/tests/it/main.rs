//! Fleets of real processes on a real Redis.
//!
//! Each test has a Redis of its own. The processes are this binary once more, as [`instance`]. Here time passes, since the clocks of
//! several processes and of Redis can't be paused together; what needs none of them is tested in the crate.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::unchecked_time_subtraction,
    reason = "a test fails by panicking"
)]

mod access;
mod cluster;
mod cost;
mod failover;
mod faults;
mod instance;
mod keyed;
mod limits;
mod limits_queue;
mod operator;
mod proxy;
mod recovery;
mod server;
mod service;
mod settings;
mod trips;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use steadfast_redis::Fleet;

/// One test at a time: what is measured is not the others' load.
static ALONE: Mutex<()> = Mutex::new(());

/// Until it is dropped, no other test runs.
struct Alone {
    _guard: MutexGuard<'static, ()>,
}

fn alone() -> Alone {
    Alone { _guard: ALONE.lock().unwrap_or_else(PoisonError::into_inner) }
}

/// Waits until a fleet has found Redis.
async fn found(fleet: &Fleet) {
    tokio::time::timeout(Duration::from_secs(20), fleet.available()).await.expect("Redis answers");
}

/// Waits until something holds, and says how long that took.
#[track_caller]
fn eventually(within: Duration, what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < within, "not within {within:?}: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
    start.elapsed()
}

/// The one at this share of the way from the smallest to the largest.
fn quantile(durations: &mut [Duration], share: f64) -> Duration {
    durations.sort_unstable();
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "few")]
    let index = ((durations.len() - 1) as f64 * share).round() as usize;
    durations[index]
}
