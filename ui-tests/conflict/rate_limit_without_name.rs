use steadfast::rate_limit;

#[rate_limit(limit = 5, per = 1s)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
