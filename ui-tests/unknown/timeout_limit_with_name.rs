use steadfast::timeout;

#[timeout(limit = 2s)]
async fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
