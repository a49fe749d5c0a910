use std::time::Duration;

use steadfast::RetryPolicy;

fn log(_attempt: u32, _delay: Duration, _error: &String) {}

fn charge() -> Result<(), String> {
    RetryPolicy::new().on_retry(log).run(|| Err("declined".to_owned()))
}

fn main() {}
