use steadfast::fallback;

#[fallback(with = send)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
