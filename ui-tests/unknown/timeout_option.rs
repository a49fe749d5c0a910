use steadfast::timeout;

#[timeout(2s, nam = "charge")]
async fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
