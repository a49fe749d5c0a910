use steadfast::rate_limit;

#[rate_limit(name = "mail", limit = 2_000_000, per = 1s)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
