//! The life of the sampler, on tokio's paused clock.

use std::time::Duration;

use tokio::{task::yield_now, time::sleep};

use super::*;
use crate::{Dashboard, about::About};

/// Returns the number of tasks, once those that were aborted have ended.
async fn tasks() -> usize {
    for _ in 0..10 {
        yield_now().await;
    }
    Handle::current().metrics().num_alive_tasks()
}

#[tokio::test(start_paused = true)]
async fn a_sampler_runs_for_each_dashboard_until_it_is_dropped() {
    let first = Dashboard::new().router();
    let second = [Dashboard::new().router(), Dashboard::new().router()];
    assert_eq!(tasks().await, 3);
    sleep(Duration::from_hours(1)).await;
    drop(second);
    assert_eq!(tasks().await, 1);
    drop(first);
    assert_eq!(tasks().await, 0);
}

#[test]
fn a_sampler_starts_at_the_first_request_if_there_was_no_runtime_before() {
    let (feed, sampler) = (Feed::new(About::default()), Sampler::default());
    sampler.ensure(&feed);
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    // A runtime that has ended ends the sampler as well: the next request starts it again.
    for _ in 0..2 {
        runtime().block_on(async {
            for _ in 0..2 {
                sampler.ensure(&feed);
            }
            assert_eq!(tasks().await, 1);
        });
    }
}

#[test]
fn a_runtime_without_timers_has_no_sampler() {
    let (feed, sampler) = (Feed::new(About::default()), Sampler::default());
    let runtime = || tokio::runtime::Builder::new_current_thread();
    runtime().build().expect("a runtime").block_on(async {
        for _ in 0..2 {
            sampler.ensure(&feed);
            assert_eq!(tasks().await, 0);
        }
    });
    runtime().enable_time().build().expect("a runtime").block_on(async {
        sampler.ensure(&feed);
        assert_eq!(tasks().await, 1);
    });
}
