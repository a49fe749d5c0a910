use steadfast::rate_limit;

#[rate_limit(name = "mail", limit = 5, per = 1s, permits = "2")]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
