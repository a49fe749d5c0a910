//! Thousands of tasks and several threads on one breaker that opens and recovers continually. Runs in a process of its own, since the
//! events of its rejections would displace those that other tests wait for.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use steadfast::{
    BreakerConfig, BreakerState, CircuitBreaker,
    events::{self, Event},
};
use tokio::{
    runtime,
    task::JoinSet,
    time::{advance, sleep},
};

const TASKS: usize = 10_000;
const THREADS: usize = 8;
const ROUNDS: usize = 1_000;
const TRIALS: u32 = 3;
/// The three phases of a round: until the circuit opens, while it is open, and until it closes. Each phase is a flag that is true if
/// calls succeed, and the number of calls per thread.
const PHASES: [(bool, usize); 3] = [(false, 5), (true, 1), (true, 1)];
const RECOVERY: Duration = Duration::from_secs(30);

/// The callers' own counts.
#[derive(Default)]
struct Counts {
    successes: AtomicU64,
    failures: AtomicU64,
    rejections: AtomicU64,
    trials_in_flight: AtomicUsize,
    most_trials: AtomicUsize,
}

fn call(breaker: &CircuitBreaker, counts: &Counts, succeeds: bool) {
    let Ok(permit) = breaker.try_acquire() else {
        counts.rejections.fetch_add(1, Ordering::Relaxed);
        return;
    };
    // A call admitted while the circuit is half-open is a trial call.
    if breaker.state() == BreakerState::HalfOpen {
        let in_flight = counts.trials_in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        counts.most_trials.fetch_max(in_flight, Ordering::SeqCst);
        thread::yield_now();
        // Counted down before the permit is released, since the permit may be issued again at once.
        counts.trials_in_flight.fetch_sub(1, Ordering::SeqCst);
    }
    if succeeds {
        counts.successes.fetch_add(1, Ordering::Relaxed);
        permit.success();
    } else {
        counts.failures.fetch_add(1, Ordering::Relaxed);
        permit.failure();
    }
}

#[test]
fn a_breaker_opens_and_recovers_a_thousand_times() {
    let config = BreakerConfig::new().failure_threshold(5).recovery_timeout(RECOVERY).half_open_max_calls(TRIALS);
    let breaker = Arc::new(CircuitBreaker::new("stress", config));
    let counts = Arc::new(Counts::default());
    let changes = Arc::new(Mutex::new(Vec::new()));
    let subscription = events::subscribe({
        let changes = changes.clone();
        move |event| {
            if let Event::StateChanged { breaker: "stress", from, to, .. } = event {
                changes.lock().unwrap().push((*from, *to));
            }
        }
    });

    let runtime = runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let handle = runtime.handle().clone();
    let (begin, end) = (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                // This thread reads the clock of the runtime, which does not advance while the threads run.
                let _guard = handle.enter();
                for _ in 0..ROUNDS {
                    for (succeeds, calls) in PHASES {
                        begin.wait();
                        for _ in 0..calls {
                            call(&breaker, &counts, succeeds);
                        }
                        end.wait();
                    }
                }
            });
        }
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for round in 0..ROUNDS {
                for phase in 0..3 {
                    begin.wait();
                    // Tasks run at the same time as the threads.
                    if phase == 2 {
                        for _ in 0..TASKS / ROUNDS {
                            let (breaker, counts) = (breaker.clone(), counts.clone());
                            tasks.spawn(async move { call(&breaker, &counts, true) });
                        }
                    }
                    while tasks.join_next().await.is_some() {}
                    end.wait();
                    let expected = if phase == 2 { BreakerState::Closed } else { BreakerState::Open };
                    assert_eq!(breaker.state(), expected, "round {round}, phase {phase}");
                    if phase == 1 {
                        advance(RECOVERY).await;
                    }
                }
            }
        });
    });

    let snapshot = breaker.snapshot();
    let counted = [snapshot.successes, snapshot.failures, snapshot.rejections];
    let expected = [&counts.successes, &counts.failures, &counts.rejections].map(|count| count.load(Ordering::Relaxed));
    assert_eq!(counted, expected);
    let calls_of_a_round: usize = PHASES.iter().map(|(_, calls)| THREADS * calls).sum();
    let calls = ROUNDS * calls_of_a_round + TASKS;
    assert_eq!(counted.iter().sum::<u64>(), calls as u64);

    let most_trials = counts.most_trials.load(Ordering::SeqCst);
    assert!((1..=TRIALS as usize).contains(&most_trials), "{most_trials} trial calls at once");

    // Another thread may still be delivering the last events.
    let start = Instant::now();
    while changes.lock().unwrap().len() < ROUNDS * 3 {
        assert!(start.elapsed() < Duration::from_secs(30), "events are missing after 30 s");
        thread::yield_now();
    }
    let changes = changes.lock().unwrap();
    assert_eq!((changes.len(), snapshot.transitions), (ROUNDS * 3, ROUNDS as u64 * 3));
    for (index, transition) in changes.iter().enumerate() {
        use BreakerState::{Closed, HalfOpen, Open};
        assert_eq!(*transition, [(Closed, Open), (Open, HalfOpen), (HalfOpen, Closed)][index % 3]);
    }
    subscription.unsubscribe();
}

#[test]
fn ten_thousand_callers_get_three_trial_calls() {
    let config = BreakerConfig::new().failure_threshold(1).recovery_timeout(RECOVERY).half_open_max_calls(TRIALS);
    let breaker = Arc::new(CircuitBreaker::new("crowded", config));
    let runtime = runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        breaker.try_acquire().unwrap().failure();
        advance(RECOVERY).await;
        let mut tasks = JoinSet::new();
        for _ in 0..TASKS {
            let breaker = breaker.clone();
            tasks.spawn(async move {
                let Ok(permit) = breaker.try_acquire() else { return 0 };
                sleep(Duration::from_secs(1)).await;
                permit.success();
                1
            });
        }
        assert_eq!(tasks.join_all().await.into_iter().sum::<u32>(), TRIALS);
    });
    assert_eq!(breaker.state(), BreakerState::Closed);
    assert_eq!(breaker.snapshot().rejections, (TASKS - TRIALS as usize) as u64);
}

/// The ends of a call in [`every_call_of_a_storm_is_counted_once`].
const ENDS: [&str; 6] = ["success", "failure", "panic", "aborted", "hangs, then ends", "hangs, then aborted"];

#[test]
fn every_call_of_a_storm_is_counted_once() {
    const LIMIT: Duration = Duration::from_secs(5);
    const CONFIG: BreakerConfig = BreakerConfig::new().hung_call(LIMIT).failure_threshold(u32::MAX);
    static BREAKER: CircuitBreaker = CircuitBreaker::new("storm", CONFIG);

    let runtime = runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut random = fastrand::Rng::with_seed(18);
        let mut tasks = JoinSet::new();
        let mut expected = [0_u64; ENDS.len()];
        for _ in 0..TASKS {
            let end = random.usize(0..ENDS.len());
            expected[end] += 1;
            let short = Duration::from_millis(random.u64(0..4_900));
            let long = LIMIT + Duration::from_millis(random.u64(0..20_000));
            let (work, aborted_after) = match end {
                3 => (Duration::from_hours(1), Some(short)),
                4 => (long, None),
                5 => (Duration::from_hours(1), Some(long)),
                _ => (short, None),
            };
            let call = tasks.spawn(BREAKER.call_async(async move || {
                sleep(work).await;
                match end {
                    1 => Err(std::io::Error::from(std::io::ErrorKind::TimedOut)),
                    2 => std::panic::resume_unwind(Box::new("in the storm")),
                    _ => Ok(()),
                }
            }));
            if let Some(after) = aborted_after {
                tokio::spawn(async move {
                    sleep(after).await;
                    call.abort();
                });
            }
            sleep(Duration::from_millis(random.u64(0..4))).await;
        }
        while tasks.join_next().await.is_some() {}

        let [successes, failures, panics, aborted, hung, hung_and_aborted] = expected;
        let snapshot = BREAKER.snapshot();
        assert_eq!(snapshot.successes, successes + hung, "{snapshot}");
        assert_eq!(snapshot.failures, failures + panics, "{snapshot}");
        assert_eq!(snapshot.cancelled, aborted + hung_and_aborted, "{snapshot}");
        assert_eq!(snapshot.hung, hung + hung_and_aborted, "{snapshot}");
        assert_eq!((snapshot.in_flight, snapshot.oldest_in_flight), (Some(0), None), "{snapshot}");
        let durations = snapshot.durations.unwrap();
        let counted = [durations.successes, durations.failures, durations.cancelled].map(|durations| durations.count());
        assert_eq!(counted, [snapshot.successes, snapshot.failures, snapshot.cancelled]);
    });
}

#[test]
fn calls_in_flight_are_exact_across_threads() {
    static BREAKER: CircuitBreaker = CircuitBreaker::new(
        "threads",
        BreakerConfig::new().hung_call(Duration::from_hours(1)).failure_threshold(u32::MAX),
    );

    for round in 1..=20 {
        let permits: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|_| scope.spawn(|| (0..500).map(|_| BREAKER.try_acquire().unwrap()).collect::<Vec<_>>()))
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(BREAKER.snapshot().in_flight, Some(permits.len() as u64));
        if round % 5 == 0 {
            BREAKER.reset();
        }
        // Each call ends on another thread than the one on which it started.
        let permits = Mutex::new(permits);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    loop {
                        let Some(permit) = permits.lock().unwrap().pop() else { break };
                        permit.success();
                    }
                });
            }
        });
        let snapshot = BREAKER.snapshot();
        assert_eq!((snapshot.in_flight, snapshot.hung), (Some(0), 0));
        assert_eq!(snapshot.successes, round * THREADS as u64 * 500);
    }
}
