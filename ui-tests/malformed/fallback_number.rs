use steadfast::fallback;

#[fallback(5)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
