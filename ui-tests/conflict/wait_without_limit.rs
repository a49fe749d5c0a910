use steadfast::rate_limit;

#[rate_limit(name = "mail", max_wait = 1s)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
