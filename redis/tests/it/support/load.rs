//! Threads that make calls through an instance's breaker.

use std::{
    net::SocketAddr,
    process,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use steadfast::{BreakerState, CircuitBreaker};

use super::service::{self, TrialId};

/// Threads that call the service; without a service every call succeeds.
pub(crate) struct Load {
    breaker: &'static CircuitBreaker,
    service: Option<SocketAddr>,
    /// Incremented to stop the callers.
    generation: Arc<AtomicU64>,
    pub(crate) calls: Arc<AtomicU64>,
    rejected: Arc<AtomicU64>,
    /// The time that each call spent in the breaker: admission or rejection, and recording the outcome.
    overheads: Arc<Mutex<Vec<Duration>>>,
    callers: Mutex<Vec<JoinHandle<()>>>,
}

impl Load {
    pub(crate) fn new(breaker: &'static CircuitBreaker, service: Option<SocketAddr>) -> Self {
        let (generation, calls, rejected) = (Arc::default(), Arc::default(), Arc::default());
        Self { breaker, service, generation, calls, rejected, overheads: Arc::default(), callers: Mutex::default() }
    }

    /// Starts threads that make calls, with a pause in milliseconds between two calls of a thread.
    pub(crate) fn start(&self, threads: u32, pause: u64) {
        let generation_at_start = self.generation.load(Ordering::Relaxed);
        for _ in 0..threads {
            let (breaker, service, generation) = (self.breaker, self.service, self.generation.clone());
            let (calls, rejected, overheads) = (self.calls.clone(), self.rejected.clone(), self.overheads.clone());
            let caller = thread::spawn(move || {
                let mut own = Vec::new();
                while generation.load(Ordering::Relaxed) == generation_at_start {
                    let before = breaker.snapshot().transitions;
                    let begun = Instant::now();
                    let permit = breaker.try_acquire();
                    let mut took = begun.elapsed();
                    if let Ok(permit) = permit {
                        let snapshot = breaker.snapshot();
                        // A trial call unless the circuit was closed at admission and became half-open later.
                        let is_trial = snapshot.state == BreakerState::HalfOpen && before + 1 >= snapshot.transitions;
                        let trial =
                            is_trial.then(|| TrialId { instance: process::id(), transitions: snapshot.transitions });
                        let is_fine = service.is_none_or(|address| service::call(address, trial).unwrap_or(false));
                        let ended = Instant::now();
                        if is_fine {
                            permit.success();
                        } else {
                            permit.failure();
                        }
                        took += ended.elapsed();
                    } else {
                        rejected.fetch_add(1, Ordering::Relaxed);
                    }
                    calls.fetch_add(1, Ordering::Relaxed);
                    own.push(took);
                    thread::sleep(Duration::from_millis(pause));
                }
                overheads.lock().unwrap().append(&mut own);
            });
            self.callers.lock().unwrap().push(caller);
        }
    }

    /// Stops the callers. Returns the number of calls, the number of rejections, and the 99th percentile and maximum of the breaker's
    /// overhead in nanoseconds.
    pub(crate) fn stop(&self) -> String {
        self.generation.fetch_add(1, Ordering::Relaxed);
        for caller in self.callers.lock().unwrap().drain(..) {
            caller.join().unwrap();
        }
        let mut overheads = std::mem::take(&mut *self.overheads.lock().unwrap());
        overheads.sort_unstable();
        let [p99, max] = [overheads.get(overheads.len() * 99 / 100), overheads.last()]
            .map(|overhead| overhead.map_or(0, Duration::as_nanos));
        let rejected = self.rejected.swap(0, Ordering::Relaxed);
        format!("{} {rejected} {p99} {max}", overheads.len())
    }
}
