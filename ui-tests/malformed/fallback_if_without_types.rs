use steadfast::fallback;

#[fallback(send, if())]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
