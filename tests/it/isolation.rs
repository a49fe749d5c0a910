//! Tests of one process that share names and do not disturb each other.

use std::{
    future::pending,
    io,
    sync::{Arc, Barrier, Mutex},
    thread,
    time::Duration,
};

use steadfast::{
    BreakerState, RetryPolicy, bulkhead, circuit_breaker,
    events::{self, Event},
    rate_limit, retry,
    testing::{FakeClock, isolate},
};

#[circuit_breaker(name = "isolated breaker", failure_threshold = 2, recovery_timeout = 30s)]
fn call(works: bool) -> io::Result<()> {
    if works { Ok(()) } else { Err(io::ErrorKind::TimedOut.into()) }
}

#[circuit_breaker(name = "isolated breaker")]
async fn call_async() -> io::Result<()> {
    pending::<()>().await;
    Ok(())
}

#[circuit_breaker(name = "isolated hosts", key = host, failure_threshold = 1)]
fn fetch(host: &str) -> io::Result<()> {
    Err(io::Error::other(host.to_owned()))
}

#[rate_limit(name = "isolated limit", limit = 1, per = 1s)]
fn search() -> io::Result<()> {
    Ok(())
}

#[rate_limit(name = "isolated users", key = user, limit = 1, per = 1s)]
fn search_for(user: &str) -> io::Result<()> {
    _ = user;
    Ok(())
}

#[bulkhead(name = "isolated bulkhead", max_concurrent = 1)]
fn within(work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    work()
}

fn breaker() -> &'static steadfast::CircuitBreaker {
    steadfast::breaker("isolated breaker").unwrap()
}

/// A test of a user: it counts on a closed breaker and on exact counts, by its own clock.
fn test_of_a_user(successes: u64) {
    let _isolated = isolate();
    let clock = FakeClock::new();
    let _entered = clock.enter();
    let opened = Arc::new(Mutex::new(0));
    let counter = opened.clone();
    let _subscription = events::subscribe(move |event| {
        *counter.lock().unwrap() += u32::from(matches!(event, Event::StateChanged { to: BreakerState::Open, .. }));
    });

    for _ in 0..successes {
        call(true).unwrap();
    }
    assert_eq!(breaker().snapshot().successes, successes);
    call(false).unwrap_err();
    call(false).unwrap_err();
    assert_eq!(breaker().state(), BreakerState::Open);
    call(true).unwrap_err();
    assert_eq!(breaker().snapshot().rejections, 1);
    clock.advance(Duration::from_secs(30));
    call(true).unwrap();
    assert_eq!(*opened.lock().unwrap(), 1);

    fetch("a").unwrap_err();
    assert_eq!(steadfast::keyed_breakers("isolated hosts").unwrap().len(), 1);
    search().unwrap();
    search().unwrap_err();
    search_for("b").unwrap();
    search_for("b").unwrap_err();
    within(|| within(|| Ok(()))).unwrap_err();
    assert_eq!(bulkhead("isolated bulkhead").unwrap().snapshot().rejected, 1);
}

#[test]
fn two_parallel_tests_that_share_names_do_not_disturb_each_other() {
    for round in 0..200 {
        let both_ready = Barrier::new(2);
        thread::scope(|scope| {
            for successes in [round % 5, 3] {
                let both_ready = &both_ready;
                scope.spawn(move || {
                    both_ready.wait();
                    test_of_a_user(successes);
                });
            }
        });
    }
    assert_eq!(breaker().snapshot().failures, 0);
}

#[test]
fn an_isolation_ends_with_its_guard_and_nests() {
    let outer = isolate();
    call(false).unwrap_err();
    {
        let _inner = isolate();
        assert_eq!(breaker().snapshot().failures, 0);
        call(true).unwrap();
    }
    let snapshot = breaker().snapshot();
    assert_eq!((snapshot.failures, snapshot.successes), (1, 0));
    drop(outer);
    assert_eq!(breaker().snapshot().failures, 0);
}

#[test]
fn a_handle_isolates_other_threads_and_tasks() {
    let isolated = isolate();
    let handle = isolated.handle();
    let thread = thread::spawn(move || {
        let _isolated = handle.enter();
        call(false).unwrap_err();
    });
    thread.join().unwrap();
    assert_eq!(breaker().snapshot().failures, 1);

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let handle = isolated.handle();
    runtime.block_on(async {
        let task = tokio::spawn(handle.scope(async { call(false) }));
        task.await.unwrap().unwrap_err();
    });
    assert_eq!(breaker().snapshot().failures, 2);
    assert_eq!(breaker().state(), BreakerState::Open);
}

#[test]
fn a_dropped_future_is_cancelled_within_its_isolation() {
    let isolated = isolate();
    let future = isolated.handle().scope(call_async());
    drop(isolated);
    let cancelled = {
        let isolation = isolate();
        let mut future = isolation.handle().scope(call_async());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(std::pin::Pin::new(&mut future).poll(&mut context).is_pending());
        drop(future);
        breaker().snapshot().cancelled
    };
    drop(future);
    assert_eq!((cancelled, breaker().snapshot().cancelled), (1, 0));
}

#[test]
fn settings_from_outside_apply_to_the_isolation() {
    let isolated = isolate();
    let toml = "[breaker.\"isolated breaker\"]\nfailure_threshold = 9\n";
    steadfast::configure_from_toml(toml).unwrap();
    assert_eq!(breaker().config().get_failure_threshold(), Some(9));
    drop(isolated);
    assert_eq!(breaker().config().get_failure_threshold(), Some(2));
}

#[test]
fn subscribers_receive_the_events_of_their_isolation() {
    let count = |events: &Arc<Mutex<u32>>| {
        let events = events.clone();
        events::subscribe(move |event| {
            *events.lock().unwrap() +=
                u32::from(matches!(event, Event::StateChanged { breaker, .. } if *breaker == "isolated breaker"));
        })
    };
    let (outside, inside) = (Arc::default(), Arc::default());
    let _outside = count(&outside);
    let isolated = isolate();
    let subscription = count(&inside);
    breaker().force_open();
    drop(isolated);
    assert_eq!((*outside.lock().unwrap(), *inside.lock().unwrap()), (0, 1));
    drop(subscription); // outside of the isolation in which it was made
}

#[retry(name = "isolated retry", max_attempts = 1)]
fn attempt() -> io::Result<()> {
    Ok(())
}

#[test]
fn retries_are_counted_in_their_isolation() {
    static POLICY: RetryPolicy = RetryPolicy::new().name("isolated retry").max_attempts(1);
    let calls = || {
        let retries = steadfast::retries();
        retries
            .iter()
            .filter(|retry| retry.name == "isolated retry")
            .map(|retry| retry.first_try_successes)
            .sum::<u64>()
    };
    {
        let _isolated = isolate();
        attempt().unwrap();
        POLICY.run(attempt).unwrap();
        assert_eq!(calls(), 3);
        steadfast::configure_from_toml("[retry.\"isolated retry\"]\nmax_attempts = 2\n").unwrap();
    }
    assert_eq!(calls(), 0);
}

#[test]
fn settings_of_an_isolation_end_with_it() {
    steadfast::configure_from_vars([]).unwrap();
    {
        let _isolated = isolate();
        steadfast::configure_from_toml("[breaker.\"isolated breaker\"]\nfailure_threshold = 9\n").unwrap();
    }
    let _isolated = isolate();
    steadfast::configure_from_vars([]).unwrap();
    assert_eq!(breaker().config().get_failure_threshold(), Some(2));
}

#[test]
fn guards_can_be_dropped_in_any_order() {
    let first = isolate();
    call(false).unwrap_err();
    let second = isolate();
    drop(first);
    assert_eq!(breaker().snapshot().failures, 0);
    call(true).unwrap();
    drop(second);
    assert_eq!(breaker().snapshot().successes, 0);
}
