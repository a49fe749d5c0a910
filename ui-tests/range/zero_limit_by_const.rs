use steadfast::rate_limit;

const NONE: u32 = 0;

#[rate_limit(name = "mail", limit = NONE, per = 1s)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
