use steadfast::RetryPolicy;

static POLICY: RetryPolicy = RetryPolicy::new().max_attempts(0);

fn main() {
    println!("{POLICY:?}");
}
