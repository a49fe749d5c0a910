//! Fleets of real processes on a real Redis.
//!
//! Each test has a Redis of its own. The processes are this binary once more, as [`instance`]. Here time passes, since the clocks of
//! several processes and of Redis can't be paused together; what needs none of them is tested in the crate.
//!
//! A test fails by what happened, never by how long it took: it waits for events with the bound of a hang, and what must not happen is
//! looked at after a later event was seen. `cargo bench -p steadfast-redis` prints how long things take.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::unchecked_time_subtraction,
    reason = "a test fails by panicking"
)]

mod access;
mod cluster;
mod failover;
mod faults;
mod flood;
mod instance;
mod keyed;
mod limits;
mod limits_queue;
mod load;
mod operator;
mod proxy;
mod recovery;
mod script;
mod server;
mod service;
mod settings;
mod trips;
mod wait;

use std::sync::{Mutex, MutexGuard, PoisonError};

use steadfast_redis::Fleet;

use self::wait::{HANG, until, until_all};

/// One test at a time: each starts several processes.
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
    tokio::time::timeout(HANG, fleet.available()).await.expect("Redis answers");
}
