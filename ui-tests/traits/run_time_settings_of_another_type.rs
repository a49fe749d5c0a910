use std::io;

use steadfast::{CircuitBreaker, circuit_breaker, retry, timeout};

struct Client {
    seconds: u64,
    breaker: Option<CircuitBreaker>,
}

impl Client {
    #[timeout(self.seconds)]
    async fn limited(&self) -> io::Result<()> {
        Ok(())
    }

    #[circuit_breaker(breaker = self.breaker)]
    fn guarded(&self) -> io::Result<()> {
        Ok(())
    }

    #[retry(policy = self.seconds)]
    fn retried(&self) -> io::Result<()> {
        Ok(())
    }

    #[retry(enabled = self.seconds)]
    fn enabled(&self) -> io::Result<()> {
        Ok(())
    }
}

fn main() {}
