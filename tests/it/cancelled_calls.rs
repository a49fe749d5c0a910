//! Cancelled calls: `cancelled_call`, and the rule without it. Callers who give up must not hide a dependency that hangs, and callers who
//! leave for reasons of their own must not open the circuit of one that works.

use std::{
    cell::{Cell, RefCell},
    future::pending,
    io,
    rc::Rc,
    time::Duration,
};

use steadfast::{
    BreakerConfig,
    BreakerState::{Closed, HalfOpen, Open},
    CircuitBreaker, OpenReason, Snapshot, TimedOut, Window, breaker, circuit_breaker,
};
use tokio::{
    task::{JoinHandle, LocalSet, spawn_local},
    time::{Instant, advance, sleep, timeout},
};

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const CONFIG: BreakerConfig = BreakerConfig::new();
const KINDS: [BreakerConfig; 3] =
    [CONFIG, CONFIG.window(Window::calls(20)), CONFIG.window(Window::time(Duration::from_secs(10)))];

/// A dependency behind a breaker.
#[derive(Clone)]
struct Service(Rc<State>);

struct State {
    breaker: CircuitBreaker,
    /// The time that the dependency takes to answer, and whether it answers with an error.
    latency: Cell<Duration>,
    fails: Cell<bool>,
    reached: Cell<u32>,
    random: RefCell<fastrand::Rng>,
}

impl Service {
    fn new(config: BreakerConfig, latency: Duration) -> Self {
        Self(Rc::new(State {
            breaker: CircuitBreaker::new("cancelled", config),
            latency: Cell::new(latency),
            fails: Cell::new(false),
            reached: Cell::new(0),
            random: RefCell::new(fastrand::Rng::with_seed(18)),
        }))
    }

    async fn call(&self) -> io::Result<()> {
        self.0
            .breaker
            .call_async(async || {
                self.0.reached.set(self.0.reached.get() + 1);
                sleep(self.0.latency.get()).await;
                if self.0.fails.get() { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
            })
            .await
    }

    /// Starts a call whose caller gives up after `patience`.
    fn call_for(&self, patience: Duration) -> JoinHandle<()> {
        let service = self.clone();
        spawn_local(async move { _ = timeout(patience, service.call()).await })
    }

    /// Starts `calls` calls, one every 10 ms, and returns the number that reached the dependency.
    async fn traffic(&self, calls: u32, patience: impl Fn(u64) -> Duration) -> u32 {
        let before = self.0.reached.get();
        for _ in 0..calls {
            let patience = patience(self.0.random.borrow_mut().u64(0..1_000));
            self.call_for(patience);
            sleep(millis(10)).await;
        }
        self.0.reached.get() - before
    }

    fn snapshot(&self) -> Snapshot {
        self.0.breaker.snapshot()
    }
}

async fn run(test: impl Future<Output = ()>) {
    LocalSet::new().run_until(test).await;
}

const HANG: Duration = Duration::from_secs(4);
const PATIENCE: Duration = millis(100);

#[tokio::test(start_paused = true)]
async fn callers_who_give_up_do_not_hide_a_hang() {
    run(async {
        for config in KINDS {
            for answered in [0, 300] {
                let service = Service::new(config, millis(20));
                service.traffic(answered, |_| PATIENCE).await;
                service.0.latency.set(HANG);
                let reached = service.traffic(400, |_| PATIENCE).await;
                assert!(reached <= 96, "{reached} of 400 calls reached the dependency, {config}");
                let snapshot = service.snapshot();
                assert_eq!(snapshot.state, Open);
                assert!(matches!(snapshot.open_reason, Some(OpenReason::Cancelled { .. })), "{snapshot}");
            }
            let service = Service::new(config.cancelled_call(millis(50)).min_calls(5), millis(20));
            service.0.latency.set(HANG);
            let reached = service.traffic(400, |_| PATIENCE).await;
            assert!(reached <= 20, "{reached} of 400 calls reached the dependency, {config}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn any_patience_opens_the_circuit() {
    run(async {
        for patience in [millis(60), millis(300), millis(2_000), millis(20_000)] {
            let service = Service::new(CONFIG, Duration::from_mins(10));
            let start = Instant::now();
            while service.snapshot().state == Closed {
                service.call_for(patience);
                sleep(millis(10)).await;
                assert!(start.elapsed() < 3 * patience + millis(700), "{patience:?}");
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_hang_during_a_recovery_gets_few_trial_calls() {
    run(async {
        for recovery in [millis(100), millis(500), millis(1_000), millis(1_500)] {
            let configs = KINDS.map(|config| config.recovery_timeout(recovery).min_calls(5));
            for config in configs.into_iter().chain(configs.map(|config| config.cancelled_call(millis(50)))) {
                let service = Service::new(config, millis(20));
                service.0.fails.set(true);
                service.traffic(20, |_| PATIENCE).await;
                assert_eq!(service.snapshot().state, Open);
                service.0.fails.set(false);
                service.0.latency.set(HANG);
                let reached = service.traffic(400, |_| PATIENCE).await;
                assert!(reached <= 8, "{reached} trial calls, {config}");
                assert!([Open, HalfOpen].contains(&service.snapshot().state));
                service.0.latency.set(millis(20));
                service.traffic(400, |_| PATIENCE).await;
                assert_eq!(service.snapshot().state, Closed, "it recovers, {config}");
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn calls_that_lose_a_race_open_nothing() {
    run(async {
        for config in KINDS {
            for patience in [Duration::ZERO, Duration::from_micros(900), millis(5), millis(45)] {
                let service = Service::new(config, Duration::from_secs(1));
                service.traffic(3_000, |_| patience).await;
                let snapshot = service.snapshot();
                assert_eq!((snapshot.state, snapshot.rejections), (Closed, 0), "{patience:?}, {config}");
                assert!(snapshot.cancelled > 2_900 || patience.is_zero(), "{snapshot}");
            }
        }
    })
    .await;
}

/// A hedged request: a second copy starts after 50 ms, and the slower copy is dropped.
#[tokio::test(start_paused = true)]
async fn hedged_requests_open_nothing() {
    run(async {
        for config in KINDS {
            let service = Service::new(config, millis(20));
            for _ in 0..3_000 {
                let random = service.0.random.borrow_mut().u64(0..100);
                // Most calls are hedged, and the loser has often waited for longer than the winner.
                let slow = millis(if random < 80 { 150 } else { 20 });
                service.0.latency.set(slow);
                let (first, second) = (service.clone(), service.clone());
                spawn_local(async move {
                    let hedge = async {
                        sleep(millis(50)).await;
                        second.0.latency.set(millis(30));
                        second.call().await
                    };
                    tokio::select! {
                        result = first.call() => result,
                        result = hedge => result,
                    }
                });
                sleep(millis(10)).await;
            }
            let snapshot = service.snapshot();
            assert_eq!((snapshot.state, snapshot.rejections), (Closed, 0), "{config}");
            assert!(snapshot.cancelled > 1_000, "{snapshot}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn long_polls_whose_clients_leave_open_nothing() {
    run(async {
        for config in KINDS {
            // A poll takes 30 s. Most clients leave sooner, at any time.
            let service = Service::new(config, Duration::from_secs(30));
            service.traffic(20_000, |random| millis(random * 32)).await;
            let snapshot = service.snapshot();
            assert_eq!((snapshot.state, snapshot.rejections), (Closed, 0), "{config}");
            assert!(snapshot.cancelled > 15_000 && snapshot.successes > 500, "{snapshot}");
            // One in fifty stays until its poll is answered; the others leave within two seconds.
            let service = Service::new(config, Duration::from_secs(30));
            service.traffic(20_000, |random| millis(if random < 20 { 40_000 } else { random * 2 })).await;
            let snapshot = service.snapshot();
            assert_eq!((snapshot.state, snapshot.rejections), (Closed, 0), "{config}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_dropped_together_open_nothing() {
    run(async {
        for config in KINDS {
            let service = Service::new(config, Duration::from_secs(1));
            for _ in 0..5 {
                let calls: Vec<_> = (0..500).map(|_| service.call_for(Duration::from_mins(1))).collect();
                sleep(millis(200)).await;
                for call in calls {
                    call.abort();
                }
                // The next calls are answered.
                service.traffic(200, |_| Duration::from_mins(1)).await;
                sleep(Duration::from_secs(2)).await;
            }
            let snapshot = service.snapshot();
            assert_eq!((snapshot.state, snapshot.cancelled, snapshot.rejections), (Closed, 2_500, 0), "{config}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_any_kind_ends_the_streak() {
    run(async {
        for config in KINDS.map(|config| config.failure_threshold(1_000).failure_rate(1.0)) {
            let service = Service::new(config, HANG);
            for call in 0..2_000 {
                service.0.fails.set(call % 40 == 0);
                service.0.latency.set(if call % 20 == 0 { millis(1) } else { HANG });
                service.call_for(PATIENCE);
                sleep(millis(10)).await;
            }
            assert_eq!(service.snapshot().state, Closed, "{config}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn stragglers_fail_no_recovery() {
    run(async {
        for config in KINDS.map(|config| config.cancelled_call(millis(50)).recovery_timeout(millis(500))) {
            let service = Service::new(config, HANG);
            let stragglers: Vec<_> = (0..10).map(|_| service.call_for(Duration::from_secs(3))).collect();
            sleep(millis(100)).await;
            service.0.breaker.force_open_for(Duration::ZERO);
            // A trial call of an earlier round, too.
            let trial = service.call_for(Duration::from_secs(3));
            sleep(millis(600)).await;
            service.0.latency.set(millis(1));
            service.call().await.unwrap();
            assert_eq!(service.snapshot().state, HalfOpen);
            for call in stragglers.into_iter().chain([trial]) {
                call.abort();
            }
            sleep(millis(1)).await;
            assert_eq!(service.snapshot().state, HalfOpen, "{config}");
            service.call().await.unwrap();
            service.call().await.unwrap();
            assert_eq!(service.snapshot().state, Closed, "{config}");
        }
    })
    .await;
}

#[derive(Debug, thiserror::Error, steadfast::Transient)]
enum Failure {
    #[error(transparent)]
    #[transient]
    TimedOut(#[from] TimedOut),
    #[error(transparent)]
    Open(#[from] steadfast::CircuitOpen),
}

#[steadfast::timeout(2s)]
#[circuit_breaker(name = "below a timeout")]
async fn below_a_timeout() -> Result<(), Failure> {
    pending().await
}

#[tokio::test(start_paused = true)]
async fn a_timeout_above_the_breaker_opens_the_circuit() {
    run(async {
        for _ in 0..1_000 {
            spawn_local(async { _ = below_a_timeout().await });
            sleep(millis(10)).await;
        }
        let snapshot = breaker("below a timeout").unwrap().snapshot();
        assert_eq!(snapshot.state, Open);
        assert!(snapshot.rejections > 400, "{snapshot}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_trial_call_keeps_its_permit_for_a_cool_down() {
    let breaker = CircuitBreaker::new("cool-down", CONFIG.recovery_timeout(millis(100)).half_open_max_calls(1));
    breaker.force_open_for(Duration::ZERO);
    let hang = || async { breaker.call_async(async || pending::<io::Result<()>>().await).await };
    timeout(millis(60), hang()).await.unwrap_err();
    let rejected = breaker.try_acquire().unwrap_err();
    assert_eq!((rejected.reason(), rejected.retry_after()), (OpenReason::TrialsUnderWay, Some(Duration::from_secs(2))));
    advance(Duration::from_secs(2)).await;
    // A call that is cancelled at once releases its permit.
    timeout(millis(10), hang()).await.unwrap_err();
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), Closed);
}
