use steadfast::timeout;

#[timeout]
async fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
