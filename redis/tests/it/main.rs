//! Fleets of real processes over a real Redis.
//!
//! Each test has its own Redis. The processes are this test binary, started again as [`support::process`]. These tests use real time,
//! since the clocks of several processes and of Redis cannot be paused together. Tests that need no process and no Redis are unit tests.
//!
//! No test depends on speed. Tests wait for events, and the only time limit is that of a hang. To assert that an event did not happen,
//! they first wait for a later event. `cargo bench -p steadfast-redis` prints durations.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::unchecked_time_subtraction,
    reason = "a test fails by panicking"
)]

mod access;
mod breaker_script;
mod cluster;
mod failover;
mod fault_test;
mod faults;
mod keyed;
mod many_breakers;
mod overrides;
mod rate_limit_queue;
mod rate_limits;
mod recovery;
mod settings;
mod support;
mod trips;

use std::sync::{Mutex, MutexGuard, PoisonError};

use steadfast_redis::Fleet;

use self::support::wait::{HANG, until, until_count};

/// Serializes the tests, since each of them starts several processes.
static EXCLUSIVE: Mutex<()> = Mutex::new(());

/// A guard that keeps other tests from running until it is dropped.
struct Exclusive {
    _guard: MutexGuard<'static, ()>,
}

fn exclusive() -> Exclusive {
    Exclusive { _guard: EXCLUSIVE.lock().unwrap_or_else(PoisonError::into_inner) }
}

/// Waits until a fleet is connected.
async fn connected(fleet: &Fleet) {
    tokio::time::timeout(HANG, fleet.available()).await.expect("connected to Redis");
}
