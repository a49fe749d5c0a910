use steadfast::fallback;

#[fallback(send, when = |_| true)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
