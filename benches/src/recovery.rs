//! Concurrent calls at recovery: ten thousand tasks call once the circuit may recover. The number of admitted calls and the time of all
//! tasks are measured.
//!
//! An admitted call does not end before every task has been admitted or rejected, so the circuit stays half-open.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use failsafe::futures::CircuitBreaker as _;
use steadfast::{BreakerConfig, CircuitBreaker};
use tokio::sync::Semaphore;
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::{
    contestant::{IntoOutcome, Outcome},
    peers::{arcly, failsafe as failsafe_peer, recloser, tower_resilience},
    timing::median,
    work::Error,
};

/// The number of tasks.
pub const TASKS: usize = 10_000;
/// The recovery timeout, which is longer than a round.
const RECOVERY: Duration = Duration::from_millis(300);

/// The result for a breaker.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// The name of the breaker.
    pub name: &'static str,
    /// The configured number of half-open calls.
    pub limit: &'static str,
    /// The largest number of admitted calls in a round.
    pub admitted: usize,
    /// The time of all tasks, in milliseconds.
    pub millis: f64,
}

type Call = Box<dyn Fn(Arc<Gate>, bool) -> Pin<Box<dyn Future<Output = Outcome> + Send>>>;

/// The gate at which admitted calls wait until every task has been admitted or rejected.
struct Gate {
    admitted: AtomicUsize,
    decided: AtomicUsize,
    open: Semaphore,
}

impl Gate {
    fn decide(&self) {
        // ORDERING: AcqRel, so that the last to decide sees the decisions of all others.
        if self.decided.fetch_add(1, Ordering::AcqRel) + 1 == TASKS {
            self.open.close();
        }
    }

    /// The work: waits at the gate, or fails at once to open the circuit.
    async fn work(self: Arc<Self>, fails: bool) -> std::result::Result<u64, Error> {
        if fails {
            return Err(Error::Failed);
        }
        // ORDERING: Relaxed: read after all tasks have been joined.
        self.admitted.fetch_add(1, Ordering::Relaxed);
        self.decide();
        _ = self.open.acquire().await;
        Ok(1)
    }
}

/// Measures each breaker several times; the breakers take turns.
pub fn recoveries(quick: bool) -> Result<Vec<Recovery>> {
    let rounds = if quick { 1 } else { 7 };
    let mut recoveries: Vec<(Recovery, Vec<f64>)> = Vec::new();
    for _ in 0..rounds {
        for (index, (name, limit, call)) in contestants().into_iter().enumerate() {
            let (admitted, millis) = recovery(&call)?;
            if recoveries.len() == index {
                recoveries.push((Recovery { name, limit, admitted, millis: 0.0 }, Vec::new()));
            }
            let (recovery, times) = &mut recoveries[index];
            recovery.admitted = recovery.admitted.max(admitted);
            times.push(millis);
        }
    }
    Ok(recoveries.into_iter().map(|(recovery, times)| Recovery { millis: median(&times), ..recovery }).collect())
}

fn recovery(call: &Call) -> Result<(usize, f64)> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    let gate = || Arc::new(Gate { admitted: 0.into(), decided: 0.into(), open: Semaphore::new(0) });
    runtime.block_on(async {
        // recloser evaluates a window of 100 calls.
        for _ in 0..100 {
            call(gate(), true).await;
        }
    });
    thread::sleep(RECOVERY + Duration::from_millis(20));

    let (gate, start) = (gate(), Instant::now());
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (outcome, gate) = (call(gate.clone(), false), gate.clone());
            runtime.spawn(async move {
                let outcome = outcome.await;
                if outcome == Outcome::Rejected {
                    gate.decide();
                }
                outcome
            })
        })
        .collect();
    let outcomes = runtime.block_on(async {
        let mut outcomes = Vec::with_capacity(TASKS);
        for task in tasks {
            outcomes.push(task.await?);
        }
        anyhow::Ok(outcomes)
    })?;
    let millis = start.elapsed().as_secs_f64() * 1e3;

    let admitted = gate.admitted.load(Ordering::Relaxed);
    let values = outcomes.iter().filter(|outcome| **outcome == Outcome::Value(1)).count();
    let rejected = outcomes.iter().filter(|outcome| **outcome == Outcome::Rejected).count();
    ensure!(
        admitted == values && values + rejected == TASKS,
        "{admitted} admitted, {values} done, {rejected} rejected"
    );
    Ok((admitted, millis))
}

fn contestants() -> Vec<(&'static str, &'static str, Call)> {
    let config = BreakerConfig::new().failure_threshold(5).recovery_timeout(RECOVERY).half_open_max_calls(3);
    let ours = Arc::new(CircuitBreaker::new("recovery", config));
    let recloser = recloser::async_breaker(RECOVERY);
    let failsafe = failsafe_peer::by_failures(RECOVERY);
    let arcly = Arc::new(arcly::breaker(RECOVERY));
    let work = service_fn(|(gate, fails): (Arc<Gate>, bool)| gate.work(fails));
    let tower = tower_resilience::layer(RECOVERY).layer(work);
    vec![
        ("no breaker", "-", Box::new(|gate, fails| Box::pin(async move { gate.work(fails).await.into_outcome() }))),
        (
            "steadfast",
            "3",
            Box::new(move |gate, fails| {
                let breaker = ours.clone();
                Box::pin(async move { breaker.call_async(async || gate.work(fails).await).await.into_outcome() })
            }),
        ),
        ("recloser", "no limit; decides after 3", {
            Box::new(move |gate, fails| {
                let breaker = recloser.clone();
                Box::pin(async move { breaker.call(gate.work(fails)).await.into_outcome() })
            })
        }),
        ("failsafe", "no limit", {
            Box::new(move |gate, fails| {
                let breaker = failsafe.clone();
                Box::pin(async move { breaker.call(gate.work(fails)).await.into_outcome() })
            })
        }),
        ("arcly-http", "1", {
            Box::new(move |gate, fails| {
                let breaker = arcly.clone();
                Box::pin(async move { breaker.execute(|| gate.clone().work(fails)).await.into_outcome() })
            })
        }),
        ("tower-resilience", "3", {
            Box::new(move |gate, fails| {
                let mut service = tower.clone();
                Box::pin(async move {
                    match service.ready().await {
                        Ok(service) => service.call((gate, fails)).await.into_outcome(),
                        Err(error) => Err(error).into_outcome(),
                    }
                })
            })
        }),
    ]
}
