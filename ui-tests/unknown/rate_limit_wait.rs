use steadfast::rate_limit;

#[rate_limit(name = "mail", limit = 5, per = 1s, wait = 1s)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
