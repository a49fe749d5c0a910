use steadfast::rate_limit;

struct Store;

#[rate_limit(name = "mail", limit = 5, per = 1s, store = Store)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
