//! Thousands of tasks and several threads at one breaker that trips and recovers all the time, in a process of its own: the events
//! of its rejections would push out those that other tests wait for.

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
use tokio::{runtime, task::JoinSet, time::advance};

const TASKS: usize = 10_000;
const THREADS: usize = 8;
const TRIPS: usize = 1_000;
const TRIALS: u32 = 3;
/// Whether calls work, and how many a thread makes: until it opens, while it is open, and until it closes.
const PHASES: [(bool, usize); 3] = [(false, 5), (true, 1), (true, 1)];
const RECOVERY: Duration = Duration::from_secs(30);

/// What the callers themselves have seen.
#[derive(Default)]
struct Seen {
    successes: AtomicU64,
    failures: AtomicU64,
    rejections: AtomicU64,
    trials_under_way: AtomicUsize,
    most_trials: AtomicUsize,
}

fn call(breaker: &CircuitBreaker, seen: &Seen, works: bool) {
    let Ok(permit) = breaker.try_acquire() else {
        seen.rejections.fetch_add(1, Ordering::Relaxed);
        return;
    };
    // While a circuit is half-open, whatever it has admitted lately is a trial.
    if breaker.state() == BreakerState::HalfOpen {
        let under_way = seen.trials_under_way.fetch_add(1, Ordering::SeqCst) + 1;
        seen.most_trials.fetch_max(under_way, Ordering::SeqCst);
        thread::yield_now();
        // Before the permit: what it frees may be given out at once.
        seen.trials_under_way.fetch_sub(1, Ordering::SeqCst);
    }
    if works {
        seen.successes.fetch_add(1, Ordering::Relaxed);
        permit.success();
    } else {
        seen.failures.fetch_add(1, Ordering::Relaxed);
        permit.failure();
    }
}

#[test]
fn it_trips_and_recovers_a_thousand_times() {
    let config = BreakerConfig::new().failure_threshold(5).recovery_timeout(RECOVERY).half_open_max_calls(TRIALS);
    let breaker = Arc::new(CircuitBreaker::new("storm", config));
    let seen = Arc::new(Seen::default());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let subscription = events::subscribe({
        let heard = heard.clone();
        move |event| {
            if let Event::StateChanged { breaker: "storm", from, to, .. } = event {
                heard.lock().unwrap().push((*from, *to));
            }
        }
    });

    let runtime = runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let handle = runtime.handle().clone();
    let (begin, end) = (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                // Reads the clock of the runtime, which stands still while the threads run.
                let _guard = handle.enter();
                for _ in 0..TRIPS {
                    for (works, calls) in PHASES {
                        begin.wait();
                        for _ in 0..calls {
                            call(&breaker, &seen, works);
                        }
                        end.wait();
                    }
                }
            });
        }
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for round in 0..TRIPS {
                for phase in 0..3 {
                    begin.wait();
                    // Tasks run beside the threads.
                    if phase == 2 {
                        for _ in 0..TASKS / TRIPS {
                            let (breaker, seen) = (breaker.clone(), seen.clone());
                            tasks.spawn(async move { call(&breaker, &seen, true) });
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
    let expected = [&seen.successes, &seen.failures, &seen.rejections].map(|count| count.load(Ordering::Relaxed));
    assert_eq!(counted, expected);
    let calls_of_a_round: usize = PHASES.iter().map(|(_, calls)| THREADS * calls).sum();
    let calls = TRIPS * calls_of_a_round + TASKS;
    assert_eq!(counted.iter().sum::<u64>(), calls as u64);

    let most_trials = seen.most_trials.load(Ordering::SeqCst);
    assert!((1..=TRIALS as usize).contains(&most_trials), "{most_trials} trial calls at once");

    // Another thread may still be delivering the last.
    let start = Instant::now();
    while heard.lock().unwrap().len() < TRIPS * 3 {
        assert!(start.elapsed() < Duration::from_secs(30), "it has not come to that");
        thread::yield_now();
    }
    let heard = heard.lock().unwrap();
    assert_eq!((heard.len(), snapshot.transitions), (TRIPS * 3, TRIPS as u64 * 3));
    for (index, transition) in heard.iter().enumerate() {
        use BreakerState::{Closed, HalfOpen, Open};
        assert_eq!(*transition, [(Closed, Open), (Open, HalfOpen), (HalfOpen, Closed)][index % 3]);
    }
    subscription.unsubscribe();
}

#[test]
fn ten_thousand_callers_meet_a_half_open_circuit() {
    let config = BreakerConfig::new().failure_threshold(1).recovery_timeout(RECOVERY).half_open_max_calls(TRIALS);
    let breaker = Arc::new(CircuitBreaker::new("met", config));
    let runtime = runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        breaker.try_acquire().unwrap().failure();
        advance(RECOVERY).await;
        let mut tasks = JoinSet::new();
        for _ in 0..TASKS {
            let breaker = breaker.clone();
            tasks.spawn(async move {
                let Ok(permit) = breaker.try_acquire() else { return 0 };
                tokio::time::sleep(Duration::from_secs(1)).await;
                permit.success();
                1
            });
        }
        assert_eq!(tasks.join_all().await.into_iter().sum::<u32>(), TRIALS);
    });
    assert_eq!(breaker.state(), BreakerState::Closed);
    assert_eq!(breaker.snapshot().rejections, (TASKS - TRIALS as usize) as u64);
}
