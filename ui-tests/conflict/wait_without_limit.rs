use steadfast::rate_limit;

#[rate_limit(name = "mail", wait = 1s)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
