use steadfast::fallback;

#[fallback(if = |_| true)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
