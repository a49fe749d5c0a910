use steadfast::fallback;

#[fallback(send, if = |error: &String| error.is_empty())]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
