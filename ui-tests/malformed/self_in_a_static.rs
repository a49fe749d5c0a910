use std::io;

use steadfast::{circuit_breaker, retry};

struct Client;

impl Client {
    const LIMIT: u32 = 3;

    #[retry(max_attempts = Self::LIMIT)]
    #[circuit_breaker(name = "payments", failure_threshold = Self::LIMIT)]
    fn pay(&self) -> io::Result<()> {
        Ok(())
    }
}

fn main() {}
