use steadfast::timeout;

#[timeout(2)]
async fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
