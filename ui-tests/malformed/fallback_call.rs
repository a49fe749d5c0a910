use steadfast::fallback;

#[fallback(cached())]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
