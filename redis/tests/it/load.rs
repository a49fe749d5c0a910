//! Callers of an instance's breaker, on threads of their own.

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

use crate::service::{self, Trial};

/// Callers of the service, or of nothing.
pub(crate) struct Load {
    breaker: &'static CircuitBreaker,
    service: Option<SocketAddr>,
    /// Rises when those who call are to leave.
    left: Arc<AtomicU64>,
    pub(crate) calls: Arc<AtomicU64>,
    rejected: Arc<AtomicU64>,
    /// How long it took to be admitted or rejected, and to say how it ended.
    waits: Arc<Mutex<Vec<Duration>>>,
    callers: Mutex<Vec<JoinHandle<()>>>,
}

impl Load {
    pub(crate) fn new(breaker: &'static CircuitBreaker, service: Option<SocketAddr>) -> Self {
        let (left, calls, rejected) = (Arc::default(), Arc::default(), Arc::default());
        Self { breaker, service, left, calls, rejected, waits: Arc::default(), callers: Mutex::default() }
    }

    pub(crate) fn start(&self, threads: u32, pause: u64) {
        let round = self.left.load(Ordering::Relaxed);
        for _ in 0..threads {
            let (breaker, service, left) = (self.breaker, self.service, self.left.clone());
            let (calls, rejected, waits) = (self.calls.clone(), self.rejected.clone(), self.waits.clone());
            let caller = thread::spawn(move || {
                let mut own = Vec::new();
                while left.load(Ordering::Relaxed) == round {
                    let before = breaker.snapshot().transitions;
                    let begun = Instant::now();
                    let permit = breaker.try_acquire();
                    let mut took = begun.elapsed();
                    if let Ok(permit) = permit {
                        let snapshot = breaker.snapshot();
                        // Half-open since before the call, or by it; not since it was admitted by a closed circuit.
                        let is_trial = snapshot.state == BreakerState::HalfOpen && before + 1 >= snapshot.transitions;
                        let trial =
                            is_trial.then(|| Trial { instance: process::id(), transitions: snapshot.transitions });
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
                waits.lock().unwrap().append(&mut own);
            });
            self.callers.lock().unwrap().push(caller);
        }
    }

    /// Calls, how many of them were rejected, and what the breaker took at 99 % and at worst, in nanoseconds.
    pub(crate) fn stop(&self) -> String {
        self.left.fetch_add(1, Ordering::Relaxed);
        for caller in self.callers.lock().unwrap().drain(..) {
            caller.join().unwrap();
        }
        let mut waits = std::mem::take(&mut *self.waits.lock().unwrap());
        waits.sort_unstable();
        let [most, worst] =
            [waits.get(waits.len() * 99 / 100), waits.last()].map(|wait| wait.map_or(0, Duration::as_nanos));
        let rejected = self.rejected.swap(0, Ordering::Relaxed);
        format!("{} {rejected} {most} {worst}", waits.len())
    }
}
