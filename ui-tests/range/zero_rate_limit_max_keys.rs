use steadfast::rate_limit;

#[rate_limit(name = "mail", limit = 5, per = 1s, key = to, max_keys = 0)]
fn send(to: &str) -> std::io::Result<usize> {
    Ok(to.len())
}

fn main() {}
