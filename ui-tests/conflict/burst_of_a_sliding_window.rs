use steadfast::rate_limit;

#[rate_limit(name = "mail", limit = 5, per = 1s, burst = 3)]
fn send() -> std::io::Result<()> {
    Ok(())
}

#[rate_limit(name = "post", limit = 5, per = 1s, burst = 3, algorithm = sliding_window)]
fn post() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
