use steadfast::rate_limit;

#[rate_limit(name = "mail", limit = 5, per = 1s, max_wait = 0s)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
