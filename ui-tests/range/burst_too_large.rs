use steadfast::rate_limit;

#[rate_limit(name = "mail", limit = 5, per = 1s, algorithm = gcra, burst = 2_000_000)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
