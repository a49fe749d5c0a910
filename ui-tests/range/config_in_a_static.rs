use steadfast::{BreakerConfig, CircuitBreaker};

static DISK: CircuitBreaker = CircuitBreaker::new("disk", BreakerConfig::new().half_open_max_calls(256));

fn main() {
    println!("{DISK:?}");
}
