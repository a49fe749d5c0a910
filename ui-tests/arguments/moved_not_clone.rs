use steadfast::retry;

struct Letter;

async fn post(_: Letter) -> std::io::Result<()> {
    Ok(())
}

#[retry]
async fn send(letter: Letter) -> std::io::Result<()> {
    post(letter).await
}

fn main() {}
