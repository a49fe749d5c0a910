//! `self` in the options of methods under `#[async_trait]`, which renames it.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use async_trait::async_trait;
use steadfast::{BreakerConfig, CircuitBreaker, StopSignal, bulkhead, circuit_breaker, fallback, rate_limit, retry};
use tokio::task::yield_now;

struct Service {
    breaker: CircuitBreaker,
    stop: Arc<StopSignal>,
    host: String,
    calls: u32,
}

mod limits {
    pub(super) fn is_busy() -> bool {
        false
    }
}

#[async_trait]
trait Calls {
    async fn limited(&mut self) -> io::Result<u32>;
    async fn judged(&mut self) -> io::Result<u32>;
    async fn answered(&mut self) -> io::Result<u32>;
    async fn shared(self: Arc<Self>, calls: &AtomicU32) -> io::Result<u32>;
}

#[async_trait]
impl Calls for Service {
    #[circuit_breaker(name = "renamed self", key = self.host)]
    #[rate_limit(name = "renamed self", limit = 9, per = 1h, key = self.calls, permits = self.calls)]
    #[bulkhead(name = "renamed self", max_concurrent = 2, permits = self.calls)]
    async fn limited(&mut self) -> io::Result<u32> {
        yield_now().await;
        self.calls += 1;
        Ok(self.calls)
    }

    #[retry(max_attempts = 5, backoff = none, retry_if = |_| self.calls < 30, on_retry = |_, _, _| self.calls += 10, stop_on = self.stop.clone())]
    #[circuit_breaker(name = "renamed self: judged", failure_if_result = |_| self.calls > 100)]
    async fn judged(&mut self) -> io::Result<u32> {
        yield_now().await;
        self.calls += 1;
        Err(io::ErrorKind::TimedOut.into())
    }

    #[fallback(|_| Ok(self.calls), if = |_| self.calls > 1 && !limits::is_busy())]
    async fn answered(&mut self) -> io::Result<u32> {
        yield_now().await;
        self.calls += 1;
        Err(io::ErrorKind::TimedOut.into())
    }

    #[circuit_breaker(breaker = self.breaker)]
    async fn shared(self: Arc<Self>, calls: &AtomicU32) -> io::Result<u32> {
        yield_now().await;
        Ok(self.calls + calls.fetch_add(1, Ordering::Relaxed))
    }
}

fn service() -> Service {
    Service {
        breaker: CircuitBreaker::new("renamed self: own", BreakerConfig::new()),
        stop: Arc::new(StopSignal::new()),
        host: "host".to_owned(),
        calls: 1,
    }
}

#[tokio::test]
async fn options_can_use_a_renamed_self_that_the_body_changes() {
    let mut service = service();
    assert_eq!(service.limited().await.unwrap(), 2);
    service.judged().await.unwrap_err();
    assert_eq!(service.calls, 2 + 11 + 11 + 11 + 1);
    assert_eq!(service.answered().await.unwrap(), service.calls);
}

#[tokio::test]
async fn a_breaker_can_be_a_field_of_a_renamed_owned_self() {
    let service = Arc::new(service());
    assert_eq!(Arc::clone(&service).shared(&AtomicU32::new(0)).await.unwrap(), 1);
    assert_eq!(service.breaker.snapshot().successes, 1);
}
