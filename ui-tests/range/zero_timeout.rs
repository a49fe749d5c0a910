use steadfast::timeout;

#[timeout(0s)]
async fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
