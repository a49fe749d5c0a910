use steadfast::timeout;

#[timeout(2s)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
