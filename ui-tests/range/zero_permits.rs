use steadfast::rate_limit;

#[rate_limit(name = "mail", limit = 5, per = 1s, permits = 0)]
fn send() -> std::io::Result<()> {
    Ok(())
}

#[rate_limit(name = "mail", limit = 5, per = 1s, permits = -1)]
fn send_again() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
