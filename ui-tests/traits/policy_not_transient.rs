use steadfast::RetryPolicy;

fn charge() -> Result<(), String> {
    RetryPolicy::new().run(|| Err("declined".to_owned()))
}

fn main() {
    charge().unwrap();
}
