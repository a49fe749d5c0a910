use steadfast::circuit_breaker;

struct Answer(u16);

#[circuit_breaker(name = "disk", failure_if_result = |answer| answer.0 >= 500)]
fn read() -> Answer {
    Answer(200)
}

#[circuit_breaker(name = "disk", failure_if_result = |status| *status >= 500)]
fn status() -> u16 {
    200
}

fn main() {}
