//! A dependency that hangs: how many calls reach it before the circuit opens, if callers give up first and if they never do; and calls that
//! lose a race, which must not open a circuit.
//!
//! The calls take real time: a build in which tokio's clock can be paused has no coarse clock, and the other measurements would be of a
//! different breaker. All contestants are measured at the same time in all situations, each with a dependency of its own.

use std::{
    future::{Future, pending},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use layered::Service;
use seatbelt::breaker::BreakerConfig as SeatbeltConfig;
use steadfast::{BreakerConfig, CircuitBreaker};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use crate::{
    contestant::{IntoOutcome, Outcome},
    peers::seatbelt as seatbelt_peer,
    work::Error,
};

/// The figures of a contestant.
#[derive(Clone, Debug)]
pub struct Hang {
    /// The name of the contestant.
    pub name: &'static str,
    /// Its settings.
    pub settings: &'static str,
    /// A figure for each situation, in the order of [`titles`].
    pub figures: Vec<usize>,
    /// The snapshot at the end of the last situation, of a breaker that has snapshots.
    pub snapshot: Option<String>,
}

/// A situation.
struct Situation {
    title: &'static str,
    /// The recovery timeout; `None` for the default of the contestant.
    recovery: Option<Duration>,
    /// The traffic before the part that is measured, and that part.
    phases: [Phase; 2],
    /// The time after which callers give up; `None` if they wait forever.
    patience: Option<Duration>,
    /// The time limit of an attempt, below the breaker.
    time_limit: Option<Duration>,
    /// The number of permits of a bulkhead below the breaker.
    permits: usize,
    /// The figure that is reported.
    figure: fn(&Counts) -> usize,
}

/// Calls at regular intervals.
#[derive(Clone, Copy)]
struct Phase {
    behavior: Behavior,
    calls: usize,
    interval: Duration,
}

/// The behavior of the dependency.
#[derive(Clone, Copy)]
enum Behavior {
    Answers,
    Fails,
    Hangs,
}

/// The counts of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    /// The calls that have reached the dependency.
    reached: usize,
    /// The calls that the breaker has rejected.
    rejected: usize,
}

const SECOND: Duration = Duration::from_secs(1);
const EVERY_10_MS: Duration = Duration::from_millis(10);
const EVERY_MS: Duration = Duration::from_millis(1);

const fn phase(behavior: Behavior, calls: usize) -> Phase {
    Phase { behavior, calls, interval: EVERY_10_MS }
}

/// 400 calls while the dependency hangs.
const HANG: Phase = phase(Behavior::Hangs, 400);
const NO_CALLS: Phase = phase(Behavior::Answers, 0);
/// Failures that open the circuit of each contestant.
const FAILURES: Phase = Phase { interval: EVERY_MS, ..phase(Behavior::Fails, 120) };

const GIVE_UP: Situation = Situation {
    title: "hang",
    recovery: None,
    phases: [NO_CALLS, HANG],
    patience: Some(Duration::from_millis(100)),
    time_limit: Some(Duration::from_millis(200)),
    permits: Semaphore::MAX_PERMITS,
    figure: |counts| counts.reached,
};

fn situations(quick: bool) -> [Situation; 7] {
    let long_hang = if quick { HANG } else { phase(Behavior::Hangs, 3_000) };
    [
        GIVE_UP,
        Situation { title: "hang after answers", phases: [phase(Behavior::Answers, 300), HANG], ..GIVE_UP },
        Situation { title: "trials, 500 ms", recovery: Some(SECOND / 2), phases: [FAILURES, HANG], ..GIVE_UP },
        Situation { title: "trials, 1 s", recovery: Some(SECOND), phases: [FAILURES, HANG], ..GIVE_UP },
        Situation {
            title: "no time limit",
            phases: [NO_CALLS, long_hang],
            patience: None,
            time_limit: None,
            ..GIVE_UP
        },
        Situation {
            title: "lost races, rejected",
            phases: [NO_CALLS, Phase { interval: EVERY_MS, ..phase(Behavior::Hangs, 3_000) }],
            patience: Some(EVERY_MS),
            figure: |counts| counts.rejected,
            ..GIVE_UP
        },
        Situation {
            title: "bulkhead, rejected",
            phases: [phase(Behavior::Hangs, 50), phase(Behavior::Answers, 400)],
            patience: None,
            time_limit: None,
            permits: 50,
            figure: |counts| counts.rejected,
            ..GIVE_UP
        },
    ]
}

/// Returns the titles of the situations.
#[must_use]
pub fn titles() -> Vec<&'static str> {
    situations(true).iter().map(|situation| situation.title).collect()
}

/// Measures all contestants in all situations.
pub fn hangs(quick: bool) -> Result<Vec<Hang>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    let hangs = runtime.block_on(async {
        let running: Vec<_> = contestants()
            .into_iter()
            .map(|(name, settings, breaker)| {
                let run = |situation: Situation| {
                    let breaker = breaker(situation.recovery);
                    tokio::spawn(situation.run(breaker))
                };
                (name, settings, situations(quick).map(run))
            })
            .collect();
        let mut hangs = Vec::new();
        for (name, settings, runs) in running {
            let mut hang = Hang { name, settings, figures: Vec::new(), snapshot: None };
            for run in runs {
                let (figure, snapshot) = run.await?;
                hang.figures.push(figure);
                hang.snapshot = snapshot;
            }
            hangs.push(hang);
        }
        anyhow::Ok(hangs)
    })?;
    check(&hangs)?;
    Ok(hangs)
}

/// Checks the figures of steadfast, and that all calls reach the dependency without a breaker.
fn check(hangs: &[Hang]) -> Result<()> {
    let figures = |name: &str| -> Result<&[usize]> {
        let hang = hangs.iter().find(|hang| hang.name == name).context("the contestant was measured")?;
        Ok(&hang.figures)
    };
    let bare = figures("no breaker")?;
    ensure!(bare[..4] == [400; 4] && bare[5..] == [0, 0], "no breaker: {bare:?}");
    for (name, most) in [("steadfast", 96), (CANCELLED, 20)] {
        let figures = figures(name)?;
        ensure!(
            figures[..2].iter().all(|reached| *reached <= most),
            "{name}: {figures:?} calls reached the dependency"
        );
        ensure!(figures[5] == 0, "{name}: {figures:?}, lost races opened the circuit");
    }
    let trials = &figures("steadfast")?[2..4];
    ensure!(trials.iter().all(|trials| *trials <= 8), "steadfast: {trials:?} trial calls");
    let hung = figures(HUNG)?;
    ensure!(hung[4] < bare[4] / 2 && hung[6] > 0, "{HUNG}: {hung:?}");
    Ok(())
}

impl Situation {
    /// Returns the figure, and the snapshot of a breaker that has one.
    async fn run(self, breaker: Breaker) -> (usize, Option<String>) {
        let dependency = Arc::new(Dependency {
            behavior: Mutex::new(Behavior::Answers),
            time_limit: self.time_limit,
            bulkhead: Semaphore::new(self.permits),
            reached: 0.into(),
            rejected: 0.into(),
        });
        // Dropped at the end, with all calls in flight.
        let mut calls = JoinSet::new();
        let mut counts = dependency.counts();
        for phase in self.phases {
            let before = dependency.counts();
            dependency.set(phase.behavior);
            let mut interval = interval(phase.interval);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for _ in 0..phase.calls {
                interval.tick().await;
                let (call, dependency) = ((breaker.call)(dependency.clone()), dependency.clone());
                calls.spawn(async move {
                    let outcome = timeout(self.patience.unwrap_or(Duration::MAX), call).await;
                    if outcome == Ok(Outcome::Rejected) {
                        // ORDERING: Relaxed, here and below: nothing else is inferred from the counts.
                        dependency.rejected.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            sleep(EVERY_10_MS).await;
            let after = dependency.counts();
            counts = Counts { reached: after.reached - before.reached, rejected: after.rejected - before.rejected };
        }
        ((self.figure)(&counts), breaker.ours.map(|breaker| breaker.snapshot().to_string()))
    }
}

struct Dependency {
    behavior: Mutex<Behavior>,
    time_limit: Option<Duration>,
    bulkhead: Semaphore,
    reached: AtomicUsize,
    rejected: AtomicUsize,
}

impl Dependency {
    fn set(&self, behavior: Behavior) {
        *self.behavior.lock().unwrap_or_else(PoisonError::into_inner) = behavior;
    }

    fn counts(&self) -> Counts {
        Counts { reached: self.reached.load(Ordering::Relaxed), rejected: self.rejected.load(Ordering::Relaxed) }
    }

    /// The work. A full bulkhead is not a failure of the dependency.
    async fn work(self: Arc<Self>) -> Result<u64, Error> {
        let Ok(_permit) = self.bulkhead.try_acquire() else { return Ok(0) };
        self.reached.fetch_add(1, Ordering::Relaxed);
        let behavior = *self.behavior.lock().unwrap_or_else(PoisonError::into_inner);
        match (behavior, self.time_limit) {
            (Behavior::Answers, _) => {
                sleep(Duration::from_millis(5)).await;
                Ok(1)
            }
            (Behavior::Fails, _) => Err(Error::Failed),
            (Behavior::Hangs, None) => pending().await,
            (Behavior::Hangs, Some(limit)) => {
                sleep(limit).await;
                Err(Error::Failed)
            }
        }
    }
}

type Call = Box<dyn Fn(Arc<Dependency>) -> Pin<Box<dyn Future<Output = Outcome> + Send>> + Send + Sync>;

/// A contestant's way to call a dependency, and the breaker if it is steadfast's.
struct Breaker {
    call: Call,
    ours: Option<Arc<CircuitBreaker>>,
}

const CANCELLED: &str = "steadfast, cancelled_call = 50ms";
const HUNG: &str = "steadfast, hung_call = 1s";

type Contestant = (&'static str, &'static str, Box<dyn Fn(Option<Duration>) -> Breaker>);

fn contestants() -> Vec<Contestant> {
    let ours = BreakerConfig::new();
    vec![
        ("no breaker", "the calls alone", Box::new(|_| no_breaker())),
        ("steadfast", "failure_threshold = 5, recovery_timeout = 30s: the defaults", steadfast(ours)),
        (
            CANCELLED,
            "cancelled_call = 50ms, otherwise the defaults",
            steadfast(ours.cancelled_call(Duration::from_millis(50))),
        ),
        (HUNG, "hung_call = 1s, otherwise the defaults", steadfast(ours.hung_call(SECOND))),
        ("seatbelt", seatbelt_peer::SETTINGS, seatbelt(SeatbeltConfig::default())),
        ("seatbelt, min_throughput(10)", seatbelt_peer::FEW_CALLS, seatbelt(seatbelt_peer::few_calls())),
        ("seatbelt, as_failures()", seatbelt_peer::AS_FAILURES, seatbelt(seatbelt_peer::as_failures())),
    ]
}

fn no_breaker() -> Breaker {
    let call: Call = Box::new(|dependency| Box::pin(async move { dependency.work().await.into_outcome() }));
    Breaker { call, ours: None }
}

fn steadfast(config: BreakerConfig) -> Box<dyn Fn(Option<Duration>) -> Breaker> {
    Box::new(move |recovery| {
        let config = recovery.map_or(config, |recovery| config.recovery_timeout(recovery));
        let breaker = Arc::new(CircuitBreaker::new("hang", config));
        let ours = Some(breaker.clone());
        let call: Call = Box::new(move |dependency| {
            let breaker = breaker.clone();
            Box::pin(async move { breaker.call_async(async || dependency.work().await).await.into_outcome() })
        });
        Breaker { call, ours }
    })
}

fn seatbelt(config: SeatbeltConfig) -> Box<dyn Fn(Option<Duration>) -> Breaker> {
    Box::new(move |recovery| {
        let service = seatbelt_peer::guard(&config, recovery, Dependency::work);
        let call: Call = Box::new(move |dependency| {
            let service = service.clone();
            Box::pin(async move { service.execute(dependency).await.into_outcome() })
        });
        Breaker { call, ours: None }
    })
}
