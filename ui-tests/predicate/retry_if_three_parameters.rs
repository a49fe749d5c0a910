use steadfast::retry;

#[retry(retry_if = |error, attempt, other| true)]
fn load() -> std::io::Result<()> {
    Ok(())
}

fn main() {
    load().unwrap();
}
