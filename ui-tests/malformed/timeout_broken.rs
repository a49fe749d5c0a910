use steadfast::timeout;

#[timeout(2s 10s)]
async fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
