use steadfast::retry;

#[retry(max_attempts = 5, max_elapsed = 0s)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
