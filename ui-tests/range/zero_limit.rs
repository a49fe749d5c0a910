use steadfast::rate_limit;

#[rate_limit(name = "mail", limit = 0, per = 1s)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
