use std::io;

use steadfast::circuit_breaker;

#[circuit_breaker(
    name = "disk",
    slidingWindowSize = 100,
    failureRateThreshold = 50,
    wait_duration_in_open_state = 30s,
    permitted_number_of_calls_in_half_open_state = 3,
    record_exceptions = is_outage,
    volume_threshold = 10
)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
