#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::unchecked_time_subtraction,
    reason = "a test fails by panicking"
)]

#[path = "it"]
mod it {
    mod breaker_rules;
    mod hung_calls;
    mod model_based;
}
