//! Fake stores of rate limits.

use std::{
    future::{Future, pending},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use steadfast::{RateLimit, RateLimitConfig, RateLimitDecision, RateLimitRequest, RateLimitStore};
use tokio::time::{Instant, sleep};

use super::SECOND;

type Decision<'a> = Pin<Box<dyn Future<Output = RateLimitDecision> + Send + 'a>>;

/// A store with a sliding window, and with a latency in each direction.
#[derive(Debug)]
pub(super) struct WindowStore {
    starts: Mutex<Vec<Instant>>,
    requests: AtomicUsize,
    latency: Duration,
    is_unavailable: AtomicBool,
}

impl WindowStore {
    /// Creates a store that is never freed.
    pub(super) fn new(latency: Duration) -> &'static Self {
        let (starts, requests, is_unavailable) = (Mutex::default(), AtomicUsize::new(0), AtomicBool::new(false));
        Box::leak(Box::new(Self { starts, requests, latency, is_unavailable }))
    }

    fn decide(&self, config: RateLimitConfig) -> RateLimitDecision {
        if self.is_unavailable.load(Ordering::Relaxed) {
            return RateLimitDecision::Unknown;
        }
        let (now, mut starts) = (Instant::now(), self.starts.lock().unwrap());
        starts.retain(|start| *start + config.get_per() > now);
        let limit = config.get_limit() as usize;
        if starts.len() < limit {
            starts.push(now);
            return RateLimitDecision::Admitted;
        }
        RateLimitDecision::Rejected { retry_after: starts[starts.len() - limit] + config.get_per() - now }
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    pub(super) fn set_unavailable(&self) {
        self.is_unavailable.store(true, Ordering::Relaxed);
    }

    /// Creates a limit that this store counts.
    pub(super) fn limit(&'static self, calls: u32, per: Duration, max_wait: Duration) -> Arc<RateLimit> {
        Arc::new(RateLimit::new("stored", RateLimitConfig::new(calls, per).max_wait(max_wait).store(self)))
    }
}

impl RateLimitStore for WindowStore {
    fn acquire<'a>(&'a self, request: &'a RateLimitRequest<'a>) -> Decision<'a> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Box::pin(async {
            sleep(self.latency).await;
            let decision = self.decide(request.config);
            sleep(self.latency).await;
            decision
        })
    }
}

/// A store with a latency of 200 ms that rejects with a `retry_after` of a second until it is opened, and then admits.
#[derive(Debug, Default)]
pub(super) struct SlowStore {
    requests: AtomicUsize,
    /// The number of requests that are neither answered nor dropped.
    in_flight: AtomicUsize,
    is_open: AtomicBool,
    /// Makes the next answer a panic.
    pub(super) panics: AtomicBool,
    /// Leaves the next request without an answer.
    pub(super) hangs: AtomicBool,
}

impl SlowStore {
    /// Creates a store that is never freed.
    pub(super) fn new() -> &'static Self {
        Box::leak(Box::default())
    }

    /// Creates a limit of 10 calls per second that this store counts.
    pub(super) fn limit(&'static self) -> Arc<RateLimit> {
        Arc::new(RateLimit::new("slow store", RateLimitConfig::new(10, SECOND).max_wait(60 * SECOND).store(self)))
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn open(&self) {
        self.is_open.store(true, Ordering::Relaxed);
    }
}

struct InFlight<'a>(&'a AtomicUsize);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl RateLimitStore for SlowStore {
    fn acquire<'a>(&'a self, _: &'a RateLimitRequest<'a>) -> Decision<'a> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let in_flight = InFlight(&self.in_flight);
        Box::pin(async move {
            let _in_flight = in_flight;
            if self.hangs.swap(false, Ordering::Relaxed) {
                pending::<()>().await;
            }
            sleep(Duration::from_millis(200)).await;
            assert!(!self.panics.swap(false, Ordering::Relaxed), "the store panics");
            if self.is_open.load(Ordering::Relaxed) {
                RateLimitDecision::Admitted
            } else {
                RateLimitDecision::Rejected { retry_after: SECOND }
            }
        })
    }
}
