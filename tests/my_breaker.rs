#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::unchecked_time_subtraction,
    reason = "a test fails by panicking"
)]

#[path = "it"]
mod it {
    mod breaker_options;
    mod breaker_rules;
    mod cancelled_calls;
    mod clocks;
    mod hung_calls;
    mod long_times;
    mod settings_sources;
}
