use steadfast::{fallback, retry};

#[retry]
#[fallback(send)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
